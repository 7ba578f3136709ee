"""The questions: a few leaking neurons and a few spikes for each point, and what each alternative makes of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from i2e_deploy.chips.answers import Observation
from i2e_deploy.chips.loihi2.probing.arithmetic import Arithmetic, Ints, run_population
from i2e_deploy.chips.loihi2.program import NEVER, SOURCE, Block, BlockNetwork, Connection, CubaLif, DenseSynapse

#: Largest weight of 8 bits with sign.
WEIGHT = 254
SPIKE_ROW, STATE_ROW = 0, 1


@dataclass(frozen=True, eq=False)
class Question:
    """One question.

    Args:
        name, asks: of the point.
        ways: by alternative how the neurons compute; the first is what the simulator does.
        network: one population.
        frames: int64 [T, N_in], 0 or 1.
        states: whether the last current and voltage are looked at, beside the spikes.
    """

    name: str
    asks: str
    ways: Mapping[str, Arithmetic]
    network: BlockNetwork
    frames: Ints
    states: bool = False

    @property
    def alternatives(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(self.ways)

    @cached_property
    def predicted(self) -> Mapping[str, tuple[Observation, ...]]:
        """By alternative what is seen under it."""
        found = {}
        for name, way in self.ways.items():
            ran = run_population(self.network, self.frames, way)
            found[name] = (self.observe(ran.spikes, ran.u, ran.v),)
        return found

    def observe(self, spikes: Any, u: Any, v: Any) -> Observation:
        """Rows (0, step, neuron) of spikes [T, N]; with `states` (1, neuron, current, voltage) of the last step."""
        rows = [(SPIKE_ROW, *map(int, place)) for place in np.argwhere(spikes)]
        if self.states:
            rows += [(STATE_ROW, i, int(a), int(b)) for i, (a, b) in enumerate(zip(u, v, strict=True))]
        return tuple(rows)


@lru_cache(maxsize=1)
def questions() -> tuple[Question, ...]:
    """All of them."""
    return current_overflow(), voltage_overflow(), decay_rounding(), delay(), bias_timing(), compare(), spike_reading()


def current_overflow() -> Question:
    """Two neurons get 560 spikes of 254 at once, 9.1 million where 8.4 are the most; two get half of them."""
    weight = np.full((4, 560), WEIGHT)
    weight[2:, ::2] = 0
    return Question(
        "current_overflow", "what a current does that leaves 24 bits",
        {"wraps": Arithmetic(), "clips": Arithmetic(current="clips")},
        population(weight, threshold=1000, current_decay=4096, voltage_decay=4096), sent_at(4, 560, 1),
    )  # fmt: skip


def voltage_overflow() -> Question:
    """A current of 8.1 million that stays takes two voltages out of 24 bits in its second step.

    The threshold is just below the end of 24 bits. Two others have half of that current, and come to it in any case.
    """
    weight = np.full((4, 500), WEIGHT)
    weight[2:, ::2] = 0
    return Question(
        "voltage_overflow", "what a voltage does that leaves 24 bits",
        {"clips": Arithmetic(), "wraps": Arithmetic(voltage="wraps")},
        population(weight, threshold=NEVER - 1, current_decay=0, voltage_decay=0), sent_at(6, 500, 1),
    )  # fmt: skip


def decay_rounding() -> Question:
    """Currents of 128 and -128 that lose 100 of 4096 parts a step: 124.875 is left of them after the first."""
    ways: Any = {name: Arithmetic(rounding=name) for name in ("toward zero", "down", "to the nearest")}
    return Question(
        "decay_rounding", "how what is left after a decay is rounded", ways,
        population([[2], [-2], [WEIGHT], [-WEIGHT]], threshold=NEVER - 1, current_decay=100, voltage_decay=4096),
        sent_at(4, 1, 1), states=True,
    )  # fmt: skip


def delay() -> Question:
    """A spike reaches neurons after 1, 2 and 5 steps more than the one that every synapse takes."""
    ways: Any = {name: Arithmetic(extra_delay=n)  # type: ignore[arg-type]
                 for name, n in (("as written", 0), ("a step more", 1), ("a step less", -1))}  # fmt: skip
    return Question(
        "delay", "in which step a delayed spike arrives", ways,
        population([[100]] * 3, threshold=50, current_decay=4096, voltage_decay=4096, delays=[[1], [2], [5]]),
        sent_at(10, 1, 1),
    )  # fmt: skip


def bias_timing() -> Question:
    """Biases of 100 and 30 on a threshold of 299: the first neuron fires in step 3, or 4; and again."""
    ways = {"the first": Arithmetic(), "the second": Arithmetic(bias_from=2)}
    return Question(
        "bias_timing", "from which step on a bias is added", ways,
        population([[2], [2]], threshold=299, current_decay=4096, voltage_decay=0, bias=[100, 30]), sent_at(12, 1, 0),
    )  # fmt: skip


def compare() -> Question:
    """Voltages of exactly the threshold, and of two above."""
    ways: Any = {name: Arithmetic(fires=name) for name in (">", ">=")}
    return Question(
        "compare", "whether a neuron fires at a voltage of exactly its threshold", ways,
        population([[100], [100], [102], [102]], threshold=100, current_decay=4096, voltage_decay=4096),
        sent_at(4, 1, 1),
    )  # fmt: skip


def spike_reading() -> Question:
    """The run ends in the step in which two neurons fire; two others do not."""
    ways: Any = {name: Arithmetic(reads=name) for name in ("after the reset", "before the reset", "a marker")}
    return Question(
        "spike_reading", "what is read as a voltage in the step of a spike (a public record shows a marker, 128)", ways,
        population([[100], [120], [40], [60]], threshold=50 + 20, current_decay=4096, voltage_decay=4096),
        sent_at(2, 1, 1), states=True,
    )  # fmt: skip


def population(
    weight: Any, threshold: int, current_decay: int, voltage_decay: int, bias: Any = None, delays: Any = None
) -> BlockNetwork:
    """Leaking neurons after a dense synapse [out, in]."""
    array = np.asarray(weight, np.int64)
    neuron = CubaLif(np.array([current_decay]), np.array([voltage_decay]), threshold)
    synapse = DenseSynapse(array, None if delays is None else np.asarray(delays, np.int64))
    biases = None if bias is None else np.asarray(bias, np.int64)
    block = Block("asked", neuron, (len(array),), (Connection(SOURCE, synapse),), biases)
    return BlockNetwork((array.shape[1],), (block,))


def sent_at(steps: int, inputs: int, step: int) -> Ints:
    """All inputs spike in one step, from 1 on; 0: never."""
    frames = np.zeros((steps, inputs), np.int64)
    if step:
        frames[step - 1] = 1
    return frames
