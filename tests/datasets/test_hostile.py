"""Files that lie: every one ends in a clean error, and none makes us take much memory."""

from __future__ import annotations

import contextlib
import io
import struct
import tarfile
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import picture_bytes

from i2e_deploy.conversion import convert, i2e_reference
from i2e_deploy.datasets.item import HEADER, decode_item, encode_item
from i2e_deploy.datasets.picture import Resize, decode_picture
from i2e_deploy.datasets.sources import open_source
from i2e_deploy.errors import FileFormatError, InputError

pytest.importorskip("PIL")


def item(height: int = 5, width: int = 7) -> bytes:
    images = np.random.default_rng(0).integers(0, 256, (1, 3, height, width), dtype=np.uint8)
    return encode_item(convert(images, "0.12", packed=True, on_first=True)[0], (8, 2, height, width))


def npy(body: bytes, shape: str, descr: str = "|u1", version: bytes = b"\x01\x00") -> bytes:
    header = f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY" + version + struct.pack("<H", len(header)) + header + body


@settings(max_examples=30, deadline=None)
@given(height=st.integers(1, 40), width=st.integers(1, 70), steps=st.integers(1, 8), seed=st.integers(0, 99))
def test_item_round_trip(height: int, width: int, steps: int, seed: int) -> None:
    from i2e_deploy.conversion.vectors import saccades

    images = np.random.default_rng(seed).integers(0, 256, (1, 3, height, width), dtype=np.uint8)
    kernels = saccades(steps=steps)
    data = encode_item(convert(images, "0.12", kernels, packed=True, on_first=True)[0], (steps, 2, height, width))
    np.testing.assert_array_equal(decode_item(data), i2e_reference(images, "0.12", kernels)[0])


def test_item_is_what_numpy_loads_and_the_authors_unpack() -> None:
    """Their reader: np.load, four uint16, unpackbits, reshape; ON comes first."""
    raw = np.load(io.BytesIO(item()), allow_pickle=False)
    shape = tuple(raw[:8].view("<u2"))
    frames = np.unpackbits(raw[8:], count=int(np.prod(shape))).reshape(shape)
    np.testing.assert_array_equal(frames[:, ::-1], decode_item(item()))


BODY = item()[128:]
LIES = {
    "empty": b"",
    "no magic": b"x" * 200,
    "truncated": item()[:-1],
    "one byte more": item() + b"\0",
    "npy 9.9": npy(BODY, f"({len(BODY)},)", version=b"\x09\x09"),
    "huge npy shape": npy(BODY, "(99999999999999,)"),
    "negative npy shape": npy(BODY, "(-1,)"),
    "pickled objects": npy(BODY, f"({len(BODY)},)", descr="|O"),
    "floats": npy(BODY, f"({len(BODY) // 4},)", descr="<f4"),
    "code in the header": npy(BODY, "__import__('os').getpid()"),
    "deep header": npy(BODY, "(" * 400 + ")" * 400),
    "long header": npy(BODY, "(1" + " " * 5000 + ",)"),
    "too short for T C H W": npy(b"abc", "(3,)"),
    "three channels": npy(HEADER.pack(8, 3, 2, 2) + bytes(12), "(20,)"),
    "no pixels": npy(HEADER.pack(8, 2, 0, 2), "(8,)"),
    "65535 cubed": npy(HEADER.pack(65535, 2, 65535, 65535) + bytes(8), "(16,)"),
    "larger than its bytes": npy(HEADER.pack(8, 2, 64, 64) + bytes(8), "(16,)"),
}


@pytest.mark.parametrize("name", LIES)
def test_lying_items(name: str) -> None:
    tracemalloc.start()
    with pytest.raises(FileFormatError, match="row 3"):
        decode_item(LIES[name], "row 3")
    assert tracemalloc.get_traced_memory()[1] < 2 << 20
    tracemalloc.stop()


