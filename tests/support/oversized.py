"""Networks drawn to be too large for a core here and there, and networks with some weights set to zero."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from i2e_deploy.network import Add, Conv2d, Flatten, IntegrateAndFire, Layer, Linear, Network, Op, Pool2d, chain

NEURON = IntegrateAndFire(1.0, -1.0)


@st.composite
def oversized(draw: st.DrawFn, most: int = 300, layers: int = 4, branch: bool = True) -> Network:
    """One to `layers` convolutions of up to `most` channels, pools of both kinds, perhaps a branch, a linear end."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    side = draw(st.sampled_from([8, 16, 32]))
    rows: list[Layer] = []
    channels, last, size = 2, "input", side

    def add(name: str, op: Op, *inputs: str) -> str:
        rows.append(Layer(name, op, inputs))
        return name

    for i in range(draw(st.integers(1, layers))):
        features = draw(st.sampled_from([n for n in (4, 12, 64, 300) if n <= most]))
        kernel = draw(st.sampled_from([1, 3, 5] if features * channels < 10_000 else [3]))
        before, channels_before = last, channels
        last = add(f"n{i}", NEURON, add(f"conv{i}", _conv(rng, features, channels, kernel, draw), before))
        channels = features
        if branch and before.startswith("n") and channels == channels_before and draw(st.booleans()):
            last = add(f"sum{i}", Add(), last, before)
        pool = draw(st.sampled_from([1, 2]))
        if pool == 2 and size % 4 == 0:
            size //= 2
            last = add(f"pool{i}", Pool2d((2, 2), draw(st.sampled_from(["sum", "average"]))), last)
    if draw(st.booleans()) and size <= 16:
        weight = rng.normal(0.05, 0.3, (10, channels * size * size)).astype(np.float32)
        last = add("fc", Linear(weight), add("flat", Flatten(), last))
    else:
        last = add("last", _conv(rng, 4, channels, 3, draw), last)
    add("out", NEURON, last)
    return Network((2, side, side), tuple(rows))


def _conv(rng: np.random.Generator, features: int, channels: int, kernel: int, draw: Any) -> Conv2d:
    weight = rng.normal(0.1, 1.0, (features, channels, kernel, kernel)).astype(np.float32)
    weight *= np.float32(2 / np.sqrt(channels * kernel**2))
    bias = rng.normal(0, 0.1, features).astype(np.float32) if draw(st.integers(0, 4)) == 0 else None
    return Conv2d(weight, bias, (1, 1), (kernel // 2, kernel // 2))


def with_weights(network: Network, name: str, weight: NDArray[Any], bias: NDArray[Any] | None = None) -> Network:
    """The network with other weights (and biases, where given) in one layer."""

    def changed(layer: Layer) -> Layer:
        if layer.name != name:
            return layer
        assert isinstance(layer.op, Conv2d | Linear)
        values = {"weight": weight.astype(np.float32)} | ({} if bias is None else {"bias": bias})
        return replace(layer, op=replace(layer.op, **values))

    return replace(network, layers=tuple(map(changed, network.layers)))


def frames_for(network: Network, seed: int, samples: int = 1, steps: int = 3) -> NDArray[np.uint8]:
    """Frames [B, T, C, H, W] of zeros and ones."""
    return (np.random.default_rng(seed).random((samples, steps, *network.input_shape)) < 0.3).astype(np.uint8)


def conv_names(network: Network) -> list[str]:
    """Names of the convolutions."""
    return [layer.name for layer in network.layers if isinstance(layer.op, Conv2d)]


def image_network(pool: Op | None, size: int = 8, features: int = 3) -> Network:
    """A convolution, perhaps a pool, and a linear layer."""
    rng = np.random.default_rng(0)
    ops: dict[str, Op] = {
        "conv": Conv2d(rng.normal(0.2, 0.5, (features, 2, 3, 3)).astype(np.float32), padding=(1, 1)), "n": NEURON
    }  # fmt: skip
    if pool is not None:
        ops["pool"] = pool
        size //= 2
    weight = rng.normal(0.1, 0.2, (5, features * size**2)).astype(np.float32)
    return chain((2, 8, 8), ops | {"flat": Flatten(), "fc": Linear(weight), "out": NEURON})


def two_branches() -> Network:
    """A layer, one after it, and a third on the sum of both, pooled."""
    rng = np.random.default_rng(0)

    def conv(features: int, channels: int) -> Conv2d:
        return Conv2d(rng.normal(0.1, 0.4, (features, channels, 3, 3)).astype(np.float32), padding=(1, 1))

    rows: list[tuple[str, Op, tuple[str, ...]]] = [
        ("a", conv(6, 2), ("input",)), ("an", NEURON, ("a",)), ("b", conv(6, 6), ("an",)), ("bn", NEURON, ("b",)),
        ("sum", Add(), ("an", "bn")), ("pool", Pool2d((2, 2), "sum"), ("sum",)),
        ("c", conv(4, 6), ("pool",)), ("cn", NEURON, ("c",)),
    ]  # fmt: skip
    return Network((2, 8, 8), tuple(Layer(*row) for row in rows))
