"""Compiled loops over event arrays, record by record: on packed records that is twice as fast as by columns."""

from __future__ import annotations

import numba
import numpy as np

from i2e_deploy.events.array import FAR


@numba.njit(cache=True, nogil=True)
def first_wrong(events, last, jitter, width, height, late):  # type: ignore[no-untyped-def]
    """(Index of the first event that is further back in time than `jitter`, has p > 1 or lies outside; latest time).

    Args:
        events: [N]; the index is N if none is wrong.
        last: latest time before the first, us.
        jitter: us that an event may be earlier than the latest.
        width, height: of the sensor, pixels.
        late: int64 [2], events that were earlier than the latest, and the most us by which.
    """
    for i in range(len(events)):
        event = events[i]
        if event.p > 1 or event.x >= width or event.y >= height:
            return i, last
        if event.t < last:
            if event.t < last - jitter:
                return i, last
            late[0] += 1
            late[1] = max(late[1], last - event.t)
        else:
            last = event.t
    return len(events), last


@numba.njit(cache=True, nogil=True)
def mark_right(events, last, jitter, width, height, late, right):  # type: ignore[no-untyped-def]
    """Set `right` bool [N] for the events that `first_wrong` allows when those before that it does not are left out."""
    for i in range(len(events)):
        event = events[i]
        right[i] = (
            event.p <= 1 and event.x < width and event.y < height and (event.t >= last or event.t >= last - jitter)
        )
        if right[i]:
            if event.t < last:
                late[0] += 1
                late[1] = max(late[1], last - event.t)
            last = max(last, event.t)
    return last


@numba.njit(cache=True, nogil=True)
def follow_restarts(events, last, jitter, shift):  # type: ignore[no-untyped-def]
    """Add to the times of `events` [N] in place so that none is further back than `jitter`: the clock restarted there.

    Returns:
        (What is added to the times after them, number of restarts, index of the first or N).
    """
    restarts, first = 0, len(events)
    for i in range(len(events)):
        t = events[i].t + shift
        if t < last - jitter:
            shift, t = shift + last - t, last
            restarts, first = restarts + 1, min(first, i)
        events[i].t = t
        last = max(last, t)
    return shift, restarts, first


@numba.njit(cache=True, nogil=True)
def copy_aedat4(theirs, events):  # type: ignore[no-untyped-def]
    """AEDAT4's records [N] to `events` [N]; False if a pixel is negative."""
    fits = True
    for i in range(len(theirs)):
        record, event = theirs[i], events[i]
        fits &= record.x >= 0 and record.y >= 0
        event.t, event.x, event.y, event.p = record.t, record.x, record.y, record.p
    return fits


@numba.njit(cache=True, nogil=True)
def count_frames(events, bounds, columns, rows, plane, binary, most, frames):  # type: ignore[no-untyped-def]
    """`frames.frames_reference` into `frames` [n, C * H * W]; False if a count exceeded `most`, what the dtype holds.

    Args:
        events: [N].
        bounds: int64 [n, 2].
        columns, rows: int64 [65536], what x and y add to the offset in a frame; far negative = not seen.
        plane: what polarity 1 adds: H * W, or 0 where polarities are merged.
        binary: set instead of count.
    """
    fits = True
    for k in range(len(bounds)):
        frame = frames[k]
        frame[:] = 0  # here and not before, so that it is in the cache when it is counted into
        for i in range(bounds[k, 0], bounds[k, 1]):
            event = events[i]
            offset = rows[event.y] + columns[event.x] + event.p * plane
            if offset >= 0 and event.p <= 1:
                if binary:
                    frame[np.uint64(offset)] = 1
                else:
                    count = np.int64(frame[np.uint64(offset)]) + 1
                    fits &= count <= most
                    frame[np.uint64(offset)] = count
    return fits


@numba.njit(cache=True, nogil=True)
def fill_steps(events, i, start, last, step, by_time, reset, columns, rows, plane, binary, frames, taken, ends, lost):  # type: ignore[no-untyped-def]
    """Add events from index `i` on to the open step's frame, `frames[0]`, and to those after it as steps close.

    Stops at the end of the events, at a jump in time, and when all frames are full.

    Args:
        events: [N].
        start: us, of the open step.
        last: us, latest event so far.
        step: length of a step, us, or events.
        by_time: whether it is us.
        reset: a time stamp more than so many us before `start` or after `last` is a jump; only `by_time`.
        columns, rows, plane, binary: see `count_frames`.
        frames: int32 [K, C * H * W]; those after the first are zero.
        taken: int64 [K], events in each step.
        ends: int64 [K], set for each step that closed.
        lost: int64 [2], added to: events not seen, events late (before the open step, or of a time beyond `FAR`).

    Returns:
        (index of the first event not taken, steps closed, latest event).
    """
    closed, most = 0, FAR if by_time else step
    while i < len(events) and closed < len(frames):
        frame, count, before = frames[closed], taken[closed], i
        low, span = (start, step) if by_time else (1 - FAR, 2 * FAR - 1)
        while i < len(events) and count < most:
            event = events[i]
            if np.uint64(event.t - low) >= np.uint64(span):  # one comparison for both ends
                break
            i, count = i + 1, count + 1
            offset = rows[event.y] + columns[event.x] + event.p * plane
            if offset < 0 or event.p > 1:
                lost[0] += 1
            elif binary:
                frame[np.uint64(offset)] = 1
            else:
                frame[np.uint64(offset)] += 1
        taken[closed] = count
        if i > before:
            last = max(last, events[i - 1].t)
        if count == most:
            start = events[i - 1].t
            ends[closed] = start
            closed += 1
        elif i < len(events):
            now = events[i].t
            if not -FAR < now < FAR or start - reset <= now < start:
                lost[1] += 1
                i += 1
            elif now < start or now > max(last, start) + reset:
                break  # a jump
            else:
                start += step
                ends[closed] = start
                closed += 1
    return i, closed, last
