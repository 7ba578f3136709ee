"""Questions about what a core does with an event: order, zero weights, overflow, borders, merging, firing, bounds."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations
from typing import Any

import numpy as np

from i2e_deploy.chips.dynapcnn.probing.question import Question, Way, core, network
from i2e_deploy.chips.dynapcnn.program import CoreNetwork, Source
from i2e_deploy.chips.dynapcnn.reference.event_options import EventOptions, choices

#: Cores that questions use where it does not matter: neither parallel nor the smallest.
FIRST, SECOND, THIRD, FOURTH = 2, 3, 4, 5
#: The cores that compute in parallel (Speck Dev Kit Datasheet, Aug 2023, 2.4).
PARALLEL = 0
NO_BOUND = -(2**15)
#: Threshold of a first core whose weights are 100: the rest that it leaves lets the board target try whether the first
#: event after a reset is lost, by reading a state.
LEAVES_1 = 99


def arithmetic_questions() -> tuple[Question, ...]:
    """All of them."""
    return (
        sweep(), sweep(parallel=True), zero_weights(), overflow(), outside_pool(), merge(), one_spike(), lower_bound(),
        zero_bound(),
    )  # fmt: skip


def options(name: str) -> dict[str, tuple[Way, ...]]:
    """A way for each value of an option."""
    values: Any = {value: EventOptions(**{name: value}) for value in choices()[name]}  # type: ignore[arg-type]
    return {value: (Way(chosen),) for value, chosen in values.items()}


def sweep(parallel: bool = False) -> Question:
    """One event reaches 2 x 2 pixels of 2 features, all eight fire. A second core has a neuron for every pair of them:
    +100 from the first, -127 from the second, bound -1, threshold 100, so that it fires if the first comes first. So
    what is seen is the whole order, whichever it is."""
    first = core("sweeps", np.full((2, 1, 2, 2), 100, np.int8), LEAVES_1, padding=1)
    pairs = list(permutations(range(8), 2))
    weight = np.zeros((len(pairs), 8), np.int8)
    for i, (before, after) in enumerate(pairs):
        weight[i, before], weight[i, after] = 100, -127
    second = core("compares", weight.reshape(-1, 2, 2, 2), 100, sources=(Source("sweeps"),), shape=(2, 2, 2), min_v=-1)
    name = "sweep_parallel" if parallel else "sweep"
    return Question(
        name,
        f"the order in which one event visits the neurons of {'a parallel core' if parallel else 'a core'}",
        options("sweep"), network(first, second), (PARALLEL if parallel else FIRST, SECOND), ((0, 0, 0),),
        ("compares",), settles="" if parallel else "sweep",
        beside="sweep" if parallel else "",
    )  # fmt: skip


def zero_weights() -> Question:
    """Neurons are left at 77 with threshold 50; an event with weight 0 makes them fire if it touches them. Two others
    have weight 1 there, and fire in any case."""
    weight = [[127, 0, 0], [127, 0, 0], [127, 1, 0], [127, 1, 0]]
    return Question(
        "zero_weights", "whether a weight of 0 touches its neuron, which fires if it was left above its threshold",
        options("zero_weights"), network(core("left", weight, 50, shape=(3, 1, 1))), (FIRST,),
        ((0, 0, 0), (1, 0, 0)), ("left",), settles="zero_weights",
    )  # fmt: skip


def overflow() -> Question:
    """Two neurons start 67 below the upper end of 16 bits and get 127, two start 68 above the lower end and get -128;
    then these get 59. Saturating, the first two reach the threshold 32,767; wrapping, the others come to 32,708 and
    reach it with the 59."""
    weight = [[127, 0, 0], [127, 0, 0], [0, -128, 59], [0, -128, 59]]
    program = network(
        core("ends", weight, 2**15 - 1, shape=(3, 1, 1), min_v=NO_BOUND, initial=(32_700, 32_700, -32_700, -32_700))
    )
    return Question(
        "overflow", "whether a state that leaves 16 bits stays at its end or wraps",
        options("overflow"), program, (FIRST,), ((0, 0, 0), (1, 0, 0), (2, 0, 0)), ("ends",), settles="overflow",
    )  # fmt: skip


def outside_pool() -> Question:
    """3 x 3 neurons fire and are pooled by 2 on their way to a core whose kernel reaches beyond its one input pixel.

    The row and the column that no window covers are heard there or not.
    """
    first = core("fires", np.full((1, 1, 3, 3), 100, np.int8), LEAVES_1, padding=2)
    second = core("pooled", np.full((1, 1, 2, 2), 25, np.int8), 50, sources=(Source("fires", (2, 2)),), padding=1)
    return Question(
        "outside_pool", "what becomes of events in the rest that pooling windows do not cover",
        options("outside_pool"), network(first, second), (FIRST, SECOND), ((0, 0, 0),), ("pooled",),
        settles="outside_pool",
    )  # fmt: skip


def merge() -> Question:
    """One spike goes to two cores, whose spikes both go to a fourth: neurons there fire if one, or if the other, comes
    first, as in `sweep`. The sources are in the order of their cores."""
    one = [[100]]
    both = [[100, -127], [100, -127], [-127, 100], [-127, 100]]
    sources = (Source("left"), Source("right", feature_shift=1))
    program = network(
        core("forks", one, LEAVES_1), core("left", one, 100, sources=(Source("forks"),)),
        core("right", one, 100, sources=(Source("forks"),)),
        core("merges", both, 100, sources=sources, shape=(2, 1, 1), min_v=-1),
    )  # fmt: skip
    return Question(
        "merge", "which core comes first where one event reaches a core through two others: listed is the lower number",
        options("merge"), program, (FIRST, SECOND, THIRD, FOURTH), ((0, 0, 0),), ("merges",), settles="merge",
    )  # fmt: skip


def one_spike() -> Question:
    """One event of 127 on a threshold of 30; each later event of 1 fires once more while something is left."""
    program = network(core("fires", [[127, 1], [127, 1]], 30, shape=(2, 1, 1)))
    return Question(
        "one_spike", "how often a neuron fires at one event that takes it over several thresholds",
        {"once": (Way(),), "as often as the threshold fits": (Way(steps=True),)},
        program, (FIRST,), ((0, 0, 0), *[(1, 0, 0)] * 4), ("fires",),
    )  # fmt: skip


def lower_bound() -> Question:
    """-100 on a bound of -50, then +100 and +60 on a threshold of 100; the last events make others fire in any case."""
    program = network(core("bounded", [[-100, 100, 60], [-100, 100, 60], [0, 0, 100]], 100, shape=(3, 1, 1), min_v=-50))
    return Question(
        "lower_bound", "whether the lower bound holds at every event",
        {"at every event": (Way(),), "not at all": (Way(program=_bounded(program, NO_BOUND)),)},
        program, (FIRST,), ((0, 0, 0), (1, 0, 0), (2, 0, 0), (2, 0, 0)), ("bounded",),
    )  # fmt: skip


def zero_bound() -> Question:
    """Twice -100 on a bound of 0, then +100, +1 on a threshold of 100.

    Two neurons fire at the first, at the second, or at neither; a third fires at both, and so says that they came.
    """
    program = network(core("bounded", [[-100, 100, 1], [-100, 100, 1], [0, 100, 100]], 100, shape=(3, 1, 1), min_v=0))
    bounds = {"0": 0, "-1": -1, "none": NO_BOUND}
    return Question(
        "zero_bound", "what a lower bound of 0 does, which the vendor says must not be written",
        {name: (Way(program=_bounded(program, bound)),) for name, bound in bounds.items()},
        program, (FIRST,), ((0, 0, 0), (0, 0, 0), (1, 0, 0), (2, 0, 0)), ("bounded",),
    )  # fmt: skip


def _bounded(program: CoreNetwork, bound: int) -> CoreNetwork:
    """The same with another lower bound on every core."""
    return replace(program, layers=tuple(replace(layer, min_v=bound) for layer in program.layers))
