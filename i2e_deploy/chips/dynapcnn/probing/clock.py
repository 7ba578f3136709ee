"""Questions about the slow clock: whether its ticks make neurons fire, and when they come."""

from __future__ import annotations

from collections import Counter

from i2e_deploy.chips.answers import Observation
from i2e_deploy.chips.dynapcnn.probing.arithmetic import FIRST
from i2e_deploy.chips.dynapcnn.probing.question import Question, Sent, Way, core, network
from i2e_deploy.chips.dynapcnn.reference.event_options import EventOptions, LeakFires, Tick

#: Slots of the question for the phase: a period is ten of them, and its 100 ms the longest that the clock has, so that
#: the milliseconds that a host needs to switch it on matter least.
TENTH_US, TENTHS, PERIODS = 10_000, 10, 6
PHASES: tuple[Tick, ...] = ("start", "middle", "end")
FIRES: tuple[LeakFires, ...] = ("yes", "no")


def clock_questions() -> tuple[Question, ...]:
    """All of them."""
    return leak_fires(), tick()


def leak_fires() -> Question:
    """A bias of 100 on a threshold of 100 for some ticks without an event; then events of 1, at each of which a neuron
    fires that did not fire at the ticks. When the ticks come is another question, so each answer has every phase."""
    program = network(core("leaks", [[1], [1]], 100, bias=(100, 100)))
    ways: dict[str, tuple[Way, ...]] = {
        fires: tuple(Way(EventOptions(leak_fires=fires, tick=phase)) for phase in PHASES) for fires in FIRES
    }
    events = (*[None] * 12, (0, 0, 0), (0, 0, 0))
    return Question(
        "leak_fires", "whether a tick of the slow clock can make a neuron fire", ways, program, (FIRST,), events,
        ("leaks",), gap_us=TENTH_US, ticks=(3, 4), look=_before_the_events, settles="leak_fires",
    )  # fmt: skip


def tick() -> Question:
    """Events of -1 hold two neurons at a bound of -1, until a bias of 102 takes them over a threshold of 100.

    They fire at the tick or at the event after it, so the first spike says in which tenth of a period the clock ticks.
    They do so in every period; neurons that need more than one tick do not.
    """
    program = network(core("waits", [[-1], [-1]], 100, min_v=-1, bias=(102, 102)))
    ways: dict[str, tuple[Way, ...]] = {
        phase: tuple(Way(EventOptions(leak_fires=fires, tick=phase)) for fires in FIRES) for phase in PHASES
    }
    events = tuple((0, 0, 0) for _ in range(PERIODS * TENTHS))
    return Question(
        "tick", "when in its period the slow clock ticks, counted from when the host switched it on", ways, program,
        (FIRST,), events, ("waits",), gap_us=TENTH_US, ticks=(TENTHS, PERIODS), look=_third_of_a_period, settles="tick",
    )  # fmt: skip


def _before_the_events(question: Question, spikes: Sent) -> Observation:
    """By neuron: whether it fired before the first event."""
    first = next(i for i, event in enumerate(question.events) if event is not None) * question.gap_us
    found = spikes[question.watched[0]]
    places = {(int(c), int(t) >= first) for t, c in found[["t", "c"]].tolist()}
    return tuple(sorted((c, int(late)) for c, late in places))


def _third_of_a_period(question: Question, spikes: Sent) -> Observation:
    """By neuron: whether its first spike comes near the start of a period, in its middle, or near its end; and whether
    there is one a period, though the last tick may come after the end."""
    found = spikes[question.watched[0]]
    rows, counts = dict[int, int](), Counter(int(c) for c in found["c"])
    for t, c in sorted(found[["t", "c"]].tolist()):
        tenth = int(t) // question.gap_us
        rows.setdefault(int(c), 0 if tenth < TENTHS // 4 else 1 if tenth < 3 * TENTHS // 4 + 1 else 2)
    return tuple(sorted((c, third, int(PERIODS - 1 <= counts[c] <= PERIODS + 1)) for c, third in rows.items()))
