"""snnTorch's neurons (1.0.0, snntorch/_neurons) as ours.

Their reset is computed from the membrane potential of the step before, and taken off in this step, after decay and
input (`reset_delay=True`); Leaky's reset to zero comes before them, so that it keeps the input of the step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from i2e_deploy.errors import InputError, UnsupportedError
from i2e_deploy.network.delay import Delay
from i2e_deploy.network.graph import Layer
from i2e_deploy.network.layers import Add, Linear, Scale
from i2e_deploy.network.modules.graph import Call
from i2e_deploy.network.modules.known import kind_of
from i2e_deploy.network.modules.layers import READERS as TORCH_READERS
from i2e_deploy.network.modules.layers import Reading, WideReader, read_op
from i2e_deploy.network.neurons import LeakyIntegrateAndFire, parameter
from i2e_deploy.network.op import Array, Shape

#: Of the outputs, those that a neuron takes back, in the order of its arguments.
STATES: Mapping[str, tuple[int, ...]] = {
    "Leaky": (1,), "Lapicque": (1,), "Synaptic": (1, 2), "Alpha": (1, 2, 3), "RLeaky": (0, 1), "RSynaptic": (0, 1, 2),
}  # fmt: skip
#: By the name of the function that a neuron was made with.
_RESETS = {"_base_sub": 0, "_base_zero": 1, "_base_int": 2}
#: The membrane potential among the outputs.
_MEMBRANE = {"Leaky": 1, "Lapicque": 1, "Synaptic": 2, "Alpha": 3, "RLeaky": 1, "RSynaptic": 2}
SUBTRACT, ZERO, NONE = 0, 1, 2


def _leaky(call: Call, inputs: Sequence[str], given: Sequence[Shape]) -> Reading:
    m, shape = call.module, given[0]
    return _placed(call, inputs[0], shape, {"decay": _clamped(m.beta, "beta", shape)}, early_zero=True)


def _synaptic(call: Call, inputs: Sequence[str], given: Sequence[Shape]) -> Reading:
    m, shape = call.module, given[0]
    factors: dict[str, Any] = {
        "decay": _clamped(m.beta, "beta", shape),
        "current_decay": _clamped(m.alpha, "alpha", shape),
    }
    return _placed(call, inputs[0], shape, factors)


def _lapicque(call: Call, inputs: Sequence[str], given: Sequence[Shape]) -> Reading:
    m, shape = call.module, given[0]
    step, resistance, capacity = (_double(value) for value in (m.time_step, m.R, m.C))
    with np.errstate(divide="ignore", invalid="ignore"):
        share = step / (resistance * capacity)
    factors: dict[str, Any] = {"decay": _parameter(1 - share, shape), "gain": _parameter(share * resistance, shape)}
    return _placed(call, inputs[0], shape, factors)


def _alpha(call: Call, inputs: Sequence[str], given: Sequence[Shape]) -> Reading:
    """Two currents that decay, one against the other; the membrane potential is their sum times a factor."""
    import torch

    m, shape, name = call.module, given[0], call.name
    if _reset(m) != NONE:
        raise UnsupportedError(
            "is an Alpha that a spike resets with its currents: no neuron here does that; use Synaptic, or Alpha with "
            'reset_mechanism="none"'
        )
    alpha, beta = (torch.log(getattr(m, word).detach().clamp(0, 1)) for word in ("alpha", "beta"))
    gain = _parameter(_double(alpha / (beta - alpha) + 1), shape)
    currents = []
    for word, sign in (("alpha", 1), ("beta", -1)):
        decay = _clamped(getattr(m, word), word, shape)
        op = LeakyIntegrateAndFire(decay, gain=None if sign > 0 else parameter(sign))
        currents.append(Layer(f"{name}.{word}", op, (inputs[0],)))
    total = Layer(f"{name}.sum", Add(), tuple(layer.name for layer in currents))
    last = _placed(call, total.name, shape, {"decay": parameter(0), "gain": gain})
    return Reading((*currents, total, *last.layers), last.notes)


def _recurrent(call: Call, inputs: Sequence[str], given: Sequence[Shape]) -> Reading:
    """What fired in the step before comes back through weights, beside the input."""
    m, shape, name = call.module, given[0], call.name
    if call.kind == "RSynaptic" and not m.reset_delay:
        raise UnsupportedError("is an RSynaptic with reset_delay=False, which snnTorch 1.0 does not compute: leave it")
    if call.part:
        raise UnsupportedError("hands on a state, while its spikes come back to it: return its spikes too")
    before = Layer(f"{name}.recurrent.before", Delay(np.ones((), np.float32), shape), (name,))
    back = f"{name}.recurrent"
    if m.all_to_all:
        kind = kind_of(m.recurrent, ("torch.nn.Linear", "torch.nn.Conv2d"))
        weights = read_op(back, kind, m.recurrent, [shape], TORCH_READERS)
    elif kind_of(m.recurrent, (f"snntorch._neurons.{call.kind.lower()}.RecurrentOneToOne",)) == "RecurrentOneToOne":
        weights = Scale(_parameter(_double(m.recurrent.V), shape))
    else:
        raise UnsupportedError(f"has {type(m.recurrent).__name__} for its recurrent connections: make it anew")
    total = Layer(f"{name}.sum", Add(), (inputs[0], back))
    factors: dict[str, Any] = {"decay": _clamped(m.beta, "beta", shape)}
    if call.kind == "RSynaptic":
        factors["current_decay"] = _clamped(m.alpha, "alpha", shape)
    last = _placed(call, total.name, shape, factors)
    return Reading((before, Layer(back, weights, (before.name,)), total, *last.layers), last.notes)


def _state_leaky(call: Call, inputs: Sequence[str], given: Sequence[Shape]) -> Reading:
    """A leaky integrator as a sum over what came before, so without reset."""
    import torch

    m, name, source = call.module, call.name, inputs[0]
    if m.kernel_truncation_steps is not None:
        raise UnsupportedError("forgets what is older than kernel_truncation_steps: a neuron does not; leave it None")
    before: tuple[Layer, ...] = ()
    if call.kind == "LinearLeaky":
        linear = read_op(f"{name}.linear", "Linear", m.linear, given, TORCH_READERS)
        before = (Layer(f"{name}.linear", linear, tuple(inputs)),)
        source = before[0].name
    shape = before[0].op.output_shape(given) if before else given[0]
    decay = _parameter(_double(torch.exp(-1 / m.tau.detach())), shape)
    _check_known(m)
    if not m.output:
        return Reading((*before, Layer(name, LeakyIntegrateAndFire(decay), (source,))))
    if call.part:
        return Reading((*before, Layer(name, LeakyIntegrateAndFire(decay), (source,))))
    factor = _double(m.graded_spikes_factor) ** 2  # `fire` takes it once, `forward` again
    return Reading((*before, *_fires(call, source, shape, {"decay": decay, "reset": "none"}, factor)))


def _parallel(call: Call, inputs: Sequence[str], given: Sequence[Shape]) -> Reading:
    """torch's RNN with ReLU: a membrane potential that stays above zero and is not reset."""
    m, name = call.module, call.name
    rnn = m.rnn
    own, back = (_double(getattr(rnn, word)) for word in ("weight_ih_l0", "weight_hh_l0"))
    if rnn.nonlinearity != "relu" or rnn.num_layers != 1 or rnn.bidirectional or (back != np.diag(np.diag(back))).any():
        raise UnsupportedError(
            "has recurrent weights between its neurons (weight_hh_enable=True): use RLeaky, whose spikes come back"
        )
    _check_fires(m.spike_grad)
    bias = _double(rnn.bias_ih_l0) + _double(rnn.bias_hh_l0) if rnn.bias else None
    linear = Linear(own.astype(np.float32), None if bias is None else bias.astype(np.float32))
    before = Layer(f"{name}.linear", linear, tuple(inputs))
    shape = linear.output_shape(given)
    options = {"decay": _parameter(np.diag(back), shape), "reset": "none", "min_v": parameter(0)}
    return Reading((before, *_fires(call, before.name, shape, options, _double(m.graded_spikes_factor))))


