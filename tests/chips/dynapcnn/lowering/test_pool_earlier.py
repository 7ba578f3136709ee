"""Pooling earlier: the neurons that stay do what they did, later shapes stay, weights compensate for what is gone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oversized import NEURON, conv_names, frames_for, image_network, oversized

from i2e_deploy.chips.dynapcnn import DynapcnnChip
from i2e_deploy.chips.dynapcnn.lowering.reshape.edit import weights_of
from i2e_deploy.chips.dynapcnn.lowering.reshape.pooling import pool_earlier
from i2e_deploy.errors import UnsupportedError
from i2e_deploy.network import Conv2d, Flatten, IntegrateAndFire, Layer, Linear, Network, Op, Pool2d, chain

CHIP = DynapcnnChip("speck2f")


@settings(max_examples=25)
@given(network=oversized(most=12, branch=False), pick=st.integers(0, 5), factor=st.sampled_from([2, 4]),
       seed=st.integers(0, 99))  # fmt: skip
def test_neurons_that_stay_fire_as_they_did_when_pooling_moves_into_a_stride(
    network: Network, pick: int, factor: int, seed: int
) -> None:
    """Exactly, in the layer itself: every `factor`-th neuron of the old layer is a neuron of the new one."""
    name = conv_names(network)[pick % len(conv_names(network))]
    try:
        changed, how = pool_earlier(network, name, factor)
    except UnsupportedError:
        return
    assert how.startswith(f"stride 1x1 becomes {factor}x{factor}")
    frames = frames_for(network, seed)
    old, new = CHIP.lower(network).run(frames), CHIP.lower(changed).run(frames)
    np.testing.assert_array_equal(new.spikes[name], old.spikes[name][..., ::factor, ::factor])
    assert new.output.shape == old.output.shape


def test_average_pooling_behind_goes_and_the_rest_stays() -> None:
    network = image_network(Pool2d((2, 2), "average"))
    changed, how = pool_earlier(network, "conv", 2)
    assert [layer.name for layer in changed.layers] == ["conv", "n", "flat", "fc", "out"]
    assert how == "stride 1x1 becomes 2x2; pooling 'pool' goes"
    np.testing.assert_array_equal(weights_of(changed, "fc").weight, weights_of(network, "fc").weight)
    assert changed.shapes()["flat"] == network.shapes()["flat"]


def strided(second: Conv2d, size: int = 8) -> Network:
    weight = np.random.default_rng(0).normal(0.1, 0.4, (4, 2, 3, 3)).astype(np.float32)
    ops: dict[str, Op] = {"a": Conv2d(weight, padding=(1, 1)), "an": NEURON, "b": second, "bn": NEURON}
    return chain((2, size, size), ops)


def test_a_stride_behind_becomes_smaller() -> None:
    second = Conv2d(np.ones((3, 4, 3, 3), np.float32), None, (2, 2), (1, 1))
    changed, how = pool_earlier(strided(second), "a", 2)
    assert how == "stride 1x1 becomes 2x2; stride 2x2 of 'b' becomes 1x1; 'b' sees 2 times fewer pixels a side"
    assert changed.shapes()["b"] == strided(second).shapes()["b"]
    with pytest.raises(UnsupportedError, match="would get 2 times smaller"):
        pool_earlier(strided(second), "a", 4)


def test_a_size_that_would_change_behind_is_refused() -> None:
    """7 pixels: every second one is 4, then a 3x3 kernel without padding gives 2; before it was 3."""
    second = Conv2d(np.ones((3, 4, 3, 3), np.float32), None, (2, 2))
    with pytest.raises(UnsupportedError, match=r"layer 'b' would give \(3, 2, 2\) instead of \(3, 3, 3\)"):
        pool_earlier(strided(second, 7), "a", 2)


def test_each_way_behind_a_layer_pools_less_for_itself() -> None:
    rng = np.random.default_rng(0)
    first, other = (rng.normal(0.1, 0.4, (4, n, 3, 3)).astype(np.float32) for n in (2, 4))
    rows: list[tuple[str, Op, tuple[str, ...]]] = [
        ("a", Conv2d(first, padding=(1, 1)), ("input",)), ("an", NEURON, ("a",)),
        ("p", Pool2d((4, 4)), ("an",)), ("b", Conv2d(other[..., :2, :2].copy()), ("p",)), ("bn", NEURON, ("b",)),
        ("q", Pool2d((2, 2)), ("an",)), ("c", Conv2d(other), ("q",)), ("cn", NEURON, ("c",)),
    ]  # fmt: skip
    network = Network((2, 8, 8), tuple(Layer(*row) for row in rows))
    changed, how = pool_earlier(network, "a", 2)
    assert "pooling 'p' by 4x4 becomes 2x2" in how
    assert "pooling 'q' goes" in how
    assert [changed.shapes()[name] for name in ("bn", "cn")] == [network.shapes()[name] for name in ("bn", "cn")]


def test_weights_behind_sum_pooling_make_up_for_the_spikes_that_are_gone() -> None:
    network = image_network(Pool2d((2, 2), "sum"))
    changed, how = pool_earlier(network, "conv", 2)
    assert how == "stride 1x1 becomes 2x2; pooling 'pool' goes; weights of 'fc' times 4"
    np.testing.assert_array_equal(weights_of(changed, "fc").weight, 4 * weights_of(network, "fc").weight)


def test_without_pooling_behind_the_linear_layers_weights_are_added_up() -> None:
    network = image_network(None)
    changed, how = pool_earlier(network, "conv", 2)
    assert "weights of 'fc' for 2x2 positions are added up" in how
    blocks = weights_of(network, "fc").weight.reshape(5, 3, 4, 2, 4, 2)
    np.testing.assert_array_equal(weights_of(changed, "fc").weight, blocks.sum((3, 5)).reshape(5, -1))


def test_a_linear_layer_is_pooled_before_and_gives_the_same_on_even_images() -> None:
    """Input spikes that are alike in each window of 2x2: the sums are the same but for rounding of the integers."""
    rng = np.random.default_rng(0)
    weight = rng.integers(-8, 9, (5, 3 * 64)).astype(np.float32)
    one = np.zeros((3, 2, 1, 1), np.float32)
    one[:, 0] = 1  # passes the events of the first channel on
    ops: dict[str, Op] = {"one": Conv2d(one), "n": NEURON, "flat": Flatten(), "fc": Linear(weight)}
    network = chain((2, 8, 8), ops | {"out": IntegrateAndFire(64.0, -64.0)})
    changed, how = pool_earlier(network, "fc", 2)
    assert how.startswith("average pooling by 2 before it")
    assert [layer.name for layer in changed.layers] == ["one", "n", "fc_pool", "fc_flatten", "fc", "out"]
    folded = weights_of(changed, "fc").weight
    coarse = rng.integers(0, 2, (3, 4, 4))
    fine = coarse.repeat(2, 1).repeat(2, 2)
    np.testing.assert_allclose(folded @ coarse.ravel(), weight @ fine.ravel())
    assert CHIP.check(changed).fits
