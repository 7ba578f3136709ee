"""Times that go back: refused with the place, sorted, continued or left out by choice; wraps of a clock go on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from event_strategies import random_events
from numpy.typing import NDArray
from public_data import case

from i2e_deploy.errors import FileFormatError, InputError
from i2e_deploy.events.files import open_events, read_events, write_events

HEADERS = {
    "evt2": b"% evt 2.0\n% format EVT2;height=240;width=320\n% end\n",
    "evt2.1": b"% endianness little\n% evt 2.1\n% format EVT21;endianness=little;height=240;width=320\n% end\n",
    "evt3": b"% evt 3.0\n% format EVT3;height=240;width=320\n% end\n",
    "dat": b"% Version 2\n% Height 240\n% Width 320\n% end\n\x0c\x08",
}
TYPES = {"evt2": "<u4", "evt2.1": "<u8", "evt3": "<u2", "dat": "<u8"}


def raw(folder: Path, name: str, words: Any) -> Path:
    path = folder / ("a.dat" if name == "dat" else "a.raw")
    path.write_bytes(HEADERS[name] + np.array(words, np.uint64).astype(TYPES[name]).tobytes())
    return path


def one(name: str, high: int, low: int, x: int = 1, y: int = 2) -> list[int]:
    """The words of TIME_HIGH `high` and of an ON event at `low`."""
    if name == "evt2":
        return [8 << 28 | high, 1 << 28 | low << 22 | x << 11 | y]
    if name == "evt2.1":
        return [8 << 60 | high << 32, 1 << 60 | low << 54 | x >> 5 << 48 | y << 32 | 1 << (x & 31)]
    return [8 << 12 | high, 6 << 12 | low, y, 2 << 12 | 1 << 11 | x]


def times(path: Path, **options: Any) -> list[int]:
    return [int(t) for t in read_events(path, **options).events["t"]]


SHIFT, TOP = {"evt2": 6, "evt2.1": 6, "evt3": 12}, {"evt2": 2**28, "evt2.1": 2**28, "evt3": 2**12}


@pytest.mark.parametrize("name", TOP)
@pytest.mark.parametrize("lost", [0, 1, 2, 5])
def test_the_clock_goes_on_over_a_wrap_also_with_words_lost(name: str, lost: int, tmp_path: Path) -> None:
    """TIME_HIGH TOP-2, TOP-1, 0, 1, ... twice around, without `lost` of the words at the wrap."""
    top, shift = TOP[name], SHIFT[name]
    counts = [top - 3, top - 2, top - 1, top, top + 1, top + 2, top + 7]
    counts = counts[:3] + counts[3:][min(lost, 3) :] if lost < 5 else [counts[0], counts[-1]]
    words = [word for count in counts for word in one(name, count % top, 5)]
    assert times(raw(tmp_path, name, words)) == [(count << shift) + 5 for count in counts]


def test_a_file_that_starts_just_before_the_wrap(tmp_path: Path) -> None:
    """Also from the first word on: 0xFFE, 0xFFF, 0x000 of EVT3 were read as t = 7."""
    for first in (0xFFE, 0xFFF):
        counts = range(first, 0x1003)
        words = [word for count in counts for word in one("evt3", count % 0x1000, 7)]
        assert times(raw(tmp_path, "evt3", words)) == [(count << 12) + 7 for count in counts]


@pytest.mark.parametrize("name", TOP)
def test_a_restart_is_refused_with_the_place_or_continued(name: str, tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    for _ in range(10):
        high, again = sorted(random.integers(100, TOP[name] - 2000, 2).tolist(), reverse=True)
        high += 20  # at least 20 steps of the counter back: no wrap, no jitter
        path = raw(tmp_path, name, [*one(name, high, 3), *one(name, again, 9), *one(name, again + 1, 9)])
        before, after = (high << SHIFT[name]) + 3, (again << SHIFT[name]) + 9
        place = len(HEADERS[name]) + (len(one(name, 0, 0)) * 2 - 1) * np.dtype(TYPES[name]).itemsize
        message = rf"after 1 events, byte {place}: time goes back from {before} to {after} us, by {before - after} us"
        with pytest.raises(FileFormatError, match=message + r'.*unsorted="sort".*"continue"'):
            read_events(path)
        step = 1 << SHIFT[name]
        assert times(path, unsorted="sort") == [after, after + step, before]
        assert times(path, unsorted="continue") == [before, before, before + step]
        kept = read_events(path, damaged="salvage")
        assert kept.damage is not None
        assert (kept.damage.events, kept.damage.position, kept.damage.dropped) == (1, place, 2)
        assert kept.events["t"].tolist() == [before]


def test_dat_goes_on_over_a_wrap_and_refuses_a_restart(tmp_path: Path) -> None:
    def words(*moments: int) -> list[int]:
        return [(1 << 60 | 2 << 46 | 1 << 32) | t % 2**32 for t in moments]

    around = [2**32 - 10, 2**32 - 1, 2**32, 2**32 + 900_000, 2**33 - 5, 2**33 + 3]
    assert times(raw(tmp_path, "dat", words(*around))) == around
    path = raw(tmp_path, "dat", words(1_000_000, 2_000_000, 5, 6))
    with pytest.raises(FileFormatError, match=rf"byte {len(HEADERS['dat']) + 16}: time goes back from 2000000 to 5 us"):
        read_events(path)
    assert times(path, unsorted="continue") == [1_000_000, 2_000_000, 2_000_000, 2_000_001]


def test_the_last_time_low_counts_and_jitter_is_put_in_order(tmp_path: Path) -> None:
    """TIME_LOW goes back by up to 11 us in recordings of a real camera: true times, in order, counted."""
    random = np.random.default_rng(2)
    for _ in range(20):
        t = np.cumsum(random.integers(0, 30, 300))
        shaken = np.maximum(t - np.where(random.random(300) < 0.2, random.integers(0, 100, 300), 0), 0)
        words = [word for moment in shaken.tolist() for word in one("evt3", moment >> 12, moment & 4095, moment % 320)]
        got = read_events(raw(tmp_path, "evt3", words))
        order = np.argsort(shaken, kind="stable")
        np.testing.assert_array_equal(got.events["t"], shaken[order])
        np.testing.assert_array_equal(got.events["x"], shaken[order] % 320)
        late = shaken < np.maximum.accumulate(shaken)
        if late.any():
            worst = int((np.maximum.accumulate(shaken) - shaken).max())
            assert got.notes == (f"{late.sum()} events came up to {worst} us late and were put in order",)


def test_jitter_across_packets(tmp_path: Path) -> None:
    """An event that belongs before the end of a packet of 2^18 events that was given out long ago."""
    count = 3 * 2**18
    t = np.arange(count) // 4
    t[2**18 : 2**18 + 3] -= 90
    t[2**19] -= 50
    words = np.empty((count, 2), np.uint32)
    words[:, 0], words[:, 1] = 8 << 28 | t >> 6, 1 << 28 | (t & 63) << 22 | 5 << 11 | 6
    (tmp_path / "a.raw").write_bytes(HEADERS["evt2"] + words.astype("<u4").tobytes())
    with open_events(tmp_path / "a.raw") as reader:
        got = np.concatenate(list(reader))
    np.testing.assert_array_equal(got["t"], np.sort(t))
    worst = int((np.maximum.accumulate(t) - t).max())
    assert reader.notes[0].startswith(f"4 events came up to {worst} us late")


def test_events_before_the_first_time_are_left_out_and_counted(tmp_path: Path) -> None:
    words = [*one("evt2", 7, 3)[1:], *one("evt2", 7, 3)]
    got = read_events(raw(tmp_path, "evt2", words))
    assert got.events["t"].tolist() == [7 * 64 + 3]
    assert got.notes[0].startswith("1 events in front of the first time")


@pytest.mark.parametrize("name", ["evt2", "evt3"])
def test_headers_with_bytes_that_are_not_utf8(name: str, tmp_path: Path) -> None:
    header = HEADERS[name].replace(b"% end\n", b"% integrator_name Proph\xe9see\n% end\n")
    path = tmp_path / "a.raw"
    path.write_bytes(header + np.array(one(name, 3, 4), TYPES[name]).tobytes())
    got = read_events(path)
    assert got.events.tolist() == [((3 << SHIFT[name]) + 4, 1, 2, 1)]
    assert got.sensor_size == (320, 240)


def shuffled(seed: int) -> tuple[Any, Any]:
    """Events of which all ON come before all OFF, as some exports have them, and the same in order."""
    events = random_events(400, 320, 240, seed=seed)
    first = np.argsort(events["p"] == 0, kind="stable")
    moved = events[first]
    return moved, moved[np.argsort(moved["t"], kind="stable")]


def lines(events: Any, separator: str = ",", header: str = "t,x,y,p\n") -> str:
    return header + "".join(separator.join(map(str, event)) + "\n" for event in events.tolist())


def write_unsorted(name: str, path: Path, events: Any) -> None:
    """A file of rows in the order of `events`, which our writers refuse."""
    if name == "csv":
        path.write_text(lines(events))
    elif name == "npy":
        np.save(path, events)
    elif name == "npz":
        np.savez(path, **{field: events[field] for field in "txyp"})
    else:
        x, y, p = (events[field].astype(np.uint64) for field in "xyp")
        words = events["t"].astype(np.uint64) | (x | y << np.uint64(14) | p << np.uint64(28)) << np.uint64(32)
        path.write_bytes(HEADERS["dat"] + words.astype("<u8").tobytes())


@pytest.mark.parametrize("name", ["csv", "npy", "npz", "dat"])
@pytest.mark.parametrize("seed", range(5))
def test_on_before_off_is_refused_or_sorted(name: str, seed: int, tmp_path: Path) -> None:
    events, ordered = shuffled(seed)
    path = tmp_path / f"a.{name}"
    write_unsorted(name, path, events)
    back = int((np.diff(events["t"]) < 0).argmax()) + 1
    with pytest.raises(FileFormatError, match=f"after {back} events.*time goes back from .*unsorted="):
        read_events(path)
    got = read_events(path, unsorted="sort")
    np.testing.assert_array_equal(got.events, ordered)
    assert "were put in order" in got.notes[-1]
    kept = read_events(path, damaged="salvage")
    late = events["t"] < np.maximum.accumulate(events["t"])
    np.testing.assert_array_equal(kept.events, events[~late])
    assert kept.damage is not None
    assert kept.damage.dropped == late.sum()


def test_the_line_of_a_csv_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("t,x,y,p\n\n9,1,2,1\n\n5,3,4,0\n6,3,4,0\n")
    with pytest.raises(FileFormatError, match="after 1 events, line 5: time goes back from 9 to 5 us, by 4 us"):
        read_events(tmp_path / "a.csv")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("7,-1,2,1", "t=7 x=-1 y=2 p=1: x and y are 0..65535, p is 0 or 1"),
        ("7,65536,2,1", "x=65536"),
        ("7,1,2,-2", "p=-2"),
        ("7,1,2", "is not 4 numbers"),
        ("7,1,2,1,9", "is not 4 numbers"),
        ("9999999999999999999,1,2,1", "t within 2\\^60 us"),
        ("nan,1,2,1", "is not 4 numbers"),
    ],
)
def test_a_line_that_a_csv_cannot_mean_is_named(row: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(f"t,x,y,p\r\n5,1,2,1\r\n{row}\r\n")
    with pytest.raises(FileFormatError, match=f"after 1 events, line 3: .*{message}"):
        read_events(tmp_path / "a.csv")


def test_a_csv_of_several_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines that lie across the pieces that are read."""
    monkeypatch.setattr("i2e_deploy.events.formats.csv_file._PIECE", 1000)
    events = random_events(3000, 320, 240, seed=8)
    for separator in (",", ";", "\t", " "):
        header = separator.join(("t", "x", "y", "p")) + "\n"
        (tmp_path / "a.csv").write_text(lines(events, separator, header)[:-1])
        np.testing.assert_array_equal(read_events(tmp_path / "a.csv").events, events)


