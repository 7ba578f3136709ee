"""The target `float`: the network before it became integers, beside them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import random_case

from i2e_deploy.chips import get
from i2e_deploy.cli.app import run
from i2e_deploy.errors import UnsupportedError
from i2e_deploy.network import Conv2d, Flatten, IntegrateAndFire, Linear, Network, Pool2d, chain, from_sinabs
from i2e_deploy.network.file import write_network
from i2e_deploy.reporting.evaluation import write_evaluation
from i2e_deploy.reporting.junit import junit_xml
from i2e_deploy.runtime import evaluate
from i2e_deploy.runtime.float_target import run_float


def case(seed: int) -> tuple[Network, Any]:
    rng = np.random.default_rng(seed)
    drawn = random_case(rng)
    return from_sinabs(drawn.module(1), drawn.input_shape), rng.poisson(0.6, (5, 4, *drawn.input_shape))


@pytest.mark.parametrize("seed", range(8))
def test_its_layers_are_the_program_s_with_the_neurons_of_the_network(seed: int) -> None:
    network, frames = case(seed)
    program = get("speck2f").lower(network)
    trace, floats, ours = run_float(network, program, frames), network.run(frames), program.run(frames)
    assert list(trace.spikes) == list(program.layer_names)
    neurons = [layer.name for layer in network.layers if layer.name in floats.states]
    for name, source in zip(program.layer_names, neurons, strict=True):
        assert np.array_equal(trace.spikes[name].reshape(floats.layers[source].shape), floats.layers[source])
        assert trace.spikes[name].shape == ours.spikes[name].shape
    assert trace.output.shape == ours.output.shape
    assert not trace.unseen


@pytest.mark.parametrize("seed", range(5))
def test_integers_without_rounding_give_what_the_floats_give(seed: int) -> None:
    """Agreement: exact, where the largest weight is 127, so that the floats are the integers."""
    rng = np.random.default_rng(seed)

    def weight(*shape: int) -> Any:
        drawn = rng.integers(-40, 60, shape).astype(np.float32)
        drawn.flat[0] = 127
        return drawn

    neurons = IntegrateAndFire(64.0, min_v=-64.0)
    layers = {"a": Conv2d(weight(4, 2, 3, 3)), "fire_a": neurons, "pool": Pool2d((2, 2), "sum"), "flat": Flatten(),
              "b": Linear(weight(5, 64)), "fire_b": neurons}  # fmt: skip
    network, frames = chain((2, 10, 10), layers), rng.poisson(0.6, (5, 4, 2, 10, 10))
    result = evaluate(get("speck2f").lower(network), frames, targets=["float", "simulator"], network=network)
    (pair,) = result.agreements
    assert pair.exact
    assert all(parting.differing == 0 and parting.values for parting in pair.layers.values())
    assert result.results[0].activity["b"]["spikes"] > 0


def test_where_floats_and_integers_part_is_said_layer_by_layer(tmp_path: Path) -> None:
    network, frames = case(1)
    program = get("speck2f").lower(network)
    result = evaluate(program, frames, targets=["float", "simulator"], batch_size=2, network=network)
    (pair,) = result.agreements
    assert not pair.exact
    floats, ours = run_float(network, program, frames), program.run(frames)
    for name, parting in pair.layers.items():
        one, other = (t.output if name == "output" else t.spikes[name] for t in (floats, ours))
        apart = one != other
        assert (parting.values, parting.differing) == (apart.size, apart.sum())
        assert parting.largest == np.abs(one.astype(float) - other).max()
        steps = np.flatnonzero(apart.any(axis=(0, *range(2, apart.ndim))))
        assert parting.first_step == (steps[0] if len(steps) else None)
    assert json.loads(json.dumps(result.to_dict())) == result.to_dict()
    assert 'failures="0"' in junit_xml(result)
    write_evaluation(result, tmp_path / "page.html")
    assert "float and simulator, layer by layer" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_integers_from_the_start_have_no_float_network() -> None:
    network, frames = case(0)
    program = get("speck2f").lower(network)
    with pytest.raises(UnsupportedError, match="integers from the start"):
        run_float(None, program, frames)


def test_the_commands_know_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    network, frames = case(1)
    write_network(network, tmp_path / "net.safetensors")
    np.save(tmp_path / "frames.npy", frames)
    np.savez(tmp_path / "frames.npz", frames=frames, labels=np.zeros(len(frames), np.int64))
    model, chip = str(tmp_path / "net.safetensors"), ["--chip", "speck2f"]
    for target in ("float", "simulator"):
        out = ["--out", str(tmp_path / f"{target}.npz"), "--target", target, "--state"]
        assert run(["simulate", model, *chip, "--input", str(tmp_path / "frames.npy"), *out]) == 0
    assert run(["compare", str(tmp_path / "float.npz"), str(tmp_path / "simulator.npz")]) == 1
    assert "where they differ" in capsys.readouterr().out
    both = ["--target", "float", "--target", "simulator"]
    assert run(["evaluate", model, str(tmp_path / "frames.npz"), *chip, *both]) == 0
    assert "float and simulator, layer by layer" in capsys.readouterr().out
    simulate = ["simulate", model, *chip, "--input", str(tmp_path / "frames.npy"), "--out", str(tmp_path / "x.npz")]
    assert run([*simulate, "--target", "float", "--semantics", "event"]) == 2
    assert "the float network has time steps" in capsys.readouterr().err
