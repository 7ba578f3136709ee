"""Networks for the toy chip, and what the contract suite needs of it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from toy_chip.layers import TernaryNeuron

from i2e_deploy.chips import AnyNetwork
from i2e_deploy.network import Conv2d, Flatten, IntegrateAndFire, Linear, Network, Op, Pool2d, chain
from i2e_deploy.testing.chip_contract import Refused, Subject

#: As the chip has it, for layers with weights of any size.
NEURON = IntegrateAndFire(2.0, None, 1, "zero")


def draw(seed: int) -> Network:
    """One to four layers, on images or not, with neurons of both kinds."""
    rng = np.random.default_rng(seed)
    shape = (2, int(rng.integers(3, 9)), int(rng.integers(3, 9))) if rng.random() < 0.5 else (int(rng.integers(5, 60)),)
    return network(rng, shape, [int(n) for n in rng.integers(3, 30, rng.integers(1, 5))], leaky=rng.random() < 0.5)


def network(rng: np.random.Generator, shape: tuple[int, ...], sizes: list[int], leaky: bool = False) -> Network:
    ops: dict[str, Op] = {"flat": Flatten()} if len(shape) > 1 else {}
    given = int(np.prod(shape))
    for place, size in enumerate(sizes):
        weight = rng.normal(0.3, 1.0, (size, given)).astype(np.float32)
        if leaky:
            ops[f"fc{place}"] = Linear(np.sign(np.round(weight)).astype(np.float32))
            ops[f"n{place}"] = TernaryNeuron(int(rng.integers(0, 4)), int(rng.integers(0, 3)))
        else:
            ops |= {f"fc{place}": Linear(weight), f"n{place}": NEURON}
        given = size
    return chain(shape, ops)


def frames(network: AnyNetwork, seed: int, samples: int, steps: int) -> NDArray[np.uint8]:
    """Counts, mostly 0 and 1."""
    rng = np.random.default_rng(seed)
    return rng.choice(3, (samples, steps, *network.input_shape), p=[0.7, 0.2, 0.1]).astype(np.uint8)


def sized(*sizes: int, shape: tuple[int, ...] = (2, 8, 8)) -> Network:
    return network(np.random.default_rng(0), shape, list(sizes))


def with_layer(name: str, op: Op) -> Network:
    """An image network with that layer first."""
    weight = np.ones((4, 2 * 4 * 4), np.float32)
    return chain((2, 8, 8), {name: op, "flat": Flatten(), "fc": Linear(weight), "n": NEURON})


def high_threshold() -> Network:
    high = IntegrateAndFire(128.0, None, 1, "zero")
    return chain((3,), {"fc": Linear(np.ones((2, 3), np.float32)), "n": high})


def subject(chip: str = "toy", seeds: int = 6) -> Subject:
    conv = Conv2d(np.ones((2, 2, 2, 2), np.float32), stride=(2, 2))
    return Subject(
        chip=chip,
        draw=draw,
        frames=frames,
        deployed=lambda: sized(20, 5),
        too_large={
            "neurons": Refused("fc1", lambda: sized(20, 65, 5)),
            "axons": Refused("fc0", lambda: sized(5, shape=(2, 16, 17))),
            "cores": Refused("", lambda: sized(5, 5, 5, 5, 5)),
            "threshold": Refused("fc", high_threshold),
        },
        unsupported={
            "pooling": Refused("pool", lambda: with_layer("pool", Pool2d((2, 2)))),
            "convolution": Refused("conv", lambda: with_layer("conv", conv)),
        },
        semantics=("timestep", "pipeline"),
        seeds=seeds,
    )
