"""Rockpool's native modules, which compute with NumPy: rows of them, read and judged by what Rockpool records."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from i2e_deploy.errors import UnsupportedError
from i2e_deploy.network.graph import INPUT, Layer, Network, Note
from i2e_deploy.network.judge import judge
from i2e_deploy.network.layers import Add
from i2e_deploy.network.modules.graph import Call
from i2e_deploy.network.modules.known import kind_of
from i2e_deploy.network.modules.layers import Reading, WideReader, read_wide
from i2e_deploy.network.modules.read import SAMPLES, STEPS
from i2e_deploy.network.modules.steps import step_notes
from i2e_deploy.network.modules.values import doubles_of, shape_of
from i2e_deploy.network.op import Shape
from i2e_deploy.network.rockpool.neurons import read_linear, read_neurons, read_synapse
from i2e_deploy.network.rockpool.plain import refusal
from i2e_deploy.network.run import as_frames
from i2e_deploy.text import one_line

_ROWS = ("rockpool.nn.combinators.sequential.ModSequential", "rockpool.nn.combinators.residual.ModResidual")
NATIVE = tuple(f"rockpool.nn.modules.native.{path}" for path in ("lif.LIF", "exp_syn.ExpSyn", "linear.Linear"))


def read_native(module: Any, input_shape: Shape, example: Any) -> Network:
    """A native module, which evolves once; see `read.from_rockpool`.

    Args:
        module: may be changed.
    """
    shape = shape_of(input_shape)
    walk = _Walk()
    walk.row(module, "", INPUT, shape)
    network = Network(shape, tuple(walk.layers.values()), (*step_notes(walk.steps), *walk.notes))
    drawn = example is None
    if drawn:
        example = np.random.default_rng(0).poisson(0.7, (SAMPLES, STEPS, *shape))
    single = getattr(example, "ndim", 0) == len(shape) + 1
    frames = as_frames(example[None] if single else example, shape)
    title = f"{type(module).__name__}.evolve"
    found = _evolved(module, frames.double().numpy(), walk.stands_for, network.outputs[-1], title)
    said = judge(network, frames, found, title).note(title)
    if drawn:
        said = replace(said, text=f"{said.text}; the frames were drawn: give example=frames of your data")
    return replace(network, notes=(*network.notes, said))


@dataclass
class _Walk:
    """What has been read so far.

    Args:
        layers: by name, in order.
        stands_for: the layer that gives what a module gives, by the module's place.
        places: of the modules, by identity.
        steps: seconds of a step, with a module that says so.
        notes: what is to be said of the layers.
    """

    layers: dict[str, Layer] = field(default_factory=dict)
    stands_for: dict[str, str] = field(default_factory=dict)
    places: dict[int, str] = field(default_factory=dict)
    steps: dict[float, str] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)

    def row(self, module: Any, name: str, source: str, shape: Shape) -> tuple[str, Shape]:
        """Read a module at its place; the layer that gives what it gives, and that one's shape."""
        kind = kind_of(module, _ROWS)
        if kind not in ("ModSequential", "ModResidual"):
            return self.leaf(module, name or "0", source, shape)
        given = source
        for child in module._submodulenames:
            source, shape = self.row(getattr(module, child), f"{name}.{child}" if name else child, source, shape)
        if kind == "ModResidual":
            name = name or "residual"
            self.layers[name] = Layer(name, Add(), (source, given))
            source = name
        self.stands_for[name] = source
        return source, shape

    def leaf(self, module: Any, name: str, source: str, shape: Shape) -> tuple[str, Shape]:
        """Read a module that holds no other."""
        kind = kind_of(module, NATIVE)
        if kind not in _READERS:
            reason = refusal(kind) or "evolves in a way of its own; build it of Sequential and Residual"
            raise UnsupportedError(f"layer {name!r} is a {kind}, which {reason}")
        if self.places.setdefault(id(module), name) != name:
            raise UnsupportedError(
                f"layer {self.places[id(module)]!r} stands in {name!r} too, and goes on with its states: give each "
                "place its own"
            )
        reading = read_wide(Call(name, module, kind, (source,)), (source,), (shape,), _READERS)
        alone = (replace(x, inputs=tuple(INPUT if n == source else n for n in x.inputs)) for x in reading.layers)
        self.layers |= {layer.name: layer for layer in reading.layers}
        self.notes += [Note(name, text, reading.doubtful) for text in reading.notes]
        if hasattr(module, "dt"):
            self.steps.setdefault(float(module.dt), name)
        self.stands_for[name] = name
        return name, Network(shape, tuple(alone)).shapes()[name]


def _windowed_synapse(call: Call, inputs: Sequence[str], given: Sequence[Shape]) -> Reading:
    """rockpool 3.1.0 `native/exp_syn.py` convolves with a kernel of ten time constants, not with all of the past."""
    steps, tau = len(call.module._window), doubles_of(call.module, "tau").max() / float(call.module.dt)
    if steps < 9 * tau:
        raise UnsupportedError(
            f"cuts its kernel after {steps} steps (max_window_length), {steps / tau:.2g} time constants: leave "
            "max_window_length out"
        )
    note = f"Rockpool's ExpSyn forgets what is older than {steps} steps (ten time constants): a part of 5e-5 of it"
    return read_synapse(call, inputs, given)._replace(notes=(note,))


def _evolved(module: Any, given: Any, stands_for: Mapping[str, str], output: str, title: str) -> dict[str, Any]:
    """What the module's own evolution gave in place of each layer, [B, T, N]."""
    import torch

    try:
        returned, _, record = module.reset_state().evolve(given, record=True)
    except Exception as error:  # whatever an evolution raises
        raise UnsupportedError(f"{title} fails on the example: {one_line(error)}") from error
    found = {stands_for[place]: torch.as_tensor(array) for place, array in _recorded(module, record, "")}
    return {**found, output: torch.as_tensor(returned)}


def _recorded(module: Any, record: Mapping[str, Any], place: str) -> Iterator[tuple[str, Any]]:
    """What the modules of a row gave: Rockpool records it beside the states (`SequentialMixin.evolve`)."""
    for name in module._submodulenames:
        path = f"{place}.{name}" if place else name
        if f"{name}_output" in record:
            yield path, record[f"{name}_output"]
            yield from _recorded(getattr(module, name), record.get(name, {}), path)


_READERS: Mapping[str, WideReader] = {"ExpSyn": _windowed_synapse, "LIF": read_neurons, "Linear": read_linear}
