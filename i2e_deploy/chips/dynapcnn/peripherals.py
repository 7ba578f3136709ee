"""Settings of the blocks around the cores: the event filter before them, the readout after them. Plain records.

What the blocks do is in `reference.event_filter` and `reference.readout`, with the evidence.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

import numpy as np

from i2e_deploy.errors import InputError

L = TypeVar("L")
#: Erratum: classes are so many channels apart.
SPACING = 4
CLASSES, COUNTER = 15, 2**16 - 1
#: Destination number of the readout block, and the addressing mode that takes one pixel and 16 features.
DESTINATION, ONE_PIXEL = 12, 3
WINDOWS = range(1, 16)


@dataclass(frozen=True)
class EventFilter:
    """One mode of the filter.

    Args:
        mode: see above.
        window: pixels (vertical, horizontal) around the event, odd, 1 to 15; not used in `low_pass`.
        threshold: ticks of the slow clock, 1 to 65535.
        own_pixel: in mode `noise`, whether a pixel's own last event supports it.
        hot_pixels: how `hot_pixel` tells them.

    Raises:
        InputError: a value that is none of these.
    """

    mode: Literal["noise", "low_pass", "hot_pixel"] = "noise"
    window: tuple[int, int] = (3, 3)
    threshold: int = 1
    own_pixel: Literal["yes", "no"] = "yes"
    hot_pixels: Literal["own", "interval"] = "own"

    def __post_init__(self) -> None:
        if self.mode not in ("noise", "low_pass", "hot_pixel"):
            raise InputError(f"mode of the event filter is {self.mode!r}: choose noise, low_pass or hot_pixel")
        if len(self.window) != 2 or any(type(n) is not int or n not in WINDOWS or not n % 2 for n in self.window):
            raise InputError(f"window of the event filter is {self.window!r}: give two odd numbers from 1 to 15")
        if type(self.threshold) is not int or not 1 <= self.threshold < 2**16:
            raise InputError(f"threshold of the event filter is {self.threshold!r}: give 1 to 65535 slow-clock ticks")
        if self.own_pixel not in ("yes", "no") or self.hot_pixels not in ("own", "interval"):
            raise InputError(
                f"own_pixel {self.own_pixel!r} is yes or no, hot_pixels {self.hot_pixels!r} own or interval"
            )

    @property
    def counts_own(self) -> bool:
        """Whether a pixel's own last event supports it."""
        return self.mode == "noise" and self.own_pixel == "yes"

    @property
    def blocks_own(self) -> bool:
        """Whether a recent event of its own pixel blocks an event."""
        return self.mode == "low_pass" or (self.mode == "hot_pixel" and self.hot_pixels == "interval")


@dataclass(frozen=True)
class Readout:
    """Settings of the readout block.

    Args:
        threshold: 0 to 65535; an average must be greater to raise INTERRUPT.
        window: ticks of the slow clock in the moving average: 1, 16 or 32.
        mode: what `ReadoutValue` carries beside the winner: 0 nothing (power down), 1 which averages pass the
            threshold (a bit a class), 2 the average of `selected`, 3 the largest average.
        selected: class (0 to 15) of mode 2.
        override: INTERRUPT at every tick, whatever the threshold.
        tie: class that wins among equals.
        average: mean of the last `window` ticks, or a recursive filter of that time constant.

    Raises:
        InputError: a value that is none of these.
    """

    threshold: int = 0
    window: Literal[1, 16, 32] = 1
    mode: Literal[0, 1, 2, 3] = 3
    selected: int = 0
    override: bool = False
    tie: Literal["lowest", "highest"] = "lowest"
    average: Literal["window", "recursive"] = "window"

    def __post_init__(self) -> None:
        if type(self.threshold) is not int or not 0 <= self.threshold <= COUNTER:
            raise InputError(f"threshold of the readout is {self.threshold!r}: give 0 to {COUNTER}")
        if self.window not in (1, 16, 32) or self.mode not in (0, 1, 2, 3):
            raise InputError(f"readout has window {self.window!r}, mode {self.mode!r}: choose 1, 16, 32 and 0, 1, 2, 3")
        if type(self.selected) is not int or not 0 <= self.selected <= CLASSES or not isinstance(self.override, bool):
            raise InputError(f"readout selects {self.selected!r}, override {self.override!r}: give 0 to 15, a bool")
        if self.tie not in ("lowest", "highest") or self.average not in ("window", "recursive"):
            raise InputError(
                f"readout tie {self.tie!r} is lowest or highest, average {self.average!r} window or recursive"
            )


def spread(layer: L) -> L:
    """An output layer (a stage or a core layer) with silent channels between its classes, as the erratum asks.

    The same as Sinabs' `extend_readout_layer` (sinabs 3.1.3 backend/dynapcnn/utils.py).
    """
    old: Any = layer
    channels = (old.weight.shape[0] - 1) * SPACING + 1
    weight = np.zeros((channels, *old.weight.shape[1:]), old.weight.dtype)
    weight[::SPACING] = old.weight
    bias = None
    if old.bias is not None:
        bias = np.zeros(channels, old.bias.dtype)
        bias[::SPACING] = old.bias
    shape, start = (channels, *old.output_shape[1:]), None
    if old.initial is not None:
        start = np.zeros(shape, old.initial.dtype)
        start[::SPACING] = old.initial
    changed: L = replace(old, weight=weight, bias=bias, output_shape=shape, initial=start)
    return changed
