"""`i2e://FOLDER?size=32`: pictures (folder, .zip, .tar, .parquet) for a virtual camera, converted to events by I2E."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.conversion import as_ratio, convert
from i2e_deploy.errors import InputError
from i2e_deploy.events.array import EVENT_DTYPE, Events, empty_events
from i2e_deploy.events.order import spread_rank
from i2e_deploy.events.sources import SourceUri


class PictureSource:
    """Shows every picture of a folder once: 8 steps of events each, then a pause.

    Options: `size` pixels a side (32), `ratio` the I2E threshold S_th0 (0.12), `step` us a step (2500), `pause` us
    after a picture (0), `realtime` (1), `loop` (0). A window of 8 steps covers one picture.
    """

    def __init__(self, uri: SourceUri) -> None:
        from i2e_deploy.datasets.picture import Resize
        from i2e_deploy.datasets.sources import open_source

        uri.only("size", "ratio", "step", "pause", "realtime", "loop")
        size = int(uri.number("size", 32, 4, 2048))
        self.sensor_size = (size, size)
        self._ratio = as_ratio(uri.options.get("ratio", "0.12"))
        self._step, self._pause = int(uri.number("step", 2500, 1, 1e7)), int(uri.number("pause", 0, 0, 1e9))
        self._realtime, self._loop = bool(uri.number("realtime", 1, 0, 1)), uri.flag("loop")
        self.unpaced = not self._realtime
        #: The picture shown last.
        self.shown = ""
        self._images = open_source(uri.host + uri.path)
        self._names, self._resize = self._images.names(), Resize(size)
        if not self._names:
            raise InputError(f"{uri.host + uri.path} holds no pictures")
        self._packets = self._play()
        self._due: Events | None = None
        self._start: float | None = None

    def read(self, timeout: float) -> Events | None:
        """See `Source.read`."""
        if self._due is None:
            self._due = next(self._packets, None)
        if self._due is None:
            return None
        if self._realtime and len(self._due):
            self._start = time.monotonic() if self._start is None else self._start
            wait = self._start + int(self._due["t"][-1]) / 1e6 - time.monotonic()
            if wait > 0:
                time.sleep(min(wait, timeout))
            if wait > timeout:
                return empty_events()
        events, self._due = self._due, None
        return events

    def close(self) -> None:
        """See `Source.close`."""

    def _play(self) -> Iterator[Events]:
        from i2e_deploy.datasets.picture import decode_picture

        now = 0
        while True:
            for name in self._names:
                pixels = decode_picture(self._images.read(name), self._resize, name).transpose(2, 0, 1)
                frames = convert(np.ascontiguousarray(pixels)[None], self._ratio)[0]
                self.shown = name
                for frame in frames:
                    yield frame_events(frame, now)
                    now += self._step
                now += self._pause
            if not self._loop:
                return


def frame_events(frame: NDArray[Any], t: int) -> Events:
    """Events of one binary frame [2, H, W], all at `t` us, in spread order; see `events.order`."""
    p, y, x = np.nonzero(frame)
    order = np.argsort(spread_rank(frame.shape)[p, y, x])
    p, y, x = p[order], y[order], x[order]
    events = np.empty(len(p), EVENT_DTYPE)
    events["t"], events["x"], events["y"], events["p"] = t, x, y, p
    return events