def _placed(call: Call, source: str, shape: Shape, factors: dict[str, Any], early_zero: bool = False) -> Reading:
    """Neurons with their reset, and a factor on their spikes where they have one."""
    m = call.module
    _check_known(m)
    reset, delayed = _reset(m), bool(getattr(m, "reset_delay", True))
    if call.part:
        if reset != NONE or call.part != _MEMBRANE[call.kind]:
            raise UnsupportedError(
                "hands on a state and no spikes: return its spikes (the states are in the trace), or let it integrate "
                'alone, reset_mechanism="none", and hand on its membrane potential'
            )
        return Reading((Layer(call.name, LeakyIntegrateAndFire(**factors), (source,)),))
    options: dict[str, Any] = dict(factors)
    if reset == NONE:
        options["reset"] = "none"
    elif reset == ZERO:
        options |= {"reset": "value", "late_reset": delayed and not early_zero}
    else:
        options |= {"late_reset": delayed, "backlog": not delayed}
    factor = _double(m.graded_spikes_factor)
    if not delayed and not factor.all():
        raise UnsupportedError("has graded spikes of factor 0 with reset_delay=False, which divides by it")
    return Reading(_fires(call, source, shape, options, factor))


def _fires(call: Call, source: str, shape: Shape, options: dict[str, Any], factor: Any) -> tuple[Layer, ...]:
    threshold = _parameter(_double(call.module.threshold), shape)
    op = LeakyIntegrateAndFire(threshold=threshold, strict=True, **options)
    if (factor == 1).all():
        return (Layer(call.name, op, (source,)),)
    spikes = f"{call.name}.spikes"
    return (Layer(spikes, op, (source,)), Layer(call.name, Scale(_parameter(factor, shape)), (spikes,)))


