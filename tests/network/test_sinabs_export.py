"""`to_sinabs` and `from_sinabs` are each other's inverse, and the module computes what the network says."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import networks
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from i2e_deploy.errors import InputError, UnsupportedError
from i2e_deploy.network import (
    Add,
    Conv2d,
    IntegrateAndFire,
    Layer,
    Network,
    Op,
    Pool2d,
    Sensor,
    chain,
    from_sinabs,
    to_sinabs,
)
from i2e_deploy.training.fused_iaf import FusedIAF


def assert_same(one: Network, other: Network) -> None:
    """Same layers, but for the names of those without weights or neurons."""
    assert one.input_shape == other.input_shape
    for layer, twin in zip(one.layers, other.layers, strict=True):
        assert type(layer.op) is type(twin.op)
        for field in fields(layer.op):  # type: ignore[arg-type]
            value, same = getattr(layer.op, field.name), getattr(twin.op, field.name)
            if isinstance(value, np.ndarray):
                np.testing.assert_array_equal(value, same)
            else:
                assert value == same


@settings(max_examples=30)
@given(seed=st.integers(0, 2**32 - 1))
def test_a_drawn_network_comes_back(seed: int) -> None:
    case = networks.random_case(np.random.default_rng(seed))
    network = from_sinabs(case.module(1), case.input_shape)
    again = to_sinabs(network, steps=5)
    assert isinstance(again, torch.nn.Sequential)
    assert_same(network, from_sinabs(again, case.input_shape))


@settings(max_examples=10)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_module_gives_the_spikes_of_the_one_that_was_read(seed: int) -> None:
    rng = np.random.default_rng(seed)
    case = networks.random_case(rng)
    module = case.module(2)
    frames = torch.from_numpy(networks.random_frames(rng, case.input_shape)).float()
    again = to_sinabs(from_sinabs(module, case.input_shape), steps=frames.shape[1])
    with torch.no_grad():
        torch.testing.assert_close(again(frames.flatten(0, 1)), module(frames.flatten(0, 1)), rtol=0, atol=0)


def branched() -> Network:
    rng = np.random.default_rng(0)
    neuron = IntegrateAndFire(1.0, -1.0)

    def conv(*shape: int) -> Conv2d:
        return Conv2d(rng.normal(0.1, 0.4, shape).astype(np.float32), padding=(1, 1))

    rows: list[tuple[str, Op, tuple[str, ...]]] = [
        ("a", conv(4, 2, 3, 3), ("input",)), ("a.n", neuron, ("a",)),
        ("b", conv(4, 4, 3, 3), ("a.n",)), ("b.n", neuron, ("b",)),
        ("sum", Add(), ("a.n", "b.n")), ("pool", Pool2d((2, 2), "sum"), ("sum",)),
        ("c", conv(3, 4, 3, 3), ("pool",)), ("c.n", neuron, ("c",)),
    ]  # fmt: skip
    return Network((2, 8, 8), tuple(Layer(*row) for row in rows))


def test_a_graph_comes_back() -> None:
    module = to_sinabs(branched(), steps=4)
    assert_same(branched(), from_sinabs(module, (2, 8, 8)))
    assert module(torch.ones(4, 2, 8, 8)).shape == (4, 3, 4, 4)


#: Names that torch's modules have, that become the same with underscores, or that a traced sum gets.
NAMES = [
    "type", "half", "forward", "training", "float", "_modules", "append", "__class__", "c.1", "c_1", "c_1_", "c..1",
    ".", "_", "__", "a b", "add", "add_1", "add_", "0", "1", "class", "pool:2", "in.put", "T_destination",
]  # fmt: skip


def named(rng: np.random.Generator) -> Network:
    """A row or a graph with a sum, each layer with weights of its own, under drawn names."""
    names = list(rng.permutation(NAMES)[:6])
    convs = [Conv2d(rng.normal(0.1, 0.4, (2, 2, 1, 1)).astype(np.float32)) for _ in range(3)]
    neuron = IntegrateAndFire(0.5, -1.0)
    ops: list[Op] = [convs[0], neuron, convs[1], neuron, convs[2], neuron]
    inputs = ["input", *names[:-1]]
    rows = [Layer(str(name), op, (str(source),)) for name, op, source in zip(names, ops, inputs, strict=True)]
    if rng.random() < 0.5:  # the first neurons feed the sum too
        rows.insert(4, Layer("sum", Add(), (rows[1].name, rows[3].name)))
        rows[5] = Layer(rows[5].name, rows[5].op, ("sum",))
    return Network((2, 3, 4), tuple(rows))


def test_any_name_gives_a_module_with_weights_of_its_own_and_comes_back() -> None:
    """`c.1` and `c_1` shared their weights; `type`, `half`, `forward` ended in KeyError."""
    for seed in range(60):
        rng = np.random.default_rng(seed)
        network = named(rng)
        frames = rng.poisson(1.0, (2, 4, 2, 3, 4))
        module = to_sinabs(network, steps=4)
        again = from_sinabs(module, (2, 3, 4), example=frames)
        assert_same(network, again)
        assert [len(layer.inputs) for layer in network.layers] == [len(layer.inputs) for layer in again.layers]
        for ours, theirs in zip(network.layers, again.layers, strict=True):
            legal = "." not in ours.name and not hasattr(torch.nn.Sequential(), ours.name)
            assert isinstance(ours.op, Add) or not legal or ours.name == theirs.name
        with torch.no_grad():
            theirs = module(torch.from_numpy(frames).float().flatten(0, 1)).reshape(2, 4, -1)
        np.testing.assert_array_equal(network.run(frames).output, theirs)


@pytest.mark.parametrize("steps", [0, -1, 2.5, None, True, "4"])
def test_steps_are_a_whole_number(steps: Any) -> None:
    with pytest.raises(InputError, match="number of steps is"):
        to_sinabs(branched(), steps)
    assert from_sinabs(to_sinabs(branched(), np.int64(4)), (2, 8, 8)).layers  # type: ignore[arg-type]


def test_neurons_of_another_class_and_their_options() -> None:
    from sinabs.activation import Heaviside

    network = chain((2, 8, 8), {"conv.1": Conv2d(np.ones((1, 2, 3, 3), np.float32)), "n": IntegrateAndFire(0.5, -1.0)})
    module = to_sinabs(network, 4, FusedIAF, surrogate_grad_fn=Heaviside(1.0))
    assert isinstance(module.get_submodule("n"), FusedIAF)
    module(torch.ones(4, 2, 8, 8)).sum().backward()
    conv = module.get_submodule("conv_1")
    assert isinstance(conv, torch.nn.Conv2d)
    assert conv.weight.grad is not None
    assert conv.weight.grad.abs().sum() > 0


def test_what_sinabs_has_no_layer_for_is_refused() -> None:
    network = chain((2, 8, 8), {"camera": Sensor(), "conv": Conv2d(np.ones((1, 2, 3, 3), np.float32))})
    with pytest.raises(UnsupportedError, match="layer 'camera' is a Sensor: pre-process the frames"):
        to_sinabs(network, 4)
