"""The chip's readout block: moving averages of up to 15 classes on the slow clock, the largest, and a threshold.

Speck Dev Kit Datasheet (Aug 2023), 3.2.5. At every tick the spikes of each class since the last tick enter its moving
average; class 0 is idle. INTERRUPT rises, and the four READOUT pins show the class of the largest average, when that is
greater than the threshold (or always, with `override_threshold_max`). Erratum of Speck2e and Speck2f (Sinabs'
documentation, chip errata): channel 0 of the last core is class 1, channel 4 class 2, channel 8 class 3, so n classes
take (n - 1) * 4 + 1 channels, and those between must be silent: `spread` makes them. In `timestep` and `event`
semantics alike a tick is a step.

What no public text settles is an option: which class wins a tie, and whether "moving average" and "low pass filter"
mean the mean over the window or a recursive filter. Averages are taken to be rounded down and counters to stay at
65535.

Left out: the addressing modes that read pixels. Datasheet table 5 names them (2x*2y*4f, 2x*4y*2f, 4x*4y*1f) and does
not say which pixel is which class; neither do samna's reference, Sinabs' notebook on the readout layer, its chip
errata, its issues (182 is about the erratum), nor the public programs that were found, which all end in a layer of one
pixel. The erratum was seen in the mode for one pixel alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.dynapcnn.peripherals import CLASSES, COUNTER, Readout
from i2e_deploy.chips.trace import Integers
from i2e_deploy.errors import InputError


@dataclass(frozen=True, eq=False)
class ReadoutTrace:
    """What the block said at every tick.

    Args:
        averages: int64 [B, T, 16], by class; class 0 is idle.
        winner: int64 [B, T], class of the largest average, 0 where all are 0.
        interrupt: bool [B, T].
        values: int64 [B, T], the 21 bits of `ReadoutValue`.
    """

    averages: NDArray[np.int64]
    winner: NDArray[np.int64]
    interrupt: NDArray[np.bool_]
    values: NDArray[np.int64]

    def decisions(self) -> NDArray[np.int64]:
        """Output (from 0) that the READOUT pins show in the end, -1 where no interrupt came: int64 [B]."""
        last = self.interrupt.shape[1] - 1 - self.interrupt[:, ::-1].argmax(axis=1)
        shown = np.take_along_axis(self.winner, last[:, None], axis=1)[:, 0] - 1
        return np.where(self.interrupt.any(axis=1), shown, -1)


def read_out(readout: Readout, output: Integers) -> ReadoutTrace:
    """Spikes of the classes, int [B, T, N] with N <= 15 (`Trace.output`), through the block.

    Raises:
        InputError: more classes than it has.
    """
    batch, ticks, classes = output.shape
    if classes > CLASSES:
        raise InputError(f"the readout is given {classes} classes: it has {CLASSES}; count spikes on the host")
    counts = np.zeros((batch, ticks, CLASSES + 1), np.int64)
    counts[:, :, 1 : classes + 1] = np.minimum(output, COUNTER)
    averages = np.zeros_like(counts)
    kept = np.zeros((batch, CLASSES + 1), np.int64)
    for t in range(ticks):
        if readout.average == "recursive":
            kept = kept - kept // readout.window + counts[:, t]
        else:
            kept = counts[:, max(0, t + 1 - readout.window) : t + 1].sum(axis=1)
        averages[:, t] = np.minimum(kept // readout.window, COUNTER)
    winner = averages.argmax(axis=2)
    if readout.tie == "highest":
        winner = CLASSES - averages[:, :, ::-1].argmax(axis=2)
    largest = averages.max(axis=2)
    winner = np.where(largest > 0, winner, 0)
    above = largest > readout.threshold
    return ReadoutTrace(averages, winner, above | readout.override, _values(readout, averages, winner, above))


def _values(
    readout: Readout, averages: NDArray[np.int64], winner: NDArray[np.int64], above: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Bit 20, bits 19 to 16 the winner, bits 15 to 0 the data of the mode (Datasheet, table 6 and its text)."""
    if readout.mode == 0:
        return np.zeros_like(winner)
    valid: Any = 1
    if readout.mode == 1:
        data = ((averages > readout.threshold) << np.arange(CLASSES + 1)).sum(axis=2)
    elif readout.mode == 2:
        data = averages[:, :, readout.selected]
    else:
        data, valid = averages.max(axis=2), above.astype(np.int64)
    return np.asarray(valid << 20 | winner << 16 | data, np.int64)
