"""HDF5 on a full disk: libhdf5 alone ends the process there; ours ends in one line and leaves nothing."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from event_strategies import random_events
from netx_files import INPUT_SHAPE, small_file

from i2e_deploy.chips.loihi2.formats.netx_read import read_netx
from i2e_deploy.chips.loihi2.formats.netx_write import write_netx
from i2e_deploy.errors import InputError
from i2e_deploy.events.files import write_events
from i2e_deploy.hdf5_write import writing
from i2e_deploy.network import Conv2d, IntegrateAndFire, chain, write_nir

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="forks and limits of POSIX")


def writers(folder: Path) -> dict[str, Callable[[Path], object]]:
    small_file(folder / "small.net")
    blocks = read_netx(folder / "small.net", INPUT_SHAPE)
    (folder / "small.net").unlink()
    weight = np.random.default_rng(0).random((16, 2, 9, 9), np.float32)
    network = chain((2, 16, 16), {"c": Conv2d(weight), "n": IntegrateAndFire(1.0, -1.0)})
    events = random_events(300_000, 640, 480, seed=1)
    return {
        "a.nir": lambda path: write_nir(network, path),
        "a.net": lambda path: write_netx(blocks, path),
        "a.h5": lambda path: write_events(path, events, (640, 480)),
    }


def limited(write: Callable[[Path], object], path: Path, room: int) -> str:
    """What a fork says that may write files of `room` bytes at most; its signal where it was ended."""
    read, end = os.pipe()
    child = os.fork()
    if child == 0:
        said = "unforeseen"
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
            write(path)
            said = "written"
        except InputError as error:
            said = str(error)
        except BaseException as error:
            said = repr(error)
        finally:
            os.write(end, said.encode())
            os._exit(0)
    os.close(end)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    with os.fdopen(read) as pipe:
        return pipe.read() if status == 0 else f"ended: {status}"


@pytest.mark.parametrize("name", ["a.nir", "a.net", "a.h5"])
def test_a_full_disk_is_one_line_and_leaves_nothing(name: str, tmp_path: Path) -> None:
    write, path = writers(tmp_path)[name], tmp_path / name
    write(path)
    size, rng = path.stat().st_size, np.random.default_rng(0)
    path.unlink()
    for room in (0, 1, 100, size // 2, size - 1, *rng.integers(0, size, 6).tolist()):
        said = limited(write, path, room)
        assert "cannot be written" in said, (room, said)
        assert "File too large" in said
        assert "\n" not in said
        assert not list(tmp_path.iterdir()), room
    assert limited(write, path, size) == "written"
    before = path.read_bytes()
    assert "cannot be written" in limited(write, path, size // 3)
    assert path.read_bytes() == before


def test_the_file_is_what_libhdf5_writes_itself(tmp_path: Path) -> None:
    """Drawn groups, arrays that grow, attributes: everything reads back."""
    rng = np.random.default_rng(1)
    for number in range(15):
        path, arrays = tmp_path / f"{number}.h5", {}
        with writing(path) as (file, check):
            for index in range(int(rng.integers(1, 12))):
                name = f"g{index % 3}/a{index}"
                grown = file.create_dataset(name, (0,), "f8", maxshape=(None,), chunks=(64,), compression="gzip")
                arrays[name] = rng.random(int(rng.integers(0, 500)))
                for part in np.array_split(arrays[name], 3):
                    grown.resize((len(grown) + len(part),))
                    grown[len(grown) - len(part) :] = part
                file[name].attrs["said"] = "x" * index
                check()
        with h5py.File(path, "r") as file:
            for name, array in arrays.items():
                assert np.array_equal(file[name][()], array)
                assert file[name].attrs["said"] == "x" * int(name.rpartition("a")[2])
