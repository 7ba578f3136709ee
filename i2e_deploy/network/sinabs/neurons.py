"""Sinabs' neurons as layers, by their attributes; a recurrent one as the loop that it is.

Evidence: sinabs 3.1.3, `layers/{lif,alif,exp_leak,iaf}.py`, `layers/functional/{lif,alif}.py`, `activation/`. IAF is
`IntegrateAndFire`, bit for bit, where that has all its options. The others are `LeakyIntegrateAndFire`: bit for bit
too, but where it takes the sum apart, `alpha * (i + x)`, or moves a constant, which float32 rounds otherwise: a note
says so.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from i2e_deploy.errors import InputError, UnsupportedError
from i2e_deploy.network.arguments import spreads
from i2e_deploy.network.graph import Layer
from i2e_deploy.network.modules.graph import Call
from i2e_deploy.network.modules.layers import Reading
from i2e_deploy.network.modules.values import array_of, number_of, whole
from i2e_deploy.network.neurons import IntegrateAndFire, LeakyIntegrateAndFire, LeakyReset, parameter
from i2e_deploy.network.op import Array, Op, Shape
from i2e_deploy.network.sinabs.loops import loop

_IAF, _LIF = ("IAF", "IAFSqueeze", "IAFRecurrent"), ("LIF", "LIFSqueeze", "LIFRecurrent")
_ALIF, _LEAK = ("ALIF", "ALIFSqueeze", "ALIFRecurrent"), ("ExpLeak", "ExpLeakSqueeze")
NEURONS = (*_IAF, *_LIF, *_ALIF, *_LEAK)
LEAVES = tuple(f"sinabs.layers.{'alif.' if name == 'ALIFSqueeze' else ''}{name}" for name in NEURONS)

#: What a note says where our float32 rounds otherwise than Sinabs'.
_ROUNDS = (
    "float32 rounds otherwise than in Sinabs ({}): a membrane potential within a millionth of its threshold may fire a "
    "step earlier or later"
)
_Given = dict[str, Any]


def read_neurons(call: Call, inputs: Sequence[str], given: Sequence[Shape]) -> Reading:
    """A module whose class is one of `NEURONS`; see `modules.layers.WideReader`."""
    name, module, kind = call.name, call.module, call.kind
    if len(given) != 1:
        raise InputError(f"it has {len(given)} inputs: join them with a Merge first")
    op = _iaf(module, given[0]) if kind in _IAF else _leaky(kind, module, given[0])
    found: Sequence[Layer] = (Layer(name, op, tuple(inputs)),)
    if kind.endswith("Recurrent"):
        found = loop(name, module.rec_connect, inputs[0], given[0], op)
    why = _rounding(module, found[-1].op)
    return Reading(tuple(found), (_ROUNDS.format(why),) if why else ())


def _rounding(module: Any, op: Op) -> str:
    """What float32 rounds otherwise here; "" = nothing: the same operations in the same order."""
    if not isinstance(op, LeakyIntegrateAndFire):
        return ""
    reasons = {
        "a synaptic current": op.current_decay is not None,
        "min_v_mem": op.min_v is not None,
        "a reset value": getattr(getattr(module, "reset_fn", None), "reset_value", 0) != 0,
        "an adaptation": op.adaptation_decay is not None,
        "a bias of the recurrent connection": op.start is not None and op.bias is None,
    }
    return ", ".join(reason for reason, holds in reasons.items() if holds)


def _iaf(module: Any, shape: Shape) -> Op:
    synapse = module.tau_syn is not None or getattr(module, "train_alphas", False)
    if getattr(module, "norm_input", False):
        raise UnsupportedError("scales its input (norm_input): IAF does not; leave it off")
    if module.spike_threshold is None:
        raise InputError("it has no spike_threshold: give a number")
    threshold = _values(module, "spike_threshold", "thresholds", shape)
    minimum = _values(module, "min_v_mem", "lower bounds", shape)
    plain = (threshold is None or not threshold.ndim) and (minimum is None or not minimum.ndim)
    reset = _plain_reset(module.reset_fn)
    if synapse or not plain or reset is None or (minimum is not None and minimum > 0):
        return _leaky("IAF", module, shape)
    return IntegrateAndFire(
        threshold=number_of(module.spike_threshold, "threshold"),
        min_v=None if minimum is None else number_of(module.min_v_mem, "lower bound"),
        max_spikes=_max_spikes(module.spike_fn),
        reset=reset,  # type: ignore[arg-type]
    )


def _plain_reset(function: Any) -> str | None:
    """The reset as `IntegrateAndFire` has it; None: it has an own value. UnsupportedError: it is none of Sinabs'."""
    own = type(function)
    if own is _activation("MembraneSubtract"):
        return "subtract" if function.subtract_value is None else None
    if own is _activation("MembraneReset"):
        return "zero" if function.reset_value == 0 else None
    raise UnsupportedError(
        f"resets by {function}: use MembraneSubtract() (takes the threshold off) or MembraneReset() of sinabs"
    )