@pytest.mark.parametrize("name", ["evt2", "evt3", "dat", "npy", "csv"])
def test_salvage_leaves_out_bad_pixels_and_counts_them(name: str, tmp_path: Path) -> None:
    """One pixel outside the sensor took everything behind it along."""
    events = random_events(5000, 320, 240, seed=3)
    path = tmp_path / f"a.{name if name in ('dat', 'npy', 'csv') else 'raw'}"
    write_events(path, events, (320, 240), format=name)
    bad = (events["x"] >= 300) | (events["y"] >= 200)
    data = path.read_bytes().replace(b"height=240;width=320", b"height=200;width=300")
    data = data.replace(b"Height 240\n% Width 320", b"Height 200\n% Width 300")
    path.write_bytes(data.replace(b"x@320,y@240", b"x@300,y@200"))
    with pytest.raises(FileFormatError, match=f"after {int(bad.argmax())} events.*does not fit a sensor"):
        read_events(path, sensor_size=(300, 200))
    got = read_events(path, sensor_size=(300, 200), damaged="salvage")
    np.testing.assert_array_equal(got.events, events[~bad])
    assert got.damage is not None
    assert (got.damage.events, got.damage.dropped) == (int(bad.argmax()), int(bad.sum()))


def faery_events(path: Path, kind: str, **options: Any) -> Any:
    faery = pytest.importorskip("faery")
    decoder = faery.file_decoder.Decoder(
        path, time_range_cache=None, file_type=kind, dimensions_fallback=(2047, 2047), **options
    )
    packets = [np.array(packet) for packet in decoder]
    return np.concatenate(packets)


