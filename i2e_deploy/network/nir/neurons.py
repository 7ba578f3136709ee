"""Integrate-and-fire nodes of NIR: what the file says of a neuron, and what must be chosen because it does not.

NIR's definition of an IF sets the membrane potential to `v_reset` after a spike. Its exporters mean other things by
the same fields, and none says which in the file:

| | reset | spikes a step | lower bound | r |
|---|---|---|---|---|
| NIR's definition | to zero | one | none | times the step |
| Sinabs 3.1 (`to_nir`, `from_nir`) | threshold subtracted | any | minus the threshold | 1 |
| SpikingJelly 2.0 (`nir_exchange`) | to zero, or subtracted | one | none | 1 / dt |

`write_nir` keeps them in the metadata of a node. Fires at `v >= v_threshold`, as both do; NIR writes `>`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from i2e_deploy.errors import InputError, UnsupportedError
from i2e_deploy.hdf5_guard import Guarded
from i2e_deploy.network.graph import Note
from i2e_deploy.network.neurons import LARGEST, MAX_SPIKES, IntegrateAndFire, ResetMode
from i2e_deploy.network.nir.nodes import one_whole
from i2e_deploy.text import counted, listed

#: How far r * dt may be from 1: both are often float32.
RATE_TOLERANCE = 1e-5
_QUESTIONS = ("reset", "max_spikes", "min_v")


@dataclass(frozen=True)
class NeuronChoices:
    """What IF neurons do where the file does not say it; None = assume, and note it as doubtful.

    Args:
        reset: `"subtract"` or `"zero"`.
        max_spikes: most spikes of a neuron in a step; `"any"` = no limit.
        min_v: lower bound of the membrane potential, 0 or below; `"none"` = no bound, `"-threshold"` = minus the
            threshold of each node.
        dt: length of a step in seconds, where r = 1 / dt stands for 1.

    Raises:
        InputError: another value.
    """

    reset: ResetMode | None = None
    max_spikes: int | Literal["any"] | None = None
    min_v: float | Literal["none", "-threshold"] | None = None
    dt: float | None = None

    def __post_init__(self) -> None:
        if self.reset not in (None, "subtract", "zero"):
            raise InputError(f"reset is {self.reset!r}: choose 'subtract' or 'zero'")
        spikes = self.max_spikes
        if spikes not in (None, "any") and (type(spikes) is not int or not 1 <= spikes <= MAX_SPIKES):
            raise InputError(f"max_spikes is {spikes!r}: give a whole number from 1 to {MAX_SPIKES}, or 'any'")
        low = self.min_v
        if low not in (None, "none", "-threshold") and (not _is_number(low) or not -LARGEST <= float(low) <= 0):
            raise InputError(f"min_v is {low!r}: give a number of 0 or below, 'none' or '-threshold'")
        if self.dt is not None and (not _is_number(self.dt) or not 0 < self.dt <= LARGEST):
            raise InputError(f"dt is {self.dt!r}: give the length of a step in seconds, above 0")


#: What is assumed where nothing is said: as Sinabs reads NIR; where r is a rate, NIR's own definition.
AS_SINABS = NeuronChoices("subtract", "any", "-threshold")
AS_NIR = NeuronChoices("zero", 1, "none")


@dataclass(frozen=True)
class ReadNeurons:
    """An IF node: the layer, which questions the file leaves open, and what the user chose against the file."""

    op: IntegrateAndFire
    unsaid: tuple[str, ...] = ()
    overruled: tuple[str, ...] = ()


def read_neurons(node: Guarded, chosen: NeuronChoices) -> ReadNeurons:
    """An IF node.

    Raises:
        FileFormatError: damaged.
        UnsupportedError: parameters without an exact counterpart.
    """
    _check_rate(node, chosen.dt)
    if "v_reset" in node and node.numbers("v_reset").any():
        raise UnsupportedError(f"{node.error('is not 0', 'v_reset')}: neurons reset by subtraction or to zero")
    thresholds = np.unique(node.numbers("v_threshold"))
    if len(thresholds) != 1:
        raise UnsupportedError(
            f"{node.error(f'holds {len(thresholds)} different values', 'v_threshold')}: a core has one; make them equal"
        )
    threshold = float(np.float32(thresholds[0]))
    assumed, said = AS_SINABS if chosen.dt is None else AS_NIR, _said(node)
    answers = {name: getattr(assumed, name) for name in _QUESTIONS} | said
    picked = {name: getattr(chosen, name) for name in _QUESTIONS if getattr(chosen, name) is not None}
    unsaid = tuple(name for name in _QUESTIONS if name not in said and name not in picked)
    overruled = tuple(f"{n}={said[n]} by {n}={v}" for n, v in picked.items() if n in said and said[n] != v)
    return ReadNeurons(with_answers(IntegrateAndFire(threshold), answers | picked), unsaid, overruled)


def with_answers(op: IntegrateAndFire, answers: Mapping[str, Any]) -> IntegrateAndFire:
    """The neurons with other values of fields of `NeuronChoices`, in its words."""
    values: dict[str, Any] = dict(answers)
    if "max_spikes" in values:
        values["max_spikes"] = None if values["max_spikes"] == "any" else values["max_spikes"]
    if "min_v" in values:
        low = values["min_v"]
        values["min_v"] = None if low == "none" else -op.threshold if low == "-threshold" else float(np.float32(low))
    return replace(op, **values)


def notes_of(neurons: Mapping[str, ReadNeurons], dt: float | None) -> tuple[Note, ...]:
    """What was assumed and overruled, once for all nodes alike; by name of the layer."""
    notes = []
    for unsaid in sorted({read.unsaid for read in neurons.values() if read.unsaid}):
        names = [name for name, read in neurons.items() if read.unsaid == unsaid]
        assumed, source = (AS_SINABS, "Sinabs reads NIR") if dt is None else (AS_NIR, "NIR defines it")
        values = [f"{name}={getattr(assumed, name)}" for name in unsaid]
        other = AS_NIR if dt is None else AS_SINABS
        others = [f"{name}={getattr(other, name)}" for name in unsaid]
        note = (
            f"the file does not say how {counted(len(names), 'layer')} of neurons ({listed(names)}) reset: read as "
            f"{', '.join(values)}, as {source}; other programs mean {', '.join(others)} by the same fields: choose "
            f"with read_nir(..., reset=, max_spikes=, min_v=) or --read {' --read '.join(values)}"
        )
        notes.append(Note("", note, doubtful=True))
    for name, read in neurons.items():
        notes += [Note(name, f"the file's {text}, as asked") for text in read.overruled]
    return tuple(notes)


def _said(node: Guarded) -> dict[str, Any]:
    """What `write_nir` kept of the neurons; a value of None is not written."""
    metadata = node.group("metadata") if "metadata" in node else None
    if metadata is None or "reset" not in metadata:
        return {}
    reset = metadata.text("reset")
    if reset not in ("subtract", "zero"):
        raise metadata.error(f"is {reset!r}, expected 'subtract' or 'zero'", "reset")
    most: int | str = one_whole(metadata, "max_spikes", 1, MAX_SPIKES) if "max_spikes" in metadata else "any"
    if "min_v" not in metadata:
        return {"reset": reset, "max_spikes": most, "min_v": "none"}
    low = metadata.numbers("min_v").reshape(-1)
    if len(low) != 1:
        raise metadata.error(f"holds {len(low)} numbers, expected one", "min_v")
    return {"reset": reset, "max_spikes": most, "min_v": float(low[0])}


def _check_rate(node: Guarded, dt: float | None) -> None:
    """A step adds r * dt times the input; that must be the input itself."""
    rates = np.unique(node.numbers("r"))
    gains = rates * (1.0 if dt is None else dt)
    if np.abs(gains - 1).max() <= (0 if dt is None else RATE_TOLERANCE):
        return
    if dt is not None:
        raise UnsupportedError(
            f"{node.error(f'times dt={dt:g} is {gains[0]:g}, not 1', 'r')}: leave dt out where r is 1, or give the dt "
            "that the file was made for"
        )
    way = "multiply weights and biases before the node by it"
    if len(rates) == 1 and rates[0] > 1:  # SpikingJelly 2.0 writes r = 1 / dt and nothing of dt
        step = f"dt={1 / rates[0]:g}"
        way = f"if it is 1 / dt of a program that counts seconds, give {step} (--read {step}); else {way}"
    raise UnsupportedError(f"{node.error(f'is {rates[0]:g}, not 1', 'r')}: {way}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and bool(np.isfinite(value))
