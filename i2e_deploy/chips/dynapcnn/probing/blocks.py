"""Questions about the blocks around the cores: decimator, readout, event filter."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from i2e_deploy.chips.answers import Observation
from i2e_deploy.chips.dynapcnn.peripherals import EventFilter, Readout
from i2e_deploy.chips.dynapcnn.probing.arithmetic import FIRST, LEAVES_1, SECOND, THIRD
from i2e_deploy.chips.dynapcnn.probing.question import Question, Sent, Way, core, network
from i2e_deploy.chips.dynapcnn.program import CoreNetwork, Source
from i2e_deploy.network import Sensor

#: Spikes of which a decimator passes one; classes of a readout; ticks that it averages over.
GROUP, CLASSES, WINDOW = 4, 3, 16
#: Pixels of the chip's camera, and the part of them that questions use: in a corner, so that coordinates are small.
PIXELS, PART = (2, 128, 128), ((0, 8), (0, 8))


def block_questions() -> tuple[Question, ...]:
    """All of them."""
    return decimator(), readout_tie(), readout_average(), own_pixel(), hot_pixels()


def decimator() -> Question:
    """Four spikes through a decimator that passes one of four; a core after it says which, one before it that all came.

    An event of weight 0 goes first, in case that the first is lost. The board is configured before each run, as nothing
    else resets a count.
    """
    first = core("sends", [[100, 0]], LEAVES_1, shape=(2, 1, 1))
    second = core("decimates", [[100]], 100, sources=(Source("sends"),), decimation=GROUP)
    third = core("counts", [[100], [100]], 100, sources=(Source("decimates"),))
    names = ("last", "third", "second", "first")
    return Question(
        "decimator", "which of four spikes a decimator passes",
        {name: (Way(fired=("decimates", fired)),) for fired, name in enumerate(names)}, network(first, second, third),
        (FIRST, SECOND, THIRD), ((1, 0, 0), *[(0, 0, 0)] * GROUP), ("sends", "counts"), sends_again=False, fresh=True,
    )  # fmt: skip


def readout_tie() -> Question:
    """Three classes fire once each, a quarter of a period after the clock was switched on; this is seen too."""
    events = (*[None] * 50, *((i, 0, 0) for i in range(CLASSES)))
    settings: dict[str, Any] = {"lowest": {"tie": "lowest"}, "highest": {"tie": "highest"}}
    return _readout("readout_tie", "which class the readout shows where two averages are equal", settings, 1, events,
                    500, (200, 4), _classes)  # fmt: skip


def readout_average() -> Question:
    """64 spikes of a class in one tick, and an average over 16: their mean is shown for 16 ticks, and what a recursive
    filter keeps of them for twice as long."""
    settings: dict[str, Any] = {"window": {"average": "window"}, "recursive": {"average": "recursive"}}
    asks = "whether the readout's moving average is a mean over its window"
    return _readout("readout_average", asks, settings, WINDOW, ((0, 0, 0),) * 64, 20, (100, 45), _how_long)


def _readout(
    name: str, asks: str, settings: dict[str, Any], window: Any, events: tuple[tuple[int, int, int] | None, ...],
    gap_us: int, ticks: tuple[int, int], look: Any,
) -> Question:  # fmt: skip
    """A question whose answer is on the readout's pins."""
    last = core("classes", np.eye(CLASSES, dtype=np.int8) * 100, LEAVES_1, shape=(CLASSES, 1, 1))
    program = network(last).with_readout(Readout(0, window))
    assert program.readout is not None
    ways = {key: (Way(program=replace(program, readout=replace(program.readout, **change))),)
            for key, change in settings.items()}  # fmt: skip
    return Question(name, asks, ways, program, (FIRST,), events, ("classes",), gap_us=gap_us, ticks=ticks, look=look,
                    pins=True)  # fmt: skip


def _classes(question: Question, spikes: Sent) -> Observation:
    """Classes on the pins, in order, each change once; then how often each class fired, so that no tie is none."""
    classes, fired = spikes["pins"]["c"].tolist(), spikes[question.watched[0]]["c"].tolist()
    shown = [(c, 0) for i, c in enumerate(classes) if i == 0 or classes[i - 1] != c]
    return (*shown, *((c, fired.count(c)) for c in sorted(set(fired))))


def _how_long(question: Question, spikes: Sent) -> Observation:
    """Classes on the pins, and whether each is shown for no longer than a window and a few ticks: a burst may fall into
    two ticks, and what a recursive filter keeps of the run before adds some."""
    classes = spikes["pins"]["c"].tolist()
    return tuple((c, int(classes.count(c) > WINDOW + 4)) for c in sorted(set(classes)))


def own_pixel() -> Question:
    """After a first pair of events, which may be lost: three at one pixel, then one beside it."""
    events = _pair_then((4, 4), (4, 4), (4, 4), (4, 5))
    filters = {"yes": EventFilter("noise", (3, 3), 2), "no": EventFilter("noise", (3, 3), 2, own_pixel="no")}
    asks = "whether a pixel's own last event lets the next one pass the noise filter"
    return _filter("own_pixel", asks, filters, events)


def hot_pixels() -> Question:
    """After a first pair of events: one at a pixel, one beside it, and both again, and again the first."""
    events = _pair_then((4, 4), (4, 5), (4, 4), (4, 5), (4, 4))
    filters = {"own": EventFilter("hot_pixel", (3, 3), 2),
               "interval": EventFilter("hot_pixel", (3, 3), 2, hot_pixels="interval")}  # fmt: skip
    asks = "whether the hot-pixel filter blocks an event soon after one of its own pixel"
    return _filter("hot_pixels", asks, filters, events)


#: Slots between the first pair and the rest: more ticks than the threshold of the filters.
_REST = 6


def _pair_then(*places: tuple[int, int]) -> tuple[tuple[int, int, int] | None, ...]:
    pair = ((1, 1, 1), (1, 1, 2))
    return (*pair, *[None] * (_REST * 10), *((1, y, x) for y, x in places))


def _filter(
    name: str, asks: str, filters: dict[str, EventFilter], events: tuple[tuple[int, int, int] | None, ...]
) -> Question:
    """Events of pixels from the host, through the chip's pre-processing and filter; a core says which came through."""
    weight = np.zeros((2, 2, 1, 1), np.int8)
    weight[:, 1] = 100
    size = (2, PART[0][1], PART[1][1])
    layer = core("sees", weight, LEAVES_1, shape=size)
    program = CoreNetwork(PIXELS, (layer,), (Source("sees"),), Sensor(crop=PART), next(iter(filters.values())))
    ways = {key: (Way(program=replace(program, event_filter=each)),) for key, each in filters.items()}
    return Question(name, asks, ways, program, (FIRST,), events, ("sees",), ticks=(10, len(events) // 10 + 5),
                    look=_after_the_rest)  # fmt: skip


def _after_the_rest(question: Question, spikes: Sent) -> Observation:
    """Pixels and slots of what came through after the first pair."""
    found = spikes[question.watched[0]]
    rows = [(int(t) // question.gap_us, int(c), int(y), int(x)) for t, c, y, x in found[["t", "c", "y", "x"]].tolist()]
    return tuple(sorted(row for row in rows if row[0] > _REST * 10))