@settings(max_examples=200, deadline=None)
@given(position=st.integers(0, 300), value=st.integers(0, 255), cut=st.integers(0, 300))
def test_damaged_items_never_end_in_another_error(position: int, value: int, cut: int) -> None:
    data = bytearray(item())
    data[position % len(data)] = value
    with contextlib.suppress(FileFormatError):
        decode_item(bytes(data[: len(data) - cut % len(data)]))


def png_of(width: int, height: int) -> bytes:
    """A PNG whose header declares a size and whose pixels are a few bytes of deflated zeros."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(4096))) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("size", [(100_000, 100_000), (9_000, 9_000), (2**31 - 1, 2**31 - 1), (0, 5)])
def test_pictures_that_declare_too_many_pixels(size: tuple[int, int]) -> None:
    tracemalloc.start()
    with pytest.raises(FileFormatError, match=r"a\.png"):
        decode_picture(png_of(*size), Resize(8), "a.png")
    assert tracemalloc.get_traced_memory()[1] < 4 << 20
    tracemalloc.stop()


@pytest.mark.parametrize("data", [b"", b"\xff\xd8\xff", b"%!PS-Adobe-3.0 EPSF-3.0", picture_bytes(0)[:80]])
def test_broken_pictures(data: bytes) -> None:
    with pytest.raises(FileFormatError, match="is not a whole picture") as caught:
        decode_picture(data, Resize(8))
    assert " at 0x" not in str(caught.value)  # the reason stands in the manifest, which is the same in every run


def zip_bomb(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/bomb.png", bytes(300 << 20))


def zip_liar(path: Path) -> None:
    """A member of 1 MB that declares 10 bytes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/liar.png", bytes(1 << 20))
    data = path.read_bytes()
    path.write_bytes(data.replace(struct.pack("<I", 1 << 20), struct.pack("<I", 10)))


def tar_truncated(path: Path) -> None:
    with tarfile.open(path, "w") as archive:
        info = tarfile.TarInfo("a/cut.png")
        info.size = 5000
        archive.addfile(info, io.BytesIO(bytes(5000)))
    path.write_bytes(path.read_bytes()[:2000])


@pytest.mark.parametrize(("make", "name"), [(zip_bomb, "x.zip"), (zip_liar, "x.zip"), (tar_truncated, "x.tar")])
def test_lying_members(make: Callable[[Path], None], name: str, tmp_path: Path) -> None:
    make(tmp_path / name)
    tracemalloc.start()
    with pytest.raises(FileFormatError, match=name):
        read_first(tmp_path / name)
    assert tracemalloc.get_traced_memory()[1] < 4 << 20
    tracemalloc.stop()


def read_first(path: Path) -> bytes:
    source = open_source(str(path))
    return source.read(source.names()[0])


def test_members_that_point_out_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("../../evil.png", b"")
    with pytest.raises(FileFormatError, match="points out"):
        open_source(str(tmp_path / "x.zip")).names()


def test_links_in_a_tar_are_not_images(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        link = tarfile.TarInfo("a/link.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/hostname"
        archive.addfile(link)
    assert open_source(str(tmp_path / "x.tar")).names() == []


@pytest.mark.parametrize("name", ["x.zip", "x.tar", "x.parquet"])
def test_garbage_archives(name: str, tmp_path: Path) -> None:
    if name == "x.parquet":
        pytest.importorskip("pyarrow", exc_type=ImportError)
    (tmp_path / name).write_bytes(b"PAR1" + bytes(50) + b"PAR1")
    with pytest.raises(FileFormatError, match=name):
        open_source(str(tmp_path / name))


def test_unreadable_sources_say_what_to_give(tmp_path: Path) -> None:
    for name, text in (("x.tar.gz", "unpack it"), ("x.doc", "give a folder"), ("nothing", "no such file")):
        if name != "nothing":
            (tmp_path / name).touch()
        with pytest.raises(InputError, match=text):
            open_source(str(tmp_path / name))
