"""Each change of a network does what it says: what is kept computes what it did, later shapes stay."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from oversized import NEURON, conv_names, frames_for, image_network, oversized, two_branches, with_weights

from i2e_deploy.chips.dynapcnn import DynapcnnChip
from i2e_deploy.chips.dynapcnn.lowering.reshape.channels import fed, keep_channels, kept_channels, tied
from i2e_deploy.chips.dynapcnn.lowering.reshape.edit import leave_out, removable, weights_of
from i2e_deploy.chips.dynapcnn.lowering.reshape.kernel_size import crop_kernel, sides
from i2e_deploy.chips.dynapcnn.lowering.reshape.pooling import pool_earlier
from i2e_deploy.errors import I2EDeployError, InputError, UnsupportedError
from i2e_deploy.network import Add, Conv2d, Flatten, Layer, Linear, Network, Op, chain

CHIP = DynapcnnChip("speck2f")


def shrinkable(network: Network) -> list[str]:
    found = []
    for name in conv_names(network):
        try:
            tied(network, name)
        except UnsupportedError:
            continue
        found.append(name)
    return found


@settings(max_examples=25)
@given(network=oversized(most=12), pick=st.integers(0, 5), count=st.integers(1, 11), seed=st.integers(0, 99))
def test_fewer_channels_compute_what_they_did_without_the_others(
    network: Network, pick: int, count: int, seed: int
) -> None:
    """Exactly: spikes equal those of the whole network whose other channels have weights and biases of 0."""
    names = [name for name in shrinkable(network) if len(weights_of(network, name).weight) > count]
    assume(names)
    name = names[pick % len(names)]
    kept, group = kept_channels(network, name, count), tied(network, name)
    changed, silent = keep_channels(network, name, count), network
    gone = np.setdiff1d(np.arange(len(weights_of(network, name).weight)), kept)
    for member in group:
        op = weights_of(silent, member)
        weight = op.weight.copy()
        weight[gone] = 0
        bias = None if op.bias is None else np.where(np.isin(np.arange(len(op.bias)), gone), 0, op.bias)
        silent = with_weights(silent, member, weight, bias)
    for user in fed(network, group):
        op = weights_of(silent, user)
        blocks = op.weight.reshape(len(op.weight), len(gone) + count, -1).copy()
        blocks[:, gone] = 0
        silent = with_weights(silent, user, blocks.reshape(op.weight.shape))
        narrow = weights_of(changed, user).weight
        if user not in group:
            np.testing.assert_array_equal(narrow.reshape(len(narrow), count, -1), blocks[:, kept])
    frames = frames_for(network, seed)
    np.testing.assert_array_equal(CHIP.lower(changed).run(frames).output, CHIP.lower(silent).run(frames).output)


@settings(max_examples=25)
@given(network=oversized(most=12), pick=st.integers(0, 5), seed=st.integers(0, 99))
def test_a_smaller_kernel_computes_what_it_did_without_the_other_weights(
    network: Network, pick: int, seed: int
) -> None:
    """Exactly; and the part is the middle one, because the stride is 1."""
    names = [name for name in conv_names(network) if sides(network, name)]
    assume(names)
    name = names[pick % len(names)]
    for side in sides(network, name):
        changed = crop_kernel(network, name, side)
        weight = weights_of(network, name).weight
        edge = (weight.shape[2] - side) // 2
        silent = np.zeros_like(weight)
        middle = (..., slice(edge, edge + side), slice(edge, edge + side))
        silent[middle] = weight[middle]
        np.testing.assert_array_equal(weights_of(changed, name).weight, weight[middle])
        assert changed.shapes() == network.shapes()
        frames = frames_for(network, seed)
        expected = CHIP.lower(with_weights(network, name, silent)).run(frames)
        np.testing.assert_array_equal(CHIP.lower(changed).run(frames).output, expected.output)


@pytest.mark.parametrize(("side", "corner"), [(2, (0, 0)), (2, (1, 1))])
def test_with_a_stride_the_part_with_the_largest_weights_is_taken(side: int, corner: tuple[int, int]) -> None:
    """Stride 4 on 7 pixels, kernel 3, padding 1: four parts of 2x2 leave the output its 2 pixels a side."""
    weight = np.full((2, 2, 3, 3), 0.1, np.float32)
    weight[:, :, corner[0] * 2, corner[1] * 2] = 3
    network = chain((2, 7, 7), {"conv": Conv2d(weight, None, (4, 4), (1, 1)), "n": NEURON})
    assert side in sides(network, "conv")
    changed = weights_of(crop_kernel(network, "conv", side), "conv")
    assert isinstance(changed, Conv2d)
    assert changed.weight.max() == 3
    assert changed.padding == (1 - corner[0], 1 - corner[1])


def test_branches_that_are_added_shrink_alike() -> None:
    network = two_branches()
    assert tied(network, "a") == tied(network, "b") == ("a", "b")
    changed = keep_channels(network, "b", 2)
    assert [weights_of(changed, name).weight.shape[:2] for name in "abc"] == [(2, 2), (2, 2), (4, 2)]
    kept = kept_channels(network, "a", 2)
    np.testing.assert_array_equal(weights_of(changed, "a").weight, weights_of(network, "a").weight[kept])
    np.testing.assert_array_equal(weights_of(changed, "b").weight, weights_of(network, "b").weight[kept][:, kept])


def test_the_channels_kept_are_those_that_matter() -> None:
    """Without frames by weights in times weights out over thresholds, with frames by spikes times weights out."""
    into = np.array([1, 5, 2, 2], np.float32).reshape(4, 1, 1, 1)
    out = np.array([[9, 1, 1, 3]], np.float32).reshape(1, 4, 1, 1)
    network = chain((1, 4, 4), {"a": Conv2d(into), "an": NEURON, "b": Conv2d(out), "bn": NEURON})
    assert kept_channels(network, "a", 2).tolist() == [0, 3]  # 9, 5, 2, 6
    assert kept_channels(network, "a", 2, {"a": np.array([0.0, 7, 9, 1])}).tolist() == [1, 2]  # 0, 7, 9, 3
    even = chain(
        (1, 4, 4), {"a": Conv2d(np.ones_like(into)), "an": NEURON, "b": Conv2d(np.ones_like(out)), "bn": NEURON}
    )
    assert kept_channels(even, "a", 2).tolist() == [0, 1]


def refusals() -> list[tuple[str, str]]:
    branched, image = two_branches(), image_network(None)
    rng = np.random.default_rng(0)
    grouped = chain((2, 8, 8), {
        "a": Conv2d(rng.normal(0, 1, (4, 2, 3, 3)).astype(np.float32)), "an": NEURON,
        "b": Conv2d(rng.normal(0, 1, (4, 1, 3, 3)).astype(np.float32), groups=4), "bn": NEURON,
        "c": Conv2d(rng.normal(0, 1, (4, 4, 3, 3)).astype(np.float32)), "cn": NEURON,
    })  # fmt: skip
    tries: dict[str, Callable[[], object]] = {
        "an output of the network": lambda: keep_channels(image, "fc", 2),
        "4 groups": lambda: keep_channels(grouped, "a", 2),
        "number from 1 to 2": lambda: keep_channels(image, "conv", 3),
        "no layer 'none'": lambda: keep_channels(image, "none", 3),
        "is a Flatten": lambda: pool_earlier(image, "flat", 2),
        "keeps its size; possible: none": lambda: crop_kernel(grouped, "a", 2),
        "choose 2 or 4": lambda: pool_earlier(image, "conv", 3),
        "adds a way that keeps its size": lambda: pool_earlier(branched, "b", 2),
        "would get 2 times smaller": lambda: pool_earlier(branched, "c", 2),
        "which 2 does not divide": lambda: pool_earlier(
            chain((2, 5, 5), {"fc0": Flatten(), "fc": Linear(np.ones((2, 50), np.float32)), "n": NEURON}), "fc", 2
        ),
        "cannot be left out": lambda: leave_out(image, "conv"),
        "would add 'an' to itself": lambda: leave_out(branched, "b"),
    }
    said = []
    for wanted, attempt in tries.items():
        with pytest.raises(I2EDeployError) as caught:
            attempt()
        said.append((wanted, str(caught.value)))
    return said


def test_refusals_say_where_and_why_in_one_line() -> None:
    for wanted, said in refusals():
        assert wanted in said
        assert "\n" not in said


def test_a_branch_added_to_the_input_cannot_shrink() -> None:
    conv = Conv2d(np.ones((2, 2, 1, 1), np.float32))
    rows: list[tuple[str, Op, tuple[str, ...]]] = [
        ("a", conv, ("input",)), ("an", NEURON, ("a",)), ("sum", Add(), ("an", "input")), ("b", conv, ("sum",)),
        ("bn", NEURON, ("b",)),
    ]  # fmt: skip
    network = Network((2, 4, 4), tuple(Layer(*row) for row in rows))
    with pytest.raises(UnsupportedError, match="'a' is added to the input"):
        keep_channels(network, "a", 1)


def test_a_layer_between_equal_shapes_can_be_left_out() -> None:
    conv = Conv2d(np.ones((2, 2, 3, 3), np.float32), padding=(1, 1))
    ops: dict[str, Op] = {
        "a": conv,
        "an": NEURON,
        "b": conv,
        "bn": NEURON,
        "c": replace(conv, stride=(2, 2)),
        "cn": NEURON,
    }
    network = chain((2, 8, 8), ops)
    assert removable(network) == ("a", "b")
    assert [layer.name for layer in leave_out(network, "a").layers] == ["b", "bn", "c", "cn"]
    with pytest.raises(InputError, match="no layer"):
        leave_out(network, "z")
