"""A trained Rockpool network as float layers. Works on the modules alone: neither JAX nor `samna` is needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from i2e_deploy.errors import InputError, UnsupportedError
from i2e_deploy.network.graph import INPUT, Layer, Network, Note
from i2e_deploy.network.layers import Add, Linear
from i2e_deploy.network.modules.graph import Call
from i2e_deploy.network.modules.known import class_at, kind_of
from i2e_deploy.network.modules.layers import READERS, Reading, WideReader, read_wide
from i2e_deploy.network.modules.values import shape_of
from i2e_deploy.network.neurons import parameter
from i2e_deploy.network.op import Shape
from i2e_deploy.network.rockpool.judge import judged
from i2e_deploy.network.rockpool.neurons import (
    check_inputs,
    check_silent,
    integrator,
    neuron_layers,
    spec_of,
    values,
)
from i2e_deploy.network.rockpool.plain import check_plain, refusal, torch_class

_NN = "rockpool.nn"
ROWS = tuple(f"{_NN}.combinators.{path}" for path in (
    "sequential.TorchSequential", "sequential.ModSequential", "residual.TorchResidual", "residual.ModResidual",
))  # fmt: skip
SYNNET = f"{_NN}.networks.synnet.SynNet"
LEAVES = tuple(f"{_NN}.modules.{path}" for path in (
    "torch.lif_torch.LIFTorch", "torch.lif_bitshift_torch.LIFBitshiftTorch", "torch.ahp_lif_torch.aLIFTorch",
    "torch.lif_neuron_torch.LIFNeuronTorch", "torch.exp_syn_torch.ExpSynTorch", "torch.linear_torch.LinearTorch",
    "torch.dropout.UnitDropout", "torch.dropout.TimeStepDropout",
    "native.lif.LIF", "native.exp_syn.ExpSyn", "native.linear.Linear",
))  # fmt: skip
#: Modules that keep a state.
KEEPING = ("LIFTorch", "LIFBitshiftTorch", "aLIFTorch", "LIFNeuronTorch", "LIF", "ExpSyn", "ExpSynTorch")
NEURONS = ("LIFTorch", "LIFBitshiftTorch", "aLIFTorch", "LIFNeuronTorch", "LIF")
#: Without effect in evaluation mode.
IGNORED = ("UnitDropout", "TimeStepDropout", "Dropout", "Identity")


def from_rockpool(module: Any, input_shape: Shape, example: Any = None) -> Network:
    """Read a Rockpool network (3.1) as it evolves in evaluation mode after `reset_state()`.

    Args:
        module: `Sequential`, `Residual`, nested or not, a SynNet that gives spikes, or one module, of torch or native:
            LIFTorch, LIFBitshiftTorch, aLIFTorch, LIFNeuronTorch, ExpSynTorch, LinearTorch, torch.nn.Linear, LIF,
            ExpSyn, Linear. Dropouts are ignored.
        input_shape: (N,).
        example: frames [B, T, N] or [T, N] on which the module evolves, on a copy, and which are compared with what was
            read (`network.judge`). None: drawn ones.

    Raises:
        UnsupportedError: a module that has no counterpart, or, with an example, one that computes something else than
            what was read; the message names the layer.
        InputError: shapes or values that do not fit.
    """
    base = class_at(f"{_NN}.modules.module.ModuleBase")
    if base is None or not isinstance(module, base):
        raise InputError(f"{type(module).__name__} is no Rockpool module: give the trained network")
    shape = shape_of(input_shape)
    check_plain(module)
    walk = _Walk()
    walk.row(module, "", INPUT, shape)
    if not walk.layers:
        raise InputError("the module holds no layers: give the trained network")
    network = Network(
        shape, tuple(walk.layers.values()), (*walk.notes, *_time_notes(walk.steps), *_state_notes(module))
    )
    return judged(network, module, example, walk.stands_for)


@dataclass
class _Walk:
    """What has been read so far.

    Args:
        layers: by name, in order.
        stands_for: the layer that gives what a module gives, by the module's place.
        steps: seconds of a step, with a module that says so.
        places: of the modules that keep a state, by identity.
        notes: what is to be said of the layers.
    """

    layers: dict[str, Layer] = field(default_factory=dict)
    stands_for: dict[str, str] = field(default_factory=dict)
    steps: dict[float, str] = field(default_factory=dict)
    places: dict[int, str] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)

    def row(self, module: Any, name: str, source: str, shape: Shape) -> tuple[str, Shape]:
        """Read a module at its place; the layer that gives what it gives, and that one's shape."""
        kind = kind_of(module, (*ROWS, SYNNET))
        if kind == "SynNet":
            if module.output != "spikes":
                raise UnsupportedError(
                    "SynNet gives the membrane potential of its last neurons: build it with output='spikes', or give "
                    "its .seq"
                )
            return self.row(module.seq, name, source, shape)
        if kind not in {row.rpartition(".")[2] for row in ROWS}:
            return self.leaf(module, name or "0", source, shape)
        given = source, shape
        for child in module._submodulenames:
            source, shape = self.row(getattr(module, child), f"{name}.{child}" if name else child, source, shape)
        if kind.endswith("Residual"):
            name = name or "residual"
            self.add(name, Reading((Layer(name, Add(), (source, given[0])),)))
            source = name
        self.stands_for[name] = source
        return source, shape

    def leaf(self, module: Any, name: str, source: str, shape: Shape) -> tuple[str, Shape]:
        """Read a module that holds no other."""
        torch_kind = torch_class(module)
        kind = torch_kind or kind_of(module, LEAVES)
        reason = None if torch_kind or kind in _READERS or kind in IGNORED else refusal(kind)
        if reason is not None:
            raise UnsupportedError(f"layer {name!r} is a {kind}, which {reason}")
        if kind in KEEPING and self.places.setdefault(id(module), name) != name:
            raise UnsupportedError(
                f"layer {self.places[id(module)]!r} stands in {name!r} too, where it goes on with its states: give "
                "each place its own"
            )
        if kind not in IGNORED:
            readers = _OF_TORCH if torch_kind else _READERS
            reading = read_wide(Call(name, module, kind, (source,)), (source,), (shape,), readers)
            alone = tuple(
                replace(x, inputs=tuple(INPUT if n == source else n for n in x.inputs)) for x in reading.layers
            )
            shape = Network(shape, alone).shapes()[name]
            self.add(name, reading)
            source = name
            if hasattr(module, "dt"):
                self.steps.setdefault(float(module.dt), name)
        self.stands_for[name] = source
        return source, shape

    def add(self, name: str, reading: Reading) -> None:
        self.layers |= {layer.name: layer for layer in reading.layers}
        self.notes += [Note(name, text, reading.doubtful) for text in reading.notes]