def _leaky(kind: str, module: Any, shape: Shape) -> LeakyIntegrateAndFire:
    """Every neuron of Sinabs' as `v = decay * v + gain * current`, with its firing and its adaptation."""
    decay = _values(module, "alpha_mem_calculated", "decays", shape)
    assert decay is not None
    synapse = _values(module, "alpha_syn_calculated", "decays of the current", shape)
    norm = None if kind == "IAF" or not module.norm_input else np.asarray(np.float32(1) - decay)
    values: dict[str, Any] = {"decay": decay, "gain": norm}
    if synapse is not None:
        values |= {"current_decay": synapse, "current_gain": synapse}
        if norm is not None and kind in _ALIF:  # alif_forward_single keeps the current that it has scaled
            scaled = np.asarray(synapse * norm)
            values |= {"gain": None, "current_decay": scaled, "current_gain": scaled}
    if kind in _LEAK or module.spike_fn is None:
        if kind in _ALIF or kind == "IAF":
            raise UnsupportedError("spikes by NoneType: use MultiSpike, SingleSpike or MaxSpike of sinabs")
        if module.min_v_mem is not None:
            raise UnsupportedError(
                "has a lower bound, min_v_mem, that its output does not have: use min_v_mem=None, or neurons that fire"
            )
        return LeakyIntegrateAndFire(**values)
    most = _max_spikes(module.spike_fn)
    values |= _firing(kind, module, shape, most)
    values |= _adaptation(module, shape, most) if kind in _ALIF else {}
    return LeakyIntegrateAndFire(**values)


def _firing(kind: str, module: Any, shape: Shape, most: int | None) -> _Given:
    name = "b0" if kind in _ALIF else "spike_threshold"
    if getattr(module, name) is None:
        raise InputError("it has no spike_threshold: give a number")
    values: dict[str, Any] = {
        "threshold": _values(module, name, "thresholds", shape),
        "min_v": _values(module, "min_v_mem", "lower bounds", shape),
        "max_spikes": most,
    }
    reset: LeakyReset = "subtract"
    function = module.reset_fn
    plain = _plain_reset(function)
    if type(function) is _activation("MembraneSubtract"):
        values["reset_value"] = None if plain else parameter(number_of(function.subtract_value, "subtract_value"))
        return values | {"reset": reset}
    values["reset"] = "value"
    return values if plain else values | _reset_for_all(module, shape, values["min_v"])


def _reset_for_all(module: Any, shape: Shape, minimum: Array | None) -> _Given:
    """`MembraneReset(r)` adds r to every neuron in every step, whether it fired or not (activation/reset_mechanism.py).

    Our membrane potential counts from r: v = u + r, which decays to `decay * u + decay * r`.
    """
    value = parameter(number_of(module.reset_fn.reset_value, "reset_value"))
    decay = _values(module, "alpha_mem_calculated", "decays", shape)
    assert decay is not None
    bound = None if minimum is None else np.asarray(minimum - value, np.float32)
    return {"bias": np.asarray(decay * value, np.float32), "start": np.asarray(-value, np.float32), "min_v": bound}


def _adaptation(module: Any, shape: Shape, most: int | None) -> _Given:
    fades = _values(module, "alpha_adapt_calculated", "decays of the threshold", shape)
    scale = _values(module, "adapt_scale", "adaptations", shape)
    assert fades is not None
    if scale is None:
        raise InputError("it has no adapt_scale: give a number")
    if most != 1 and (scale < 0).any():
        raise UnsupportedError(
            f"lowers its threshold by {-float(scale.min()):g} a spike, to below 0, and fires several times a step: use "
            "SingleSpike, or an adapt_scale of 0 or above"
        )
    step = np.asarray(scale * (np.float32(1) - fades), np.float32)
    return {"adaptation_decay": fades, "adaptation_step": step}


def _values(module: Any, name: str, what: str, shape: Shape) -> Array | None:
    """A parameter of neurons as float32: `()` where all are equal, else as it spreads over the neurons.

    Raises:
        UnsupportedError: it does not spread over the neurons.
    """
    import torch

    value = getattr(module, name)
    if value is None:
        return None
    if not isinstance(value, torch.Tensor) or not value.is_floating_point():
        return parameter(number_of(value, what.removesuffix("s")))
    array = array_of(module, name)
    assert array is not None
    if not array.size:
        raise InputError(f"the {what.removesuffix('s')} is empty: give a number")
    one = array[0] if array.ndim == len(shape) + 1 and len(array) == 1 else array  # the batch's axis
    if not spreads(one.shape, shape):
        raise UnsupportedError(
            f"has {array.size} {what} of shape {array.shape} for neurons of shape {shape}: "
            "give one, one a channel (C, 1, 1), or one a neuron"
        )
    return parameter(one.flat[0]) if (one == one.flat[0]).all() else parameter(one)


def _activation(name: str) -> Any:
    """A class of Sinabs', without importing it; where nobody has, no module holds one."""
    return getattr(sys.modules.get("sinabs.activation"), name, object)


def _max_spikes(function: Any) -> int | None:
    if function is _activation("MultiSpike"):
        return None
    if function is _activation("SingleSpike"):
        return 1
    if type(function) is _activation("MaxSpike") and "apply" not in vars(function):
        most = function.max_num_spikes_per_bin
        return None if most is None else whole(most, "largest number of spikes")
    kind = getattr(function, "__qualname__", type(function).__qualname__)
    home = getattr(function, "__module__", type(function).__module__)
    raise UnsupportedError(f"spikes by {kind} of {home}: use MultiSpike, SingleSpike or MaxSpike of sinabs")
