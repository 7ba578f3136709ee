"""Leaky neurons as nodes of NIR: the inverse of `leaky` with Euler's method, which most programs read by default.

With a step dt, tau = dt / (1 - decay), r = gain * tau / dt, v_leak = bias * tau / dt; in float64, so that reading gives
the same float32 factors. What NIR has no field for goes into the metadata, which other programs ignore: the reset by
subtraction, several spikes a step, a lower bound, `>=`, where a neuron starts. What they would compute otherwise
without any sign is refused.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.errors import InputError, UnsupportedError
from i2e_deploy.network.graph import Layer
from i2e_deploy.network.neurons import LeakyIntegrateAndFire
from i2e_deploy.network.op import Array, Shape

Floats = NDArray[np.float64]


def leaky_node(layer: Layer, op: LeakyIntegrateAndFire, made: Shape, dt: float | None) -> dict[str, Any]:
    """Entries of the node.

    Args:
        layer: that it is, for errors.
        made: shape of the neurons.
        dt: length of a step in seconds.

    Raises:
        InputError: no dt.
        UnsupportedError: NIR has no counterpart.
    """
    if op.threshold is not None and not op.decay.any() and op.reset == "none" and op.max_spikes == 1 and op.strict:
        return _threshold(layer, op, made)
    _refuse(layer, op)
    step, said = step_of(layer, dt), _metadata(op)
    node: dict[str, Any] = {"metadata": {"method": "euler", "dt": step, **said}}
    if _is_integrator(op):
        gain = np.ones(()) if op.gain is None else op.gain.astype(np.float64)
        return {"type": "I", "r": np.broadcast_to(gain / step, made), **node}
    tau = _tau(layer, "decay", op.decay, step)
    cuba = op.current_decay is not None
    node["tau_mem" if cuba else "tau"] = np.broadcast_to(tau, made)
    node["r"] = np.broadcast_to((1.0 if op.gain is None else op.gain.astype(np.float64)) * tau / step, made)
    bias = np.zeros(()) if op.bias is None else op.bias.astype(np.float64)
    node["v_leak"] = np.broadcast_to(bias * tau / step, made)
    if op.current_decay is not None:
        slow = _tau(layer, "current_decay", op.current_decay, step)
        weight = 1.0 if op.current_gain is None else op.current_gain.astype(np.float64)
        node |= {"tau_syn": np.broadcast_to(slow, made), "w_in": np.broadcast_to(weight * slow / step, made)}
    if op.threshold is not None:
        node["v_threshold"] = np.broadcast_to(op.threshold, made)
        if op.reset_value is not None and op.reset_value.any():  # nir 1.0.4 has no such field: its reset is to 0
            node["v_reset"] = np.broadcast_to(op.reset_value, made)
    return {"type": ("Cuba" if cuba else "") + ("LI" if op.threshold is None else "LIF"), **node}


def _is_integrator(op: LeakyIntegrateAndFire) -> bool:
    """Whether it is a node I: a sum without leak, current and spikes."""
    plain = op.current_decay is None and op.threshold is None and op.bias is None
    return plain and bool((op.decay == 1).all())


def step_of(layer: Layer, dt: float | None) -> float:
    """dt, which must be there; InputError otherwise."""
    if dt is None or not 0 < dt < np.inf:
        raise InputError(
            f"layer {layer.name!r} ({layer.op.describe()}) is of continuous time in NIR: give the length of a step in "
            "seconds, write_nir(..., dt=1e-3)"
        )
    return float(dt)


def _threshold(layer: Layer, op: LeakyIntegrateAndFire, made: Shape) -> dict[str, Any]:
    gain = 1.0 if op.gain is None else op.gain
    others = (op.current_decay, op.bias, op.adaptation_decay)
    if any(each is not None for each in others) or np.any(np.asarray(gain) != 1):
        raise UnsupportedError(
            f"layer {layer.name!r} compares with a threshold: NIR has no gain, bias, current or adaptation there"
        )
    assert op.threshold is not None
    return {"type": "Threshold", "threshold": np.broadcast_to(op.threshold, made)}


def _refuse(layer: Layer, op: LeakyIntegrateAndFire) -> None:
    problems = [
        text
        for there, text in (
            (op.adaptation_decay is not None, "an adaptive threshold"),
            (op.late_reset, "a reset in the next step"),
            (op.backlog, "a backlog of spikes"),
            (op.old_current, "the current of the step before"),
            (op.current_start is not None and bool(op.current_start.any()), "a current to start from"),
            (op.threshold is not None and op.reset == "none", "spikes without a reset"),
            (op.threshold is None and op.min_v is not None, "a lower bound without spikes"),
            (_is_integrator(op) and op.start is not None and bool(op.start.any()), "an integrator's start"),
            (op.reset == "subtract" and op.reset_value is not None, "an amount to subtract of its own"),
        )
        if there
    ]
    if problems:
        raise UnsupportedError(
            f"layer {layer.name!r} ({layer.op.describe()}) has {' and '.join(problems)}: NIR has no field for it, and "
            "other programs would compute something else without a sign; write a network file instead"
        )


def _metadata(op: LeakyIntegrateAndFire) -> dict[str, Any]:
    start = {} if op.bias is None and op.start is None else {"start": np.zeros(()) if op.start is None else op.start}
    if op.threshold is None:
        return start
    said: dict[str, Any] = start | {"reset": "subtract" if op.reset == "subtract" else "zero", "strict": int(op.strict)}
    said |= {} if op.max_spikes is None else {"max_spikes": op.max_spikes}
    return said | ({} if op.min_v is None else {"min_v": op.min_v})


def _tau(layer: Layer, name: str, decay: Array, dt: float) -> Floats:
    """The time constant of a decay."""
    if (decay >= 1).any() or (decay < 0).any():
        raise UnsupportedError(
            f"layer {layer.name!r} has {name} {decay.min():g} to {decay.max():g}: a time constant of NIR stands for a "
            "decay of 0 or above and below 1"
        )
    return dt / (1 - decay.astype(np.float64))
