"""States of a run as a trace holds them, by layer, and as the chip does, by core."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.trace import Integers, States
from i2e_deploy.chips.truenorth.program import AXONS, NEURONS, SLOTS, CoreNetwork, first_random

WORDS = AXONS // 64


@dataclass(frozen=True, eq=False)
class Held:
    """What cores hold between two ticks, for a batch.

    Args:
        v: int32 [B, K, 256], potentials.
        arriving: uint64 [B, 16, K, 4], bits of axons that spikes reach in the next tick, the one after it, ...
        random: int64 [B, K].
    """

    v: NDArray[np.int32]
    arriving: NDArray[np.uint64]
    random: NDArray[np.int64]


def held(network: CoreNetwork, states: States | None, batch: int) -> Held:
    """Of checked states; None: where the program starts."""
    count = len(network.cores)
    found = Held(
        np.repeat(network.cores.start[None], batch, axis=0),
        np.zeros((batch, SLOTS, count, WORDS), np.uint64),
        np.repeat(first_random(network.seed, count)[None], batch, axis=0),
    )
    if states is None:
        return found
    flat = found.v.reshape(batch, -1)
    for layer in network.layers:
        own = states[layer.name]
        flat[:, layer.neurons] = own["v"].reshape(batch, -1)
        if "copies" in own:
            flat[:, network.others(layer)] = own["copies"]
        if "in_flight" in own:
            coming = np.ascontiguousarray(own["in_flight"], np.int64).view(np.uint64)
            found.arriving[:, : coming.shape[1], layer.first : layer.last] = coming
        if "random" in own:
            found.random[:, layer.first : layer.last] = own["random"]
    return found


def states_of(network: CoreNetwork, after: Held) -> dict[str, dict[str, Integers]]:
    """The inverse of `held`; shapes are those of `CoreNetwork.state_shapes`."""
    batch = len(after.v)
    flat = after.v.reshape(batch, -1)
    found: dict[str, dict[str, Integers]] = {}
    for layer in network.layers:
        shapes = network.state_shapes()[layer.name]
        own: dict[str, Integers] = {"v": flat[:, layer.neurons].reshape(batch, *layer.shape).astype(np.int64)}
        if "copies" in shapes:
            own["copies"] = flat[:, network.others(layer)].astype(np.int64)
        if "in_flight" in shapes:
            coming = after.arriving[:, : shapes["in_flight"][0], layer.first : layer.last]
            own["in_flight"] = np.ascontiguousarray(coming).view(np.int64).copy()
        if "random" in shapes:
            own["random"] = after.random[:, layer.first : layer.last].copy()
        found[layer.name] = own
    return found


def packed(bits: NDArray[np.bool_]) -> NDArray[np.uint64]:
    """bool [..., 256] as uint64 [..., 4], the lowest bit first."""
    bytes_ = np.packbits(bits, axis=-1, bitorder="little")
    return np.ascontiguousarray(bytes_).view("<u8").astype(np.uint64)


def unpacked(words: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """The inverse of `packed`."""
    bytes_ = np.ascontiguousarray(words.astype("<u8")).view(np.uint8)
    return np.unpackbits(bytes_, axis=-1, bitorder="little").astype(bool)


def valid(states: States) -> bool:
    """Whether values are ones that a run gives: potentials and generators of 32 bits, generators not 0."""
    for own in states.values():
        for name, value in own.items():
            if name in ("v", "copies") and value.size and np.abs(value.astype(np.float64)).max() >= 2**31:
                return False
            if name == "random" and value.size and not (value.min() >= 1 and value.max() < 2**32):
                return False
    return True


assert NEURONS == AXONS  # bits of both are packed alike
