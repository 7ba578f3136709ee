"""The integers of the chip: cores of axons, binary crossbars and neurons, and where each spike goes.

Names in brackets are those of Cassidy et al. 2013, "Cognitive computing building block", IJCNN.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import prod

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.deciding import COUNT, Deciding
from i2e_deploy.network.op import Shape
from i2e_deploy.text import record_repr

#: Geometry of a core: it is the shape of every array below.
AXONS = NEURONS = 256
TYPES = 4
#: Ticks that a spike may take; a core keeps so many ticks of arrivals, the present one included.
MAX_DELAY, SLOTS = 15, 16
#: Ends of a membrane potential, at which sums stop; see the open point `potential` of the profile.
HIGH, LOW = 393_216, -393_216
#: What a neuron does when it fires (gamma): goes to a value, subtracts its threshold, or goes on.
TO_VALUE, SUBTRACT, KEEP = 0, 1, 2
#: Of a neuron whose spikes go to no axon of the chip.
NOWHERE = -1

#: By field of `Cores` that holds neurons: dtype, lowest and highest value.
NEURON_FIELDS: dict[str, tuple[type[np.generic], int, int]] = {
    "weight": (np.int16, -255, 255),
    "stochastic_weight": (np.uint8, 0, 1),
    "leak": (np.int16, -255, 255),
    "leak_reversal": (np.uint8, 0, 1),
    "stochastic_leak": (np.uint8, 0, 1),
    "threshold": (np.int32, 0, 2**18 - 1),
    "threshold_mask": (np.int32, 0, 2**17 - 1),
    "floor": (np.int32, 0, 2**18 - 1),
    "reset": (np.uint8, TO_VALUE, KEEP),
    "reset_value": (np.int32, -(2**18) + 1, 2**18 - 1),
    "saturate": (np.uint8, 0, 1),
    "start": (np.int32, LOW, HIGH),
    "delay": (np.uint8, 1, MAX_DELAY),
}


@dataclass(frozen=True, eq=False)
class Cores:
    """K cores, all that a chip's memories hold. Neurons from `sizes` on do not exist.

    Args:
        sizes: int32 [K], neurons in use.
        crossbar: uint8 [K, 256, 32], for each axon the bits of its 256 neurons, the lowest bit first.
        axon_type: uint8 [K, 256], 0 to 3 (G).
        weight: int16 [K, 256, 4], of a neuron by type of axon (s).
        stochastic_weight: uint8 [K, 256, 4]: |weight| is a chance of so many (and one) in 256 to add its sign (b).
        leak: int16 [K, 256], added every tick (lambda).
        leak_reversal: uint8 [K, 256]: the leak is multiplied by the sign of the potential (epsilon).
        stochastic_leak: uint8 [K, 256], as `stochastic_weight` (c).
        threshold: int32 [K, 256] (alpha); fires at it.
        threshold_mask: int32 [K, 256]: random bits under this mask are added to both thresholds (M).
        floor: int32 [K, 256], the negative threshold is minus this (beta).
        reset: uint8 [K, 256], see `TO_VALUE` (gamma).
        reset_value: int32 [K, 256] (R).
        saturate: uint8 [K, 256]: below the negative threshold the potential stays at it; else it resets (kappa).
        start: int32 [K, 256], potentials before the first tick.
        target: int32 [K, 256], core * 256 + axon that spikes go to, or `NOWHERE`.
        delay: uint8 [K, 256], ticks until they are there.
    """

    sizes: NDArray[np.int32]
    crossbar: NDArray[np.uint8]
    axon_type: NDArray[np.uint8]
    weight: NDArray[np.int16]
    stochastic_weight: NDArray[np.uint8]
    leak: NDArray[np.int16]
    leak_reversal: NDArray[np.uint8]
    stochastic_leak: NDArray[np.uint8]
    threshold: NDArray[np.int32]
    threshold_mask: NDArray[np.int32]
    floor: NDArray[np.int32]
    reset: NDArray[np.uint8]
    reset_value: NDArray[np.int32]
    saturate: NDArray[np.uint8]
    start: NDArray[np.int32]
    target: NDArray[np.int32]
    delay: NDArray[np.uint8]

    __repr__ = record_repr

    def __len__(self) -> int:
        return len(self.sizes)

    @property
    def stochastic(self) -> NDArray[np.bool_]:
        """Which cores draw random numbers, bool [K]."""
        drawn = self.stochastic_weight.any(axis=(1, 2)) | self.stochastic_leak.any(axis=1)
        return np.asarray(drawn | self.threshold_mask.any(axis=1))

    def synapses(self) -> NDArray[np.bool_]:
        """The crossbars bit by bit, bool [K, axons, neurons]."""
        return np.unpackbits(self.crossbar, axis=2, bitorder="little").astype(bool)

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """All fields by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def empty_cores(count: int) -> Cores:
    """So many cores without neurons, whose fields are then written."""
    held = {name: np.zeros((count, NEURONS), dtype) for name, (dtype, _, _) in NEURON_FIELDS.items()}
    for name in ("weight", "stochastic_weight"):
        held[name] = np.zeros((count, NEURONS, TYPES), NEURON_FIELDS[name][0])
    held["delay"][:] = 1
    return Cores(
        sizes=np.zeros(count, np.int32),
        crossbar=np.zeros((count, AXONS, NEURONS // 8), np.uint8),
        axon_type=np.zeros((count, AXONS), np.uint8),
        target=np.full((count, NEURONS), NOWHERE, np.int32),
        **held,  # type: ignore[arg-type]  # by name
    )


@dataclass(frozen=True, eq=False)
class Layer:
    """Neighbouring cores that compute one layer of a network.

    Args:
        name: unique in the program.
        shape: of what it sends, (C, H, W) or (N,).
        first, last: its cores are `first` to `last - 1`.
        neurons: int32 [N], core * 256 + neuron that stands for each value; all others of its cores are copies of
            these, or hand partial sums on.
        latency: ticks by which it is later than the float network.
    """

    name: str
    shape: Shape
    first: int
    last: int
    neurons: NDArray[np.int32]
    latency: int = 0

    __repr__ = record_repr

    @property
    def size(self) -> int:
        """Values that it sends."""
        return prod(self.shape)


@dataclass(frozen=True, eq=False)
class CoreNetwork:
    """A program: cores, the layers that they make up, and the axons that input lines drive.

    Args:
        input_shape: (C, H, W) or (N,).
        cores: all of them.
        layers: in network order; their cores follow each other without a gap. The last one's spikes leave the chip.
        input_line: int32 [M], number of a value of the input.
        input_axon: int32 [M], core * 256 + axon that it drives.
        input_delay: uint8 [M], 0 to 15 ticks later.
        seed: of the random numbers, where neurons draw any.
        deciding: how the output is read.
    """

    input_shape: Shape
    cores: Cores
    layers: tuple[Layer, ...]
    input_line: NDArray[np.int32]
    input_axon: NDArray[np.int32]
    input_delay: NDArray[np.uint8]
    seed: int = 0
    deciding: Deciding = COUNT

    __repr__ = record_repr

    def others(self, layer: Layer) -> NDArray[np.int64]:
        """Neurons of its cores that stand for no value, int64 [n], core * 256 + neuron."""
        each = np.arange(NEURONS)[None] < self.cores.sizes[layer.first : layer.last, None]
        rows, columns = np.nonzero(each)
        found = (rows + layer.first) * NEURONS + columns
        return np.setdiff1d(found, layer.neurons)

    def depths(self) -> dict[str, int]:
        """By layer, for how many ticks spikes may be on their way to it."""
        sent = self.cores.target >= 0
        to = np.concatenate([self.cores.target[sent], self.input_axon]) // AXONS
        late = np.concatenate([self.cores.delay[sent], self.input_delay])
        found = {}
        for layer in self.layers:
            here = (to >= layer.first) & (to < layer.last)
            found[layer.name] = int(late[here].max(initial=0))
        return found

    def state_shapes(self) -> dict[str, dict[str, tuple[int, ...]]]:
        """Of every layer, without the batch.

        Potentials `v`, those of the `copies`, spikes `in_flight` by tick, core and 64 axons, and the `random` state of
        cores.
        """
        depths, drawn, shapes = self.depths(), self.cores.stochastic, {}
        for layer in self.layers:
            count = layer.last - layer.first
            shapes[layer.name] = {"v": tuple(layer.shape)}
            if others := len(self.others(layer)):
                shapes[layer.name]["copies"] = (others,)
            if depths[layer.name]:
                shapes[layer.name]["in_flight"] = (depths[layer.name], count, AXONS // 64)
            if drawn[layer.first : layer.last].any():
                shapes[layer.name]["random"] = (count,)
        return shapes


def first_random(seed: int, cores: int) -> NDArray[np.int64]:
    """State of every core's generator before the first tick, int64 [K] of 1 to 2^32 - 1."""
    mixed = (np.arange(1, cores + 1, dtype=np.uint64) * np.uint64(2654435761) + np.uint64(seed)) % np.uint64(2**32)
    return np.maximum(mixed, 1).astype(np.int64)
