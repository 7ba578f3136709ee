"""The calls of one step as the layers of a network: norms folded, padding joined with what follows, the rest read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from i2e_deploy.errors import InputError, UnsupportedError
from i2e_deploy.network.convolution import Conv1d, Conv2d
from i2e_deploy.network.delay import Delay
from i2e_deploy.network.graph import INPUT, Layer, Note
from i2e_deploy.network.layers import Flatten, Linear, Reshape, Scale
from i2e_deploy.network.modules.framework import Framework
from i2e_deploy.network.modules.graph import Call
from i2e_deploy.network.modules.layers import Reader, read_op, read_wide, shape_after
from i2e_deploy.network.modules.norms import folded, scale
from i2e_deploy.network.modules.values import precision_note, whole
from i2e_deploy.network.modules.weights import padded_more
from i2e_deploy.network.neurons import IntegrateAndFire, LeakyIntegrateAndFire
from i2e_deploy.network.op import Op, Shape
from i2e_deploy.network.pooling import Pool2d


class Assembly:
    """Layers in the making.

    Args:
        shape: of the input.
        framework: how modules are read.
    """

    def __init__(self, shape: Shape, framework: Framework) -> None:
        self.framework = framework
        self.readers = {**STRUCTURE, **framework.all_readers()}
        self.layers: dict[str, Layer] = {}
        self.stands_for = {INPUT: INPUT}  # the layer that each call became
        self.shapes: dict[str, Shape] = {INPUT: shape}  # of calls
        self.pads: dict[str, Any] = {}  # calls that only pad
        self.norms: list[str] = []  # calls that were folded into the layer before
        self.notes: list[Note] = []

    def add(self, call: Call, alone: bool) -> None:
        """One call; `alone`: nothing else is fed by what feeds it.

        Raises:
            UnsupportedError, InputError: see `modules.layers.read_op`.
        """
        name, kind = call.name, call.kind
        if name in (INPUT, ""):
            raise InputError(f"a layer is called {name!r}, which names the input of the network: rename it")
        loop = kind == "Before"
        given = [] if loop else [self.shapes[source] for source in call.inputs]
        if kind == "ZeroPad2d":
            self._pad(call, given[0])
            return
        if kind == "ReLU" and self._fires(self.stands_for[call.inputs[0]]):
            self.stands_for[name], self.shapes[name] = self.stands_for[call.inputs[0]], given[0]
            return
        if kind in self.framework.all_norms():
            self._norm(call, given[0], alone)
            return
        padded = [source for source in call.inputs if source in self.pads]
        inputs = call.inputs if loop else tuple(self.stands_for[source] for source in call.inputs)
        if kind in self.framework.wide:
            reading = read_wide(call, inputs, given, self.framework.wide)
            self.notes += [Note(name, text, reading.doubtful) for text in reading.notes]
            made = reading.layers
        else:
            made = (Layer(name, read_op(name, kind, call.module, given, self.readers), inputs),)
        if padded:
            last = made[-1]
            made = (Layer(name, _joined(name, last.op, self.pads[padded[0]], given[0]), inputs),)
            given = [self.shapes[source] for source in inputs]
        self._keep(call, made)
        self.notes += precision_note(name, call.module) if call.module is not None else []

    def _fires(self, name: str) -> bool:
        """Whether a layer gives spikes, which are never negative."""
        op = self.layers[name].op if name in self.layers else None
        return isinstance(op, IntegrateAndFire) or (isinstance(op, LeakyIntegrateAndFire) and op.threshold is not None)

    def _keep(self, call: Call, made: Sequence[Layer]) -> None:
        """Layers of a call, the last with its name; what feeds a loop is known later."""
        for layer in made:
            if layer.name in self.layers:
                raise InputError(f"two layers are called {layer.name!r}: rename one")
            loop = layer.op.shape if isinstance(layer.op, Delay) else None
            shapes = [self.shapes[source] for source in layer.inputs] if loop is None else []
            self.layers[layer.name] = layer
            self.shapes[layer.name] = shape_after(layer, shapes) if loop is None else loop
        self.stands_for |= {layer.name: layer.name for layer in made}

    def _norm(self, call: Call, given: Shape, alone: bool) -> None:
        """Folded into the layer before, where that feeds nothing else; else a layer of its own."""
        factors = self.framework.all_norms()[call.kind](call.name, call.module)
        before = self.stands_for[call.inputs[0]]
        layer = self.layers.get(before)
        weighted = layer is not None and isinstance(layer.op, Conv1d | Conv2d | Linear)
        if alone and weighted and call.inputs[0] not in self.pads:
            self.layers[before] = folded(call.name, factors, layer)
            self.stands_for[call.name], self.shapes[call.name] = before, given
            self.norms.append(call.name)
            return
        if call.inputs[0] in self.pads:
            raise UnsupportedError(f"layer {call.name!r} normalises what was padded: pad behind it")
        self._keep(call, (Layer(call.name, scale(call.name, factors, given), (before,)),))

    def _pad(self, call: Call, given: Shape) -> None:
        left, right, top, bottom = (whole(n, "padding") for n in call.module.padding)
        if len(given) != 3 or min(left, right, top, bottom) < 0 or call.inputs[0] in self.pads:
            raise UnsupportedError(
                f"layer {call.name!r} pads an input {list(given)} by {(left, right, top, bottom)}: pad (C, H, W) once, "
                "by numbers from 0"
            )
        self.pads[call.name] = ((top, bottom), (left, right))
        self.stands_for[call.name] = self.stands_for[call.inputs[0]]
        self.shapes[call.name] = (given[0], given[1] + top + bottom, given[2] + left + right)


def assemble(calls: Sequence[Call], outputs: Sequence[str], shape: Shape, framework: Framework) -> Assembly:
    """All calls as layers.

    Raises:
        UnsupportedError, InputError: see `modules.layers.read_op`.
    """
    made = Assembly(shape, framework)
    feeds = [source for call in calls for source in call.inputs] + list(outputs)
    for call in calls:
        made.add(call, alone=all(feeds.count(source) == 1 for source in call.inputs))
    for name, layer in made.layers.items():  # loops end in what came after them
        inputs = tuple(made.stands_for[source] for source in layer.inputs)
        made.layers[name] = Layer(name, layer.op, inputs)
    left = [name for name in outputs if name in made.pads]
    if left:
        raise UnsupportedError(f"layer {left[0]!r} pads what leaves the network: leave it out")
    return made


def _joined(name: str, op: Op, padding: Any, given: Shape) -> Op:
    """A convolution or average pooling with the padding before it."""
    if isinstance(op, Pool2d):
        share = 1.0 if op.kind == "sum" else 1 / (op.kernel[0] * op.kernel[1])
        weight = np.full((given[0], 1, *op.kernel), share, np.float32)
        op = Conv2d(weight, stride=op.kernel, groups=given[0])
    if not isinstance(op, Conv2d):
        raise UnsupportedError(
            f"layer {name!r} ({op.describe()}) is given what was padded with zeros: pad before a convolution or an "
            "average pooling"
        )
    return padded_more(op, padding)


def _number(value: Any) -> Any:
    return np.asarray(value.detach().cpu().float().numpy() if hasattr(value, "detach") else value, np.float32)


#: What `folding` and `functions` make themselves.
STRUCTURE: Mapping[str, Reader] = {
    "Before": lambda module, _: Delay(np.ones((), np.float32), module.shape),
    "Flat": lambda _, __: Flatten(),
    "Reshape": lambda module, _: Reshape(module.shape),
    "Scale": lambda m, _: Scale(_number(m.weight), None if m.bias is None else _number(m.bias)),
}