def drawn_evt3(random: np.random.Generator) -> NDArray[np.uint16]:
    """A valid stream as a camera writes it: every TIME_HIGH, repeated ones too, vectors, triggers, a wrap."""
    words: list[int] = []
    high = int(random.integers(0xFE0, 0xFF0))  # faery takes a start at 0xFFE for one after the wrap
    for count in range(high, high + 40):
        words += [0x8000 | count % 4096] * int(random.integers(1, 3))
        for low in np.sort(random.integers(0, 4096, random.integers(0, 6))).tolist():
            words += [0x6000 | low, int(random.integers(0, 720))]
            for kind in random.integers(0, 4, 4).tolist():
                if kind == 0:
                    words.append(0x2000 | int(random.integers(0, 2)) << 11 | int(random.integers(0, 1280)))
                elif kind == 1:
                    words.append(0x3000 | int(random.integers(0, 2)) << 11 | int(random.integers(0, 1200)))
                    words += [0x4000 | int(v) for v in random.integers(0, 4096, random.integers(1, 3))]
                    words.append(0x5000 | int(random.integers(0, 256)))
                elif kind == 2:
                    words += [0xA000 | int(random.integers(0, 2)), 0xE000, 0x7001, 0xF001]
    return np.array(words, "<u2")


def theirs_as_ours(theirs: Any) -> list[Any]:
    return [theirs["t"].tolist(), theirs["x"].tolist(), theirs["y"].tolist(), theirs["on"].astype(int).tolist()]


