"""What a run gave."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.deciding import COUNT, Deciding, Scores, scores_of, tied
from i2e_deploy.errors import InputError
from i2e_deploy.text import counted, said

Integers = NDArray[np.integer[Any]]

#: Per layer the state variables by name, each [B, ...]: what `Trace.states` holds and `Program.run` starts from.
States = Mapping[str, Mapping[str, Integers]]


@dataclass(frozen=True)
class LayerCounts:
    """Totals of one layer over all samples and steps of a run. A chip with more to count adds fields in a subclass.

    Args:
        spikes: spikes its neurons emitted.
        synops: synaptic operations: one for every neuron that an incoming spike reaches.
        saturations: updates whose result lies outside the chip's state word.
    """

    spikes: int
    synops: int
    saturations: int

    def __add__(self: Counts, other: Counts) -> Counts:
        """Both runs together: numbers add up; of a mapping (peaks, by name) the larger value stays."""
        return type(self)(**{key: _joined(value, getattr(other, key)) for key, value in vars(self).items()})


def _joined(one: Any, other: Any) -> Any:
    if isinstance(one, Mapping):
        return {name: max(one.get(name, 0), other.get(name, 0)) for name in sorted(one.keys() | other.keys())}
    return one + other


Counts = TypeVar("Counts", bound=LayerCounts)


def sum_counts(parts: Sequence[Counts]) -> Counts:
    """Totals over samples, of one part at least."""
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


@dataclass(frozen=True)
class Power:
    """What a board's power monitor read.

    Args:
        rails_w: mean power of every rail, watts.
        readings: readings of one rail that the means are over, >= 1.
    """

    rails_w: Mapping[str, float]
    readings: int

    @property
    def total_w(self) -> float:
        """All rails together, watts."""
        return sum(self.rails_w.values())

    def __add__(self, other: Power) -> Power:
        readings = self.readings + other.readings
        share = other.readings / readings
        both = [name for name in self.rails_w if name in other.rails_w]
        return Power({n: self.rails_w[n] * (1 - share) + other.rails_w[n] * share for n in both}, readings)


@dataclass(frozen=True, eq=False)
class Trace:
    """Spikes of every layer and the state in which the run ended.

    Args:
        spikes: per layer, in network order, int32 [B, T, C, H, W], before any pooling.
        states: per layer the final state variables by name, int64 [B, C, H, W].
        output: int32 [B, T, N], what leaves the network (after pooling, if its last layer is pooled).
        counts: per layer.
        uncounted: fields of `counts` that the target does not know: they say nothing, whatever they hold.
        events: for semantics without steps, per layer the events themselves (structured arrays).
        unseen: layers that the target could not report, by their place in network order; `spikes` then holds the
            others, and `states` and `counts` may be empty: what is not there was not seen, not zero.
        power: where the target has a power monitor.
        incidents: irregularities of the run, counted by kind (e.g. events injected late).
        deciding: how the output is read.
        read: what a readout reads that is not above: a state later, or its sum over the steps, int64 [B, N]; of a
            readout with a lag that is of no state the output from there on, int32 [B, T, N].
    """

    spikes: Mapping[str, Integers]
    states: States
    output: Integers
    counts: Mapping[str, LayerCounts]
    events: Mapping[str, NDArray[np.void]] | None = None
    unseen: Mapping[int, str] = field(default_factory=dict)
    uncounted: frozenset[str] = frozenset()
    power: Power | None = None
    incidents: Mapping[str, int] = field(default_factory=dict)
    deciding: Deciding = COUNT
    read: Integers | None = None

    def __repr__(self) -> str:
        samples, steps, outputs = self.output.shape
        shape = [counted(samples, "sample"), counted(steps, "step"), counted(outputs, "output")]
        spikes = counted(sum(count.spikes for count in self.counts.values()), "spike")
        return said(self, *shape, counted(len(self.spikes), "layer"), *([spikes] if self.counts else []))

    def scores(self) -> Scores:
        """What the classes compete with, as `deciding` says: int64 [B, classes], for `step` [B, T, classes].

        Raises:
            InputError: `deciding` reads what this target does not report.
        """
        deciding, state, output = self.deciding, self.read, self.output
        if deciding.kind == "state" and not deciding.lag:
            state = self.states.get(deciding.layer, {}).get(deciding.variable)
        elif deciding.lag and not deciding.of_state:
            if self.read is None:
                raise InputError(f"readout {deciding}: this target does not run on; use simulator or reference")
            output = self.read
        return scores_of(deciding, output, state)

    def decisions(self) -> NDArray[np.int64]:
        """Class with the largest score, the lowest number on a tie: int64 [B], for `step` [B, T]; see `scores`."""
        return np.asarray(self.scores().argmax(axis=-1), np.int64)

    def ties(self) -> int:
        """How many decisions are between classes with equal scores."""
        return int(tied(self.scores()).sum())

    def silent(self) -> int:
        """Samples on which no output sent anything, where `deciding` needs spikes."""
        lagged = self.deciding.lag > 0 and self.read is not None
        output = self.read if lagged and self.read is not None else self.output
        return int((~output.any(axis=(1, 2))).sum()) if self.deciding.of_spikes else 0

    def quiet_layers(self) -> tuple[str, ...]:
        """Names of the layers that were seen and in which nothing fired in the whole run, in network order.

        An output that is read by its state, or as a value, need not fire and is never among them.
        """
        held = "" if self.deciding.of_spikes else self.deciding.layer or next(reversed([*self.spikes]), "")
        return tuple(name for name in self.spikes if name != held and not self._fired(name))

    def _fired(self, name: str) -> bool:
        counts = self.counts.get(name)
        if counts is not None and "spikes" not in self.uncounted and counts.spikes:
            return True
        if self.events is not None and name in self.events:
            return len(self.events[name]) > 0
        return bool(np.any(self.spikes[name]))

    def activity(self) -> dict[str, dict[str, int]]:
        """What was counted, totals per layer that was seen: spikes, and where the target counts them the rest."""
        counted = {
            name: {k: v for k, v in asdict(count).items() if isinstance(v, int) and k not in self.uncounted}
            for name, count in self.counts.items()
        }
        return counted or {name: {"spikes": int(spikes.sum())} for name, spikes in self.spikes.items()}

    def arrays(self, state: bool = False, binned: bool = False) -> dict[str, NDArray[Any]]:
        """`layer0`, `layer1`, ... in network order, with `state` also `layerN_<variable>` and `input_<variable>`.

        Events where there are, unless `binned` asks for their counts in steps.
        """
        layers: Mapping[str, NDArray[Any]] = self.spikes if self.events is None or binned else self.events
        places = (i for i in range(len(layers) + len(self.unseen)) if i not in self.unseen)
        arrays: dict[str, NDArray[Any]] = {f"layer{i}": layers[name] for i, name in zip(places, layers, strict=True)}
        if state:
            names = {layer: f"layer{i}" for i, layer in enumerate(layers)}
            for layer, variables in self.states.items():
                arrays |= {f"{names.get(layer, layer)}_{name}": value for name, value in variables.items()}
        return arrays
