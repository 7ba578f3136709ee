"""Questions about what a reset leaves: states, and the first event after it."""

from __future__ import annotations

from i2e_deploy.chips.dynapcnn.probing.arithmetic import FIRST, SECOND
from i2e_deploy.chips.dynapcnn.probing.question import Question, Way, core, network
from i2e_deploy.chips.dynapcnn.program import CoreNetwork, Source


def state_questions() -> tuple[Question, ...]:
    """All of them."""
    return reset(), first_event()


def reset() -> Question:
    """Two neurons get +100 on a threshold of 100, then three times -127 on a bound of -100, where they end in any case.

    A run that begins at zero fires at its first event, one that begins at -100 does not; a third neuron always does.
    """
    program = network(core("keeps", [[100, -127], [100, -127], [100, 0]], 100, shape=(2, 1, 1)))
    return Question(
        "reset", "where neurons start after zeros were written to their states",
        {"zero": (Way(),), "where the last run ended": (Way(chained=True),)}, program, (FIRST,),
        ((0, 0, 0), *[(1, 0, 0)] * 3), ("keeps",),
    )  # fmt: skip


def first_event() -> Question:
    """Three events, each to two cores in turn, all of which make both fire; a spike leaves their neurons at zero."""
    first, second = (core(name, [[100], [100]], 50, to_zero=True) for name in ("one", "two"))
    program = CoreNetwork((1, 1, 1), (first, second), (Source("one"), Source("two")))
    ways = {
        "no event": (Way(),),
        "the first of the chip": (Way(lost=("one",)),),
        "the first of each core": (Way(lost=("one", "two")),),
    }
    return Question(
        "first_event", "which events are lost after states were written (the board target sends those again)",
        ways, program, (FIRST, SECOND), ((0, 0, 0),) * 3, ("one", "two"), sends_again=False,
    )  # fmt: skip
