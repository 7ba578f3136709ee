"""The faults that a fake board injects on request."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Faults:
    """What goes wrong; the default is what is reported of real boards: the first event after a reset is lost.

    Args:
        busy: boards, by index, that another program has opened.
        refuses: what `validate_configuration` says; empty: it takes everything.
        unplug_after: after so many input events every call fails.
        silent_after: after so many input events nothing comes back any more, and no call fails.
        answers: whether neuron states can be read back.
        transfer_s: how long every transfer to the board takes; when it is long, events are late.
        delay_s: spikes can be read only so long after their time stamp.
        loses_first: the first event after states were written is lost: one of the chip, one of each core, or none.
        lose_every: every so manieth input event is lost; 0: none.
        lose_spikes_every: every so manieth output spike is lost; 0: none.
        babbles: an output spike comes out whenever the host looks.
        strays: every output spike is followed by one from a place that its core does not have.
        clock_phase: when the slow clock first ticks after it was switched on, in its periods, 0 to 1.
        hangs_in: call that does not return before the block of `fake_samna` ends: `"get_events"`, `"write"`,
            `"apply_configuration"`.
        hangs_after: so many calls of that name return.
        ignored_resets: transfers that write states and have no effect, by number from 0.
    """

    busy: Collection[int] = ()
    refuses: str = ""
    unplug_after: float = math.inf
    silent_after: float = math.inf
    answers: bool = True
    transfer_s: float = 0.0
    delay_s: float = 0.0
    loses_first: Literal["chip", "core", "none"] = "chip"
    lose_every: int = 0
    lose_spikes_every: int = 0
    babbles: bool = False
    strays: bool = False
    clock_phase: float = 0.0
    hangs_in: str = ""
    hangs_after: int = 0
    ignored_resets: Collection[int] = ()
