"""The integers of Loihi 2: what lava-dl SLAYER exports and netx `.net` files hold. Plain data, integers from the start.

A block is a population of neurons and the synapses that feed it. Shapes leave out batch and time and are
torch's: `(C, H, W)` or `(N,)`; a dense synapse takes its source flattened, C outermost.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod
from typing import Any, ClassVar, Literal

from i2e_deploy.chips.deciding import COUNT, Deciding
from i2e_deploy.chips.eye import Eye
from i2e_deploy.chips.integers import IntegerNetwork
from i2e_deploy.chips.loihi2.neuron import Ints, Limits, Neuron, Reset, pack_reset, unpack_reset
from i2e_deploy.chips.loihi2.programmable import ProgrammableLif
from i2e_deploy.chips.loihi2.relay import Programmable, Relay
from i2e_deploy.errors import InputError
from i2e_deploy.network.graph import Note
from i2e_deploy.network.op import Pair, Shape
from i2e_deploy.text import LayerLine, counted, layer_table, listed, record_repr, said, shape_text

#: Largest value of an integer in a file.
MOST = 2**31 - 1
#: A voltage is at most 2^23 - 1 and a neuron fires above threshold << 6: from this threshold on it never does.
NEVER = 2**17
#: Name by which a connection refers to the input of the network.
SOURCE = "input"


@dataclass(frozen=True, eq=False)
class CubaLif(Neuron):
    """Current-based leaky integrate-and-fire; the voltage is set to zero by a spike.

    Args:
        current_decay: int64 [1] or [C], 0..4096: of 4096 parts, how many the current loses in a step.
        voltage_decay: the same for the voltage.
        threshold: fires when `voltage > threshold << 6`.
        reset: periodic reset of the whole population, or None.
    """

    variables, membrane = ("u", "v"), "v"
    arrays: ClassVar[Limits] = {"current_decay": (0, 4096), "voltage_decay": (0, 4096)}
    integers: ClassVar[Limits] = {"threshold": (0, MOST)}

    current_decay: Ints
    voltage_decay: Ints
    threshold: int
    reset: Reset | None = None

    __repr__ = record_repr

    def pack(self) -> tuple[dict[str, Ints], dict[str, Any]]:
        """See `Neuron.pack`."""
        arrays, options = super().pack()
        return arrays, {**options, "reset": pack_reset(self.reset)}

    @classmethod
    def unpack(cls, arrays: Mapping[str, Any], options: Mapping[str, Any], channels: int, size: int) -> CubaLif:
        """See `Neuron.unpack`."""
        return replace(super().unpack(arrays, options, channels, size), reset=unpack_reset(options["reset"]))


@dataclass(frozen=True)
class Delta(Neuron):
    """Sends the change of its input when it is at least `threshold << (spike_exp + 6)`, with `spike_exp` more bits."""

    variables, membrane = ("act", "residue"), "act"
    integers: ClassVar[Limits] = {"threshold": (0, MOST), "spike_exp": (0, 7)}

    threshold: int
    spike_exp: int = 6


@dataclass(frozen=True)
class SigmaDelta(Neuron):
    """Sums its input, adds the bias, rectifies, and sends changes as `Delta` does."""

    variables, membrane = ("sigma", "act", "residue"), "sigma"
    integers: ClassVar[Limits] = Delta.integers

    threshold: int
    spike_exp: int = 6


@dataclass(frozen=True)
class Sigma(Neuron):
    """Sums its input and sends the sum in every step."""

    variables, membrane = ("sigma",), "sigma"


@dataclass(frozen=True)
class Resonator(Neuron):
    """Resonate-and-fire. Fires on a phase crossing, or (`izhikevich`) when the imaginary part passes the threshold.

    Args:
        sin_decay: -4096..4096, `4096 * (1 - decay) * sin(angle)`.
        cos_decay: the same with the cosine.
        threshold: in units of 64.
    """

    variables, membrane = ("real", "imag"), "imag"
    integers: ClassVar[Limits] = {"sin_decay": (-4096, 4096), "cos_decay": (-4096, 4096), "threshold": (0, 2**24)}
    words: ClassVar[Mapping[str, tuple[str, ...]]] = {"kind": ("phase", "izhikevich")}

    kind: Literal["phase", "izhikevich"]
    sin_decay: int
    cos_decay: int
    threshold: int


@dataclass(frozen=True, eq=False)
class DenseSynapse:
    """Weights int64 [out, in]; `delay` int64 [out, in] in steps beyond the one every synapse takes, or None."""

    weight: Ints
    delay: Ints | None = None

    __repr__ = record_repr


@dataclass(frozen=True, eq=False)
class ConvSynapse:
    """Weights int64 [C_out, C_in / groups, kH, kW], cross-correlation; `delay` int64 [C_out] or None."""

    weight: Ints
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1
    delay: Ints | None = None

    __repr__ = record_repr


Synapse = DenseSynapse | ConvSynapse


@dataclass(frozen=True, eq=False)
class Connection:
    """What feeds a block.

    Args:
        source: a block, the block itself (recurrence), or `"input"`.
        synapse: None injects the source into the neurons in the same step, without weights.
        part: which input of a `Resonator` it reaches.
    """

    source: str
    synapse: Synapse | None
    part: Literal["real", "imag"] = "real"

    __repr__ = record_repr


@dataclass(frozen=True, eq=False)
class Block:
    """A population.

    Args:
        name: unique in the network.
        neuron: its dynamics.
        shape: (C, H, W) or (N,).
        connections: their currents are added up.
        bias: int64 [C] (or [N]); CubaLif and ProgrammableLif add `bias << 6` to the voltage in every step, Relay
            `bias` to its sum.
        message_bits: 0: a spike carries no value; above: it carries a signed integer.
        latency: steps by which it is later than the layer of the float network that it was made of.
    """

    name: str
    neuron: Neuron
    shape: Shape
    connections: tuple[Connection, ...]
    bias: Ints | None = None
    message_bits: int = 0
    latency: int = 0

    __repr__ = record_repr


@dataclass(frozen=True, eq=False, repr=False)
class BlockNetwork(IntegerNetwork):
    """Blocks in topological order (a block may also feed itself).

    Args:
        input_shape: of one frame: (C, H, W), (N,), or rows (C, L), which are images of height 1.
        blocks: the last one is the output.
        input_message_bits: 0: any input other than 0 counts as one spike; above: inputs are signed integers.
        input_transform: (weight, bias): what the trained input layer makes of a frame x before it enters,
            `x * weight + bias`. Never applied here: neither Lava nor the chip does it.
        notes: see `Note`.
        deciding: how the output is read.
        eye: the first blocks are this eye, and frames are pictures, see `eye.see`; None: frames are the network's.

    Raises:
        InputError: a name twice, an unknown source, shapes that do not fit, neurons that send values in a block whose
            spikes carry none, or `deciding` reads what is not there.
    """

    kind: ClassVar[str] = "blocks"
    title: ClassVar[str] = "SLAYER's integer blocks"

    input_shape: Shape
    blocks: tuple[Block, ...]
    input_message_bits: int = 0
    input_transform: tuple[int, int] | None = None
    notes: tuple[Note, ...] = ()
    deciding: Deciding = COUNT
    eye: Eye | None = None

    def __post_init__(self) -> None:
        if not self.blocks:
            raise InputError("the network has no blocks: give at least one")
        shapes: dict[str, Shape] = {SOURCE: as_image(self.input_shape)}
        for block in self.blocks:
            if block.name in shapes:
                raise InputError(f"layer {block.name!r} is in the network twice: give each its own name")
            shapes[block.name] = block.shape
            _check_neuron(block)
            if not block.connections:
                raise InputError(f"layer {block.name!r} has no connections: give it a source")
            for connection in block.connections:
                if connection.source not in shapes:
                    raise InputError(f"layer {block.name!r} takes its input from {connection.source!r}: no such layer")
                _check_shapes(block, connection, shapes[connection.source])
        _check_deciding(self.deciding, self.blocks[-1])

    def __repr__(self) -> str:
        blocks = f"{counted(len(self.blocks), 'block')}: {listed([block.name for block in self.blocks])}"
        return said(self, f"input {shape_text(self.input_shape)}", blocks)

    def layer_lines(self) -> list[LayerLine]:
        """See `Program.layer_lines`."""
        return [
            LayerLine(block.name, _described(block, last), block.shape, _parameters(block))
            for block, last in zip(self.blocks, (SOURCE, *(block.name for block in self.blocks)), strict=False)
        ]

    def summary(self) -> str:
        """See `IntegerNetwork.summary`."""
        return layer_table(f"{self.title}: input {shape_text(self.input_shape)}", self.layer_lines())

    def bits(self, source: str) -> int:
        """Message bits of what leaves a block or the input."""
        return {SOURCE: self.input_message_bits, **{block.name: block.message_bits for block in self.blocks}}[source]

    def decided_by(self, deciding: Deciding) -> BlockNetwork:
        """See `Program.decided_by`: the membrane of a leaky neuron is `v`, of a Resonator `imag`, else the sum."""
        if deciding.of_state:
            last = self.blocks[-1]
            deciding = replace(deciding, layer=last.name, variable=deciding.variable or last.neuron.membrane)
        lag = max(deciding.lag, self.blocks[-1].latency)  # what was asked of a float network counts from its first step
        return replace(self, deciding=replace(deciding, lag=lag))

    def with_reset(self, interval: int, offset: int, staggered: bool = True) -> BlockNetwork:
        """All leaky neurons reset every `interval` steps; `staggered`: each block a step later, as in netx.

        Args:
            interval: steps, >= 1.
            offset: the first block resets in the steps t with `t % interval == (offset + 1) % interval`.
            staggered: False resets all blocks in the same step.
        """
        if interval < 1:
            raise InputError(f"the reset interval is {interval}: give at least 1 step")
        blocks = tuple(
            replace(b, neuron=replace(b.neuron, reset=Reset(interval, offset + 1 + (i if staggered else 0))))
            if isinstance(b.neuron, (CubaLif, ProgrammableLif))
            else b
            for i, b in enumerate(self.blocks)
        )
        return replace(self, blocks=blocks)


def as_image(shape: Shape) -> Shape:
    """Rows (C, L) as (C, 1, L); all else as it is."""
    return (shape[0], 1, shape[1]) if len(shape) == 2 else shape


def _described(block: Block, last: str) -> str:
    """What a block is in a few words, with what feeds it where that is not the block before it alone."""
    parts = []
    for connection in block.connections:
        synapse, fed = connection.synapse, "" if connection.source == last else f" of {connection.source}"
        if synapse is None:
            parts.append(f"direct{fed}")
            continue
        out, inside, *kernel = synapse.weight.shape
        inside *= synapse.groups if isinstance(synapse, ConvSynapse) else 1
        kind = f"Conv {inside}->{out} {shape_text(kernel)}" if kernel else f"Dense {inside}->{out}"
        parts.append(f"{kind}{' with delays' if synapse.delay is not None else ''}{fed}")
    return f"{type(block.neuron).__name__}, {' and '.join(parts)}"


def _parameters(block: Block) -> int:
    """Weights, delays and biases."""
    synapses = [connection.synapse for connection in block.connections if connection.synapse is not None]
    arrays = [array for synapse in synapses for array in (synapse.weight, synapse.delay)]
    return sum(array.size for array in (*arrays, block.bias) if array is not None)


def _check_deciding(deciding: Deciding, last: Block) -> None:
    deciding.check(prod(last.shape))
    if deciding.of_state and (deciding.layer != last.name or deciding.variable not in last.neuron.variables):
        raise InputError(
            f"readout {deciding} of layer {deciding.layer!r}: the output layer {last.name!r} has the variables "
            f"{', '.join(last.neuron.variables)}; choose one of them"
        )


def _check_neuron(block: Block) -> None:
    if not isinstance(block.neuron, Programmable):
        return
    if block.neuron.sends_values and not block.message_bits:
        raise InputError(
            f"layer {block.name!r} sends {block.neuron.sent} and has message_bits 0, so that the next layer would see "
            "one spike: give 2..32, the sign included"
        )
    if isinstance(block.neuron, Relay) and block.message_bits < block.neuron.bits:
        raise InputError(
            f"layer {block.name!r} sends messages of {block.neuron.bits} bits and has message_bits "
            f"{block.message_bits}: make them equal"
        )
    for name in block.neuron.arrays:
        sizes = dict.fromkeys((1, block.shape[0], prod(block.shape)))
        if (size := getattr(block.neuron, name).size) not in sizes:
            raise InputError(f"layer {block.name!r}: {name} has {size} values, needed {' or '.join(map(str, sizes))}")


def never_fires(block: Block) -> bool:
    """Whether no voltage reaches the threshold: netx's integrators without neurons, SLAYER's Affine blocks."""
    neuron = block.neuron
    if isinstance(neuron, ProgrammableLif):
        return neuron.sends == "spikes" and int(neuron.threshold.min()) >= NEVER
    return isinstance(neuron, CubaLif) and neuron.threshold >= NEVER


def conv_shape(synapse: ConvSynapse, shape: Shape) -> Shape:
    """Output (C, H, W) of a convolution on an input (C, H, W)."""
    window = zip(shape[1:], synapse.weight.shape[2:], synapse.stride, synapse.padding, synapse.dilation, strict=True)
    return (synapse.weight.shape[0], *((n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in window))


def _check_shapes(block: Block, connection: Connection, given: Shape) -> None:
    synapse, source = connection.synapse, f"layer {block.name!r} (from {connection.source!r})"
    if synapse is None:
        if given != block.shape:
            raise InputError(f"{source}: shape {block.shape} is fed with shape {given} directly: make them equal")
        return
    if isinstance(synapse, DenseSynapse):
        if synapse.weight.shape != (prod(block.shape), prod(given)):
            raise InputError(
                f"{source}: weights {list(synapse.weight.shape)}, needed [{prod(block.shape)}, {prod(given)}]"
            )
        if synapse.delay is not None and synapse.delay.shape != synapse.weight.shape:
            raise InputError(f"{source}: delays {list(synapse.delay.shape)}, weights {list(synapse.weight.shape)}")
        return
    if len(given) != 3 or min(synapse.stride) < 1 or min(synapse.dilation) < 1 or min(synapse.padding) < 0:
        raise InputError(
            f"{source}: a convolution takes (C, H, W), stride and dilation >= 1, padding >= 0; "
            f"given shape {given}, stride {synapse.stride}, dilation {synapse.dilation}, padding {synapse.padding}"
        )
    out, in_per_group = synapse.weight.shape[:2]
    if synapse.groups < 1 or out % synapse.groups or in_per_group * synapse.groups != given[0]:
        raise InputError(
            f"{source}: weights {list(synapse.weight.shape)} in {synapse.groups} groups on {given[0]} channels"
        )
    if synapse.delay is not None and synapse.delay.shape != (out,):
        raise InputError(f"{source}: delays {list(synapse.delay.shape)}, needed [{out}]")
    if conv_shape(synapse, given) != block.shape or min(block.shape) < 1:
        raise InputError(f"{source}: the convolution gives {conv_shape(synapse, given)}, the layer has {block.shape}")
