"""Events per second of reading files and of binning, beside the peers, in one process and thread, by processor time.

    python benchmarks/events.py [--file RECORDING] [--repeat 3] [--only binning]

Without a file, 5 M events of a disc and noise on 320 x 240 are made. Peers that are not installed are left out.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from numpy.typing import NDArray
from rows import NotRun, Row, machine

from i2e_deploy.events import Events
from i2e_deploy.events.files import open_events, read_events, write_events
from i2e_deploy.events.formats import FORMATS
from i2e_deploy.events.frames import Bounds, FrameSpec, frames_reference, to_frames
from i2e_deploy.events.sources import open_source
from i2e_deploy.events.stream import StreamSpec, Windower
from i2e_deploy.events.windows import by_time

WINDOW_US = 10_000
#: Formats that faery reads too.
FAERY = ("evt2", "evt3", "dat", "es", "aedat4")
TONIC_DTYPE = np.dtype([("x", "<i2"), ("y", "<i2"), ("t", "<i8"), ("p", "?")])


def best(run: Callable[[], Any], repeat: int) -> float:
    """Least processor seconds of `repeat` runs, after one that is not counted; a busy machine does not count."""
    run()
    times = []
    for _ in range(repeat):
        start = time.process_time()
        run()
        times.append(time.process_time() - start)
    return min(times)


def recording(path: Path | None) -> tuple[Events, tuple[int, int]]:
    if path is not None:
        whole = read_events(path)
        part = whole.events
        part["t"] -= part["t"][0]
        duration = int(part["t"][-1]) + 1
        copies = -(-5_000_000 // len(part))
        events = np.tile(part, copies)
        events["t"] += np.repeat(np.arange(copies) * duration, len(part))
        return events, whole.sensor_size or (int(part["x"].max()) + 1, int(part["y"].max()) + 1)
    source = open_source("fake://320x240?rate=500000&seconds=10&realtime=0&packet=10000")
    packets = []
    while (packet := source.read(1)) is not None:
        packets.append(packet)
    return np.concatenate(packets), source.sensor_size


def tonic_rows(events: Events, size: tuple[int, int], full: NDArray[Any], repeat: int = 1) -> list[tuple[str, float]]:
    """tonic's `ToFrame` on the same windows, and that it gives `full`; no row where it is not installed."""
    try:
        from tonic.transforms import ToFrame
    except ImportError:
        print("(tonic is not installed: pip install tonic)")
        return []
    theirs = np.empty(len(events), TONIC_DTYPE)
    for name in TONIC_DTYPE.names or ():
        theirs[name] = events[name]
    to_frame = ToFrame((*size, 2), time_window=WINDOW_US)
    assert np.array_equal(full, to_frame(theirs)), "not equal to tonic"
    return [(f"tonic ToFrame, {size[0]}x{size[1]}, int16", len(events) / best(lambda: to_frame(theirs), repeat) / 1e6)]


def frame_rows(events: Events, bounds: Bounds, spec: FrameSpec, label: str, repeat: int) -> list[tuple[str, float]]:
    """A new int32 array; then a smaller one that is used again; each with its floor: writing zeros only."""
    count, frames = len(events) / 1e6, to_frames(events, bounds, spec)
    again: NDArray[Any] = np.zeros(frames.shape, np.uint8 if frames.max() < 256 else np.uint16)  # hot pixels
    assert np.array_equal(to_frames(events, bounds, spec, again), frames)
    new_bytes, shape = frames.nbytes / 1e6, frames.shape
    del frames
    return [
        (f"to_frames, {label}, new int32", count / best(lambda: to_frames(events, bounds, spec), repeat)),
        (f"   floor: zeros, {new_bytes:,.0f} MB", count / best(lambda: np.full(shape, 0, np.int32), repeat)),
        (f"to_frames, {label}, {again.dtype}, again",
         count / best(lambda: to_frames(events, bounds, spec, again), repeat)),
        (f"   floor: zeros, {again.nbytes / 1e6:,.0f} MB", count / best(lambda: again.fill(0), repeat)),
    ]  # fmt: skip


