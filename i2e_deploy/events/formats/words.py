"""Files of words (EVT2, EVT2.1, EVT3, DAT): reading piece by piece with a compiled loop, finding an event's place."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.events.array import EVENT_DTYPE, Events
from i2e_deploy.events.formats.base import Damaged, LeftOut, Opened
from i2e_deploy.events.options import ReadOptions, SensorSize

#: Bytes of a piece, and most events of a packet.
_PIECE, _ROOM = 2**20, 2**18
#: us by which the time of a Prophesee camera's stream goes back now and then. Measured: up to 11 us, in a recording of
#: an IMX636 (Gen4.1).
CAMERA_JITTER = 100


@dataclass(frozen=True)
class WordFile:
    """Where the words of a file are and how they are decoded.

    Args:
        path: the file.
        start: byte at which the words begin.
        dtype: of a word, with its byte order.
        loop: name of the loop in `clock_kernels`.
        prepare: what is done to the words of a piece before decoding; None: nothing.
    """

    path: Path
    start: int
    dtype: str
    loop: str
    prepare: Callable[[NDArray[Any]], NDArray[Any]] | None = None

    def open(self, sensor_size: SensorSize | None, notes: list[str], options: ReadOptions) -> Opened:
        """As `Format.open` gives it; `notes` gets what was left out, when the words end."""
        left_out = LeftOut(options.salvage)
        return Opened(sensor_size, self._packets(notes, left_out), notes=notes, locate=self.locate, left_out=left_out)

    def locate(self, index: int) -> int | None:
        """Byte offset of the word that holds event `index`; None if there is none."""
        for events, position in self._decode(None, LeftOut(True), index + 1):
            index -= len(events)
            if index < 0:
                return position - np.dtype(self.dtype).itemsize
        return None

    def _packets(self, notes: list[str], left_out: LeftOut) -> Iterator[Events]:
        for events, _ in self._decode(notes, left_out, None):
            yield events

    def _decode(self, notes: list[str] | None, left_out: LeftOut, most: int | None) -> Iterator[tuple[Events, int]]:
        """Events and the byte after the word of the last; ends after the word with event `most`."""
        from i2e_deploy.events.formats import clock_kernels as kernels

        loop, state = getattr(kernels, self.loop), np.zeros(kernels.STATE, np.int64)
        state[[kernels.HIGH, kernels.ROW]] = kernels.UNKNOWN
        size, position, before = np.dtype(self.dtype).itemsize, self.start, 0
        with self.path.open("rb") as file:
            file.seek(position)
            for data in iter(partial(file.read, _PIECE), b""):
                words = np.frombuffer(data[: len(data) // size * size], self.dtype)
                words = words if self.prepare is None else self.prepare(words)
                while len(words):
                    limit = min(_ROOM, kernels.MOST_PER_WORD * len(words), _ROOM if most is None else most)
                    events = np.empty(limit + kernels.MOST_PER_WORD, EVENT_DTYPE)
                    taken, count = loop(words, state, events, limit)
                    position, words = position + size * taken, words[taken:]
                    before += count
                    if count:
                        yield events[:count], position
                    if most is not None and (most := most - count) <= 0:
                        return
                    if len(words) and count < limit:
                        word = f"word {int(words[0]):#0{2 * size + 2}x} has an unknown type"
                        unknown = max(1, int(kernels.count_unknown(words, 8 * size - 4, self.loop == "decode_evt3")))
                        left_out.met(word, position, before, unknown)
                        position, words = position + size * unknown, words[unknown:]
                if len(data) % size:
                    raise Damaged(
                        f"it is cut off inside {'an event' if self.loop == 'decode_dat' else 'a word'}", position
                    )
        if notes is not None and (lost := int(state[kernels.LEFT_OUT])):
            notes.append(f"{lost} events in front of the first time (or row) were left out: theirs is not known")
