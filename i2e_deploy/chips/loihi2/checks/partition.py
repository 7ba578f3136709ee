"""Place layers on cores: a model of what Intel's compiler does, fitted to the mappings that lava-dl's tutorials print.

A core holds neurons of one layer. Images are cut into patches whose width is a power of two and whose height and
channels are halved; dense layers are cut by neurons until their synapses fit. Everything here is an estimate. The
mappings show no layer of which no half fits before its size is odd: such a one is halved on, rounding up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from i2e_deploy.chips.check import Slot
from i2e_deploy.chips.loihi2.neuron import Ints
from i2e_deploy.chips.loihi2.program import ConvSynapse, DenseSynapse
from i2e_deploy.chips.loihi2.reference.lava_weights import zeros_at_the_end
from i2e_deploy.chips.loihi2.reference.layers import Layer, Wire
from i2e_deploy.chips.profile import Profile


@dataclass(frozen=True)
class Demand:
    """What one layer asks for.

    Args:
        shape: (C, H, W), or (N,).
        inputs: for each dense synapse the neurons of its source; for each convolution the positions of its kernel
            times input channels (per group).
        bits: weight bits of each.
        dense: whether each is dense.
        delayed: whether each has delays.
    """

    name: str
    shape: tuple[int, ...]
    inputs: tuple[int, ...] = ()
    bits: tuple[int, ...] = ()
    dense: tuple[bool, ...] = ()
    delayed: tuple[bool, ...] = ()


@dataclass(frozen=True)
class Cut:
    """How a layer is cut: so many equal cores, each with this patch."""

    name: str
    cores: int
    patch: tuple[int, ...]
    neurons: int
    synapse_memory: int
    input_axons: int


def dense_words(neurons: int, bits: int, delayed: bool = False) -> int:
    """Words of 64 bits for one input axon onto `neurons`; fitted to the mappings printed in the tutorials."""
    return -(-(neurons * (12 + bits + 6 * delayed) + 20) // 64)


def conv_words(channels: int, bits: int) -> int:
    """Words of 64 bits for one input channel and kernel position onto `channels` output channels."""
    return -(-(channels * bits + 32) // 64)


def weight_bits(weight: Ints) -> int:
    """Bits that netx would give these weights, 1..9 (lava-dl netx/utils.py:117-150)."""
    low, high = int(weight.min()), int(weight.max())
    magnitude, signed = max(high, -low, 1), low < 0 < high
    even = min(8, zeros_at_the_end(weight))
    return max(1, (magnitude >> even).bit_length() + signed)


def demand_of(layer: Layer) -> Demand:
    """What a layer of a program asks for."""
    wires = [wire for wire in layer.wires if wire.synapse is not None]
    return Demand(
        layer.name,
        layer.shape,
        tuple(_inputs(wire) for wire in wires),
        tuple(weight_bits(wire.synapse.weight) for wire in wires if wire.synapse is not None),
        tuple(isinstance(wire.synapse, DenseSynapse) for wire in wires),
        tuple(wire.synapse.delay is not None for wire in wires if wire.synapse is not None),
    )


def _inputs(wire: Wire) -> int:
    if isinstance(wire.synapse, ConvSynapse):
        return int(wire.synapse.weight[0].size)
    assert wire.synapse is not None
    return int(wire.synapse.weight.shape[1])


def cut(demand: Demand, profile: Profile) -> Cut | None:
    """The cut with the fewest cores, or None when not even the smallest piece fits a core."""
    return _best(demand, profile, _evenly) or _best(demand, profile, _rounding)


def _best(demand: Demand, profile: Profile, halves: Callable[[int], list[int]]) -> Cut | None:
    memory = profile.cores[0].memory
    best: Cut | None = None
    for cores, patch, channels in _pieces(demand, memory["synapse_memory"], halves):
        neurons = patch[0] * (patch[1] * patch[2] if len(patch) == 3 else 1)
        words, axons = (
            _words(demand, neurons, channels),
            sum(n for n, d in zip(demand.inputs, demand.dense, strict=True) if d),
        )
        fits = neurons <= memory["neurons"] and words <= memory["synapse_memory"] and axons <= memory["input_axons"]
        if fits and (best is None or cores < best.cores):
            best = Cut(demand.name, cores, patch, neurons, words, axons)
    return best


def _words(demand: Demand, neurons: int, channels: int) -> int:
    rows = zip(demand.inputs, demand.bits, demand.dense, demand.delayed, strict=True)
    return sum(
        n * (dense_words(neurons, bits, late) if dense else conv_words(channels, bits)) for n, bits, dense, late in rows
    )


def _pieces(
    demand: Demand, memory: int, halves: Callable[[int], list[int]]
) -> Iterator[tuple[int, tuple[int, ...], int]]:
    """Ways to cut: (cores, patch, channels of a patch)."""
    if len(demand.shape) < 3:
        yield from _slices(demand, memory)
        return
    channels, height, width = demand.shape
    for c, h, w in product(halves(channels), halves(height), _powers(width)):
        yield -(-channels // c) * -(-height // h) * -(-width // w), (c, h, w), c


def _slices(demand: Demand, memory: int) -> Iterator[tuple[int, tuple[int, ...], int]]:
    """The compiler multiplies the parts by how many times too large they are, until they fit."""
    size, parts = demand.shape[0], 1
    while parts <= size:
        neurons = -(-size // parts)
        yield parts, (neurons,), neurons
        parts *= max(2, -(-_words(demand, neurons, neurons) // memory))


def _evenly(size: int) -> list[int]:
    """Halves as long as they are whole."""
    sizes = [size]
    while sizes[-1] % 2 == 0:
        sizes.append(sizes[-1] // 2)
    return sizes


def _rounding(size: int) -> list[int]:
    """Halves down to 1, rounded up."""
    sizes = [size]
    while sizes[-1] > 1:
        sizes.append(-(-sizes[-1] // 2))
    return sizes


def _powers(size: int) -> list[int]:
    return [2**k for k in range(size.bit_length() + 1) if 2**k < 2 * size]


def place(layers: Sequence[Layer], profile: Profile) -> tuple[tuple[Slot, ...], tuple[Cut, ...], tuple[str, ...]]:
    """A slot for every core of every layer, the cuts, and the names of layers that fit no core.

    Cores are numbered through all chips. Only the first and last core of a cut get slots of their own when there are
    more than 16: they are equal.
    """
    cuts = {layer.name: cut(demand_of(layer), profile) for layer in layers}
    slots: list[Slot] = []
    core = 0
    available = dict(profile.cores[0].memory)
    for found in cuts.values():
        if found is None:
            continue
        used = {
            "neurons": found.neurons, "synapse_memory": found.synapse_memory,
            "input_axons": found.input_axons, "groups": 1,
        }  # fmt: skip
        indices = range(core, core + found.cores)
        slots += [
            Slot(found.name, i, used, available) for i in (indices if len(indices) <= 16 else (indices[0], indices[-1]))
        ]
        core += found.cores
    kept = tuple(found for found in cuts.values() if found is not None)
    return tuple(slots), kept, tuple(name for name, found in cuts.items() if found is None)
