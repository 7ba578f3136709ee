"""What goes wrong elsewhere, case by case: here it is handled, or refused with the layer and what to do.

Others of these stand with what they belong to: graphs, sensor, readout, rules (`test_graphs`, `test_sensor`, ...).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sinabs_networks import conv, neurons, oracle, run_oracle
from torch import nn

from i2e_deploy.chips import get
from i2e_deploy.chips.dynapcnn import DynapcnnProgram
from i2e_deploy.chips.dynapcnn.formats.config import build_config
from i2e_deploy.chips.dynapcnn.formats.program_file import from_tensors
from i2e_deploy.chips.dynapcnn.lowering.quantise import quantise
from i2e_deploy.chips.dynapcnn.lowering.stages import arrange, words
from i2e_deploy.network import Conv2d, IntegrateAndFire, Network, chain, from_sinabs

G = torch.Generator


def one_layer(weight: float, threshold: float, min_v: float | None, bias: float | None = None) -> Network:
    conv_ = Conv2d(np.full((1, 1, 1, 1), weight, np.float32), None if bias is None else np.full(1, bias, np.float32))
    return chain((1, 4, 4), {"conv": conv_, "n": IntegrateAndFire(threshold, min_v)})


@pytest.mark.parametrize(
    ("values", "integers"),
    [
        ((1.0, 1.0, -1.0), (127, 127, -127)),
        ((0.5, 1.0, 0.0), (127, 254, 0)),
        ((0.5, 1.0, -8.0), (127, 254, -2032)),
        ((0.001, 1.0, -1.0), (33, 32767, -32767)),  # the threshold takes the scale: 6 bits of weight are left
        ((300.0, 1.0, -1.0), (127, 0, 0)),  # Sinabs goes on with threshold 0, and computes inf
        ((1.0, 1.0, None), (1, 1, -32768)),  # no lower bound asks for all 16 bits: every weight rounds to 0 or 1
    ],
)
def test_which_value_takes_the_scale(values: tuple[Any, ...], integers: tuple[int, int, int]) -> None:
    (stage,), _ = arrange(one_layer(*values))
    made = quantise(stage)
    assert (int(made.weight.item()), made.threshold, made.min_v) == integers


def test_a_large_bias_takes_the_scale_and_is_named() -> None:
    network = one_layer(1.0, 1.0, -1.0, bias=-30.0)
    (stage,), _ = arrange(network)
    assert int(quantise(stage).weight.item()) == 4
    report = get("speck2f").check(network)
    (warning,) = [w for w in report.warnings if w.rule == "effective weight bits"]
    assert "the bias" in warning.fix
    assert warning.layer == "conv"


@settings(max_examples=25, deadline=None)
@given(
    side=st.tuples(st.integers(5, 21), st.integers(5, 21)), kernel=st.integers(1, 5), stride=st.sampled_from([1, 2, 4]),
    features=st.integers(1, 40), padding=st.integers(0, 2),
)  # fmt: skip
def test_memory_words_equal_sinabs(side: Any, kernel: int, stride: int, features: int, padding: int) -> None:
    """Odd sizes too, where `validate_memory_mapping_speck` divides without rounding down."""
    module = nn.Sequential(
        conv(G().manual_seed(0), 2, features, kernel, stride=stride, padding=padding, bias=features % 2 == 0),
        neurons(),
    )
    shape = (2, *side)
    (stage,), _ = arrange(from_sinabs(module, shape))
    summary = oracle(module, shape).memory_summary()
    assert words(stage) == {kind: int(value[0]) for kind, value in summary.items()}


@pytest.mark.parametrize("shape", [(2, 4, 16), (2, 16, 4), (1, 1, 9)])
def test_maps_wider_than_high_and_higher_than_wide(shape: tuple[int, int, int]) -> None:
    """Sinabs' `memory_address` gives two neurons one address where a map is wider than high; here nothing uses it."""
    g = G().manual_seed(1)
    module = nn.Sequential(conv(g, shape[0], 5, 1), neurons(), conv(g, 5, 3, (1, 1)), neurons())
    frames = np.random.default_rng(0).integers(0, 3, (2, 4, *shape))
    expected = run_oracle(oracle(module, shape, batch_size=2), frames)
    assert expected.sum() > 0
    program = get("speck2f").lower(from_sinabs(module, shape))
    for engine in ("reference", "fast"):
        np.testing.assert_array_equal(program.run(frames, engine=engine).output, expected.reshape(2, 4, -1))
        slow, fast = (program.run(frames, "event", name).output for name in ("reference", "fast"))
        np.testing.assert_array_equal(slow, fast)


