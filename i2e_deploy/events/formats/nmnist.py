"""N-MNIST `.bin`, our own: five bytes an event (faery and evutils do not read it).

Big-endian: x (8 bits), y (8 bits), polarity (1 bit, 1 = ON), time in us (23 bits). Row 240 marks an overflow of the
sensor's clock: 2^13 us are added to all that follows. Source: garrickorchard.com/datasets/n-mnist;
tonic `read_mnist_file`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from i2e_deploy.events.array import EVENT_DTYPE, Events
from i2e_deploy.events.formats.base import PACKET_EVENTS, Damaged, Format, Opened
from i2e_deploy.events.options import ReadOptions, SensorSize

_OVERFLOW_ROW, _OVERFLOW_US = 240, 2**13
#: The files have no header; the sensor window of N-MNIST is this.
SENSOR_SIZE = (34, 34)


def _packets(path: Path) -> Iterator[Events]:
    position, base = 0, 0
    with path.open("rb") as file:
        while data := file.read(5 * PACKET_EVENTS):
            rows = np.frombuffer(data[: len(data) // 5 * 5], np.uint8).reshape(-1, 5).astype(np.int64)
            marks = rows[:, 1] == _OVERFLOW_ROW
            events = np.empty(len(rows), EVENT_DTYPE)
            events["x"], events["y"], events["p"] = rows[:, 0], rows[:, 1], rows[:, 2] >> 7
            events["t"] = (rows[:, 2] & 127) << 16 | rows[:, 3] << 8 | rows[:, 4]
            events["t"] += base + _OVERFLOW_US * np.cumsum(marks)
            base += _OVERFLOW_US * int(marks.sum())
            yield events[~marks]
            if len(data) % 5:
                raise Damaged("it is cut off inside an event", position + len(data) // 5 * 5)
            position += len(data)


def _write(path: Path, packets: Iterable[Events], size: SensorSize) -> None:
    with path.open("wb") as file:
        for packet in packets:
            t = packet["t"]
            polarity_and_time = packet["p"].astype(np.int64) << 7 | t >> 16
            columns = (packet["x"], packet["y"], polarity_and_time, t >> 8 & 255, t & 255)
            file.write(np.stack([column.astype(np.uint8) for column in columns], axis=1).tobytes())


def _open(path: Path, options: ReadOptions) -> Opened:
    if options.sensor_size is not None:
        return Opened(options.sensor_size, _packets(path))
    notes = [f"its sensor was taken for that of N-MNIST, 34 x 34 pixels: {options.size_word()} says another"]
    return Opened(SENSOR_SIZE, _packets(path), notes=notes, size_assumed=True)


FORMAT = Format(
    "nmnist", (".bin",), _open, _write, (2**23 - 1, 255, _OVERFLOW_ROW - 1), says_size=False,
    remarks="N-MNIST, N-Caltech101 and others of that layout: 34 x 34 unless the caller gives the size; clock "
    "overflows (row 240) are followed",
)  # fmt: skip
