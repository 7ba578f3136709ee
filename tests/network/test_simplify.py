"""Fewer kinds of layers, the same function: scales, gains and biases that become weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from i2e_deploy.network import (
    Conv2d,
    Flatten,
    Layer,
    LeakyIntegrateAndFire,
    Linear,
    Network,
    Reshape,
    Scale,
)  # fmt: skip
from i2e_deploy.network.layers import Add
from i2e_deploy.network.neurons import parameter
from i2e_deploy.network.op import Op
from i2e_deploy.network.simplify import simplified

SHAPE = (2, 4, 4)


def powers(rng: np.random.Generator, *shape: int) -> NDArray[np.float32]:
    """Powers of two with a sign: products are exact, so both networks give equal spikes."""
    found: NDArray[Any] = rng.choice([-1, 1], shape) * 2.0 ** rng.integers(-2, 2, shape)
    return found.astype(np.float32)


def conv(rng: np.random.Generator) -> Conv2d:
    return Conv2d(powers(rng, 2, 2, 3, 3), powers(rng, 2), padding=(1, 1))


def scale(rng: np.random.Generator, bias: bool = True) -> Scale:
    return Scale(powers(rng, 2, 1, 1), powers(rng, 2, 1, 1) if bias else None)


def without_leak(rng: np.random.Generator, own: bool) -> LeakyIntegrateAndFire:
    return LeakyIntegrateAndFire(
        parameter(1),
        parameter(1),
        gain=powers(rng, 2, 1, 1) if own else None,
        bias=powers(rng, 2, 1, 1) if own else None,
    )


def chained(rng: np.random.Generator, own: bool) -> dict[str, tuple[Op, tuple[str, ...]]]:
    """A scale before neurons."""
    return {"c": (conv(rng), ("input",)), "s": (scale(rng), ("c",)), "n": (without_leak(rng, own), ("s",))}


def reshaped(rng: np.random.Generator, own: bool) -> dict[str, tuple[Op, tuple[str, ...]]]:
    """A scale before a reshape to one axis."""
    return {
        "c": (conv(rng), ("input",)), "s": (scale(rng), ("c",)), "r": (Reshape((32,)), ("s",)),
        "l": (Linear(powers(rng, 5, 32)), ("r",)), "n": (LeakyIntegrateAndFire(parameter(1), parameter(1)), ("l",)),
    }  # fmt: skip


def scaled_twice(rng: np.random.Generator, own: bool) -> dict[str, tuple[Op, tuple[str, ...]]]:
    """Two scales in a row, between weights."""
    return {
        "c": (conv(rng), ("input",)), "s": (scale(rng), ("c",)), "t": (scale(rng, own), ("s",)),
        "d": (conv(rng), ("t",)), "n": (without_leak(rng, own), ("d",)),
    }  # fmt: skip


def branched(rng: np.random.Generator, own: bool) -> dict[str, tuple[Op, tuple[str, ...]]]:
    """A scale that feeds two populations with gains of their own."""
    return {
        "c": (conv(rng), ("input",)), "s": (scale(rng), ("c",)), "a": (without_leak(rng, own), ("s",)),
        "b": (without_leak(rng, own), ("s",)), "sum": (Add(), ("a", "b")),
    }  # fmt: skip


def shared(rng: np.random.Generator, own: bool) -> dict[str, tuple[Op, tuple[str, ...]]]:
    """Weights whose output is used with a scale and without."""
    return {
        "c": (conv(rng), ("input",)), "s": (scale(rng), ("c",)), "a": (without_leak(rng, own), ("c",)),
        "sum": (Add(), ("a", "s")),
    }  # fmt: skip


def grouped(rng: np.random.Generator, own: bool) -> dict[str, tuple[Op, tuple[str, ...]]]:
    """A scale before a convolution in groups."""
    return {
        "s": (scale(rng, not own), ("input",)), "c": (Conv2d(powers(rng, 4, 1, 3, 3), groups=2), ("s",)),
        "f": (Flatten(), ("c",)), "l": (Linear(powers(rng, 3, 16)), ("f",)),
        "n": (LeakyIntegrateAndFire(parameter(1), parameter(1)), ("l",)),
    }  # fmt: skip


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("make", [chained, reshaped, scaled_twice, branched, shared, grouped])
def test_scales_and_gains_that_became_weights_compute_the_same(make, own: bool, seed: int) -> None:  # type: ignore[no-untyped-def]
    rng = np.random.default_rng(seed)
    network = Network(SHAPE, tuple(Layer(name, op, inputs) for name, (op, inputs) in make(rng, own).items()))
    frames = rng.integers(0, 3, (3, 6, *SHAPE))
    wanted, found = (each.run(frames, dtype="float64").output for each in (network, simplified(network)))
    assert wanted.any()
    assert np.array_equal(found, wanted)
