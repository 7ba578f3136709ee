"""A leaky neuron for Loihi 2's programmable pipeline: what float networks use and the standard neuron has not.

The chip runs a neuron's update as microcode and sends integers with a spike (Intel's technology brief, 2021). The
words are those of `CubaLif`: 12-bit decays, 24-bit states, parameters in units of 64. How the update is written on the
chip is not public: `check` says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np

from i2e_deploy.chips.checked import checked_integer
from i2e_deploy.chips.loihi2.neuron import Ints, Limits, Neuron, Reset, pack_reset, unpack_reset
from i2e_deploy.errors import InputError
from i2e_deploy.text import record_repr

#: Largest magnitude of a parameter in units of 64 that a 24-bit state holds.
LARGEST = 2**17 - 1
#: Lower bound that is below every voltage: none.
UNBOUNDED = -(2**17)
#: Largest threshold of a file.
MOST = 2**31 - 1


def _none() -> Ints:
    return np.zeros(1, np.int64)


def _unbounded() -> Ints:
    return np.full(1, UNBOUNDED)


@dataclass(frozen=True, eq=False)
class ProgrammableLif(Neuron):
    """Current-based leaky integrate-and-fire whose reset, number of spikes and threshold can be chosen.

    One step: `u = decay(u) + (a << 6)`, `v = decay(v) + u + (bias << 6)`, what is pending of the last step's reset,
    clip of v, `adaptation = decay(adaptation)`, spikes by `v` and `(threshold << 6) + adaptation`, the reset,
    `v = max(v, lowest << 6)`, `adaptation += spikes * (adaptation_step << 6)`. With `fires=">"`, `after_spike="set"`
    and one spike a step it is `CubaLif`.

    Arrays are int64 [1], [C] or [N].

    Args:
        current_decay: 0..4096: of 4096 parts, how many the current loses in a step.
        voltage_decay: the same for the voltage.
        threshold: in units of 64; at least 1 where several spikes are sent.
        after_spike: `"subtract"` takes spikes times the threshold that acted (adaptation included) off the voltage,
            `"amount"` spikes times `reset_value`; `"set"` sets it to `reset_value`; `"none"` leaves it.
        reset_value: in units of 64.
        reset_step: `"same"`: before the next decay. `"next"`: after the next step's decay and input, as snnTorch's
            `reset_delay`; `"set"` then loses the input of that step.
        max_spikes: in one step, sent as one message with their number; `"any"`: as many thresholds as fit.
        fires: `">"`, or `">="`: also at the threshold; the second spike at twice the threshold, and so on.
        lowest: lower bound of the voltage after the reset, in units of 64; `UNBOUNDED`: that of its word.
        adaptation_decay: 0..4096: of 4096 parts, how many the adaptation loses in a step.
        adaptation_step: in units of 64: what each spike adds to the threshold, before the next decay.
        sends: `"voltage"`: no spikes and no reset, the voltage is sent in every step as a message: a readout, or a
            leaky integrator that other layers read. Then only decays, `lowest`, `reset`, `shift` and `bits` act.
        reset: periodic reset of the whole population, or None.
        shift: 0..22, of a voltage that is sent: bits that the message leaves out, rounding to the nearest, half up.
        bits: 2..24, of a voltage that is sent: of the message, the sign included. Larger ones are clipped, and counted
            as saturations.

    Raises:
        InputError: a value that is out of its range, or values that contradict each other.
    """

    variables, membrane = ("u", "v", "adaptation", "pending"), "v"
    by_neuron = True
    arrays: ClassVar[Limits] = {
        "current_decay": (0, 4096), "voltage_decay": (0, 4096), "threshold": (0, MOST),
        "reset_value": (-LARGEST, LARGEST), "lowest": (UNBOUNDED, LARGEST),
        "adaptation_decay": (0, 4096), "adaptation_step": (0, LARGEST),
    }  # fmt: skip
    words: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "after_spike": ("subtract", "amount", "set", "none"), "reset_step": ("same", "next"), "fires": (">", ">="),
        "sends": ("spikes", "voltage"),
    }  # fmt: skip
    #: Not in files of earlier versions, where messages were whole voltages.
    message_words: ClassVar[Limits] = {"shift": (0, 22), "bits": (2, 24)}

    current_decay: Ints
    voltage_decay: Ints
    threshold: Ints
    after_spike: Literal["subtract", "amount", "set", "none"] = "subtract"
    reset_value: Ints = field(default_factory=_none)
    reset_step: Literal["same", "next"] = "same"
    max_spikes: int | Literal["any"] = 1
    fires: Literal[">", ">="] = ">"
    lowest: Ints = field(default_factory=_unbounded)
    adaptation_decay: Ints = field(default_factory=_none)
    adaptation_step: Ints = field(default_factory=_none)
    sends: Literal["spikes", "voltage"] = "spikes"
    reset: Reset | None = None
    shift: int = 0
    bits: int = 24

    __repr__ = record_repr

    def __post_init__(self) -> None:
        for name, (low, high) in self.arrays.items():
            values = getattr(self, name)
            fits = values.ndim == 1 and values.size and values.dtype.kind in "iu"
            if not fits or values.min() < low or values.max() > high:
                raise InputError(f"{name} is {values}: give integers [1], [C] or [N] in {low}..{high}")
        for name, allowed in self.words.items():
            if getattr(self, name) not in allowed:
                raise InputError(f"{name} is {getattr(self, name)!r}: choose one of {', '.join(allowed)}")
        if self.max_spikes != "any" and (type(self.max_spikes) is not int or not 1 <= self.max_spikes <= LARGEST):
            raise InputError(f"max_spikes is {self.max_spikes!r}: give 1..{LARGEST}, or 'any'")
        for name, (low, high) in self.message_words.items():
            value = getattr(self, name)
            if type(value) is not int or not low <= value <= high:
                raise InputError(f"{name} is {value!r}: give a whole number in {low}..{high}")
        if self.max_spikes != 1 and int(self.threshold.min()) < 1:
            raise InputError("the threshold is 0 and several spikes may be sent: give a threshold of at least 1")

    @property
    def sends_values(self) -> bool:
        """Whether a message may hold something else than 1."""
        return self.sends == "voltage" or self.max_spikes != 1

    @property
    def sent(self) -> str:
        """What a message holds, in words."""
        if self.sends == "voltage":
            return "its voltage"
        if self.max_spikes == "any":
            return "any number of spikes a step"
        return "one spike a step" if self.max_spikes == 1 else f"up to {self.max_spikes} spikes a step"

    def beyond_standard(self) -> list[str]:
        """What the standard neuron (`CubaLif`) cannot do, in words; empty where it can do all of it."""
        if self.sends == "voltage":
            return ["sends its voltage in every step", *self._bounded()]
        found = []
        if self.after_spike == "subtract":
            found.append("reset by subtraction")
        elif self.after_spike == "none":
            found.append("no reset")
        elif self.after_spike == "amount":
            found.append("reset by an amount")
        elif self.reset_value.any():
            found.append("reset to a value")
        if self.after_spike != "none" and self.reset_step == "next":
            found.append("reset in the next step")
        if self.max_spikes != 1:
            found.append(self.sent)
        if self.fires == ">=":
            found.append("fires at the threshold")
        if self.adaptation_step.any():
            found.append("adaptive threshold")
        if len(np.unique(self.threshold)) > 1:
            found.append("several thresholds")
        return [*found, *self._bounded()]

    def _bounded(self) -> list[str]:
        return ["lower bound of the voltage"] if (self.lowest > UNBOUNDED).any() else []

    def pack(self) -> tuple[dict[str, Ints], dict[str, Any]]:
        """See `Neuron.pack`."""
        arrays, options = super().pack()
        return arrays, {**options, "reset": pack_reset(self.reset)}

    @classmethod
    def unpack(cls, arrays: Mapping[str, Any], options: Mapping[str, Any], channels: int, size: int) -> ProgrammableLif:
        """See `Neuron.unpack`."""
        plain = super().unpack(arrays, options, channels, size)
        spikes = options["max_spikes"]
        values = {name: getattr(plain, name) for name in (*cls.arrays, *cls.words)}
        return cls(
            **values,
            shift=checked_integer(options.get("shift", cls.shift), *cls.message_words["shift"]),
            bits=checked_integer(options.get("bits", cls.bits), *cls.message_words["bits"]),
            max_spikes=spikes if spikes == "any" else checked_integer(spikes, 1, LARGEST),
            reset=unpack_reset(options["reset"]),
        )
