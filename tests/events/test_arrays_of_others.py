"""NumPy files of tonic, Metavision, expelliarmus and plain tables [N, 4]: every field where it belongs."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from event_strategies import random_events

from i2e_deploy.errors import FileFormatError
from i2e_deploy.events.files import read_events, write_events

KINDS: dict[str, Any] = {
    "tonic": [("x", "<i2"), ("y", "<i2"), ("t", "<i8"), ("p", "?")],
    "tonic nmnist": [("x", "<i8"), ("y", "<i8"), ("t", "<i8"), ("p", "<i8")],
    "metavision": {"names": ["x", "y", "p", "t"], "formats": ["<u2", "<u2", "<i2", "<i8"], "offsets": [0, 2, 4, 8],
                   "itemsize": 16},
    "big endian": [("timestamp", ">u4"), ("x", ">u2"), ("y", ">u2"), ("polarity", ">i1")],
}  # fmt: skip
ORDERS = ("txyp", "xytp", "xypt")


def structured(events: Any, dtype: Any) -> Any:
    theirs = np.zeros(len(events), dtype)
    for name, field in zip(("x", "y", "t", "p"), ("x", "y", "timestamp", "polarity"), strict=True):
        theirs[name if name in theirs.dtype.names else field] = events[name]
    return theirs


@pytest.mark.parametrize("kind", KINDS)
def test_structured_arrays(kind: str, tmp_path: Path) -> None:
    for seed in range(10):
        events = random_events(int(np.random.default_rng(seed).integers(0, 200)), 300, 200, seed)
        theirs = structured(events, np.dtype(KINDS[kind]))
        np.save(tmp_path / "a.npy", theirs)
        np.savez(tmp_path / "a.npz", theirs)
        np.savez_compressed(tmp_path / "b.npz", events=theirs, other=np.arange(3))
        for path in (tmp_path / "a.npy", tmp_path / "a.npz", tmp_path / "b.npz"):
            got = read_events(path)
            np.testing.assert_array_equal(got.events, events)
            assert got.notes == ()


def test_what_expelliarmus_reads(tmp_path: Path) -> None:
    expelliarmus = pytest.importorskip("expelliarmus")
    events = random_events(500, 300, 200, 1)
    write_events(tmp_path / "a.dat", events, (300, 200))
    theirs = expelliarmus.Wizard(encoding="dat").read(tmp_path / "a.dat")
    np.save(tmp_path / "a.npy", theirs)
    np.testing.assert_array_equal(read_events(tmp_path / "a.npy").events, events)


def test_what_tonic_reads(tmp_path: Path) -> None:
    io = pytest.importorskip("tonic.io")
    events = random_events(500, 34, 34, 1)
    write_events(tmp_path / "a.bin", events, (34, 34))
    np.save(tmp_path / "a.npy", io.read_mnist_file(str(tmp_path / "a.bin"), dtype=io.events_struct))
    np.testing.assert_array_equal(read_events(tmp_path / "a.npy").events, events)


def test_drawn_tables(tmp_path: Path) -> None:
    """Order, dtype, C or Fortran order, -1 or 0, seconds or us, `.npy` or `.npz`: all drawn."""
    for seed in range(60):
        random = np.random.default_rng(seed)
        events = random_events(int(random.integers(50, 3000)), 300, 200, seed)
        order, floats = str(random.choice(ORDERS)), bool(random.integers(2))
        unit = "s" if floats and random.integers(2) else "us"
        columns = {name: events[name].astype("f8" if floats else "i8") for name in "txyp"}
        minus, fortran = bool(random.integers(2)), bool(random.integers(2))
        columns["p"] = 2 * columns["p"] - 1 if minus else columns["p"]
        columns["t"] = columns["t"] / 1e6 if unit == "s" else columns["t"]
        table = np.stack([columns[name] for name in order], axis=1)
        table = np.asfortranarray(table) if fortran else np.ascontiguousarray(table)
        path = tmp_path / ("a.npy" if random.integers(2) else "a.npz")
        np.save(path, table) if path.suffix == ".npy" else np.savez(path, events=table)
        got = read_events(path)
        np.testing.assert_array_equal(got.events, events, err_msg=str((seed, order, unit)))
        said = " ".join(got.notes)
        assert f"taken for {', '.join(order)}" in said
        assert ("taken for seconds" in said) == (unit == "s")
        assert ("-1 was taken for OFF" in said) == (minus and not events["p"].all())
        np.testing.assert_array_equal(read_events(path, columns=order, time_unit=unit).events, events)


def test_a_table_of_several_packets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("i2e_deploy.events.formats.numpy_files.PACKET_EVENTS", 700)
    events = random_events(5000, 300, 200, 2)
    table = np.stack([events[name].astype(np.int64) for name in "txyp"], axis=1)
    for stored in (table, np.asfortranarray(table)):
        np.save(tmp_path / "a.npy", stored)
        np.savez_compressed(tmp_path / "a.npz", stored)
        for name in ("a.npy", "a.npz"):
            np.testing.assert_array_equal(read_events(tmp_path / name).events, events)


def test_impossible_values_are_refused_or_left_out(tmp_path: Path) -> None:
    events = random_events(300, 300, 200, 3)
    random = np.random.default_rng(3)
    for field, wrong in (("x", -1.0), ("x", 70000), ("y", 1.5), ("t", np.nan), ("t", np.inf), ("p", 2), ("p", np.nan),
                         ("t", 1e30)):  # fmt: skip
        theirs = structured(events, [(name, "f8") for name in "txyp"])
        at = int(random.integers(1, 299))
        theirs[field][at] = wrong
        np.save(tmp_path / "a.npy", theirs)
        with pytest.raises(
            FileFormatError, match=f"after {at} events.*: row {at} is .*{field}={re.escape(str(float(wrong)))}"
        ):
            read_events(tmp_path / "a.npy", time_unit="us")
        got = read_events(tmp_path / "a.npy", damaged="salvage", time_unit="us")
        np.testing.assert_array_equal(got.events, np.delete(events, at))
        assert got.damage is not None
        assert got.damage.dropped == 1


def test_large_unsigned_times_do_not_wrap(tmp_path: Path) -> None:
    theirs = np.zeros(2, [("t", "<u8"), ("x", "<u2"), ("y", "<u2"), ("p", "?")])
    theirs["t"] = [5, 2**63 + 5]
    np.save(tmp_path / "a.npy", theirs)
    with pytest.raises(FileFormatError, match="row 1 is t=9223372036854775813"):
        read_events(tmp_path / "a.npy")


def test_shapes_that_are_no_events(tmp_path: Path) -> None:
    for array, message in (
        (np.zeros((4, 50)), "rows and columns are exchanged"),
        (np.zeros((5, 3)), "not events with fields t, x, y, p nor a table"),
        (np.zeros((2, 3, 4)), "not events with fields"),
        (np.zeros(5), "not events with fields"),
        (np.zeros(5, "U4"), "not events with fields"),
        (np.zeros(5, [("t", "i8"), ("x", "i8"), ("y", "i8")]), "numbers t, x, y, p is read"),
        (np.zeros(5, [(name, "i8", (2,)) for name in "txyp"]), "numbers t, x, y, p is read"),
    ):
        np.save(tmp_path / "a.npy", array)
        with pytest.raises(FileFormatError, match=message):
            read_events(tmp_path / "a.npy")
    np.savez(tmp_path / "a.npz", frames=np.zeros((3, 2, 8, 8)))
    with pytest.raises(FileFormatError, match="holds frames, which have no times"):
        read_events(tmp_path / "a.npz")
    np.savez(tmp_path / "a.npz", one=np.zeros(3), two=np.zeros(3))
    with pytest.raises(FileFormatError, match="its arrays are one, two"):
        read_events(tmp_path / "a.npz")
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        for number in range(100):
            archive.writestr(f"{number}.npy", b"")
    with pytest.raises(FileFormatError, match="holds 100 arrays, at most 64"):
        read_events(tmp_path / "a.npz")
