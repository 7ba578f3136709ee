"""The float network beside the integers that were lowered from it: time and readouts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lowering_nets import GRID, drawn, even, frames_of, neurons

from i2e_deploy.chips.loihi2 import CubaLif
from i2e_deploy.chips.loihi2.chip import Loihi2Chip
from i2e_deploy.chips.loihi2.lowering.lower import lower
from i2e_deploy.chips.loihi2.lowering.stages import ALWAYS
from i2e_deploy.cli.app import run
from i2e_deploy.errors import InputError
from i2e_deploy.network import (
    LeakyIntegrateAndFire,
    Linear,
    Network,
    chain,
)  # fmt: skip
from i2e_deploy.network.file import write_network
from i2e_deploy.network.neurons import parameter
from i2e_deploy.runtime import evaluate
from i2e_deploy.runtime.float_target import run_float

CHIP = Loihi2Chip("loihi2")


@pytest.mark.parametrize("seed", range(8))
def test_target_float_lines_up_with_the_pipeline(seed: int) -> None:
    """Exactly representable networks: every layer, the output and every decision is equal, late layers included."""
    network = drawn(seed)
    program = CHIP.lower(network)
    frames = frames_of(network, seed)
    result = evaluate(program, frames, targets=["float", "simulator"], network=network)
    (pair,) = result.agreements
    assert pair.exact
    assert pair.same == len(frames)
    assert set(pair.unseen) <= {ALWAYS}
    assert program.latencies
    counts = network.run(frames).output.sum(axis=1)
    assert np.array_equal(program.run(frames).scores(), counts)


@pytest.mark.parametrize("seed", range(6))
def test_a_last_layer_without_neurons_is_added_up_and_read_by_its_state(seed: int) -> None:
    """Sums over the steps of what a linear layer gives: the state of an accumulator, at the right step."""
    rng = np.random.default_rng(seed)
    last = Linear(even(rng, 4, 5), (2 * rng.integers(-9, 9, 4) / GRID).astype(np.float32))
    network = chain((6,), {"a": Linear(even(rng, 5, 6)), "na": neurons(rng), "b": last})
    program, frames = CHIP.lower(network), frames_of(network, seed)
    assert isinstance(program.network.blocks[-1].neuron, CubaLif)
    assert (program.deciding.kind, program.deciding.lag) == ("state", program.latencies["b"])
    scale = lower(network).losses[-1].scale
    wanted = network.run(frames, dtype="float64").output.sum(axis=1)
    assert np.allclose(program.run(frames).scores() / (64 * scale), wanted, atol=1e-9)
    assert np.allclose(run_float(network, program, frames).scores(), wanted)
    assert evaluate(program, frames, targets=["float", "simulator"], network=network).agreements[0].same == 3


@pytest.mark.parametrize("seed", range(6))
def test_a_leaky_readout_is_read_by_the_mean_of_its_potential(seed: int) -> None:
    rng = np.random.default_rng(seed)
    readout = LeakyIntegrateAndFire(
        parameter(0.5), bias=parameter(2 / GRID), current_decay=parameter(rng.choice([0, 0.5]))
    )
    network = chain(
        (6,), {"a": Linear(even(rng, 5, 6)), "na": neurons(rng), "b": Linear(even(rng, 4, 5)), "out": readout}
    )
    program, frames = CHIP.lower(network), frames_of(network, seed)
    assert program.deciding.kind == "state-mean"
    scale = lower(network).losses[-1].scale
    wanted = network.run(frames, dtype="float64").output.sum(axis=1)
    assert np.allclose(program.run(frames).scores() / (64 * scale), wanted, atol=1e-9)
    assert np.allclose(run_float(network, program, frames).scores(), wanted, rtol=1e-5)
    last = program.decided_by(replace(program.deciding, kind="state", lag=0))
    ended = network.run(frames, dtype="float64").output[:, -1]
    assert np.allclose(last.run(frames).scores() / (64 * scale), ended, atol=1e-9)
    assert np.allclose(run_float(network, last, frames).scores(), ended, rtol=1e-5)


def test_a_state_that_the_float_network_does_not_have_is_not_read() -> None:
    """The accumulator of a last linear layer has a current; the float layer has none."""
    network = drawn(0)
    sums = Network(network.input_shape, network.layers[:-1])
    program, frames = CHIP.lower(sums), frames_of(sums, 0)
    assert run_float(sums, program, frames).scores().shape == (3, 4)
    with pytest.raises(InputError, match="no state 'u'"):
        run_float(sums, program.decided_by(replace(program.deciding, variable="u")), frames)


@pytest.mark.parametrize("seed", [0, 3])
def test_the_shell_runs_the_float_network_late_too(seed: int, tmp_path: Path) -> None:
    """`simulate --target float` beside the integers: equal traces of exactly representable networks."""
    network = drawn(seed)
    write_network(network, tmp_path / "net.safetensors")
    np.save(tmp_path / "frames.npy", frames_of(network, seed))
    model = ["simulate", str(tmp_path / "net.safetensors"), "--chip", "loihi2", "--input", str(tmp_path / "frames.npy")]
    for target in ("float", "simulator"):
        assert run([*model, "--target", target, "--out", str(tmp_path / f"{target}.npz")]) == 0
    floats, integers = (dict(np.load(tmp_path / f"{target}.npz")) for target in ("float", "simulator"))
    assert floats.keys() <= integers.keys()
    assert len(floats) >= 2
    assert all(np.array_equal(floats[name], integers[name]) for name in floats)


@pytest.mark.parametrize("counts", [1, 60])
def test_an_evaluation_says_which_states_left_their_words(counts: int, tmp_path: Path, capsys: Any) -> None:
    """Sums of a last linear layer clip at 24 bits, and then tie; the accuracy alone does not say so."""
    rng = np.random.default_rng(3)
    network = chain((100,), {"a": Linear(rng.uniform(0.5, 1, (3, 100)).astype(np.float32))})
    frames = np.full((1, 4, 100), counts)
    result = evaluate(CHIP.lower(network), frames, targets=["simulator"], network=network).results[0]
    told = [line for line in result.remarks if "left the chip's state words" in line]
    assert len(told) == (counts > 1)
    assert all("layer 'a'" in line for line in told)
    write_network(network, tmp_path / "net.safetensors")
    np.save(tmp_path / "frames.npy", frames)
    model = [str(tmp_path / "net.safetensors"), "--chip", "loihi2"]
    assert run(["simulate", *model, "--input", str(tmp_path / "frames.npy"), "--out", str(tmp_path / "t.npz")]) == 0
    assert (", 0 saturations, 0 wraps" in capsys.readouterr().out) == (counts == 1)
