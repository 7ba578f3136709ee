"""Draw networks with leaky integrators inside, whose numbers Loihi 2 has exactly."""

from __future__ import annotations

import numpy as np
from lowering_nets import GRID, even
from residual_nets import lif

from i2e_deploy.network import (
    INPUT,
    Add,
    Conv2d,
    Flatten,
    Layer,
    LeakyIntegrateAndFire,
    Linear,
    MaxPool2d,
    Network,
    Pool2d,
    chain,
)
from i2e_deploy.network.neurons import parameter


def integrator(rng: np.random.Generator) -> LeakyIntegrateAndFire:
    """Decays of 0, 1/2 and 1, with or without a current of its own, a bias, a lower bound."""
    half = [parameter(x) for x in (0, 0.5, 1)]
    filters = rng.random() < 0.3
    return LeakyIntegrateAndFire(
        half[rng.integers(3)], None, current_decay=half[rng.integers(2)] if filters else None,
        bias=parameter(rng.integers(-8, 9) / GRID) if not filters and rng.random() < 0.3 else None,
        min_v=parameter(-rng.integers(0, 60) / GRID) if rng.random() < 0.3 else None,
    )  # fmt: skip


def integrating_network(seed: int) -> Network:
    """Neurons, integrators, and what reads them: neurons at once, weights, a maximum, sums, the output, integrators."""
    rng = np.random.default_rng([seed, 17])
    kind = seed % 6
    first = {"a": Linear(even(rng, 6, 5)), "na": lif(rng), "b": Linear(even(rng, 4, 6)), "li": integrator(rng)}
    if kind == 0:
        return chain((5,), {**first, "n": lif(rng)})
    if kind == 1:
        return chain((5,), {**first, "c": Linear(even(rng, 3, 4)), "n": lif(rng)})
    if kind == 2:
        return chain((5,), {**first, "out": Linear(even(rng, 3, 4))})
    if kind == 3:
        return chain((5,), {**first, "li2": integrator(rng), "n": lif(rng)})
    if kind == 4:  # as snnTorch's Alpha: two integrators, one against the other, with a shorter way beside
        layers = (
            Layer("a", Linear(even(rng, 4, 5)), (INPUT,)), Layer("up", integrator(rng), ("a",)),
            Layer("down", integrator(rng), ("a",)), Layer("minus", Linear(-np.eye(4, dtype=np.float32)), ("down",)),
            Layer("sum", Add(), ("up", "minus", "a")), Layer("n", lif(rng), ("sum",)),
        )  # fmt: skip
        return Network((5,), layers)
    return chain((2, 6, 6), {
        "a": Conv2d(even(rng, 3, 2, 3, 3), padding=(1, 1)), "li": integrator(rng),
        "p": MaxPool2d((2, 2), (2, 2)) if rng.random() < 0.5 else Pool2d((2, 2), "sum"),
        "c": Conv2d(even(rng, 2, 3, 2, 2)), "n": lif(rng), "f": Flatten(), "d": Linear(even(rng, 3, 8)), "m": lif(rng),
    })  # fmt: skip
