"""Fake boards with hidden options: what the questionnaire is tried on where there is no board."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from i2e_deploy.chips.dynapcnn.reference.event_options import UNSETTLED, EventOptions, choices
from i2e_deploy.chips.dynapcnn.targets.board.fake import Faults, fake_samna
from i2e_deploy.chips.dynapcnn.targets.board.fake.samna import FakeSamna

#: When the slow clock of a fake board first ticks, in its periods, by what `EventOptions.tick` calls it.
PHASES = {"start": 0.0, "middle": 0.5, "end": 0.999}


@dataclass(frozen=True)
class Hidden:
    """What a fake board does where public text leaves it open."""

    options: EventOptions = field(default_factory=EventOptions)
    faults: Faults = field(default_factory=Faults)

    def truth(self) -> dict[str, str]:
        """The right answers, by question."""
        found = {name: str(getattr(self.options, name)) for name in UNSETTLED}
        return {**found, "sweep_parallel": found["sweep"]}


def draw(seed: int) -> Hidden:
    """Every open point drawn evenly, by a seed."""
    random = np.random.default_rng(seed)
    values: Any = {name: str(random.choice(choices()[name])) for name in UNSETTLED}
    loses: Any = str(random.choice(["chip", "core", "none"]))
    return Hidden(EventOptions(**values), Faults(loses_first=loses, clock_phase=PHASES[values["tick"]]))


def fake_board(chip: str, seed: int | None = None) -> AbstractContextManager[FakeSamna]:
    """A fake board with that chip in the place of real ones: with the simulator's defaults, or drawn by a seed."""
    hidden = Hidden() if seed is None else draw(seed)
    kind = f"{chip[:1].upper()}{chip[1:]}DevKit"
    return fake_samna((kind,), hidden.faults, hidden.options)