def test_states_left_by_a_forward_pass_change_nothing() -> None:
    """Sinabs quantises a membrane potential that a forward pass has left, and its scale may take the weights' bits."""
    g = G().manual_seed(2)
    module = nn.Sequential(conv(g, 2, 4, 3), neurons(min_v_mem=-1.0))
    fresh = get("speck2f").lower(from_sinabs(module, (2, 6, 6)))
    with torch.no_grad():
        module(-300 * torch.ones(3, 2, 6, 6))
        module(300 * torch.rand(3, 2, 6, 6))
    after = get("speck2f").lower(from_sinabs(module, (2, 6, 6)))
    assert isinstance(fresh, DynapcnnProgram)
    assert isinstance(after, DynapcnnProgram)
    np.testing.assert_array_equal(fresh.layers[0].weight, after.layers[0].weight)
    assert fresh.layers[0].threshold == after.layers[0].threshold


def test_chained_average_pools_multiply() -> None:
    g = G().manual_seed(3)
    module = nn.Sequential(conv(g, 2, 4, 3), neurons(), nn.AvgPool2d(2), nn.AvgPool2d(2), conv(g, 4, 3, 2), neurons())
    frames = np.random.default_rng(1).integers(0, 4, (2, 4, 2, 14, 14))
    expected = run_oracle(oracle(module, (2, 14, 14), batch_size=2), frames)
    assert expected.sum() > 0
    program = get("speck2f").lower(from_sinabs(module, (2, 14, 14)))
    np.testing.assert_array_equal(program.run(frames).output, expected.reshape(2, 4, -1))


def test_what_a_network_may_hold_a_bundle_may_hold() -> None:
    """A limit of spikes beyond 2^15 was written and then refused by the reader."""
    neuron = IntegrateAndFire(1.0, -1.0, max_spikes=40_000)
    program = get("speck2f").lower(chain((1, 2, 2), {"c": Conv2d(np.ones((1, 1, 1, 1), np.float32)), "n": neuron}))
    tensors, data = program.to_tensors()
    again = DynapcnnProgram.of(from_tensors(tensors, data))
    frames = np.full((1, 1, 1, 2, 2), 2**16)
    assert (again.run(frames).output == 40_000).all()
    np.testing.assert_array_equal(again.run(frames, engine="reference").output, again.run(frames).output)


def test_batch_norm_makes_a_bias_and_the_check_says_that_it_needs_the_clock() -> None:
    module = nn.Sequential(conv(G().manual_seed(4), 2, 4, 3), nn.BatchNorm2d(4), neurons())
    with torch.no_grad():
        next(p for name, p in module[1].named_parameters() if name == "bias").add_(0.5)
    module.eval()
    report = get("speck2f").check(from_sinabs(module, (2, 8, 8)))
    (warning,) = [w for w in report.warnings if w.rule == "bias"]
    assert "slow clock" in warning.fix


def test_the_leak_switch_is_a_plain_boolean_and_off_for_a_bias_of_zero() -> None:
    """Sinabs writes a tensor without dimensions."""
    for bias, expected in ((None, False), (0.0, False), (0.5, True)):
        program = get("speck2f").lower(one_layer(1.0, 1.0, -1.0, bias))
        assert isinstance(program, DynapcnnProgram)
        assert build_config(program, {"conv": 0}, "speck2f")["cnn_layers"]["0"]["leak_enable"] is expected


def test_pooling_by_5_and_7_is_exact() -> None:
    """Sinabs sums by `lp_pool2d`, whose float32 is off by up to 1e-4 there; the check says that no chip pools so."""
    network = chain(
        (1, 14, 14),
        {
            "c": Conv2d(np.ones((1, 1, 1, 1), np.float32)), "n": IntegrateAndFire(1.0, -1.0),
            "d": Conv2d(np.ones((1, 1, 1, 1), np.float32)), "m": IntegrateAndFire(1.0, -1.0),
        },
    )  # fmt: skip
    program = get("speck2f").lower(network)
    assert isinstance(program, DynapcnnProgram)
    frames = np.random.default_rng(0).integers(0, 12, (1, 3, 1, 14, 14))
    for pool in (5, 7):
        second = replace(
            program.layers[1], sources=(replace(program.layers[1].sources[0], pool=(pool, pool)),),
            input_shape=(1, 14 // pool, 14 // pool), output_shape=(1, 14 // pool, 14 // pool),
        )  # fmt: skip
        pooled = replace(program, layers=(program.layers[0], second))
        size = 14 // pool * pool
        expected = frames[..., :size, :size].reshape(1, 3, 14 // pool, pool, 14 // pool, pool).sum((3, 5))
        for engine in ("reference", "fast"):
            np.testing.assert_array_equal(pooled.run(frames, engine=engine).output, expected.reshape(1, 3, -1))
