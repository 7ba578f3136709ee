"""Round trips are exact for every format, and other people's readers see the same events."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from event_strategies import event_arrays, random_events, sensor_for
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from i2e_deploy.errors import InputError
from i2e_deploy.events import EVENT_DTYPE
from i2e_deploy.events.files import open_events, read_events, write_events
from i2e_deploy.events.formats import FORMATS, WRITTEN

pytest.importorskip("faery")

SMALL = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def suffix(name: str) -> str:
    return (*FORMATS[name].suffixes, ".raw")[0]


@pytest.mark.parametrize("name", WRITTEN)
@SMALL
@given(data=st.data())
def test_round_trip(name: str, data: Any, tmp_path: Path) -> None:
    starts = {"nmnist": [0, 3, 8_000_000], "aedat2": [0, 63, 2**30 + 5]}
    start = data.draw(st.sampled_from(starts.get(name, [0, 63, 2**24 + 5, 2**31 + 7])))
    width, height = sensor_for(name)
    events = data.draw(event_arrays(width, height, start=start))
    path = tmp_path / f"a{suffix(name)}"
    assert write_events(path, events, (width, height), format=name) == len(events)
    got = read_events(path, sensor_size=(width, height))
    np.testing.assert_array_equal(got.events, events)
    assert got.sensor_size == (width, height)
    assert got.damage is None


@pytest.mark.parametrize("name", WRITTEN)
def test_packets_or_one_array_give_the_same_file(name: str, tmp_path: Path) -> None:
    events = random_events(5000, 34, 34)
    whole, parts = tmp_path / f"a{suffix(name)}", tmp_path / f"b{suffix(name)}"
    write_events(whole, events, sensor_for(name), format=name)
    write_events(parts, np.array_split(events, 7), sensor_for(name), format=name)
    np.testing.assert_array_equal(read_events(parts, name).events, read_events(whole, name).events)
    assert not [p for p in tmp_path.iterdir() if p not in (whole, parts)]  # no temporary file stays


@pytest.mark.parametrize("name", sorted(set(WRITTEN) - {"csv", "dsec", "npz", "npy", "aedat2", "aedat4"}))
def test_what_a_format_cannot_hold_is_refused_and_nothing_is_written(name: str, tmp_path: Path) -> None:
    most_t, most_x, _ = FORMATS[name].limits
    events = random_events(3, 4, 4)
    events["t"][-1] = min(most_t + 1, 2**63 - 1)
    path = tmp_path / f"a{suffix(name)}"
    if most_t < 2**62:
        with pytest.raises(InputError, match="shift the times"):
            write_events(path, events, (4, 4), format=name)
    events["t"][-1] = events["t"][-2]
    with pytest.raises(InputError, match="the limit is"):
        write_events(path, events, (most_x + 2, 4), format=name)
    events["x"][1] = 4
    with pytest.raises(InputError, match="event 1 has x = 4, the limit is 3"):
        write_events(path, events, (4, 4), format=name)
    assert not list(tmp_path.iterdir())


def test_unsorted_packets_are_refused(tmp_path: Path) -> None:
    early, late = random_events(5, 4, 4), random_events(5, 4, 4)
    late["t"] += 1000
    with pytest.raises(InputError, match="in order"):
        write_events(tmp_path / "a.npz", [late, early], (4, 4))
    assert not list(tmp_path.iterdir())


def test_unknown_suffix_and_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_events(tmp_path / "none.raw")
    (tmp_path / "a.xyz").write_bytes(b"")
    with pytest.raises(InputError, match="names no event file format"):
        read_events(tmp_path / "a.xyz")
    with pytest.raises(InputError, match="no event file format 'evt9'"):
        write_events(tmp_path / "a.raw", random_events(1, 2, 2), (2, 2), format="evt9")


def same(theirs: Any, events: Any, fields: tuple[str, str, str, str]) -> None:
    for ours, name in zip(("t", "x", "y", "p"), fields, strict=True):
        np.testing.assert_array_equal(np.asarray(theirs[name]).astype(np.int64), events[ours].astype(np.int64))


EVENTS = random_events(20_000, 320, 240, seed=4)


def test_aedat4_against_dv_processing(tmp_path: Path) -> None:
    dv = pytest.importorskip("dv_processing")
    write_events(tmp_path / "a.aedat4", EVENTS, (320, 240))
    reader, batches = dv.io.MonoCameraRecording(str(tmp_path / "a.aedat4")), []
    while (batch := reader.getNextEventBatch()) is not None:
        batches.append(batch.numpy().copy())
    same(np.concatenate(batches), EVENTS, ("timestamp", "x", "y", "polarity"))


def test_aedat4_against_aedat(tmp_path: Path) -> None:
    aedat = pytest.importorskip("aedat")
    write_events(tmp_path / "a.aedat4", EVENTS, (320, 240))
    packets = [packet["events"] for packet in aedat.Decoder(tmp_path / "a.aedat4") if "events" in packet]
    same(np.concatenate(packets), EVENTS, ("t", "x", "y", "on"))


@pytest.mark.parametrize(("name", "ending"), [("evt2", ".raw"), ("dat", ".dat")])
def test_evt2_and_dat_against_expelliarmus(name: str, ending: str, tmp_path: Path) -> None:
    expelliarmus = pytest.importorskip("expelliarmus")
    write_events(tmp_path / f"a{ending}", EVENTS, (320, 240), format=name)
    same(expelliarmus.Wizard(encoding=name).read(tmp_path / f"a{ending}"), EVENTS, ("t", "x", "y", "p"))


def test_nmnist_against_tonic(tmp_path: Path) -> None:
    tonic_io = pytest.importorskip("tonic.io")
    events = random_events(3000, 34, 34)
    write_events(tmp_path / "a.bin", events, (34, 34))
    dtype = np.dtype([("x", int), ("y", int), ("t", int), ("p", int)])
    same(tonic_io.read_mnist_file(tmp_path / "a.bin", dtype=dtype), events, ("t", "x", "y", "p"))


def test_evt3_against_evt3(tmp_path: Path) -> None:
    evt3 = pytest.importorskip("evt3")
    events = EVENTS.copy()
    events["t"][10_000:] += 40_000_000  # a pause of more than two wraps
    write_events(tmp_path / "a.raw", events, (320, 240))
    theirs = evt3.decode_file(str(tmp_path / "a.raw"))
    same({"t": theirs.timestamp, "x": theirs.x, "y": theirs.y, "p": theirs.polarity}, events, ("t", "x", "y", "p"))


@pytest.mark.parametrize(("name", "ending"), [("aedat3.1", ".aedat"), ("evt2.1", ".raw")])
def test_aedat31_and_evt21_against_evutils(name: str, ending: str, tmp_path: Path) -> None:
    """evutils is the only other reader of EVT2.1."""
    evutils_io = pytest.importorskip("evutils.io")
    write_events(tmp_path / f"a{ending}", EVENTS, (320, 240), format=name)
    reader = evutils_io.EventReader(str(tmp_path / f"a{ending}"), mode="all")
    theirs = reader.read()
    reader.close()
    same({field: getattr(theirs, field) for field in "txyp"}, EVENTS, ("t", "x", "y", "p"))


def test_nmnist_clock_overflow(tmp_path: Path) -> None:
    """Row 240 adds 2^13 us to all that follows."""
    rows = [(1, 2, 0x80, 0, 5), (0, 240, 0, 0, 0), (3, 4, 0, 0, 6)]
    (tmp_path / "a.bin").write_bytes(bytes(byte for row in rows for byte in row))
    got = read_events(tmp_path / "a.bin").events
    assert got.tolist() == [(5, 1, 2, 1), (8192 + 6, 3, 4, 0)]


def test_evt21_words_by_hand(tmp_path: Path) -> None:
    """Two words written by hand from the documentation: TIME_HIGH 3, then ON at y 7, x 32 + {0, 5}, low time 9."""
    words = [8 << 60 | 3 << 32, 1 << 60 | 9 << 54 | 32 << 43 | 7 << 32 | 0b100001]
    path = tmp_path / "a.raw"
    path.write_bytes(b"% evt 2.1\n% endianness little\n% end\n" + np.array(words, "<u8").tobytes())
    assert read_events(path).events.tolist() == [(3 * 64 + 9, 32, 7, 1), (3 * 64 + 9, 37, 7, 1)]
    swapped = np.array(words, "<u8").view("<u4").reshape(-1, 2)[:, ::-1].tobytes()
    path.write_bytes(b"% format EVT21;height=8;width=64\n% end\n" + swapped)
    assert len(read_events(path).events) == 2


def test_a_window_of_a_large_file_takes_little_memory(tmp_path: Path) -> None:
    """3 M events are 39 MB in memory; packets stay at or below 2^20 events."""
    events = random_events(3_000_000, 320, 240)
    write_events(tmp_path / "a.npy", events, (320, 240))
    with open_events(tmp_path / "a.npy") as reader:
        sizes = [len(packet) for packet in reader]
    assert sum(sizes) == 3_000_000
    assert max(sizes) <= 2**20


def test_csv_of_other_tools(tmp_path: Path) -> None:
    for text in ("t,x,y,p\n5,1,2,1\n6,3,4,0\n", "5 1 2 1\n6 3 4 0\n", "x,y,p,timestamp\n1,2,1,5\n3,4,0,6\n"):
        (tmp_path / "a.csv").write_text(text)
        assert read_events(tmp_path / "a.csv").events.tolist() == [(5, 1, 2, 1), (6, 3, 4, 0)], text


def test_dtype_is_ours_and_writable(tmp_path: Path) -> None:
    write_events(tmp_path / "a.es", EVENTS, (320, 240))
    got = read_events(tmp_path / "a.es").events
    assert got.dtype == EVENT_DTYPE
    got["t"] -= 1
