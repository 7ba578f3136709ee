"""Hostile, damaged and lying files: a clear error or all up to the damage, never a crash and never much memory."""

from __future__ import annotations

import io
import resource
import struct
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from event_strategies import random_events, sensor_for
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from i2e_deploy.errors import FileFormatError, I2EDeployError
from i2e_deploy.events import EVENT_DTYPE
from i2e_deploy.events.files import read_events, write_events
from i2e_deploy.events.formats import FORMATS, WRITTEN

pytest.importorskip("faery")

EVENTS = random_events(20_000, 34, 34, seed=1)
QUICK = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def written(name: str, folder: Path) -> Path:
    path = folder / f"a{(*FORMATS[name].suffixes, '.raw')[0]}"
    write_events(path, EVENTS, (34, 34), format=name)
    return path


def is_prefix(events: Any) -> bool:
    return np.array_equal(events, EVENTS[: len(events)])


# A cut on a word boundary cannot be seen in formats without a length; the cut below is odd.
@pytest.mark.parametrize("name", ["aedat4", "evt2", "evt2.1", "evt3", "dat", "nmnist", "aedat3.1", "npy"])
def test_a_cut_file_is_an_error_and_can_be_salvaged(name: str, tmp_path: Path) -> None:
    path = written(name, tmp_path)
    data = path.read_bytes()
    header = data.find(b"% end\n") + 6 if b"% end\n" in data else 0
    path.write_bytes(data[: header + ((len(data) - header) * 2 // 3 | 1)])
    with pytest.raises(FileFormatError, match=r"is damaged .* after \d+ events, byte \d+: .*salvage"):
        read_events(path, sensor_size=(34, 34))
    got = read_events(path, sensor_size=(34, 34), damaged="salvage")
    assert got.damage is not None
    assert got.damage.events == len(got.events)
    assert got.damage.position is not None
    assert 0 < got.damage.position <= path.stat().st_size
    assert is_prefix(got.events)
    assert len(got.events) > 0


@pytest.mark.parametrize("name", ["es", "csv", "npz", "dsec"])
def test_a_cut_file_without_word_size_never_crashes(name: str, tmp_path: Path) -> None:
    path = written(name, tmp_path)
    data = path.read_bytes()
    for length in (0, 1, 7, len(data) // 2 | 1, len(data) - 1):
        path.write_bytes(data[:length])
        try:
            got = read_events(path, damaged="salvage")
        except FileFormatError:
            continue
        assert is_prefix(got.events[:-1])  # the last line of a CSV may have lost digits


@pytest.mark.parametrize("name", WRITTEN)
@QUICK
@given(data=st.data())
def test_flipped_bytes_never_crash_nor_give_impossible_events(name: str, data: Any, tmp_path: Path) -> None:
    path = tmp_path / f"a{(*FORMATS[name].suffixes, '.raw')[0]}"
    if not path.exists():
        write_events(path, EVENTS[:500], sensor_for(name), format=name)
        (tmp_path / "good").write_bytes(path.read_bytes())
    good = bytearray((tmp_path / "good").read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(good)
    try:
        got = read_events(path, sensor_size=(34, 34), damaged="salvage")
    except I2EDeployError as error:
        message = str(error)
        assert "\n" not in message
        return
    assert got.events.dtype == EVENT_DTYPE
    assert not (np.diff(got.events["t"]) < 0).any()
    assert not (got.events["p"] > 1).any()
    if got.sensor_size is not None and len(got.events):
        assert got.events["x"].max() < got.sensor_size[0]


@pytest.mark.parametrize("suffix", sorted({s for f in FORMATS.values() for s in f.suffixes} | {".raw"}))
def test_empty_and_foreign_files(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{suffix}"
    for content in (b"", b"\x00" * 100, b"GIF89a" * 50, b"%" * 3000):
        path.write_bytes(content)
        try:
            count = len(read_events(path, damaged="salvage").events)
        except I2EDeployError as error:
            count, message = 0, str(error)
            assert str(path) in message  # either outcome is right
        assert count <= 100


def npz(path: Path, **members: bytes) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(f"{name}.npy", data)


def npy(array: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def test_npz_with_pickles_lies_and_wrong_ranges(tmp_path: Path) -> None:
    path, good = tmp_path / "a.npz", {name: npy(EVENTS[name]) for name in "txyp"}
    npz(path, **{**good, "p": npy(np.array([None], object))})
    with pytest.raises(FileFormatError, match="not an array of numbers"):
        read_events(path)
    npz(path, **{**good, "x": npy(np.full(len(EVENTS), 70_000))})
    with pytest.raises(FileFormatError, match=r"row 0 is t=\d+ x=70000"):
        read_events(path)
    npz(path, **{**good, "x": npy(EVENTS["x"][:5])})
    with pytest.raises(FileFormatError, match="its arrays are"):
        read_events(path)
    npz(path, **{name: npy(EVENTS[name]).replace(b"(20000,)", b"(90000,)") for name in "txyp"})
    got = read_events(path, damaged="salvage")
    assert got.damage is not None
    assert len(got.events) == 20_000
    npz(path, **{k: v for k, v in good.items() if k != "y"})
    with pytest.raises(FileFormatError, match="holds no array y"):
        read_events(path)


def test_dsec_links_out_of_the_file_are_refused(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    secret = tmp_path / "secret.h5"
    with h5py.File(secret, "w") as file:
        file["x"] = np.arange(20_000, dtype="u2")
    path = written("dsec", tmp_path)
    for link in (h5py.ExternalLink(str(secret), "/x"), h5py.SoftLink("/events/y")):
        with h5py.File(path, "r+") as file:
            del file["events/x"]
            file["events/x"] = link
        with pytest.raises(FileFormatError, match="links are not followed"):
            read_events(path)
    with h5py.File(path, "r+") as file:
        del file["events/x"]
        layout = h5py.VirtualLayout((20_000,), "u2")
        layout[:] = h5py.VirtualSource(str(secret), "x", (20_000,))
        file.create_virtual_dataset("events/x", layout)
    with pytest.raises(FileFormatError, match="outside the file"):
        read_events(path)
    with h5py.File(path, "r+") as file:
        del file["events/x"]
        file["events"].create_dataset("x", (20_000,), "u2", external=[(str(secret), 0, 40_000)])
    with pytest.raises(FileFormatError, match="outside the file"):
        read_events(path)


def lz4_bomb(blocks: int) -> bytes:
    """A frame of blocks that each claim up to 4 MiB; what they hold does not matter to a guard."""
    return struct.pack("<IBBB", 0x184D2204, 0x40, 0x70, 0) + b"\x01\x00\x00\x00\x00" * blocks + b"\0\0\0\0"


def zstd_bomb(blocks: int) -> bytes:
    """Single-byte RLE blocks of 128 KiB: four bytes each."""
    rle = (2**17 << 3 | 1 << 1).to_bytes(3, "little") + b"\0"
    return struct.pack("<IBB", 0xFD2FB528, 0, 0x70) + rle * (blocks - 1) + (1).to_bytes(3, "little")


@pytest.mark.parametrize("payload", [lz4_bomb(100), zstd_bomb(5000)])
def test_aedat4_bombs_are_refused_before_a_decoder_sees_them(payload: bytes, tmp_path: Path) -> None:
    path = written("aedat4", tmp_path)
    head = path.read_bytes()
    (info,) = struct.unpack_from("<I", head, 14)
    head = head[: 18 + info]
    path.write_bytes(head + struct.pack("<iI", 0, len(payload)) + payload + bytes(100_000))
    with pytest.raises(FileFormatError, match="inflates to up to"):
        read_events(path)


def test_aedat4_with_lying_lengths(tmp_path: Path) -> None:
    path = written("aedat4", tmp_path)
    good = bytearray(path.read_bytes())
    (info,) = struct.unpack_from("<I", good, 14)
    struct.pack_into("<I", good, 14, 2**31)
    path.write_bytes(good)
    with pytest.raises(FileFormatError, match="its header claims 2147483648 bytes"):
        read_events(path)
    struct.pack_into("<I", good, 14, info)
    struct.pack_into("<I", good, 18 + info + 4, 2**30)
    path.write_bytes(good)
    with pytest.raises(FileFormatError, match="a packet claims 1073741824 bytes"):
        read_events(path)


def test_raw_headers_that_lie(tmp_path: Path) -> None:
    path = tmp_path / "a.raw"
    for line, message in (
        (b"% evt 7.0", "names version '7.0'"),
        (b"% geometry 99999999x2", "each is 1..65536"),
        (b"% format EVT3;width=-1;height=4", "each is 1..65536"),
        (b"% " + b"x" * 70_000, "does not end within 65536"),
    ):
        path.write_bytes(line + b"\n% end\n" + bytes(64))
        with pytest.raises(FileFormatError, match=message):
            read_events(path)


def test_a_file_of_lies_takes_no_memory(tmp_path: Path) -> None:
    """A .npy that claims 2^50 events, a packet that claims 2^28: read under a limit of 3 GiB of address space."""
    npy_path, aedat = tmp_path / "a.npy", tmp_path / "a.aedat"
    head = npy(np.zeros(0, EVENT_DTYPE))
    npy_path.write_bytes(head.replace(b"(0,), }" + b" " * 15, b"(1125899906842624,), }"))
    aedat.write_bytes(b"#!AER-DAT3.1\r\n#!END-HEADER\r\n" + struct.pack("<HHIIIIII", 1, 1, 8, 4, 0, 2**28, 2**28, 0))
    code = (
        "import sys\nfrom i2e_deploy.errors import FileFormatError\nfrom i2e_deploy.events.files import read_events\n"
        "for path in sys.argv[1:]:\n  try:\n    read_events(path)\n"
        "  except FileFormatError as e:\n    print('refused', e)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(npy_path), str(aedat)], capture_output=True, text=True, check=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (3 * 2**30, 3 * 2**30)),
    )  # fmt: skip
    assert done.stdout.count("refused") == 2, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("t_offset", np.bool_(True)),
        ("t_offset", np.uint64(2**64 - 1)),
        ("t_offset", np.int64(2**62)),
        ("width", np.array([640, 640])),
        ("width", np.float64(640.5)),
        ("width", "640"),
        ("height", np.int64(0)),
        ("height", np.int64(70_000)),
    ],
)
def test_dsec_with_odd_types_and_ranges(name: str, value: Any, tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    path = written("dsec", tmp_path)
    with h5py.File(path, "r+") as file:
        if name == "t_offset":
            del file[name]
            file[name] = value
        else:
            file.attrs[name] = value
    with pytest.raises(FileFormatError, match=r"not a whole number|is not within 1\.\.65536"):
        read_events(path)


@pytest.mark.parametrize("place", ["central", "end"])
def test_a_zip_of_a_version_of_the_future(place: str, tmp_path: Path) -> None:
    """Python's zipfile raises NotImplementedError."""
    path = written("npz", tmp_path)
    data = bytearray(path.read_bytes())
    at = data.rfind(b"PK\x01\x02") if place == "end" else data.find(b"PK\x01\x02")
    data[at + 6] = 200
    path.write_bytes(data)
    with pytest.raises(FileFormatError, match="zip file version 20"):
        read_events(path)


@pytest.mark.parametrize("side", [b"\x1e80", b"\xb2", b"1e3", b"0", b" ", b"70000"])
def test_a_raw_header_with_a_side_that_is_no_number(side: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.raw"
    path.write_bytes(b"% evt 3.0\n% format EVT3;height=" + side + b"x;width=640\n% end\n")
    with pytest.raises(FileFormatError, match=r"each is 1\.\.65536"):
        read_events(path)