def windower_rows(events: Events, spec: FrameSpec, repeat: int) -> list[tuple[str, float]]:
    """Packets as they come from a camera, windows cut as they close."""

    def stream(packet: int) -> None:
        windower = Windower(StreamSpec(8, WINDOW_US // 8), spec)
        for start in range(0, len(events), packet):
            windower.push(events[start : start + packet])

    rows = []
    for packet in (10_000, 1_000):
        seconds = best(lambda packet=packet: stream(packet), repeat)  # type: ignore[misc]
        rows.append((f"Windower, live, 32x32, {packet:,} a packet", len(events) / seconds / 1e6))
    return rows


def binning(events: Events, size: tuple[int, int], repeat: int) -> None:
    print(f"\nbinning, windows of {WINDOW_US / 1000:g} ms                M events/s   ratio to tonic")
    bounds, count = by_time(events, WINDOW_US), len(events) / 1e6
    full, small = FrameSpec(size, (2, size[1], size[0])), FrameSpec(size, (2, 32, 32))
    rows = tonic_rows(events, size, to_frames(events, bounds, full))
    peer = rows[0][1] if rows else float("nan")
    for spec in (full, FrameSpec(size, (2, 128, 128)), small):
        rows += frame_rows(events, bounds, spec, f"{spec.shape[2]}x{spec.shape[1]}", repeat)
    binary = FrameSpec(size, (1, 32, 32), binary=True)
    rows.append(("to_frames, 32x32, binary, merged", count / best(lambda: to_frames(events, bounds, binary), repeat)))
    rows.append(("NumPy definition, 32x32", count / best(lambda: frames_reference(events, bounds, small), 1)))
    assert np.array_equal(to_frames(events, bounds, small), frames_reference(events, bounds, small))
    rows += windower_rows(events, small, repeat)
    for label, rate in rows:
        print(f"{label:44s} {rate:8.1f}   {rate / peer:6.1f}")


@dataclass(frozen=True)
class FileRates:
    """Size in MB, and M events/s: written, read whole, read in packets, and so by the peer (0 = there is none)."""

    megabytes: float
    wrote: float
    read: float
    packets: float
    peer: float


def file_rates(name: str, folder: Path, events: Events, size: tuple[int, int], repeat: int) -> FileRates:
    """One format; text gets a tenth of the events."""
    path = folder / f"a{(*FORMATS[name].suffixes, '.raw')[0]}"
    count = len(events) if name != "csv" else len(events) // 10
    part = events[:count]
    start = time.process_time()
    write_events(path, part, size, format=name)
    wrote = time.process_time() - start
    assert np.array_equal(read_events(path).events, part), name
    read = best(lambda: read_events(path), repeat)
    packets = best(lambda: sum(map(len, open_events(path))), repeat)
    each = count / 1e6
    peer = peer_rate(name, path, count, repeat)
    return FileRates(path.stat().st_size / 1e6, each / wrote, each / read, each / packets, peer)


def peer_rate(name: str, path: Path, count: int, repeat: int) -> float:
    """faery alone on the same file, as it is: packets of its own dtype."""
    if name not in FAERY:
        return 0
    import faery

    kind = {"evt2": "evt", "evt3": "evt", "aedat4": "aedat"}.get(name, name)
    seconds = best(
        lambda: sum(map(len, faery.file_decoder.Decoder(path, file_type=kind, time_range_cache=None))), repeat
    )
    return count / seconds / 1e6


def files(events: Events, size: tuple[int, int], repeat: int) -> None:
    print("\nfiles                 MB   write M/s    read M/s   read in packets M/s   peer")
    events = events.copy()
    events["t"] -= events["t"][0]
    with tempfile.TemporaryDirectory() as folder:
        for name in FORMATS:
            if name == "nmnist":
                continue
            rates = file_rates(name, Path(folder), events, size, repeat)
            print(f"{name:12s} {rates.megabytes:11.1f} {rates.wrote:11.1f} {rates.read:11.1f} {rates.packets:21.1f}   "
                  f"{f'faery {rates.peer:.1f}' if rates.peer else ''}")  # fmt: skip


def short() -> Iterator[Row | NotRun]:
    """For `check.py`: 2 M events; ours over tonic's and faery's rate, and the rates of formats without a peer."""
    events, size = recording(None)
    events = events[:2_000_000].copy()
    events["t"] -= events["t"][0]
    bounds, small = by_time(events, WINDOW_US), FrameSpec(size, (2, 32, 32))
    full = FrameSpec(size, (2, size[1], size[0]))
    peer = tonic_rows(events, size, to_frames(events, bounds, full), 5)
    if not peer:
        yield NotRun("tonic is not installed")
    for spec in (full, small) if peer else ():
        rows = frame_rows(events, bounds, spec, f"{spec.shape[2]}x{spec.shape[1]}", 5)[::2]  # without the floors
        for label, rate in rows if spec is full else [*rows, *windower_rows(events, spec, 5)]:
            yield Row(f"{label}, ours / tonic", rate / peer[0][1])
    with tempfile.TemporaryDirectory() as folder:
        for name in ("evt2.1", "aedat3.1", "dsec", "csv", *FAERY):
            rates = file_rates(name, Path(folder), events, size, 5)
            if rates.peer:
                yield Row(f"{name}, in packets, ours / faery", rates.packets / rates.peer)
            else:
                yield Row(f"{name}, read", rates.read, "M events/s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--file", type=Path)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--only", choices=["binning", "files"])
    arguments = parser.parse_args()
    events, size = recording(arguments.file)
    print(f"{machine()}; load {os.getloadavg()[0]:.1f} at the start")
    print(f"{len(events):,} events on {size[0]}x{size[1]}, {np.ptp(events['t']) / 1e6:.1f} s, processor time")
    if arguments.only != "files":
        binning(events, size, arguments.repeat)
    if arguments.only != "binning":
        files(events, size, arguments.repeat)


if __name__ == "__main__":
    main()
