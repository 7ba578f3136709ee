"""What a NIR file may hold: legal compression is read, and what would take memory or another file is refused before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from nir_files import nir_read

from i2e_deploy import hdf5_guard
from i2e_deploy.errors import FileFormatError, I2EDeployError
from i2e_deploy.hdf5_guard import Guarded
from i2e_deploy.network import Conv2d, Flatten, IntegrateAndFire, Linear, chain, read_nir, write_nir
from i2e_deploy.network.nir.frameworks import judge_nir_with

nir = pytest.importorskip("nir")


def written(path: Path) -> Path:
    ops: dict[str, Any] = {"c": Conv2d(np.ones((2, 2, 3, 3), np.float32)), "n": IntegrateAndFire(1.0, -1.0)}
    ops |= {"f": Flatten(), "d": Linear(np.ones((3, 72), np.float32)), "m": IntegrateAndFire(1.0, -1.0)}
    write_nir(chain((2, 8, 8), ops), path)
    return path


@pytest.mark.parametrize("level", [1, 4, 9])
def test_constants_that_gzip_packs_best_are_read(tmp_path: Path, level: int) -> None:
    """nir 1.0.8 compresses every array; thresholds that are all equal pack up to 1,029 to 1."""
    path, shape = tmp_path / "n.nir", (128, 128, 128)
    write_nir(chain(shape, {"n": IntegrateAndFire(1.0, -1.0)}), path)
    with h5py.File(path, "a") as file:
        group = file["node/nodes/n"]
        for name, chunks in (("r", shape), ("v_threshold", (64, 128, 128))):
            del group[name]
            data = group.create_dataset(
                name, data=np.ones(shape, "f4"), chunks=chunks, compression="gzip", compression_opts=level
            )
            assert data.id.get_storage_size() * 200 < 4 * 128**3  # the limit of before
    assert read_nir(path).layers[-1].op == IntegrateAndFire(1.0, -1.0)


def test_what_nir_itself_writes_again_is_read(tmp_path: Path) -> None:
    """Our file, through nir's own reading and writing in the installed release."""
    network = chain((64, 64, 64), {"n": IntegrateAndFire(1.0, -1.0)})
    write_nir(network, tmp_path / "n.nir")
    nir.write(tmp_path / "again.nir", nir_read(tmp_path / "n.nir"))
    for name in ("n.nir", "again.nir"):
        assert read_nir(tmp_path / name).layers[-1].op == network.layers[-1].op


def replaced(path: Path, name: str, **how: Any) -> Path:
    with h5py.File(written(path), "a") as file:
        del file[name]
        file.create_dataset(name, **how)
    return path


@pytest.mark.parametrize(
    ("how", "text"),
    [
        ({"shape": (2**20, 2**10), "dtype": "f4", "chunks": (1024, 1024)}, "claims 4294967296 bytes"),
        ({"shape": (2**27,), "dtype": "i1", "chunks": (1024,)}, "at most 268435456, in 67108864 values"),
        ({"shape": (2**20,), "dtype": "f4", "chunks": (1024,), "compression": "gzip"}, "and stores 0"),
        ({"shape": (8,), "dtype": "f4", "maxshape": (None,), "chunks": (2**27,), "compression": "gzip"}, "pieces of"),
    ],
)
def test_claims_are_refused_before_memory_is_taken(tmp_path: Path, how: dict[str, Any], text: str) -> None:
    with pytest.raises(FileFormatError, match=text):
        read_nir(replaced(tmp_path / "n.nir", "node/nodes/d/weight", **how))


def test_a_small_array_in_a_large_piece_is_refused(tmp_path: Path) -> None:
    """HDF5 unpacks whole pieces: 512 MiB of zeros from 500 kB, for eight numbers."""
    path = written(tmp_path / "n.nir")
    with h5py.File(path, "a") as file:
        del file["node/nodes/d/bias" if "bias" in file["node/nodes/d"] else "node/nodes/d/weight"]
        file["node/nodes/d"].create_dataset("weight", shape=(8,), maxshape=(None,), dtype="f4", chunks=(2**27,))
    with pytest.raises(FileFormatError, match=r"d/weight is stored in pieces of \[134217728\]"):
        read_nir(path)


def test_one_data_set_under_many_names_counts_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path / "n.nir")
    with h5py.File(path, "a") as file:
        file["big"] = np.ones(2**16, "f4")
        for number in range(64):
            file[f"node/nodes/d/x{number}"] = file["big"]  # a hard link
    with h5py.File(path) as file:
        Guarded(file, path.name).check_all()
        monkeypatch.setattr(hdf5_guard, "MAX_TOTAL", 2**23)
        with pytest.raises(FileFormatError, match="beyond the 8388608 bytes that are read of one file"):
            Guarded(file, path.name).check_all()


@pytest.mark.parametrize("link", [h5py.ExternalLink("other.h5", "/x"), h5py.SoftLink("/node/nodes/d/weight")])
def test_a_framework_reads_only_what_passed_the_guard_whole(tmp_path: Path, link: Any) -> None:
    """nir's own reader follows links, in metadata too, where ours does not look."""
    path = written(tmp_path / "n.nir")
    network = read_nir(path)
    with h5py.File(path, "a") as file:
        file["node/nodes/c"].create_group("metadata")["secret"] = link
    assert read_nir(path).notes == network.notes
    with pytest.raises(FileFormatError, match=r"metadata/secret is a .*Link: links are refused"):
        judge_nir_with("sinabs", network, path, np.ones((1, 2, 2, 8, 8)))


def test_groups_in_groups_end(tmp_path: Path) -> None:
    path = written(tmp_path / "n.nir")
    with h5py.File(path, "a") as file:
        file.create_group("/".join("abcdefghij"))
        file["a/loop"] = file["a"]  # a hard link back
    with h5py.File(path) as file, pytest.raises(FileFormatError, match="too many groups in groups"):
        Guarded(file, path.name).check_all()


@pytest.mark.parametrize(
    ("names", "text"),
    [
        (["in\xff", "d"], "no such node"),
        (["x" * 300, "d"], "300 bytes, expected at most 255"),
        (["c", "ghost"], "no such"),
    ],
)
def test_names_in_edges(tmp_path: Path, names: list[str], text: str) -> None:
    path = written(tmp_path / "n.nir")
    with h5py.File(path, "a") as file:
        del file["node/edges"]
        file["node"].create_dataset("edges", data=[names], dtype=h5py.string_dtype())
    with pytest.raises(FileFormatError, match=text):
        read_nir(path)


@pytest.mark.slow
def test_damage_anywhere_ends_in_one_line(tmp_path: Path) -> None:
    """Bytes of a good file are changed; what is read then is a network, or one error of ours."""
    good = written(tmp_path / "n.nir").read_bytes()
    rng = np.random.default_rng(0)
    refused: list[str] = []
    heap = good.find(b"GCOL")  # libhdf5 loops for ever on some bytes of its global heap; such files are left out here
    for _ in range(150):
        data = bytearray(good)
        for place in rng.integers(0, len(data), int(rng.integers(1, 4))):
            if not 0 <= place - heap < 4096:
                data[place] = rng.integers(256)
        (tmp_path / "bad.nir").write_bytes(data)
        try:
            read_nir(tmp_path / "bad.nir")
        except I2EDeployError as error:
            refused.append(str(error))
    assert len(refused) > 10
    assert not [text for text in refused if "\n" in text]