def _time_notes(found: Mapping[float, str]) -> list[Note]:
    """What a step lasts, as the modules say."""
    if len(found) > 1:
        said = " and ".join(f"{own:g} s in layer {name!r}" for own, name in found.items())
        return [Note("", f"a step lasts {said}: each was read with its own", doubtful=True)]
    return [Note("", f"a step lasts {own:g} s, as its neurons say: give frames of that step") for own in found]


def _state_notes(module: Any) -> list[Note]:
    """Rockpool goes on from the states of the run before."""

    def left(held: Any) -> bool:
        if isinstance(held, Mapping):
            return any(left(value) for value in held.values())
        return bool(np.asarray(held.detach().cpu() if hasattr(held, "detach") else held).any())

    if not left(module.state()):
        return []
    return [Note("", "the module holds states of an earlier run: the network starts as after reset_state()")]


def _neurons(kind: str) -> WideReader:
    def read(call: Call, inputs: Sequence[str], given: Sequence[Shape]) -> Reading:
        check_inputs(call.module, given)
        return Reading(neuron_layers(call.name, inputs[0], spec_of(kind, call.module)))

    return read


def _synapse(call: Call, inputs: Sequence[str], given: Sequence[Shape]) -> Reading:
    module = call.module
    check_inputs(module, given)
    check_silent(module)
    decay = np.exp(-float(module.dt) / values(module, "tau"))
    return Reading((Layer(call.name, integrator(decay), tuple(inputs)),))


def _windowed_synapse(call: Call, inputs: Sequence[str], given: Sequence[Shape]) -> Reading:
    """rockpool 3.1.0 `native/exp_syn.py` convolves with a kernel of ten time constants, not with all of the past."""
    module = call.module
    steps, tau = len(module._window), values(module, "tau").max() / float(module.dt)
    if steps < 9 * tau:
        raise UnsupportedError(
            f"cuts its kernel after {steps} steps (max_window_length), {steps / tau:.2g} time constants: leave "
            "max_window_length out"
        )
    note = f"Rockpool's ExpSyn forgets what is older than {steps} steps (ten time constants): a part of 5e-5 of it"
    return _synapse(call, inputs, given)._replace(notes=(note,))


def _linear(call: Call, inputs: Sequence[str], given: Sequence[Shape]) -> Reading:
    """Weights are [inputs, outputs] in Rockpool, torch and native."""
    module = call.module
    check_inputs(module, given)
    weight = values(module, "weight").reshape(int(module.size_in), int(module.size_out))
    bias = None if module.bias is None else values(module, "bias")
    spread = None if bias is None or not bias.any() else np.broadcast_to(bias, weight.shape[1:])
    op = Linear(parameter(weight.T), None if spread is None else parameter(spread))
    return Reading((Layer(call.name, op, tuple(inputs)),))


def _torch_linear(call: Call, inputs: Sequence[str], given: Sequence[Shape]) -> Reading:
    return Reading((Layer(call.name, READERS["Linear"](call.module, given), tuple(inputs)),))


_READERS: Mapping[str, WideReader] = {
    **{kind: _neurons(kind) for kind in NEURONS},
    "ExpSyn": _windowed_synapse,
    "ExpSynTorch": _synapse,
    "Linear": _linear,
    "LinearTorch": _linear,
}
_OF_TORCH: Mapping[str, WideReader] = {"Linear": _torch_linear}
