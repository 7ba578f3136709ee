"""Norse's neurons as layers: the Euler steps of its time constants become the factors of a step.

Evidence: norse 1.1.0, `norse/torch/functional/{lif,lif_box,leaky_integrator,leaky_integrator_box,iaf,lsnn}.py`. All
fire strictly above the threshold (`heaviside`), once a step at most, and start from `v_leak` (IAF: from `v_reset`).
Norse decays a current after the membrane took it, we before: our `current` is Norse's `i` before that decay.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.errors import InputError, UnsupportedError
from i2e_deploy.network.modules.values import array_of, doubles_of, number_of
from i2e_deploy.network.neurons import LeakyIntegrateAndFire, LeakyReset, parameter
from i2e_deploy.network.op import Array

Doubles = NDArray[np.float64]

#: Surrogates of `norse/torch/functional/threshold.py`; in a forward pass all are the same step function.
_METHODS = ("heaviside", "super", "triangle", "tanh", "circ", "heavi_erfc")
_LIF = "lif.lif_feed_forward_step"
_LIF_RECURRENT = "lif.lif_step"
_LSNN = ("lsnn.lsnn_feed_forward_step", "adjoint.lsnn_adjoint.lsnn_feed_forward_adjoint_step")
_LSNN_RECURRENT = ("lsnn.lsnn_step", "adjoint.lsnn_adjoint.lsnn_adjoint_step")


@dataclass(frozen=True)
class Kind:
    """One class of Norse's.

    Args:
        home: module of `norse.torch.module` that has it.
        over_time: it takes all steps at once, [T, B, ...]; else one, [B, ...].
        activations: functions of `norse.torch.functional`, one of which it must run.
        model: name of the equations.
        weights: names of weights of its own: of the input, and of its spikes of the step before.
    """

    home: str
    over_time: bool
    activations: tuple[str, ...]
    model: str
    weights: tuple[str, ...] = ()


_OWN = ("input_weights", "recurrent_weights")
KINDS: Mapping[str, Kind] = {
    "LIFCell": Kind("lif", False, (_LIF,), "lif"),
    "LIF": Kind("lif", True, (_LIF,), "lif"),
    "LIFRecurrentCell": Kind("lif", False, (_LIF_RECURRENT,), "lif", _OWN),
    "LIFRecurrent": Kind("lif", True, (_LIF_RECURRENT,), "lif", _OWN),
    "LIFBoxCell": Kind("lif_box", False, ("lif_box.lif_box_feed_forward_step",), "box"),
    "LICell": Kind("leaky_integrator", False, ("leaky_integrator.li_feed_forward_step",), "li"),
    "LI": Kind("leaky_integrator", True, ("leaky_integrator.li_feed_forward_step",), "li"),
    "LILinearCell": Kind("leaky_integrator", False, (), "li", ("input_weights",)),
    "LIBoxCell": Kind("leaky_integrator_box", False, ("leaky_integrator_box.li_box_feed_forward_step",), "li box"),
    "IAFCell": Kind("iaf", False, ("iaf.iaf_feed_forward_step",), "iaf"),
    "IAF": Kind("iaf", True, ("iaf.iaf_feed_forward_step",), "iaf"),
    "LSNNCell": Kind("lsnn", False, _LSNN, "lsnn"),
    "LSNN": Kind("lsnn", True, _LSNN, "lsnn"),
    "LSNNRecurrentCell": Kind("lsnn", False, _LSNN_RECURRENT, "lsnn", _OWN),
    "LSNNRecurrent": Kind("lsnn", True, _LSNN_RECURRENT, "lsnn", _OWN),
}
LEAVES = tuple(f"norse.torch.module.{kind.home}.{name}" for name, kind in KINDS.items())

#: Parts of names of classes that have no counterpart, the longest that fits: what they do, and the way out.
_REFUSED: Mapping[str, str] = {
    "LIFRefrac": "holds its membrane potential for some steps after a spike; train with LIFCell",
    "LIFAdExRefrac": "holds its membrane potential for some steps after a spike, and grows exponentially near the "
    "threshold; train with LIFCell, or with LSNNCell to adapt",
    "LIFAdEx": "has a membrane potential that grows exponentially near the threshold; to adapt, train with LSNNCell",
    "LIFEx": "has a membrane potential that grows exponentially near the threshold; train with LIFCell",
    "LIFMC": "has compartments that exchange currents; train with LIFRecurrentCell",
    "LIFCorrelation": "learns while it runs; take its weights after learning into a Linear and a LIFCell",
    "CobaLIF": "has conductances, which multiply the membrane potential; train with LIFCell",
    "Izhikevich": "has a quadratic membrane equation of two variables; train with LIFCell, or with LSNNCell to adapt",
    "ConstantCurrentLIFEncoder": "makes spikes of values for some steps; run it yourself and give its spikes as frames",
    "PoissonEncoder": "draws spikes at random; run it yourself and give its spikes as frames",
    "SignedPoissonEncoder": "draws spikes at random; run it yourself and give its spikes as frames",
    "PopulationEncoder": "makes spikes of values; run it yourself and give its spikes as frames",
    "SpikeLatency": "makes spikes of values for some steps; run it yourself and give its spikes as frames",
    "SpikesToTimesDecoder": "gives times of spikes, which no step knows; read what feeds it",
    "ExpFilter": "filters over all steps with weights of its own; use LI",
    "ReceptiveField": "makes its kernels of parameters in every pass; use torch.nn.Conv2d with these kernels",
    "LConv2d": "convolves over time and batch in another layout; use Lift(torch.nn.Conv2d(...))",
    "RecurrentSequential": "feeds its output back into its input; use LIFRecurrent or LSNNRecurrent for the loop",
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Neuron:
    """What a module of Norse is made of.

    Args:
        op: the neurons.
        weight: of its input, [neurons, inputs]; None = it has none.
        recurrent: of its spikes of the step before, [neurons, neurons]; None = no loop.
        dt: seconds of a step.
    """

    op: LeakyIntegrateAndFire
    weight: Array | None
    recurrent: Array | None
    dt: float


def refusal(kind: str) -> str | None:
    """Why a class of Norse's has no counterpart, and the way out; None: nothing is known of it.

    Args:
        kind: its name, or what `modules.known.kind_of` says of it.
    """
    if " of norse." not in kind:
        return None
    fits = [name for name in _REFUSED if name in kind.partition(" ")[0]]
    return _REFUSED[max(fits, key=len)] if fits else None


def read_neuron(kind: str, module: Any) -> Neuron:
    """A module whose class is `KINDS[kind]`.

    Raises:
        UnsupportedError: an option without counterpart; the message begins with a verb.
        InputError: values that mean nothing.
    """
    made = KINDS[kind]
    dt = number_of(module.dt, "step dt")
    if not dt > 0:
        raise InputError(f"the step dt is {dt:g}: give seconds above 0")
    weights = [array_of(module, name) for name in made.weights]
    if any(weight is None or weight.ndim != 2 for weight in weights):
        raise InputError("it has no weights [neurons, inputs]: give the trained module")
    op = _MODELS[made.model](module.p, dt)
    return Neuron(op, weights[0] if weights else None, weights[1] if len(weights) > 1 else None, dt)


def starts_from_zeros(module: Any) -> bool:
    """Whether the states of a module that is given none are zeros."""
    start = "v_reset" if type(module).__name__.startswith("IAF") else "v_leak"
    return not hasattr(module.p, "beta") and not doubles_of(module.p, start).any()


def check_step(kind: str, module: Any) -> None:
    """The functions that it holds are those of its class: a module keeps them as attributes, which anyone may set.

    Raises:
        UnsupportedError: another one; the message begins with a verb.
    """
    method = getattr(module.p, "method", _METHODS[0])
    if method not in _METHODS:
        raise UnsupportedError(f"fires by method {method!r}: Norse runs {', '.join(_METHODS)}")
    activations = KINDS[kind].activations
    if not activations:
        return
    library = "norse.torch.functional"
    paths = [f"{library}.{path}".rpartition(".") for path in activations]
    if not any(module.activation is getattr(sys.modules.get(home), name, None) for home, _, name in paths):
        title = getattr(module.activation, "__qualname__", type(module.activation).__qualname__)
        raise UnsupportedError(f"steps by {title} of its own: put what it computes into layers of Norse's")
    fallback = module.state_fallback
    if getattr(fallback, "__func__", None) is not type(module).initial_state or fallback.__self__ is not module:
        raise UnsupportedError("starts from a state of its own (state_fallback): there is only that of its class")


def _bias(values: Doubles) -> Array | None:
    return parameter(values) if values.any() else None


def _membrane(parameters: Any, dt: float, rest: Doubles) -> dict[str, Any]:
    """dv = dt * tau_mem_inv * (rest - v + input)."""
    share = dt * doubles_of(parameters, "tau_mem_inv")
    return {"decay": parameter(1 - share), "gain": parameter(share), "bias": _bias(share * rest), "start": _bias(rest)}


def _current(parameters: Any, dt: float) -> dict[str, Any]:
    """di = -dt * tau_syn_inv * i."""
    return {"current_decay": parameter(1 - dt * doubles_of(parameters, "tau_syn_inv"))}


def _firing(parameters: Any, reset: LeakyReset = "value") -> tuple[dict[str, Any], Doubles]:
    """Threshold and reset, and the rest of the membrane.

    Where a threshold is not above 0 (Norse's `default_bio_parameters`), membrane potentials count from `v_leak`, which
    changes no spike.
    """
    threshold, value, rest = (doubles_of(parameters, name) for name in ("v_th", "v_reset", "v_leak"))
    amount = threshold
    if (threshold <= 0).any():
        if (threshold <= rest).any():
            raise UnsupportedError(
                f"has a threshold of {threshold.min():g}, not above its rest v_leak of {rest.max():g}: it fires on its "
                "own; raise v_th"
            )
        threshold, value, rest = threshold - rest, value - rest, np.zeros_like(rest)
    reset_value = _bias(value) if reset == "value" else parameter(amount)
    fires = {"threshold": parameter(threshold), "strict": True, "reset": reset, "reset_value": reset_value}
    return fires, rest


def _lif(parameters: Any, dt: float) -> LeakyIntegrateAndFire:
    fires, rest = _firing(parameters)
    return LeakyIntegrateAndFire(**_membrane(parameters, dt, rest), **_current(parameters, dt), **fires)


def _box(parameters: Any, dt: float) -> LeakyIntegrateAndFire:
    resets: Mapping[str, LeakyReset] = {"reset_value": "value", "reset_subtract": "subtract"}
    home = sys.modules.get("norse.torch.functional.reset")
    names = [name for name in resets if parameters.reset_method is getattr(home, name, None)]
    if not names:
        title = getattr(parameters.reset_method, "__qualname__", type(parameters.reset_method).__qualname__)
        raise UnsupportedError(f"resets by {title} of its own: use reset_value or reset_subtract of Norse")
    fires, rest = _firing(parameters, resets[names[0]])
    return LeakyIntegrateAndFire(**_membrane(parameters, dt, rest), **fires)


def _li(parameters: Any, dt: float) -> LeakyIntegrateAndFire:
    rest = doubles_of(parameters, "v_leak")
    return LeakyIntegrateAndFire(**_membrane(parameters, dt, rest), **_current(parameters, dt))


def _li_box(parameters: Any, dt: float) -> LeakyIntegrateAndFire:
    return LeakyIntegrateAndFire(**_membrane(parameters, dt, doubles_of(parameters, "v_leak")))


def _iaf(parameters: Any, dt: float) -> LeakyIntegrateAndFire:
    value = _bias(doubles_of(parameters, "v_reset"))
    return LeakyIntegrateAndFire(
        parameter(1.0), parameter(doubles_of(parameters, "v_th")),
        strict=True, reset="value", reset_value=value, start=value,
    )  # fmt: skip


def _lsnn(parameters: Any, dt: float) -> LeakyIntegrateAndFire:
    """Norse's `b` goes to v_th and decays before it is the bound: what a spike adds has decayed once when it counts."""
    fires, rest = _firing(parameters)
    fades = 1 - dt * doubles_of(parameters, "tau_adapt_inv")
    return LeakyIntegrateAndFire(
        **_membrane(parameters, dt, rest), **_current(parameters, dt), **fires, old_current=True,
        adaptation_decay=parameter(fades), adaptation_step=parameter(fades * doubles_of(parameters, "beta")),
    )  # fmt: skip


_MODELS: Mapping[str, Callable[[Any, float], LeakyIntegrateAndFire]] = {
    "lif": _lif, "box": _box, "li": _li, "li box": _li_box, "iaf": _iaf, "lsnn": _lsnn,
}  # fmt: skip
