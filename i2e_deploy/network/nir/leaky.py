"""Leaky nodes of NIR in steps: LIF, CubaLIF, LI, CubaLI and I, whose equations are of continuous time.

    tau dv/dt = v_leak - v + r * x          tau_syn di/dt = -i + w_in * x        fires at v > v_threshold

A file says neither how long a step is nor how the equations become steps, and programs differ:

| method | decay | what arrives | who |
|---|---|---|---|
| euler | 1 - dt / tau | r * dt / tau | Norse, snnTorch, Spyx, Lava, SpikingJelly |
| exponential | exp(-dt / tau) | r * (1 - decay) | the exact solution for an input that is constant in a step |
| rockpool | exp(-dt / tau) | r * dt / tau | Rockpool, which writes r = tau / dt * exp(-dt / tau) |
| sinabs | exp(-1 / tau) | r | Sinabs, whose tau is in steps |

The current has the same forms with `w_in` in place of r; the membrane integrates the new current. A neuron starts at
rest, at v_leak, as Norse's does. After a spike NIR sets v to `v_reset` (0 where an old file has none). What
`write_nir` kept in the metadata comes first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.errors import InputError, UnsupportedError
from i2e_deploy.hdf5_guard import Guarded
from i2e_deploy.network.graph import Note
from i2e_deploy.network.neurons import MAX_SPIKES, LeakyIntegrateAndFire, parameter
from i2e_deploy.network.nir.neurons import METHODS, NeuronChoices
from i2e_deploy.network.nir.values import one_whole
from i2e_deploy.text import counted, listed

Floats = NDArray[np.float64]
#: Kinds of nodes, and the variable that holds the membrane's time constant; "" = it does not leak.
LEAKY: Mapping[str, str] = {"LIF": "tau", "CubaLIF": "tau_mem", "LI": "tau", "CubaLI": "tau_mem", "I": ""}
#: What is assumed of LIF nodes where nothing is said: as NIR defines them.
_AS_NIR = {"reset": "zero", "max_spikes": 1, "min_v": "none"}


@dataclass(frozen=True)
class ReadLeaky:
    """A leaky node: the layer, and which questions were answered by assumption."""

    op: LeakyIntegrateAndFire
    unsaid: tuple[str, ...]


def read_leaky(node: Guarded, kind: str, chosen: NeuronChoices) -> ReadLeaky:
    """A node of one of `LEAKY`.

    Raises:
        FileFormatError: damaged, or a time constant that is not above 0.
        UnsupportedError: no dt, or a step longer than a time constant with Euler's method.
    """
    said = _said(node)
    dt = chosen.dt if chosen.dt is not None else said.get("dt")
    method = chosen.method or said.get("method")
    if dt is None and method != "sinabs":
        raise UnsupportedError(
            f"{node.error(f'is a {kind}, which is of continuous time')}: give the length of a step in seconds, dt=1e-4 "
            "(--read dt=1e-4), or method='sinabs' where its time constants are in steps"
        )
    unsaid = () if method else ("method",)
    step = _Step(method or "euler", dt or 1.0)
    decay, gain = step.factors(node, LEAKY[kind], node.numbers("r"))
    values: dict[str, Any] = {"decay": decay, "gain": gain}
    if "v_leak" in node and LEAKY[kind]:
        rest = node.numbers("v_leak")
        values |= {"bias": (1 - decay) * rest, "start": said.get("start", rest)}
    if kind.startswith("Cuba"):
        weight = node.numbers("w_in") if "w_in" in node else np.ones(1)
        values["current_decay"], values["current_gain"] = step.factors(node, "tau_syn", weight)
    if not kind.endswith("LIF"):
        return ReadLeaky(_op(node, values, {}), unsaid)
    values["threshold"] = node.numbers("v_threshold")
    words, open_ones = _spiking(node, chosen, said, values)
    return ReadLeaky(_op(node, values, words), (*unsaid, *open_ones))


def read_threshold(node: Guarded) -> LeakyIntegrateAndFire:
    """A Threshold node: 1 where the input of this step is above it."""
    nothing = parameter(0)
    threshold = parameter(node.numbers("threshold"))
    if (threshold <= 0).any():
        raise UnsupportedError(
            f"{node.error(f'is {threshold.min():g}', 'threshold')}: thresholds are above 0; add a bias before it"
        )
    return LeakyIntegrateAndFire(nothing, threshold, strict=True, reset="none")


def leaky_notes(nodes: Mapping[str, ReadLeaky]) -> tuple[Note, ...]:
    """What was assumed, once for all nodes alike; by name of the layer."""
    notes = []
    for unsaid in sorted({read.unsaid for read in nodes.values() if read.unsaid}):
        names = [name for name, read in nodes.items() if read.unsaid == unsaid]
        answers = {"method": "euler", **_AS_NIR}
        text = ", ".join(f"{name}={answers[name]}" for name in unsaid)
        options = " --read ".join(f"{name}={answers[name]}" for name in unsaid)
        notes.append(
            Note(
                "",
                f"the file does not say how {counted(len(names), 'layer')} of leaky neurons ({listed(names)}) become "
                f"steps or reset: read as {text}; other programs do otherwise ({', '.join(METHODS)}; reset=subtract): "
                f"choose with read_nir(..., method=, reset=, max_spikes=, min_v=) or --read {options}",
                doubtful=True,
            )
        )
    return tuple(notes)


@dataclass(frozen=True)
class _Step:
    """How a time constant becomes the factors of a step."""

    method: str
    dt: float

    def factors(self, node: Guarded, name: str, weight: Floats) -> tuple[Floats, Floats]:
        """(decay, gain of what arrives) for the time constant `name`; "" = none, an integrator."""
        if not name:
            return np.ones(1), weight * (1.0 if self.method == "sinabs" else self.dt)
        tau = node.numbers(name)
        if (tau <= 0).any():
            raise node.error(f"holds {tau.min():g}: a time constant is above 0", name)
        ratio = (1.0 if self.method == "sinabs" else self.dt) / tau
        if self.method == "euler":
            if (ratio > 1).any():
                raise UnsupportedError(
                    f"{node.error(f'holds {tau.min():g}, shorter than a step of {self.dt:g}', name)}: Euler's steps "
                    "overshoot; give a smaller dt, or method='exponential'"
                )
            return 1 - ratio, weight * ratio
        decay = np.exp(-ratio)
        gain = {"exponential": weight * (1 - decay), "rockpool": weight * ratio, "sinabs": weight * np.ones_like(ratio)}
        return decay, gain[self.method]


def _spiking(
    node: Guarded, chosen: NeuronChoices, said: Mapping[str, Any], values: dict[str, Any]
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Words of a neuron that fires, what is left open; `min_v` and `reset_value` go into `values`."""
    picked = {name: getattr(chosen, name) for name in _AS_NIR if getattr(chosen, name) is not None}
    answers = {**_AS_NIR, **{name: said[name] for name in _AS_NIR if name in said}, **picked}
    back = node.numbers("v_reset") if "v_reset" in node else np.zeros(1)
    subtract = answers["reset"] == "subtract"
    if back.any():
        if subtract:
            raise UnsupportedError(f"{node.error('is not 0', 'v_reset')}: subtraction sets v to no value; reset=zero")
        values["reset_value"] = back
    low = answers["min_v"]
    if low == "-threshold":
        values["min_v"] = -values["threshold"]
    elif low != "none":
        values["min_v"] = np.asarray(low, np.float64)
    most = answers["max_spikes"]
    words = {
        "reset": "subtract" if subtract else "value",
        "max_spikes": None if most == "any" else most,
        "strict": bool(said.get("strict", True)),
    }
    return words, tuple(name for name in _AS_NIR if name not in said and name not in picked)


