"""HDF5 files with a damaged global heap, where strings are: libhdf5 loops for ever on some, deaf to Ctrl-C."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from event_strategies import random_events
from netx_files import INPUT_SHAPE, small_file

from i2e_deploy import hdf5_child
from i2e_deploy.chips.loihi2.formats.netx_read import read_netx
from i2e_deploy.errors import FileFormatError, I2EDeployError
from i2e_deploy.events.files import read_events, write_events
from i2e_deploy.hdf5_guard import check_heaps
from i2e_deploy.network import Conv2d, IntegrateAndFire, chain, read_nir, write_nir

Read = Callable[[Path], object]


def nir_file(path: Path) -> None:
    write_nir(chain((2, 8, 8), {"c": Conv2d(np.ones((2, 2, 3, 3), "f4")), "n": IntegrateAndFire(1.0, -1.0)}), path)


def netx_file(path: Path) -> None:
    small_file(path)
    with h5py.File(path, "a") as file:
        del file["layer/0/neuron/type"]
        file["layer/0/neuron/type"] = "CUBA"


def event_file(path: Path) -> None:
    write_events(path, random_events(500, 34, 34, seed=1), (34, 34))
    with h5py.File(path, "a") as file:
        file["said"] = "where the camera stood"


KINDS: dict[str, tuple[Callable[[Path], None], Read]] = {
    "a.nir": (nir_file, read_nir),
    "a.net": (netx_file, lambda path: read_netx(path, INPUT_SHAPE)),
    "a.h5": (event_file, read_events),
}


def first_object(data: bytes | bytearray) -> int:
    """Where the size of the first object of the first heap is."""
    return data.index(b"GCOL\x01\0\0\0") + 16 + 8


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("size", [0, 2**32, 2**63, 2**64 - 16, 2**64 - 1])
def test_a_size_that_is_not_there_is_refused(name: str, size: int, tmp_path: Path) -> None:
    make, read = KINDS[name]
    make(tmp_path / name)
    read(tmp_path / name)
    data = bytearray((tmp_path / name).read_bytes())
    place = first_object(data)
    data[place : place + 8] = struct.pack("<Q", size)
    if size == 0:
        data[place - 8 : place - 6] = b"\0\0"  # index 0 is free space, whose size counts from its start: the loop
    (tmp_path / name).write_bytes(data)
    with pytest.raises(FileFormatError, match=r"an object of the global heap claims \d+ bytes, \d+ are there"):
        read(tmp_path / name)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a.nir", "a.net"])
def test_where_libhdf5_hangs_only_the_child_does(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without our own look at the heap."""
    make, read = KINDS[name]
    make(tmp_path / name)
    data = bytearray((tmp_path / name).read_bytes())
    place = first_object(data)
    data[place - 8 : place + 8] = bytes(16)
    (tmp_path / name).write_bytes(data)
    monkeypatch.setattr(hdf5_child, "check_file", lambda path: None)
    monkeypatch.setattr(hdf5_child, "LEAST", 1.0)
    with pytest.raises(FileFormatError, match="did not come to an end"):
        read(tmp_path / name)


def test_heaps_that_h5py_writes_are_whole(tmp_path: Path) -> None:
    """Drawn strings, some replaced, over several heaps."""
    rng = np.random.default_rng(0)
    for number in range(20):
        path = tmp_path / f"{number}.h5"
        with h5py.File(path, "w") as file:
            for name in map(str, range(int(rng.integers(1, 30)))):
                file[name] = ["x" * int(n) for n in rng.integers(0, 3000, int(rng.integers(1, 20)))]
                if rng.random() < 0.3:
                    del file[name]
        with path.open("rb") as opened:
            check_heaps(opened, "it")


def test_drawn_damage_of_a_heap_is_one_line_or_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hdf5_child, "LEAST", 1.0)
    rng = np.random.default_rng(1)
    nir_file(tmp_path / "a.nir")
    whole = (tmp_path / "a.nir").read_bytes()
    start = whole.index(b"GCOL")
    refused = 0
    for _ in range(40):
        data = bytearray(whole)
        for place in rng.integers(start, start + 200, int(rng.integers(1, 4))):
            data[place] = int(rng.integers(256))
        (tmp_path / "a.nir").write_bytes(data)
        try:
            read_nir(tmp_path / "a.nir")
        except I2EDeployError as error:
            refused += 1
            message = str(error)
            assert "\n" not in message
    assert refused > 20
