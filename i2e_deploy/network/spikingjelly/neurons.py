"""SpikingJelly's neurons as layers: their steps `v + (x - (v - v_reset)) / tau` as the factors of a step.

Evidence: spikingjelly 2.0.0, `_ops/{if_,lif,plif,activation_aware_if}/reference.py`, `_ops/reset.py`,
`activation_based/functional/neuron.py`. All fire at the threshold, once a step at most, reset at once, and start from
the value that `reset_net` sets, which is `v_reset`. How the surrogate is shaped, `detach_reset` and `store_v_seq`
change nothing in a forward pass.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from i2e_deploy.errors import InputError, UnsupportedError
from i2e_deploy.network.graph import Layer
from i2e_deploy.network.modules.framework import Takes
from i2e_deploy.network.modules.graph import Call
from i2e_deploy.network.modules.known import kind_of
from i2e_deploy.network.modules.layers import Reading
from i2e_deploy.network.modules.values import array_of, number_of
from i2e_deploy.network.neurons import LeakyIntegrateAndFire, parameter
from i2e_deploy.network.op import Shape

_HOME = "spikingjelly.activation_based"
#: Surrogates whose forward is the step function, `spiking=True`.
SURROGATES = tuple(
    f"{_HOME}.surrogate.{name}"
    for name in (
        "ATan", "Erf", "FakeNumericalGradient", "LeakyKReLU", "LogTailedReLU", "NonzeroSignLogAbs", "PiecewiseExp",
        "PiecewiseLeakyReLU", "PiecewiseQuadratic", "QPseudoSpike", "Rect", "S2NN", "Sigmoid", "SoftSign",
        "SquarewaveFourierSeries", "SuperSpike",
    )
)  # fmt: skip
_ROUNDS = (
    "float32 rounds otherwise than in SpikingJelly, whose leak is (v - v_reset) / tau: a membrane potential within a "
    "millionth of its threshold may fire a step earlier or later"
)
_Factors = dict[str, Any]


def _if(module: Any, shape: Shape) -> _Factors:
    return {"decay": parameter(1.0)}


def _leak(module: Any, share: float) -> _Factors:
    """v + (x - (v - rest)) * share, or v - (v - rest) * share + x where the input does not decay."""
    rest = 0.0 if module.v_reset is None else number_of(module.v_reset, "v_reset")
    return {
        "decay": parameter(1 - share),
        "gain": parameter(share) if module.decay_input else None,
        "bias": parameter(rest * share) if rest else None,
    }


def _lif(module: Any, shape: Shape) -> _Factors:
    tau = number_of(module.tau, "time constant tau")
    if not tau >= 1:
        raise InputError(f"its time constant tau is {tau:g}: give one from 1 step")
    return _leak(module, 1 / tau)


def _parametric(module: Any, shape: Shape) -> _Factors:
    return _leak(module, 1 / (1 + math.exp(-number_of(module.w, "w"))))


def _klif(module: Any, shape: Shape) -> _Factors:
    """The membrane potential is cut off at 0 and scaled by k; with `scale_reset` it is scaled back."""
    k = number_of(module.k, "k")
    if not k > 0:
        raise UnsupportedError(f"scales its membrane potential by k = {k:g}: only above 0 is there a counterpart")
    if module.v_reset is not None and number_of(module.v_reset, "v_reset") < 0:
        raise UnsupportedError("resets to a value below 0, where a KLIFNode's potential is cut off: use v_reset=0.0")
    factors = _lif(module, shape) | {"min_v": parameter(0.0)}
    if module.scale_reset:
        return factors | {"threshold": parameter(number_of(module.v_threshold, "threshold") / k)}
    for name in ("decay", "gain", "bias"):
        value = parameter(1.0) if name == "gain" and factors[name] is None else factors[name]
        factors[name] = None if value is None else parameter(k * value.astype(np.float64))
    return factors


def _cuba(module: Any, shape: Shape) -> _Factors:
    return {
        "decay": parameter(number_of(module.v_decay, "v_decay")),
        "current_decay": parameter(number_of(module.c_decay, "c_decay")),
    }


def _aware(module: Any, shape: Shape) -> _Factors:
    """Fires where v + offset reaches the threshold, of which a spike takes all off."""
    axes = len(shape)
    place = module.channel_dim if module.channel_dim < 0 else module.channel_dim - 1 - axes  # the batch is in front
    if not -axes <= place < 0:
        raise UnsupportedError(f"has its parameters along channel_dim={module.channel_dim}: give an axis of its values")
    found = []
    for name in ("v_threshold", "v_offset"):
        value = array_of(module, name)
        assert value is not None
        found.append(value.reshape(-1, *[1] * (-place - 1)) if value.ndim else value)
    threshold, offset = found
    amount = parameter(threshold) if module.v_reset is None else None
    factors = {"decay": parameter(1.0), "threshold": parameter(threshold - offset)}
    return factors | ({} if amount is None else {"reset_value": amount})


_FACTORS: Mapping[str, Callable[[Any, Shape], _Factors]] = {
    "ActivationAwareIFNode": _aware,
    "CUBALIFNode": _cuba,
    "HalfThresholdIFNode": _if,
    "IFNode": _if,
    "KLIFNode": _klif,
    "LIFNode": _lif,
    "ParametricLIFNode": _parametric,
    "SimpleIFNode": _if,
    "SimpleLIFNode": _lif,
}
NEURONS = tuple(_FACTORS)
_EXACT = ("ActivationAwareIFNode", "CUBALIFNode", "HalfThresholdIFNode", "IFNode", "SimpleIFNode")
LEAVES = tuple(f"{_HOME}.neuron.{name}" for name in NEURONS)


def read_neurons(call: Call, inputs: Sequence[str], given: Sequence[Shape]) -> Reading:
    """A module whose class is one of `NEURONS`; see `modules.layers.WideReader`."""
    module, kind = call.module, call.kind
    if getattr(module, "_neuron_precision", None) is not None:
        raise UnsupportedError("computes in a precision of its own (set_neuron_precision): the network does in float32")
    factors: _Factors = {"threshold": None, "reset_value": None, **_FACTORS[kind](module, given[0])}
    if factors["threshold"] is None:
        factors["threshold"] = parameter(number_of(module.v_threshold, "threshold"))
    if module.v_reset is None:
        factors["reset"] = "subtract"
    else:
        value = number_of(module.v_reset, "v_reset")
        factors |= {"reset": "value", "reset_value": parameter(value) if value else None}
    start = number_of(module._memories_rv["v"], "start of v")  # what `reset_net` sets
    op = LeakyIntegrateAndFire(**factors, start=parameter(start) if start else None)
    notes = () if kind in _EXACT else (_ROUNDS,)
    return Reading((Layer(call.name, op, tuple(inputs)),), notes)


def check_fires(named: Sequence[tuple[str, Any]]) -> None:
    """Raise UnsupportedError for neurons that do not fire by the step function of their class.

    Args:
        named: all parts of a module, by name.
    """
    known = {name.rpartition(".")[2] for name in SURROGATES}
    for name, part in named:
        function = getattr(part, "surrogate_function", None)
        if function is None:
            continue
        kind = kind_of(function, SURROGATES)
        if kind not in known:
            raise UnsupportedError(
                f"layer {name or '0'!r} fires by {kind}: only SpikingJelly's own surrogates are known to be the step "
                "function in a forward pass; use one of them, e.g. surrogate.ATan()"
            )
        if function.spiking is not True:
            raise UnsupportedError(
                f"layer {name or '0'!r} gives its surrogate's value, no spike (spiking=False): call "
                "set_spiking_mode(True)"
            )


def takes(module: Any) -> Takes:
    """All steps [T, B, ...] in step mode "m", one [B, ...] in "s"."""
    return "TB" if module.step_mode == "m" else "step"
