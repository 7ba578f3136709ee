"""A trained Norse network as float layers."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from i2e_deploy.errors import InputError, UnsupportedError
from i2e_deploy.network.delay import Delay
from i2e_deploy.network.graph import Layer, Network, Note
from i2e_deploy.network.layers import Add, Linear
from i2e_deploy.network.modules.framework import Framework, Layout, Takes
from i2e_deploy.network.modules.graph import Call
from i2e_deploy.network.modules.known import kind_of
from i2e_deploy.network.modules.layers import Reading
from i2e_deploy.network.modules.read import read_module
from i2e_deploy.network.modules.values import number_of
from i2e_deploy.network.neurons import parameter
from i2e_deploy.network.norse.neurons import KINDS, LEAVES, check_step, read_neuron, refusal, starts_from_zeros
from i2e_deploy.network.op import Shape

if TYPE_CHECKING:
    from torch import Tensor, nn

_CONTAINERS = ("SequentialState", "Lift", "ConvNet", "ConvNet4", "VGG", "MobileNetV2")
_PASSING = "norse.torch.module.regularization.RegularizationCell"


def from_norse(
    module: nn.Module, input_shape: Shape, example: Any = None, dt: float | None = None, layout: Layout | None = None
) -> Network:
    """Read a Norse network (1.1) as it computes in evaluation mode, whatever mode it is in.

    Its forward is run once, on the example or on drawn frames, and what each layer gave is compared with the network
    that was read (`network.judge`); the module is left as it was. Every run starts as Norse does without a state: from
    `v_leak`, IAF from `v_reset`, currents and spikes from zero.

    Args:
        module: layers of torch and LIFCell, LIF, LIFBoxCell, LICell, LI, LILinearCell, LIBoxCell, IAFCell, IAF,
            LSNNCell, LSNN and the recurrent ones of LIF and LSNN, in a SequentialState, a Lift, or a `forward` that
            loops over time or takes one step and a state.
        input_shape: of one step, (C, H, W) or (N,).
        example: frames [B, T, ...] or of one sample [T, ...]; as many steps as the module's loop runs. None: drawn.
        dt: seconds that a step of the frames lasts. None: what the neurons say, which a note repeats.
        layout: what the module's forward takes: `"TB"`, a sequence [T, B, ...]; `"BT"`, [B, T, ...]; `"step"`, one step
            [B, ...] and the state of the step before; `"static"`, one picture [B, ...] that its loop shows in every
            step. None: `"step"` where its forward takes a `state` and all its neurons take single steps, else `"TB"`.

    Raises:
        UnsupportedError: something without exact counterpart, or that the layers do not say; it names the layer.
        InputError: shapes or values that do not fit; neurons of another dt.
    """
    import torch

    notes: list[Note] = []
    if isinstance(module, torch.nn.Module):
        _check_classes(module)
        notes = _time_notes(module, dt)
    network = read_module(module, input_shape, example, layout, NORSE)
    return replace(network, notes=(*notes, *network.notes))


def _check_classes(module: nn.Module) -> None:
    """All neurons are what their classes say. Before anything runs, so that what is said of them comes first."""
    for name, part in ((name or "0", part) for name, part in module.named_modules()):
        kind = kind_of(part, LEAVES)
        reason = refusal(kind)
        if reason is not None:
            raise UnsupportedError(f"layer {name!r} is a {kind.partition(' ')[0]} of Norse, which {reason}")
        if kind.endswith(" of its own"):
            raise UnsupportedError(f"layer {name!r} is a {kind}: use the class itself")
        try:
            if kind in KINDS:
                check_step(kind, part)
        except UnsupportedError as error:
            raise UnsupportedError(f"layer {name!r} {error}") from error


def _time_notes(module: nn.Module, dt: float | None) -> list[Note]:
    """What a step lasts, as the neurons say; that must be one number, and `dt` where it is given."""
    parts = ((name or "0", part) for name, part in module.named_modules() if kind_of(part, LEAVES) in KINDS)
    found = {number_of(part.dt, "step dt"): name for name, part in parts}
    other = [own for own in found if dt is not None and abs(own - dt) > 1e-6 * dt]
    if other:
        raise InputError(
            f"layer {found[other[0]]!r} has steps of {other[0]:g} s, not of dt = {dt:g} s: give the neurons the dt of "
            "the frames, with time constants that fit, or leave dt out"
        )
    if len(found) > 1:
        said = " and ".join(f"{own:g} s in layer {name!r}" for own, name in found.items())
        return [Note("", f"a step lasts {said}: each was read with its own", doubtful=True)]
    return [Note("", f"a step lasts {own:g} s, as its neurons say: give frames of that step") for own in found]


def _neurons(call: Call, inputs: Sequence[str], _: Sequence[Shape]) -> Reading:
    """With weights of its own a module becomes several layers."""
    name, neuron = call.name, read_neuron(call.kind, call.module)
    if neuron.weight is None:
        return Reading((Layer(name, neuron.op, tuple(inputs)),))
    row = [Layer(f"{name}.input", Linear(neuron.weight), tuple(inputs))]
    if neuron.recurrent is not None:
        size = (len(neuron.recurrent),)
        row.insert(0, Layer(f"{name}.delay", Delay(parameter(1), size), (name,)))
        row.append(Layer(f"{name}.recurrent", Linear(neuron.recurrent), (f"{name}.delay",)))
        row.append(Layer(f"{name}.sum", Add(), (f"{name}.input", f"{name}.recurrent")))
    return Reading((*row, Layer(name, neuron.op, (row[-1].name,))))


def _takes(module: Any) -> Takes:
    return "TB" if KINDS[kind_of(module, LEAVES)].over_time else "step"


def _default(module: nn.Module) -> Layout:
    from torch import nn

    kinds = {kind_of(part, (*LEAVES, "norse.torch.module.lift.Lift")) for part in module.modules()}
    whole = "Lift" in kinds or any(kind in KINDS and KINDS[kind].over_time for kind in kinds)
    takes_state = "state" in inspect.signature(module.forward).parameters
    return "step" if (takes_state or type(module) is nn.Sequential) and not whole else "TB"


def _run(module: nn.Module, given: Sequence[Tensor]) -> list[Any]:
    """What it gives in each call; the state beside it is given back in the next."""
    found, state = [], None
    takes_it_back = len(inspect.signature(module.forward).parameters) > 1
    for tensor in given:
        returned = module(tensor, state) if takes_it_back and state is not None else module(tensor)
        output, state = _parted(returned)
        found.append(output)
    return found


def _parted(returned: Any) -> tuple[Any, Any]:
    """An output and the state beside it: Norse returns pairs, of which the second is no tensor."""
    import torch

    if isinstance(returned, tuple) and len(returned) == 2 and not isinstance(returned[1], torch.Tensor):
        return _parted(returned[0])[0], returned[1]
    return returned, None


NORSE = Framework(
    name="Norse",
    package="norse",
    leaves=(*LEAVES, _PASSING),
    start=lambda _: None,
    wide=dict.fromkeys(KINDS, _neurons),
    takes=dict.fromkeys(KINDS, _takes),
    ignored=("RegularizationCell",),
    containers=_CONTAINERS,
    default=_default,
    run=_run,
    fresh=starts_from_zeros,
)
