"""The float network beside the integers that were lowered from it: time, readouts, states, calibration, findings."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from lowering_nets import GRID, drawn, even, frames_of, neurons

from i2e_deploy.chips.loihi2 import CubaLif
from i2e_deploy.chips.loihi2.chip import Loihi2Chip
from i2e_deploy.chips.loihi2.lowering.lower import lower
from i2e_deploy.chips.loihi2.lowering.stages import ALWAYS
from i2e_deploy.network import (
    LeakyIntegrateAndFire,
    Linear,
    chain,
)  # fmt: skip
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
