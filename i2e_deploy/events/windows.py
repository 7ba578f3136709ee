"""Windows over a sorted event array: which events belong to which window.

A window of time is `[start + k * stride, start + k * stride + length)`. All bounds are int64 [n, 2]: index of the
first event and of the one after the last; `frames.to_frames` takes them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from i2e_deploy.errors import InputError
from i2e_deploy.events.array import Events, empty_events
from i2e_deploy.events.frames import Bounds

#: More windows than this are refused: a garbage time stamp would ask for billions of empty ones.
MAX_WINDOWS = 2**24


def by_time(
    events: Events, length: int, stride: int | None = None, start: int | None = None, partial: bool = False
) -> Bounds:
    """Windows of `length` us.

    Args:
        events: [N], sorted.
        length: of a window, us.
        stride: from one window's start to the next, us; None: `length` (no overlap). May exceed it (gaps).
        start: of the first window, us; None: time of the first event.
        partial: also the windows that begin at or before the last event but reach beyond it; without, the last
            window ends at or before the last event's time.

    Raises:
        InputError: a length or stride below 1, or more than `MAX_WINDOWS` windows.
    """
    stride = length if stride is None else stride
    _check(length, stride, "us")
    if not len(events):
        return np.empty((0, 2), np.int64)
    t = events["t"]
    first, last = int(t[0]) if start is None else start, int(t[-1])
    count = (last - first) // stride + 1 if partial else (last - first - length) // stride + 1
    if count > MAX_WINDOWS:
        raise InputError(f"{count} windows of {length} us from {first} to {last} us: at most {MAX_WINDOWS} are made")
    starts = first + stride * np.arange(max(count, 0), dtype=np.int64)
    t = np.ascontiguousarray(t)
    bounds = np.stack([np.searchsorted(t, starts), np.searchsorted(t, starts + length)], axis=1)
    return np.asarray(bounds, np.int64)


def by_count(events: Events, length: int, stride: int | None = None, partial: bool = False) -> Bounds:
    """Windows of `length` events; `stride` in events; with `partial` also a shorter last one."""
    stride = length if stride is None else stride
    _check(length, stride, "events")
    total = len(events)
    count = -(-total // stride) if partial else (total - length) // stride + 1
    starts = stride * np.arange(max(count, 0), dtype=np.int64)
    bounds: Bounds = np.stack([starts, np.minimum(starts + length, total)], axis=1)
    return bounds


def into_steps(events: Events, steps: int) -> Bounds:
    """All events in `steps` windows of equal time, as `floor(duration / steps)` us each; the last takes the rest.

    The definition of tonic's `ToFrame(n_time_bins)`, whose rest is dropped: here no event is lost.
    """
    _check(steps, 1, "steps")
    if not len(events):
        return np.zeros((steps, 2), np.int64)
    t = np.ascontiguousarray(events["t"])
    length = (int(t[-1]) - int(t[0])) // steps
    edges = np.searchsorted(t, int(t[0]) + length * np.arange(steps + 1, dtype=np.int64))
    edges[-1] = len(events)
    return np.asarray(np.stack([edges[:-1], edges[1:]], axis=1), np.int64)


def _check(length: int, stride: int, unit: str) -> None:
    if length < 1 or stride < 1:
        raise InputError(f"windows of {length} {unit}, one every {stride}: both are at least 1")


def iter_windows(packets: Iterable[Events], length: int, stride: int | None = None) -> Iterator[tuple[int, Events]]:
    """Windows of `length` us over packets in order, in memory for one window and one packet.

    Args:
        packets: e.g. `open_events(path)`; sorted across packets.
        length, stride: us, as in `by_time`, counted from the first event.

    Yields:
        (start of the window in us, its events). The last windows reach beyond the last event, as with
        `by_time(partial=True)`.
    """
    stride = length if stride is None else stride
    _check(length, stride, "us")
    kept: list[Events] = []
    start: int | None = None
    for packet in packets:
        if not len(packet):
            continue
        start = int(packet["t"][0]) if start is None else start
        kept.append(packet)
        while int(packet["t"][-1]) >= start + length:
            held = np.concatenate(kept) if len(kept) > 1 else kept[0]
            first, stop, after = np.searchsorted(held["t"], [start, start + length, start + stride])
            yield start, held[first:stop]
            kept, start = [held[after:]], start + stride
            if not len(kept[0]):
                break
    rest = np.concatenate(kept) if kept else empty_events()
    while len(rest) and start is not None and start <= int(rest["t"][-1]):
        first, stop = np.searchsorted(rest["t"], [start, start + length])
        yield start, rest[first:stop]
        start += stride
