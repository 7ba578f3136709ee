"""The partitioner and the rules on large layers: fewer channels always fit, and weights may be counted by value."""

from __future__ import annotations

import numpy as np
import pytest

from i2e_deploy.chips import get
from i2e_deploy.chips.loihi2.checks.partition import Demand, cut, weight_bits
from i2e_deploy.chips.loihi2.checks.rules import MOST_VALUES, _values_of
from i2e_deploy.chips.loihi2.program import SOURCE, Block, BlockNetwork, Connection, ConvSynapse, CubaLif, DenseSynapse
from i2e_deploy.chips.loihi2.reference.lava_weights import lava_dense, zeros_at_the_end
from i2e_deploy.chips.profile import load_profile
from i2e_deploy.errors import UnsupportedError

PROFILE = load_profile("loihi2")


def conv(channels: int, height: int = 8, taps: int = 9 * 512, bits: int = 6) -> Demand:
    return Demand("conv", (channels, height, 8), (taps,), (bits,), (False,), (False,))


@pytest.mark.parametrize("channels", [250, 251, 255, 17, 1001, 3])
def test_odd_channels_find_a_core_where_even_ones_do(channels: int) -> None:
    """512 -> 250 channels of 3x3 taps: half of 250 is too large, half of 125 was not tried."""
    found, even = cut(conv(channels), PROFILE), cut(conv(2 ** (channels - 1).bit_length()), PROFILE)
    assert found is not None
    assert even is not None
    assert found.cores <= even.cores
    assert found.synapse_memory <= PROFILE.cores[0].memory["synapse_memory"]
    assert found.cores * found.patch[0] >= channels


@pytest.mark.parametrize("seed", range(40))
def test_a_layer_that_fits_still_fits_with_fewer_channels(seed: int) -> None:
    rng = np.random.default_rng(seed)
    size, height, taps = int(rng.integers(2, 700)), int(rng.integers(1, 200)), int(rng.integers(1, 16_000))
    most = cut(conv(size, height, taps), PROFILE)
    fewer = cut(conv(int(rng.integers(1, size)), height, taps), PROFILE)
    assert most is None or fewer is not None
    # one channel and one column of one row is the smallest piece
    assert (most is None) == (taps > PROFILE.cores[0].memory["synapse_memory"])


def test_what_fits_no_core_still_says_so() -> None:
    weight = np.full((2, 1500, 3, 3), 2)
    fed = (Connection(SOURCE, ConvSynapse(weight, padding=(1, 1))),)
    block = Block("a", CubaLif(np.array([0]), np.array([0]), 10), (2, 4, 4), fed)
    report = get("loihi2").check(BlockNetwork((1500, 4, 4), (block,)))
    assert [f.value for f in report.errors if f.rule == "cores"] == ["no piece fits a core"]


@pytest.mark.parametrize("seed", range(40))
def test_weights_counted_by_value_are_those_that_lava_changes(seed: int) -> None:
    """As each weight for itself would say, of one matrix and of two that are scaled together."""
    rng = np.random.default_rng(seed)
    low, high = sorted(rng.choice([-256, -64, -8, -2, 0, 6, 90, 255, 300], 2, replace=False))
    parts = [rng.integers(low, high + 1, (int(rng.integers(1, 9)), 7)) for _ in range(1)]
    if rng.random() < 0.5:
        parts.append(rng.integers(low, high + 1, (len(parts[0]), len(parts[0]))))
    neuron, size = CubaLif(np.array([0]), np.array([0]), 10), len(parts[0])
    sources = [SOURCE, "a"]
    connections = tuple(Connection(s, DenseSynapse(w)) for s, w in zip(sources, parts, strict=False))
    report = get("loihi2").check(BlockNetwork((7,), (Block("a", neuron, (size,), connections),)))
    (found,) = (f.value for f in report.findings if f.rule == "Lava weights")
    try:
        after, shift = lava_dense(*parts)
    except UnsupportedError:
        assert found == "all 0"
        return
    changed = sum(int((b << max(shift, 0) != a).sum()) for b, a in zip(parts, after, strict=True))
    assert found == (f"{changed} changed" if changed else "equal")


@pytest.mark.parametrize("seed", range(20))
def test_values_and_their_counts(seed: int) -> None:
    rng = np.random.default_rng(seed)
    wide = MOST_VALUES if seed % 4 == 0 else 300
    weight = rng.integers(-wide, wide, (int(rng.integers(1, 40)), int(rng.integers(1, 40))))
    weight.flat[0] = -wide
    values, counts = _values_of(weight)
    expected = np.unique(weight, return_counts=True)
    assert np.array_equal(values, expected[0])
    assert np.array_equal(counts, expected[1])


@pytest.mark.parametrize("seed", range(20))
def test_zeros_at_the_end_are_the_largest_power_that_divides_all(seed: int) -> None:
    rng = np.random.default_rng(seed)
    power = int(rng.integers(0, 9))
    weight = rng.integers(-9, 10, (3, 5)) << power
    found = zeros_at_the_end(weight)
    if not weight.any():
        assert found == 64
        return
    assert not (weight % 2**found).any()
    assert (weight % 2 ** (found + 1)).any()
    assert 1 <= weight_bits(weight) <= 9
