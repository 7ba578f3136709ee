"""Networks of the NIR paper on Loihi 2's integers: the one neuron of task 1, the recurrent networks of task 3."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from public_data import trained

from i2e_deploy.chips import LowerOptions, get
from i2e_deploy.network import read_nir

pytest.importorskip("nir")


def test_the_one_neuron_fires_in_the_same_steps() -> None:
    """34 spikes of 1,000 steps: the chip's four, a step later, as its synapses take a step."""
    network = read_nir(
        trained("nir/lif_norse.nir"), dt=1e-4, method="euler", reset="zero", max_spikes=1, min_v="none"
    )  # fmt: skip
    table = np.loadtxt(trained("nir/lif_norse.csv"), delimiter=",")
    program = get("loihi2").lower(network)
    spikes = program.run((table[:, 0] > 0).astype(np.int64).reshape(1, -1, 1)).output.reshape(-1)
    late = next(iter(program.latencies.values()))
    np.testing.assert_array_equal(spikes[late:], table[: len(table) - late, 2] > 0)
    assert spikes.sum() == 4


@pytest.mark.parametrize("name", ["noDelay_bias_zero", "noDelay_noBias_subtract"])
def test_recurrent_networks_of_braille_letters(name: str) -> None:
    """On drawn input. 8-bit weights beside a few large ones move single spikes of a network that feeds itself (the
    check says how many); each output's number of spikes stays, and they line up best at the latency that the program
    states.
    """
    reset: Any = name.rpartition("_")[2]
    path = trained(f"nir/braille_{name}.nir")
    network = read_nir(path, dt=1e-4, method="euler", reset=reset, max_spikes=1, min_v="none")
    x = (np.random.default_rng(6).random((4, 80, 12)) < 0.25).astype(np.int64)
    program = get("loihi2").lower(network, LowerOptions(calibration=x))
    late = list(program.latencies.values())[-1]
    padded = np.concatenate([x, np.zeros((4, late + 3, 12), np.int64)], axis=1)
    ours = program.run(padded).output.reshape(4, 80 + late + 3, -1)
    wanted = network.run(x).output
    apart = [float((ours[:, shift : shift + 80] != wanted).mean()) for shift in range(late + 3)]
    assert int(np.argmin(apart)) == late
    counts, expected = ours[:, late : late + 80].sum(axis=(0, 1)), wanted.sum(axis=(0, 1))
    assert expected.any()
    assert abs(int(counts.sum()) - int(expected.sum())) <= 0.1 * expected.sum()
    assert np.corrcoef(counts, expected)[0, 1] > 0.95
