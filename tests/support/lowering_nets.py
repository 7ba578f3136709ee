"""Draw float networks whose numbers Loihi 2 has exactly, from an explicit generator, and run their integers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips import get
from i2e_deploy.chips.loihi2.lowering.lower import Lowered
from i2e_deploy.network import (
    INPUT,
    Add,
    Concat,
    Conv1d,
    Conv2d,
    Delay,
    Flatten,
    IntegrateAndFire,
    Layer,
    LeakyIntegrateAndFire,
    Linear,
    MaxPool2d,
    Network,
    Pool2d,
    Reshape,
    Scale,
    chain,
)
from i2e_deploy.network.neurons import parameter

CHIP = get("loihi2")
Rng = np.random.Generator
#: Integer steps of one unit of a drawn network: a power of 2, so that its numbers are exact in float32.
GRID = 32
#: So few that no halving of a state (64 parts of an integer step) is rounded.
STEPS = 6


def even(rng: Rng, *shape: int) -> NDArray[np.float32]:
    """Weights that are even integers in [-124, 124] times 1 / GRID."""
    return (2 * rng.integers(-62, 63, shape) / GRID).astype(np.float32)


def bias_of(rng: Rng, size: int) -> NDArray[np.float32] | None:
    return (2 * rng.integers(-10, 11, size) / GRID).astype(np.float32) if rng.random() < 0.5 else None


def neurons(rng: Rng) -> LeakyIntegrateAndFire | IntegrateAndFire:
    """Any neuron that the chip has, with decays of 0, 1/2 and 1, and a threshold on the grid."""
    threshold = int(rng.integers(20, 200)) / GRID
    if rng.random() < 0.3:
        least = None if rng.random() < 0.5 else -float(rng.integers(0, 80)) / GRID
        most = None if rng.random() < 0.5 else int(rng.integers(1, 4))
        return IntegrateAndFire(threshold, least, most, "subtract" if rng.random() < 0.5 else "zero")
    half = [parameter(x) for x in (0, 0.5, 1)]
    resets: list[Any] = ["subtract", "value", "none"]
    found = LeakyIntegrateAndFire(
        decay=half[rng.integers(3)], threshold=parameter(threshold), reset=resets[rng.integers(3)],
        late_reset=bool(rng.random() < 0.3), strict=bool(rng.random() < 0.5),
    )  # fmt: skip
    if rng.random() < 0.4:
        found = replace(found, current_decay=half[rng.integers(3)], old_current=bool(rng.random() < 0.4))
    if rng.random() < 0.3:
        found = replace(found, max_spikes=[2, None][rng.integers(2)])
    if rng.random() < 0.3:
        found = replace(found, min_v=parameter(-rng.integers(0, 80) / GRID))
    if rng.random() < 0.3:
        found = replace(found, adaptation_decay=half[1], adaptation_step=parameter(rng.integers(1, 40) / GRID))
    if rng.random() < 0.3 and not found.old_current:
        found = replace(found, bias=parameter(rng.integers(-20, 20) / GRID))
    if found.reset == "value" and rng.random() < 0.4:
        found = replace(found, reset_value=parameter(rng.integers(-20, 20) / GRID))
    if found.reset == "subtract" and rng.random() < 0.4:
        found = replace(found, reset_value=parameter(rng.integers(-20, 90) / GRID))
    beyond = found.min_v is not None or found.late_reset or found.max_spikes != 1 or found.adaptation_decay is not None
    if found.reset == "value" and not beyond and found.reset_value is None:
        found = replace(found, strict=True)  # the standard neuron, which fires above its threshold
    return found


def drawn(seed: int) -> Network:
    """A network of two or three populations, with one of the joints that networks have."""
    rng = np.random.default_rng(seed)
    kind = seed % 8
    if kind == 0:
        return chain((6,), {"a": Linear(even(rng, 5, 6), bias_of(rng, 5)), "na": neurons(rng),
                            "b": Linear(even(rng, 4, 5), bias_of(rng, 4)), "nb": neurons(rng)})  # fmt: skip
    if kind == 1:
        conv = Conv2d(even(rng, 4, 2, 3, 3), bias_of(rng, 4), padding=(1, 1), stride=(1, 2))
        return chain((2, 6, 8), {"a": conv, "na": neurons(rng), "p": Pool2d((2, 2), "sum"), "f": Flatten(),
                                 "b": Linear(even(rng, 3, 24)), "nb": neurons(rng)})  # fmt: skip
    if kind == 2:
        return chain((2, 8, 8), {
            "a": Conv2d(even(rng, 3, 2, 3, 3), padding=(1, 1)), "na": neurons(rng), "p": Pool2d((2, 2)),
            "s": Scale(parameter([[[4.0]], [[8.0]], [[4.0]]])),
            "b": Conv2d(even(rng, 2, 3, 2, 2), bias_of(rng, 2), padding=(1, 0)), "nb": neurons(rng),
        })  # fmt: skip
    if kind == 3:  # a skip connection, whose short branch must wait
        layers: tuple[Layer, ...] = (
            Layer("a", Linear(even(rng, 4, 4)), (INPUT,)), Layer("na", neurons(rng), ("a",)),
            Layer("b", Linear(even(rng, 4, 4)), ("na",)), Layer("nb", neurons(rng), ("b",)),
            Layer("c", Linear(even(rng, 4, 4), bias_of(rng, 4)), ("nb",)), Layer("d", Add(), ("c", "a")),
            Layer("nd", neurons(rng), ("d",)),
        )  # fmt: skip
        return Network((4,), layers)
    if kind == 4:  # feedback, and delays
        layers = (
            Layer("a", Linear(even(rng, 4, 3)), (INPUT,)),
            Layer("back", Delay(parameter(rng.integers(1, 4)), (4,)), ("n",)),
            Layer("r", Linear(even(rng, 4, 4), bias_of(rng, 4)), ("back",)), Layer("sum", Add(), ("a", "r")),
            Layer("n", neurons(rng), ("sum",)), Layer("wait", Delay(parameter(rng.integers(0, 4, 4))), ("n",)),
            Layer("b", Linear(even(rng, 2, 4)), ("wait",)), Layer("nb", neurons(rng), ("b",)),
        )  # fmt: skip
        return Network((3,), layers)
    if kind == 5:  # concatenation of channels, convolution in groups
        layers = (
            Layer("a", Conv2d(even(rng, 2, 2, 3, 3), padding=(1, 1)), (INPUT,)), Layer("na", neurons(rng), ("a",)),
            Layer("both", Concat(), (INPUT, "na")),
            Layer("b", Conv2d(even(rng, 4, 2, 2, 2), bias_of(rng, 4), groups=2), ("both",)),
            Layer("nb", neurons(rng), ("b",)),
        )  # fmt: skip
        return Network((2, 4, 4), layers)
    if kind == 6:  # rows
        return chain((2, 9), {"a": Conv1d(even(rng, 3, 2, 3), bias_of(rng, 3), stride=2, padding=1), "na": neurons(rng),
                              "f": Flatten(), "b": Linear(even(rng, 3, 15)), "nb": neurons(rng)})  # fmt: skip
    first = replace(standard(rng), strict=True)  # max pooling takes spikes without values
    return chain((2, 7, 7), {"a": Conv2d(even(rng, 3, 2, 3, 3), bias_of(rng, 3), padding=(1, 1)), "na": first,
                             "m": MaxPool2d((3, 2), (2, 2), (1, 0)), "r": Reshape((4, 9)), "f": Flatten(),
                             "b": Linear(even(rng, 3, 36)), "nb": neurons(rng)})  # fmt: skip


def standard(rng: Rng) -> LeakyIntegrateAndFire:
    """What the chip's standard neuron computes, with decays of 0, 1/2 and 1."""
    decay, current = (parameter(rng.choice([0, 0.5, 1])) for _ in range(2))
    threshold = parameter(rng.integers(20, 200) / GRID)
    return LeakyIntegrateAndFire(decay, threshold, reset="value", strict=True, current_decay=current)


