"""What a recording holds: counts, times, rates, damage."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from i2e_deploy.events.files import Damage, EventReader
from i2e_deploy.events.options import SensorSize
from i2e_deploy.text import record_repr

#: Length of a bin of the peak rate, us.
PEAK_BIN = 10_000


@dataclass(frozen=True)
class Summary:
    """What a recording holds.

    Args:
        sensor_size: (width, height) that the file or the caller says, or None.
        extent: (width, height) of the smallest sensor that holds all events; (0, 0) without events.
        events: how many.
        on: how many of these are ON.
        first_us, last_us: times of the first and the last; None without events.
        peak_rate: events a second in the busiest 10 ms; None where the recording is not longer.
        damage: None for a whole file.
        notes: what the reader assumed, put in order or left out.
    """

    sensor_size: SensorSize | None
    extent: SensorSize
    events: int
    on: int
    first_us: int | None
    last_us: int | None
    peak_rate: float | None
    damage: Damage | None
    notes: tuple[str, ...]

    __repr__ = record_repr

    @property
    def seconds(self) -> float:
        """From the first event to the last."""
        return 0.0 if self.first_us is None or self.last_us is None else (self.last_us - self.first_us) / 1e6

    @property
    def rate(self) -> float | None:
        """Events a second on average; None where all events are at one time."""
        return self.events / self.seconds if self.seconds else None

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {**asdict(self), "off": self.events - self.on, "seconds": self.seconds, "rate": self.rate}


def summarize(reader: EventReader) -> Summary:
    """Read a recording to its end, in constant memory.

    Raises:
        FileFormatError: it is damaged, and was not opened with `damaged="salvage"`.
    """
    count = on = width = height = peak = open_count = 0
    open_bin: int | None = None
    first: int | None = None
    last: int | None = None
    for packet in reader:
        t = packet["t"]
        first, last = (int(t[0]) if first is None else first), int(t[-1])
        count, on = count + len(packet), on + int(packet["p"].sum())
        width, height = max(width, int(packet["x"].max()) + 1), max(height, int(packet["y"].max()) + 1)
        bins, counts = np.unique((t - first) // PEAK_BIN, return_counts=True)
        if open_bin == int(bins[0]):
            counts[0] += open_count
        peak = max(peak, open_count, int(counts.max()))
        open_bin, open_count = int(bins[-1]), int(counts[-1])
    long = first is not None and last is not None and last - first > PEAK_BIN
    rate = peak * 1e6 / PEAK_BIN if long else None
    return Summary(reader.sensor_size, (width, height), count, on, first, last, rate, reader.damage, reader.notes)