def _check_known(module: Any) -> None:
    """Options without counterpart, and a spike function that is no step."""
    if module.inhibition:
        raise UnsupportedError("lets only its largest neuron fire (inhibition=True): no layer here does; leave it off")
    if module.state_quant:
        raise UnsupportedError(
            "rounds its states (state_quant): a chip rounds them in its own way; leave it off, and train through the "
            "chip's integers"
        )
    _check_fires(module.spike_grad)


def _check_fires(function: Any) -> None:
    """It gives 1 above zero, else 0, and the same each time."""
    import torch

    near = torch.tensor([1e-38, 1e-12, 1e-6, 1e-3, 0.1, 0.5, 1.0, 2.0, 10.0, 1e6])
    given = torch.cat([near, -near, torch.zeros(1)]).repeat(64)
    with torch.no_grad():
        found = function(given.clone())
    if not isinstance(found, torch.Tensor) or not torch.equal(found.to(given), (given > 0).to(given)):
        raise UnsupportedError(
            "fires by a spike_grad whose forward is no step at 0: use one of snntorch.surrogate whose forward is"
        )


def _reset(module: Any) -> int:
    """Which reset its state function does; it was chosen when the module was made."""
    function = module.state_function
    made = _RESETS.get(getattr(function, "__name__", ""), -1)
    said = int(module.reset_mechanism_val)
    if getattr(function, "__self__", None) is not module or made != said:
        raise UnsupportedError(
            f"was made with another reset than reset_mechanism={module.reset_mechanism!r} says, and still computes "
            "that one: make it anew with the right one"
        )
    return made


def _double(value: Any) -> Any:
    """A number or tensor as float64; what is no float is taken as torch computes with it."""
    import torch

    if isinstance(value, torch.Tensor):
        if value.is_meta:
            raise InputError("its parameters are on device 'meta': they have no values; load them first")
        return value.detach().cpu().double().numpy()
    return np.asarray(value, np.float64)


def _parameter(value: Any, shape: Shape) -> Array:
    """A parameter of the neurons, without an axis of the batch."""
    array = parameter(value)
    return array[0] if array.ndim == len(shape) + 1 and len(array) == 1 else array


def _clamped(value: Any, name: str, shape: Shape) -> Array:
    """snnTorch holds its decays between 0 and 1 in every forward."""
    found = _parameter(_double(value), shape)
    if not np.isfinite(found).all():
        raise InputError(f"{name} is not finite: was the training stable?")
    return np.asarray(np.clip(found, 0, 1), np.float32)


NEURONS = tuple(STATES)
#: Neurons that take a whole sequence.
SEQUENCES = ("LeakyParallel", "StateLeaky", "LinearLeaky")
READERS: Mapping[str, WideReader] = {
    "Leaky": _leaky,
    "Synaptic": _synaptic,
    "Lapicque": _lapicque,
    "Alpha": _alpha,
    "RLeaky": _recurrent,
    "RSynaptic": _recurrent,
    "StateLeaky": _state_leaky,
    "LinearLeaky": _state_leaky,
    "LeakyParallel": _parallel,
}