@pytest.mark.parametrize("seed", range(20))
def test_evt3_equals_faery_where_that_is_right(seed: int, tmp_path: Path) -> None:
    path = tmp_path / "a.raw"
    words = drawn_evt3(np.random.default_rng(seed))
    path.write_bytes(b"% evt 3.0\n% format EVT3;height=720;width=1280\n% end\n" + words.tobytes())
    ours, theirs = read_events(path).events, faery_events(path, "evt", version_fallback="evt3")
    assert [ours[name].tolist() for name in "txyp"] == theirs_as_ours(theirs)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("name", ["evt2", "dat"])
def test_evt2_and_dat_equal_faery_both_ways(seed: int, name: str, tmp_path: Path) -> None:
    """Their file read by us, and ours by them."""
    faery = pytest.importorskip("faery")
    events = random_events(2000, 320, 240, seed=seed, span=[3, 100, 100_000][seed % 3])
    theirs = np.zeros(len(events), [("t", "<u8"), ("x", "<u2"), ("y", "<u2"), ("on", "?")])
    for field, ours in zip(("t", "x", "y", "on"), "txyp", strict=True):
        theirs[field] = events[ours]
    kind, version, ending = ("evt", "evt2", "raw") if name == "evt2" else ("dat", "dat2", "dat")
    path = tmp_path / f"a.{ending}"
    faery.file_encoder.events_to_file(
        iter([theirs]), path, (320, 240), use_write_suffix=False, file_type=kind, version=version, zero_t0=False
    )
    np.testing.assert_array_equal(read_events(path).events, events)
    write_events(tmp_path / f"b.{ending}", events, (320, 240), format=name)
    again = faery_events(tmp_path / f"b.{ending}", kind, **({"version_fallback": "evt2"} if name == "evt2" else {}))
    assert [events[field].tolist() for field in "txyp"] == theirs_as_ours(again)


def test_wrong_words_are_refused(tmp_path: Path) -> None:
    path = raw(tmp_path, "evt2", one("evt2", 1, 1))
    wrong: tuple[tuple[dict[str, Any], str], ...] = (
        ({"unsorted": "guess"}, "choose one of error, sort, continue"),
        ({"damaged": "maybe"}, "choose 'error' or 'salvage'"),
        ({"stream": "0"}, "holds one camera"),
    )
    for options, message in wrong:
        with pytest.raises(InputError, match=message):
            read_events(path, **options)


CASES: dict[str, Any] = {
    "evt3_time_low_back.raw": [11719456, 11719456],
    "evt3_header_latin1.raw": [11719456, 11719456],
    "evt3_starts_before_wrap.raw": [16773127, 16777223, 16781319],
    "evt2_restart_jumps_4.7h.raw": "time goes back",
    "csv_unsorted_times_frozen.csv": "time goes back",
    "dat_time_restarts_frozen.dat": "time goes back",
    "aedat4_packets_out_of_order_frozen.aedat4": "time goes back",
    "aedat4_abort_small.aedat4": "XML header cannot be read",
    "evt2_one_bad_pixel_salvage_gives_0.raw": "does not fit",
}


@pytest.mark.parametrize(("name", "right"), CASES.items())
def test_a_found_file(name: str, right: Any) -> None:
    if isinstance(right, str):
        with pytest.raises(FileFormatError, match=right):
            read_events(case(name))
    else:
        assert times(case(name)) == right
