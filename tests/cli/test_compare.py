"""`i2e-deploy compare`, and .npz files that lie."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from i2e_deploy.cli.app import run
from i2e_deploy.errors import FileFormatError, InputError
from i2e_deploy.files import read_arrays

EVENT = np.dtype([("sample", "i4"), ("t", "i8"), ("c", "i4")])


def traces(folder: Path, **changed: Any) -> list[str]:
    arrays: dict[str, Any] = {
        "layer0": np.arange(24).reshape(2, 3, 4),
        "layer1": np.array([(0, 5, 1), (0, 9, 2)], EVENT),
        "layer0_v_mem": np.zeros((2, 4), np.int16),
    }
    np.savez_compressed(folder / "a.npz", **arrays)
    np.savez_compressed(folder / "b.npz", **{**arrays, **changed})
    return ["compare", str(folder / "a.npz"), str(folder / "b.npz")]


def test_equal_traces(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(traces(tmp_path)) == 0
    assert "exact: 34 values in 3 arrays agree" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "array", "text"),
    [
        ("layer0", np.arange(24).reshape(2, 3, 4) // 23 * 7 + np.arange(24).reshape(2, 3, 4), "at step 2, sample 1"),
        ("layer0", np.zeros((2, 3, 5), int), "has shape [2, 3, 5]"),
        ("layer0_v_mem", np.ones((2, 4), np.int16), "in the final state, sample 0"),
        ("layer1", np.array([(0, 5, 1), (0, 8, 2)], EVENT), "event 1: expected {'sample': 0, 't': 9, 'c': 2}"),
        ("layer1", np.array([(0, 5, 1)], EVENT), "got none (2 events expected, 1 found)"),
        ("layer1", np.zeros((2, 3, 4), int), "layer1 of the same kind is missing"),
    ],
)
def test_differences(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, array: Any, text: str) -> None:
    command = traces(tmp_path, **{name: array})
    assert run(command) == 1
    error = capsys.readouterr().err
    assert text in error
    assert error.count("\n") == 1
    if "missing" not in text:
        assert run([*command, "--json"]) == 1
        printed = json.loads(capsys.readouterr().out)
        assert not printed["exact"]
        assert printed["differences"][0]["array"] == name


def test_extra_arrays_are_allowed(tmp_path: Path) -> None:
    assert run(traces(tmp_path, layer2=np.zeros(3))) == 0


def member(claimed: tuple[int, ...], data: bytes, descr: str = "<i8") -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(  # type: ignore[no-untyped-call, unused-ignore]
        file, {"descr": descr, "fortran_order": False, "shape": claimed}
    )
    return file.getvalue() + data


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (member((2**40,), b""), InputError),
        (member((4,), bytes(8)), FileFormatError),
        (member((4,), bytes(40)), FileFormatError),
        (member((1,), bytes(8), "|O"), FileFormatError),
        (b"no array", FileFormatError),
    ],
)
def test_lying_npz(tmp_path: Path, content: bytes, error: type[Exception]) -> None:
    path = tmp_path / "x.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("layer0.npy", content)
    with pytest.raises(error, match=r"x\.npz"):
        read_arrays(path)
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(FileFormatError, match=r"x\.npz"):
        read_arrays(path)