def _op(node: Guarded, values: Mapping[str, Any], words: Mapping[str, Any]) -> LeakyIntegrateAndFire:
    """One value for all neurons where they are equal: as neurons of a layer have in most files."""
    held: dict[str, Any] = {name: parameter(_one(np.asarray(value))) for name, value in values.items()}
    held = {name: array for name, array in held.items() if name not in ("bias", "start") or array.any()}
    if (held["gain"] == 1).all():
        del held["gain"]
    try:
        return LeakyIntegrateAndFire(**held, **words)
    except InputError as error:
        raise node.error(str(error)) from error


def _one(values: Floats) -> Floats:
    first = values.reshape(-1)[0]
    return np.asarray(first) if (values == first).all() else values


def _said(node: Guarded) -> dict[str, Any]:
    """What `write_nir` kept of the node."""
    metadata = node.group("metadata") if "metadata" in node else None
    if metadata is None or "method" not in metadata:
        return {}
    method = metadata.text("method")
    if method not in METHODS:
        raise metadata.error(f"is {method!r}, expected one of {', '.join(METHODS)}", "method")
    said: dict[str, Any] = {"method": method, "dt": _one_number(metadata, "dt")}
    if "start" in metadata:
        said["start"] = metadata.numbers("start")
    if "reset" not in metadata:
        return said
    said["reset"] = metadata.text("reset")
    if said["reset"] not in ("subtract", "zero"):
        raise metadata.error(f"is {said['reset']!r}, expected 'subtract' or 'zero'", "reset")
    said["max_spikes"] = one_whole(metadata, "max_spikes", 1, MAX_SPIKES) if "max_spikes" in metadata else "any"
    said["min_v"] = metadata.numbers("min_v") if "min_v" in metadata else "none"
    said["strict"] = bool(one_whole(metadata, "strict", 0, 1)) if "strict" in metadata else True
    return said


def _one_number(node: Guarded, name: str) -> float:
    values = node.numbers(name).reshape(-1)
    if len(values) != 1 or values[0] <= 0:
        raise node.error(f"holds {len(values)} numbers from {values.min():g}, expected one above 0", name)
    return float(values[0])