def frames_of(network: Network, seed: int, most: int = 1) -> NDArray[np.int64]:
    rng = np.random.default_rng(seed)
    return rng.integers(0, most + 1, (3, STEPS, *network.input_shape)) * (
        rng.random((3, STEPS, *network.input_shape)) < 0.5
    )


def aligned(lowered: Lowered, frames: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """What each block sent, counted from the first step of the float network: [B, T, N]."""
    latest = max(block.latency for block in lowered.network.blocks)
    program = CHIP.lower(lowered.network)
    flat = frames.reshape(*frames.shape[:2], -1)
    trace = program.run(np.pad(flat, ((0, 0), (0, latest), (0, 0))))
    shift = {block.name: block.latency for block in lowered.network.blocks}
    return {
        name: sent.reshape(*sent.shape[:2], -1)[:, shift[name] :][:, : frames.shape[1]]
        for name, sent in trace.spikes.items()
    }


def float_spikes(network: Network, name: str, frames: NDArray[Any]) -> NDArray[Any]:
    """Of the neurons after the layer `name`, or of itself: [B, T, N], float64."""
    trace = network.run(frames, dtype="float64")
    consumers = network.consumers()
    while not isinstance(
        next(x.op for x in network.layers if x.name == name), (IntegrateAndFire, LeakyIntegrateAndFire, MaxPool2d)
    ):
        name = consumers[name][0].name
    found = trace.layers[name]
    return found.reshape(*found.shape[:2], -1)
