"""What public texts and records of the asynchronous chip leave open, as named options with a default.

What a text documents or a record of a real chip settles has no option and is in `reference.event`: a neuron fires at
v >= threshold and subtracts it once, at most one spike an event, the lower bound at every event, weights as Sinabs
discretises them, a bias once a tick. The profile lists those records. Each option here is open: its values give the
public records alike, or differ by no more than the chip does from them (`benchmarks/silicon.py`). `bound` runs the
alternatives and reports how far the output moves.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, get_args, get_type_hints

from i2e_deploy.chips.options import Injection
from i2e_deploy.errors import InputError

Sweep = Literal["pixel", "feature", "reverse"]
ZeroWeights = Literal["skip", "touch"]
Overflow = Literal["saturate", "wrap"]
OutsidePool = Literal["drop", "keep"]
Merge = Literal["listed", "reversed"]
LeakFires = Literal["yes", "no"]
Tick = Literal["start", "middle", "end"]


@dataclass(frozen=True)
class EventOptions(Injection):
    """How frames become events, see `Injection`, and how the `event` semantics settle what public text leaves open.

    Args:
        sweep: order in which one event visits neurons, so the order of the spikes it causes: `"pixel"` (y, x,
            feature innermost), `"feature"` (feature, y, x), `"reverse"` (pixel, backwards). Open: on the record of four
            layers the orders are 10 spikes in 12,900 apart, as far as the chip is from them.
        zero_weights: whether a weight of 0 updates its neuron. It matters only for a neuron left at or above
            threshold, which fires when touched. `"skip"` is what secondary literature reports. Open: the records
            are the same either way.
        overflow: a 16-bit state that overflows stays at its end, or wraps. Open: no record overflows.
        outside_pool: an event in the rest that pooling windows do not cover is dropped, or goes on with its
            coordinate divided. Open: no record has such a rest.
        merge: which source comes first when one input event reaches a core from several sources. Open: the recorded
            networks are chains.
        leak_fires: whether a bias tick can make a neuron fire. Open: the recorded leak is negative.
        tick: the slow clock ticks before, among, or after the events of its period: its phase, which is not ours.
            Open: the recorded leak had no events.
        step_us: duration of a step and period of the slow clock, microseconds, 1 to 10^9.

    Raises:
        InputError: a value that is none of the named ones.
    """

    sweep: Sweep = "pixel"
    zero_weights: ZeroWeights = "skip"
    overflow: Overflow = "saturate"
    outside_pool: OutsidePool = "drop"
    merge: Merge = "listed"
    leak_fires: LeakFires = "yes"
    tick: Tick = "start"

    def __post_init__(self) -> None:
        for name, allowed in choices().items():
            if getattr(self, name) not in allowed:
                raise InputError(f"event option {name} is {getattr(self, name)!r}: choose one of {', '.join(allowed)}")
        super().__post_init__()

    @staticmethod
    def of(options: Injection | None, settled: Mapping[str, str] | None = None) -> EventOptions:
        """`options` with the defaults of this chip for all that they do not say, or what a board `settled`."""
        if isinstance(options, EventOptions):
            return options
        plain = EventOptions() if options is None else EventOptions(options.order, options.step_us, options.seed)
        change: Any = replace  # the values are checked by `__post_init__`
        return plain if not settled else change(plain, **settled)


def choices() -> dict[str, tuple[str, ...]]:
    """Allowed values of every named option; the first is not always the default."""
    hints = get_type_hints(EventOptions)
    named = {field.name: get_args(hints[field.name]) for field in fields(EventOptions)}
    return {name: allowed for name, allowed in named.items() if allowed}


#: Options about the chip itself, in contrast to how we feed it.
UNSETTLED = ("sweep", "zero_weights", "overflow", "outside_pool", "merge", "leak_fires", "tick")


def alternatives(base: EventOptions, settled: Collection[str] = ()) -> dict[str, EventOptions]:
    """Every unsettled option changed alone, by `"name=value"`, but for those that a board `settled`."""
    allowed = choices()
    change: Any = replace  # the values are those of `choices`
    return {
        f"{name}={value}": change(base, **{name: value})
        for name in UNSETTLED
        if name not in settled
        for value in allowed[name]
        if value != getattr(base, name)
    }
