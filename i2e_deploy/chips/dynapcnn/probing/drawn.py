"""Fake boards with hidden options: what the questionnaire is tried on where there is no board."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, get_args, get_type_hints

import numpy as np

from i2e_deploy.chips.dynapcnn.reference.event_options import UNSETTLED, EventOptions, choices
from i2e_deploy.chips.dynapcnn.targets.board.fake import Character, Faults, fake_samna
from i2e_deploy.chips.dynapcnn.targets.board.fake.samna import FakeSamna

#: When the slow clock of a fake board first ticks, in its periods, by what `EventOptions.tick` calls it.
PHASES = {"start": 0.0, "middle": 0.5, "end": 0.999}
#: What is lost after a reset, and whether resets are ignored, as the questions call it.
LOST = {"none": "no event", "chip": "the first of the chip", "core": "the first of each core"}
RESETS = {False: "zero", True: "where the last run ended"}


@dataclass(frozen=True)
class Hidden:
    """What a fake board does where public text leaves it open."""

    options: EventOptions = field(default_factory=EventOptions)
    faults: Faults = field(default_factory=Faults)
    character: Character = field(default_factory=Character)

    def truth(self) -> dict[str, str]:
        """The right answers, by question."""
        made = self.character
        return {
            **{name: str(getattr(self.options, name)) for name in UNSETTLED},
            "sweep_parallel": self.options.sweep,
            "own_pixel": made.own_pixel,
            "hot_pixels": made.hot_pixels,
            "readout_tie": made.tie,
            "readout_average": made.average,
            "decimator": made.passes,
            "first_event": LOST[self.faults.loses_first],
            "reset": RESETS[bool(self.faults.ignored_resets)],
            "one_spike": "once",
            "lower_bound": "at every event",
            "zero_bound": "0",
        }


def draw(seed: int) -> Hidden:
    """Every open point drawn evenly, by a seed."""
    random = np.random.default_rng(seed)
    values: Any = {name: str(random.choice(choices()[name])) for name in UNSETTLED}
    faults: Any = {"loses_first": str(random.choice(list(LOST))), "clock_phase": PHASES[values["tick"]]}
    made: Any = {name: str(random.choice(get_args(hint))) for name, hint in _words().items()}
    return Hidden(EventOptions(**values), Faults(**faults), Character(**made))


def _words() -> dict[str, Any]:
    """Properties of a chip that are one of some words, and these."""
    hints = get_type_hints(Character)
    return {name: hints[name] for name in ("own_pixel", "hot_pixels", "tie", "average", "passes")}


def fake_board(chip: str, seed: int | None = None) -> AbstractContextManager[FakeSamna]:
    """A fake board with that chip in the place of real ones: with the simulator's defaults, or drawn by a seed."""
    hidden = Hidden() if seed is None else draw(seed)
    kind = f"{chip[:1].upper()}{chip[1:]}DevKit"
    return fake_samna((kind,), hidden.faults, hidden.options, character=hidden.character)
