"""Float networks whose weights TrueNorth has exactly, and what the contract suite needs of the chip."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips import AnyNetwork
from i2e_deploy.network import (
    Add,
    Conv2d,
    Flatten,
    IntegrateAndFire,
    Layer,
    LeakyIntegrateAndFire,
    Linear,
    MaxPool2d,
    Network,
    Op,
    Pool2d,
    chain,
)
from i2e_deploy.testing.chip_contract import Refused, Subject


def whole(rng: np.random.Generator, shape: tuple[int, ...], level: int, unit: float = 0.25) -> NDArray[np.float32]:
    """Weights of -level to level units, a third of them 0."""
    weight = rng.integers(-level, level + 1, shape) * (rng.random(shape) < 0.7)
    weight.reshape(-1)[0] = level
    return (weight * unit).astype(np.float32)


def neurons(rng: np.random.Generator, bounded: bool) -> IntegrateAndFire:
    reset = "subtract" if rng.random() < 0.6 else "zero"
    low = -float(rng.integers(0, 4)) / 2 if rng.random() < 0.5 and bounded else None
    first = max(float(rng.integers(-2, 2)) / 4, -2.0 if low is None else low)
    start = np.array(first, np.float32) if rng.random() < 0.2 else None
    return IntegrateAndFire(float(rng.integers(1, 4)) / 2, low, 1, reset, start)  # type: ignore[arg-type]


def draw(seed: int, bounded: bool = True) -> Network:
    """One to three layers, on images or not, with biases, pooling, groups and sums; nothing is lost on the chip.

    Args:
        bounded: some neurons have a lower bound.
    """
    rng = np.random.default_rng([seed, 77])
    level = int(rng.choice([1, 3, 7]))
    if rng.random() < 0.3:
        return _dense(rng, level, bounded)
    if rng.random() < 0.3:
        return _ways(rng, bounded)
    channels, size = int(rng.integers(1, 3)), int(rng.integers(5, 10))
    ops: dict[str, Op] = {}
    given = channels
    for i in range(int(rng.integers(1, 3))):
        groups = given if rng.random() < 0.3 else 1
        out = groups * int(rng.integers(1, 4))
        kernel, stride, padding = (int(n) for n in rng.integers((1, 1, 0), (4, 3, 2)))
        bias = whole(rng, (out,), 2) if rng.random() < 0.5 else None
        weight = whole(rng, (out, given // groups, kernel, kernel), level)
        ops[f"conv{i}"] = Conv2d(weight, bias, (stride, stride), (padding, padding), (1, 1), groups)
        ops[f"n{i}"] = neurons(rng, bounded)
        given = out
    shape = (channels, size, size)
    made = chain(shape, ops).shapes()
    if rng.random() < 0.4 and min(made[f"n{len(ops) // 2 - 1}"][1:]) >= 2:
        ops["pool"] = Pool2d((2, 2), "sum" if rng.random() < 0.5 else "average")
        made = chain(shape, ops).shapes()
    inputs = int(np.prod(made[next(reversed(ops))]))
    if inputs <= 100:
        ops |= {"flat": Flatten(), "fc": Linear(whole(rng, (5, inputs), 1)), "out": neurons(rng, bounded)}
    elif "pool" in ops:
        ops["out"] = neurons(rng, bounded)
    return chain(shape, ops)


def _dense(rng: np.random.Generator, level: int, bounded: bool) -> Network:
    sizes = [int(n) for n in rng.integers(3, 40, rng.integers(2, 4))]
    ops: dict[str, Op] = {}
    for i, (given, made) in enumerate(pairwise(sizes)):
        bias = whole(rng, (made,), 1) if rng.random() < 0.5 else None
        ops |= {f"fc{i}": Linear(whole(rng, (made, given), level), bias), f"n{i}": neurons(rng, bounded)}
    return chain((sizes[0],), ops)


def _ways(rng: np.random.Generator, bounded: bool) -> Network:
    """A way around a layer, added before the neurons: one of the two waits."""
    wide = int(rng.integers(3, 12))
    weights = [Linear(whole(rng, (wide, wide), 1)) for _ in range(4)]
    layers = (
        Layer("a", weights[0], ("input",)), Layer("na", neurons(rng, bounded), ("a",)),
        Layer("b", weights[1], ("na",)), Layer("nb", neurons(rng, bounded), ("b",)),
        Layer("c", weights[2], ("nb",)), Layer("d", weights[3], ("input" if rng.random() < 0.5 else "na",)),
        Layer("sum", Add(), ("c", "d")), Layer("out", neurons(rng, bounded), ("sum",)),
    )  # fmt: skip
    return Network((wide,), layers)


def frames(network: AnyNetwork, seed: int, samples: int, steps: int) -> NDArray[np.uint8]:
    """Zeros and ones."""
    rng = np.random.default_rng([seed, 5])
    return (rng.random((samples, steps, *network.input_shape)) < 0.35).astype(np.uint8)


def small() -> Network:
    """On images, a few cores."""
    rng = np.random.default_rng(0)
    neuron = IntegrateAndFire(1.0, None, 1)
    conv = Conv2d(whole(rng, (4, 2, 3, 3), 1, 1.0), stride=(2, 2), padding=(1, 1))
    last = Linear(np.abs(whole(rng, (5, 64), 1, 0.5)))
    return chain((2, 8, 8), {"conv": conv, "n": neuron, "flat": Flatten(), "fc": last, "out": neuron})


def one_layer(
    weight: NDArray[np.float32], neuron: Op | None = None, bias: NDArray[np.float32] | None = None
) -> Network:
    ops: dict[str, Op] = {"fc": Linear(weight, bias), "n": neuron or IntegrateAndFire(1.0, None, 1)}
    return chain((weight.shape[1],), ops)


def in_a_row(**ops: Op) -> Network:
    return chain((2, 8, 8), ops)


def many_cores() -> Network:
    """No two neurons share an input: 35 neurons a core, so more than 4,096 cores."""
    weight = np.ones((8, 1, 8, 8), np.float32)
    return chain((8, 384, 384), {"conv": Conv2d(weight, stride=(4, 4), groups=8), "n": IntegrateAndFire(1.0, None, 1)})


def leaky() -> LeakyIntegrateAndFire:
    return LeakyIntegrateAndFire(np.full(1, 0.5, np.float32), np.ones(1, np.float32))


def subject(seeds: int = 6) -> Subject:
    neuron = IntegrateAndFire(1.0, None, 1)
    conv, largest = Conv2d(np.ones((2, 2, 1, 1), np.float32)), MaxPool2d((2, 2), (2, 2))
    return Subject(
        chip="truenorth",
        draw=draw,
        frames=frames,
        deployed=small,
        too_large={
            "axons": Refused("fc", lambda: one_layer(np.ones((3, 300), np.float32))),
            "threshold": Refused("fc", lambda: one_layer(np.ones((3, 4), np.float32), IntegrateAndFire(1e6, None, 1))),
            "leak": Refused("fc", lambda: one_layer(np.ones((3, 4), np.float32), bias=np.full(3, 1e3, np.float32))),
        },
        unsupported={
            "leaky neurons": Refused("leaky", lambda: in_a_row(conv=conv, leaky=leaky())),
            "several spikes": Refused("n", lambda: in_a_row(conv=conv, n=IntegrateAndFire(1.0, None))),
            "max pooling": Refused("max", lambda: in_a_row(conv=conv, n=neuron, max=largest, out=neuron)),
            "no neurons": Refused("conv", lambda: in_a_row(conv=conv)),
            "two outputs": Refused("b", lambda: Network((4,), (
                Layer("a", neuron, ("input",)), Layer("b", neuron, ("input",))))),
        },
        seeds=seeds,
    )  # fmt: skip
