"""The integers of a DYNAP-CNN chip: one `CoreLayer` a core. Plain data: `engine` and `reference` run it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.deciding import COUNT, Deciding
from i2e_deploy.chips.dynapcnn.peripherals import CLASSES, SPACING, EventFilter, Readout, spread
from i2e_deploy.chips.trace import Integers, States
from i2e_deploy.errors import InputError, UnsupportedError
from i2e_deploy.events import Events
from i2e_deploy.network import INPUT, ResetMode, Sensor
from i2e_deploy.text import LayerLine, counted, listed, said, shape_text

Pair = tuple[int, int]
N = TypeVar("N", bound="CoreNetwork")


@dataclass(frozen=True)
class Source:
    """Where events come from: a layer (or `"input"`), summed over `pool` windows on the way.

    Args:
        layer: name of the layer, or `"input"`.
        pool: windows (vertical, horizontal).
        feature_shift: added to the feature number, so that several layers can feed one side by side.
    """

    layer: str
    pool: Pair = (1, 1)
    feature_shift: int = 0


@dataclass(frozen=True, eq=False)
class CoreLayer:
    """One core.

    Args:
        name: unique in the program.
        sources: what feeds it; several are added up.
        weight: int8 [C_out, C_in, kH, kW], cross-correlation.
        bias: int8 or int16 [C_out], added once a step, or None.
        threshold: 1..32767; a neuron with `v >= threshold` fires.
        min_v: -32768..0, lower bound of the state, applied after the reset.
        max_spikes: most spikes of one neuron in one step; None = as many as the threshold fits in.
        reset: after n spikes take off n thresholds, or set to zero.
        input_shape: (C, H, W) after pooling.
        output_shape: (C, H, W) of the neurons.
        decimation: the core passes one of so many spikes on; 1 = all. Only `event` semantics know it.
        initial: int16 [C, H, W], state of every neuron before the first event; None = 0.
    """

    name: str
    sources: tuple[Source, ...]
    weight: NDArray[np.int8]
    bias: NDArray[np.int8] | NDArray[np.int16] | None
    stride: Pair
    padding: Pair
    threshold: int
    min_v: int
    max_spikes: int | None
    reset: ResetMode
    input_shape: tuple[int, int, int]
    output_shape: tuple[int, int, int]
    decimation: int = 1
    initial: NDArray[np.int16] | None = None

    def __repr__(self) -> str:
        return said(self, repr(self.name), self.describe(), f"neurons {shape_text(self.output_shape)}")

    def describe(self) -> str:
        """What it is, in a few words for people."""
        out, inside, *kernel = self.weight.shape
        stride = f" stride {shape_text(self.stride)}" if self.stride != (1, 1) else ""
        return f"Conv {inside}->{out} {shape_text(kernel)}{stride}, threshold {self.threshold}"

    @property
    def parameters(self) -> int:
        """Weights and biases."""
        return self.weight.size + (0 if self.bias is None else self.bias.size)


@dataclass(frozen=True, eq=False, repr=False)
class CoreNetwork:
    """A whole network as integers.

    Args:
        input_shape: (C, H, W) of the events that go in, before any pre-processing.
        outputs: what leaves the network, concatenated in this order.
        sensor: pre-processing between the pixels and the first layer; None: events reach it as they are.
        event_filter: noise filter after the pre-processing. Only `event` semantics know it.
        readout: the chip's own readout takes the output; see `with_readout`.
        deciding: how the host reads the output.

    Raises:
        InputError: `deciding` reads what the network does not have.
    """

    input_shape: tuple[int, int, int]
    layers: tuple[CoreLayer, ...]
    outputs: tuple[Source, ...]
    sensor: Sensor | None = None
    event_filter: EventFilter | None = None
    readout: Readout | None = None
    deciding: Deciding = COUNT

    def __post_init__(self) -> None:
        if self.deciding.classes:
            self.deciding.check(self._outputs())
        read = (self.deciding.layer, self.deciding.variable)
        if self.deciding.lag:
            raise InputError(f"readout {self.deciding}: spikes here need no steps to arrive; leave out the lag")
        if self.deciding.of_state and (self.deciding.kind != "state" or read not in self._membranes()):
            raise InputError(
                f"readout {self.deciding}: of the states, those of a single output layer at the end are read, variable "
                "v_mem, without the chip's own readout: choose state, or count"
            )

    def _membranes(self) -> list[tuple[str, str]]:
        """What a readout by state can read, by layer and variable."""
        alone = len(self.outputs) == 1 and self.readout is None
        return [(self.outputs[0].layer, "v_mem")] if alone else []

    def _outputs(self) -> int:
        """Values that leave the network in a step."""
        if self.deciding.of_state:
            return sum(prod(self.shapes()[source.layer]) for source in self.outputs)
        pooled = [(self.shapes()[source.layer], source.pool) for source in self.outputs]
        size = sum(c * (height // pool[0]) * (width // pool[1]) for (c, height, width), pool in pooled)
        return len(range(0, size, 1 if self.readout is None else SPACING))

    def __repr__(self) -> str:
        cores = f"{counted(len(self.layers), 'core')}: {listed(self.layer_names)}"
        return said(self, f"input {shape_text(self.input_shape)}", cores)

    def layer_lines(self) -> list[LayerLine]:
        """See `Program.layer_lines`."""
        return [
            LayerLine(layer.name, f"{layer.describe()}{_fed_by(layer, last)}", layer.output_shape, layer.parameters)
            for layer, last in zip(self.layers, (INPUT, *self.layer_names), strict=False)
        ]

    @property
    def layer_names(self) -> tuple[str, ...]:
        """Names of the layers in network order."""
        return tuple(layer.name for layer in self.layers)

    def shapes(self) -> dict[str, tuple[int, int, int]]:
        """(C, H, W) of the input as it reaches the cores, and of every layer, by name."""
        at_cores = self.input_shape if self.sensor is None else self.sensor.shape(self.input_shape)
        return {INPUT: at_cores, **{layer.name: layer.output_shape for layer in self.layers}}

    def initial_states(self, samples: int) -> States | None:
        """Where so many samples start in time steps, `v_mem` int64 [B, C, H, W] by layer; None: all from zero."""
        if all(layer.initial is None for layer in self.layers):
            return None
        zero = np.zeros((), np.int64)
        starts = {layer.name: zero if layer.initial is None else layer.initial for layer in self.layers}
        return {
            layer.name: {
                "v_mem": np.array(np.broadcast_to(starts[layer.name], (samples, *layer.output_shape)), np.int64)
            }
            for layer in self.layers
        }

    def state_shapes(self, semantics: str) -> dict[str, dict[str, tuple[int, ...]]]:
        """Shape of every state variable of a trace in these semantics, by layer, without the batch."""
        shapes: dict[str, dict[str, tuple[int, ...]]] = {
            layer.name: {"v_mem": layer.output_shape} for layer in self.layers
        }
        for layer in self.layers:
            if semantics == "event" and layer.decimation > 1:
                shapes[layer.name]["fired"] = ()
        if semantics == "event" and self.event_filter is not None:
            shapes[INPUT] = {"last": self.shapes()[INPUT][1:]}
        return shapes

    def merged(self, events: Events) -> Events:
        """A recording as it goes in: one polarity where a merging sensor takes one channel, as Sinabs' does."""
        if self.sensor is None or not self.sensor.merge_polarities or self.input_shape[0] > 1:
            return events
        merged = events.copy()
        merged["p"] = 0
        return merged

    def with_readout(self: N, readout: Readout) -> N:
        """The network with the chip's readout after its output layer, silent channels between the classes.

        `Trace.output` has the classes alone, as before; `readout.read_out` says what the block makes of it.

        Raises:
            UnsupportedError: several outputs, an output of more than one pixel, or of more than 15 classes.
        """
        names = {source.layer for source in self.outputs}
        last = next(layer for layer in self.layers if layer.name in names)
        if len(self.outputs) > 1 or last.output_shape[0] > CLASSES:
            raise UnsupportedError(
                f"outputs {sorted(names)}, the first of shape {last.output_shape}: the readout takes one layer of at "
                f"most {CLASSES} neurons (classes), e.g. a linear one; otherwise count spikes on the host"
            )
        if last.output_shape[1:] != (1, 1):
            raise UnsupportedError(
                f"layer {last.name!r} has {last.output_shape[1]}x{last.output_shape[2]} pixels: the datasheet names "
                "modes for several (2x2, 2x4, 4x4), but which pixel is which class is not public; end the "
                "network in a linear layer, or count spikes on the host"
            )
        layers = tuple(spread(layer) if layer is last else layer for layer in self.layers)
        return replace(self, layers=layers, readout=readout)

    def classes(self, output: Integers) -> Integers:
        """What leaves the network [..., N]; with a readout the channels that it reads."""
        return output if self.readout is None else np.ascontiguousarray(output[..., ::SPACING])

    @property
    def counts_events(self) -> bool:
        """Whether a decimator or the event filter makes it a network for `event` semantics alone."""
        return self.event_filter is not None or any(layer.decimation > 1 for layer in self.layers)

    @property
    def has_bias(self) -> bool:
        """Whether any core has a bias, which the chip adds at each tick of its slow clock."""
        return any(layer.bias is not None for layer in self.layers)


def _fed_by(layer: CoreLayer, last: str) -> str:
    """Where its events come from, unless it is the layer before it as it is."""
    pools = [f" pooled {shape_text(source.pool)}" if source.pool != (1, 1) else "" for source in layer.sources]
    fed = [source.layer + pool for source, pool in zip(layer.sources, pools, strict=True)]
    return "" if fed == [last] else f", of {' and '.join(fed)}"
