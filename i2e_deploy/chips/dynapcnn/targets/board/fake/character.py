"""How a fake chip is made where public text leaves it open and the simulator has no option for it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from i2e_deploy.chips.dynapcnn.program import CoreLayer
from i2e_deploy.text import record_repr


@dataclass(frozen=True)
class Character:
    """The default is what the simulator assumes, on a chip that takes no time and no energy.

    Args:
        own_pixel: see `EventFilter`.
        hot_pixels: see `EventFilter`.
        tie: see `Readout`.
        average: see `Readout`.
        passes: which of a group of spikes its decimator lets through.
        synops_rate, parallel_rate: synaptic operations a second of a core, and of a parallel one (0 and 1).
        core_us: from an event that reaches an idle core to the start of its work.
        events_rate: spikes a second that the monitors send out.
        queue: spikes that wait for that at most; others are lost.
        synop_j, spike_j: energy of a synaptic operation and of a spike, on the rail `logic`.
        twist: changes every layer that is configured, for a chip that does what nobody expects.
    """

    own_pixel: Literal["yes", "no"] = "yes"
    hot_pixels: Literal["own", "interval"] = "own"
    tie: Literal["lowest", "highest"] = "lowest"
    average: Literal["window", "recursive"] = "window"
    passes: Literal["first", "last"] = "last"
    synops_rate: float = math.inf
    parallel_rate: float = math.inf
    core_us: float = 0.0
    events_rate: float = math.inf
    queue: float = math.inf
    synop_j: float = 0.0
    spike_j: float = 0.0
    twist: Callable[[CoreLayer], CoreLayer] | None = None

    __repr__ = record_repr

    @property
    def takes_time(self) -> bool:
        """Whether spikes leave later than the events that cause them come."""
        return self.core_us > 0 or min(self.synops_rate, self.parallel_rate, self.events_rate) < math.inf
