"""A network: named layers in topological order, loops closed by delays, and the shapes that flow between them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from i2e_deploy.errors import InputError
from i2e_deploy.network.arguments import MAX_VALUES
from i2e_deploy.network.delay import Delay
from i2e_deploy.network.op import Op, Shape
from i2e_deploy.network.run import FloatDtype, FloatStates, FloatTrace, as_frames, outputs_of, run_layers
from i2e_deploy.text import LayerLine, counted, layer_table, listed, record_repr, said, shape_text

#: Name by which a layer refers to the input of the network.
INPUT = "input"


@dataclass(frozen=True, eq=False)
class Layer:
    """One operation, its name (unique in the network) and the names of what feeds it."""

    name: str
    op: Op
    inputs: tuple[str, ...]

    def __repr__(self) -> str:
        return said(self, repr(self.name), self.op.describe(), f"of {listed(self.inputs)}")


@dataclass(frozen=True)
class Note:
    """What a reader assumed, compared or left out; a check shows it as a finding.

    Args:
        layer: that it is about; "" = the whole network.
        text: one sentence.
        doubtful: another reading would compute something else, and nothing says which is meant: a warning.
    """

    layer: str
    text: str
    doubtful: bool = False

    __repr__ = record_repr


@dataclass(frozen=True, eq=False)
class Network:
    """Layers in topological order on an input of shape (C, H, W); a `Delay` that says its shape may stand before what
    feeds it, and closes a loop.

    Args:
        input_shape: (C, H, W) or (N,).
        layers: the layers.
        notes: see `Note`.

    Raises:
        InputError: a name twice, an input that no earlier layer has, or shapes that do not fit.
    """

    input_shape: Shape
    layers: tuple[Layer, ...]
    notes: tuple[Note, ...] = ()

    def __post_init__(self) -> None:
        self.shapes()

    def __repr__(self) -> str:
        counts = (len(self.layers), "layer"), (sum(map(_parameters, self.layers)), "parameter")
        return said(self, f"input {shape_text(self.input_shape)}", *(counted(number, word) for number, word in counts))

    def summary(self) -> str:
        """What it is, then a line a layer: name, kind, shape of the output, parameters; as aligned text."""
        shapes, before = self.shapes(), [INPUT, *(layer.name for layer in self.layers)]
        lines = []
        for layer, last in zip(self.layers, before, strict=False):
            inputs = "" if layer.inputs == (last,) else f" of {', '.join(layer.inputs)}"
            lines.append(LayerLine(layer.name, layer.op.describe() + inputs, shapes[layer.name], _parameters(layer)))
        return layer_table(f"network: input {shape_text(self.input_shape)}", lines)

    def shapes(self) -> dict[str, Shape]:
        """Output shape of every layer and of the input, by name, without batch and time."""
        sides = self.input_shape
        if any(type(n) is not int for n in sides) or min(sides, default=0) < 1 or prod(sides) > MAX_VALUES:
            raise InputError(f"input shape is {sides}: whole numbers from 1, at most {MAX_VALUES} values")
        shapes: dict[str, Shape] = {INPUT: self.input_shape}
        for layer in self.layers:
            if layer.name == INPUT:
                raise InputError(f"a layer is called {INPUT!r}, which names the input of the network: rename it")
            if layer.name in shapes:
                raise InputError(f"layer {layer.name!r} is in the network twice: give each its own name")
            loop = layer.op.shape if isinstance(layer.op, Delay) else None
            shapes[layer.name] = _made(layer, shapes) if loop is None else loop
            if prod(shapes[layer.name]) > MAX_VALUES:
                raise InputError(f"layer {layer.name!r} has output {shapes[layer.name]}: at most {MAX_VALUES} values")
        for layer in self.layers:
            if isinstance(layer.op, Delay) and layer.op.shape is not None:
                _made(layer, shapes)
        return shapes

    def run(
        self,
        frames: Any,
        states: FloatStates | None = None,
        dtype: FloatDtype = "float32",
        device: str = "cpu",
        keep: Collection[str] | None = None,
    ) -> FloatTrace:
        """Run the float layers, a step at a time, from a fresh state or on from `states`: what the network means.

        Args:
            frames: [B, T, C, H, W], an array or a tensor of any real dtype.
            states: `FloatTrace.states` of an earlier run with the same B; None: all zero.
            dtype: of the whole run, `"float32"` or `"float64"`.
            device: of torch, e.g. `"cuda"`.
            keep: names of the layers to keep in the trace, beside the outputs; None: all.

        Raises:
            InputError: frames of another shape or not finite, states of another batch, or an unknown dtype.
        """
        rows = [(layer.name, layer.op, layer.inputs) for layer in self.layers]
        return run_layers(rows, INPUT, as_frames(frames, self.input_shape, dtype, device), states, keep)

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the layers that leave the network: those that feed none after them, in network order."""
        return outputs_of([(layer.name, layer.inputs) for layer in self.layers])

    def consumers(self) -> Mapping[str, tuple[Layer, ...]]:
        """The layers that each layer (and the input) feeds, by name."""
        feeds: dict[str, tuple[Layer, ...]] = {INPUT: (), **{layer.name: () for layer in self.layers}}
        for layer in self.layers:
            for name in layer.inputs:
                feeds[name] = (*feeds[name], layer)
        return feeds


def chain(input_shape: Shape, ops: Mapping[str, Op]) -> Network:
    """A network in which each layer feeds the next."""
    names = [INPUT, *ops]
    return Network(input_shape, tuple(Layer(n, op, (p,)) for p, (n, op) in zip(names, ops.items(), strict=False)))


def _made(layer: Layer, shapes: Mapping[str, Shape]) -> Shape:
    """Shape of what a layer gives for inputs that are among `shapes`."""
    missing = [name for name in layer.inputs if name not in shapes]
    if missing or not layer.inputs:
        raise InputError(
            f"layer {layer.name!r} takes its input from {missing}: no such layer before it (a loop needs a Delay that "
            "says its shape)"
        )
    try:
        return layer.op.output_shape([shapes[name] for name in layer.inputs])
    except InputError as error:
        raise InputError(f"layer {layer.name!r} {error}") from error


def _parameters(layer: Layer) -> int:
    return sum(array.size for array in layer.op.pack()[0].values())
