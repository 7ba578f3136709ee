"""Bad input ends in one line, and nothing half-written stays."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from command_line import Captured, export_then, refused

from i2e_deploy.cli.app import run
from i2e_deploy.network import Conv2d, IntegrateAndFire, chain
from i2e_deploy.network.file import write_network


def test_bad_input_is_one_line_and_leaves_nothing(
    network_file: Path, frames_file: Path, tmp_path: Path, capsys: Captured
) -> None:
    out = tmp_path / "out.npz"
    run_it = ("simulate", network_file, "--chip", "speck2f", "--out", out, "--input")
    assert "no such file" in refused(capsys, *run_it, tmp_path / "none.npy")
    np.save(tmp_path / "shape.npy", np.zeros((5, 3, 8, 8), np.uint8))
    assert "this program takes [B, T, 2, 8, 8]" in refused(capsys, *run_it, tmp_path / "shape.npy")
    np.save(tmp_path / "float.npy", np.zeros((5, 2, 8, 8), np.float32))
    assert "give integers" in refused(capsys, *run_it, tmp_path / "float.npy")
    np.save(tmp_path / "negative.npy", np.full((5, 2, 8, 8), -1))
    assert "not negative" in refused(capsys, *run_it, tmp_path / "negative.npy")
    np.save(tmp_path / "objects.npy", np.array([{}], object), allow_pickle=True)
    assert "not a whole .npy" in refused(capsys, *run_it, tmp_path / "objects.npy")
    half = tmp_path / "half.npy"
    half.write_bytes(frames_file.read_bytes()[:200])
    assert "not a whole .npy" in refused(capsys, *run_it, half)
    assert "no chip 'speck9': choose one of" in refused(
        capsys, "simulate", network_file, "--chip", "speck9", "--out", out, "--input", frames_file
    )
    assert "an .npz file" in refused(
        capsys, "simulate", network_file, "--chip", "speck2f", "--out", tmp_path / "t", "--input", frames_file
    )
    assert "semantics 'dream'" in refused(capsys, *run_it, frames_file, "--semantics", "dream")
    assert "no such file" in refused(capsys, "check", tmp_path / "none.safetensors", "--chip", "speck2f")
    assert "is no model" in refused(capsys, "check", frames_file, "--chip", "speck2f")
    assert "is no bundle" in refused(capsys, "verify", tmp_path)
    moon = refused(capsys, *export_then(network_file, tmp_path, capsys), "--target", "moon")
    assert "target 'moon': choose one of simulator, reference, board" in moon
    assert "no chip 'speck9'" in refused(capsys, "profiles", "speck9")
    assert not out.exists()
    assert not list(tmp_path.glob(".*"))


def npy(header: bytes, values: bytes = b"") -> bytes:
    """A `.npy` file of version 1.0 with that header, true or not."""
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + values


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PK\x03\x04 an npz",
        npy(b"{'descr': '|u1', 'fortran_order': False, 'shape': (1,"),
        npy(b"(" * 5000),
        npy(b"-" * 5000 + b"1"),
        npy(b"{'descr': '|u1', 'fortran_order': False, 'shape': (-1, 2, 8, 8)}"),
        npy(b"{'descr': '|u1', 'fortran_order': False, 'shape': (%d, 2, 8, 8)}" % 10**23),
        npy(b"{'descr': '|u1', 'fortran_order': False, 'shape': (%d, 2, 8, 8)}" % 2**62, b"x" * 128),
        npy(b"{'descr': '|O', 'fortran_order': False, 'shape': (1, 2, 8, 8)}", b"x" * 1024),
    ],
)
def test_hostile_frames_end_in_one_line(network_file: Path, tmp_path: Path, capsys: Captured, data: bytes) -> None:
    path = tmp_path / "f.npy"
    path.write_bytes(data)
    arguments = ("--chip", "speck2f", "--input", path, "--out", tmp_path / "t.npz")
    assert "not a whole .npy file" in refused(capsys, "simulate", network_file, *arguments)


def test_a_folder_in_place_of_a_file(network_file: Path, frames_file: Path, tmp_path: Path, capsys: Captured) -> None:
    out = tmp_path / "d.npz"
    out.mkdir()
    arguments = ("--chip", "speck2f", "--input", frames_file, "--out", out)
    assert "is a folder: give the name of a file" in refused(capsys, "simulate", network_file, *arguments)
    assert "no such folder" in refused(
        capsys, "export", network_file, "--chip", "speck2f", "--out", tmp_path / "no" / "b"
    )


def test_the_demo_finds_what_would_stop_it_before_it_starts(tmp_path: Path, capsys: Captured) -> None:
    (tmp_path / "file").write_text("x")
    assert "a file: give the name of a folder" in refused(capsys, "demo", "--out", tmp_path / "file")
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "thesis.tex").write_text("x")
    assert "is no bundle" in refused(capsys, "demo", "--out", tmp_path)
    assert "--seed" in refused(capsys, "demo", "--seed", "-1")


@pytest.mark.parametrize(
    "arguments", [["check"], ["frobnicate"], ["check", "x", "--chop", "y"], ["demo", "--epochs", "none"]]
)
def test_a_wrong_command_line_is_one_line(arguments: list[str], capsys: Captured) -> None:
    assert "--help" in refused(capsys, *arguments)


def test_a_bundle_for_another_chip(network_file: Path, frames_file: Path, tmp_path: Path, capsys: Captured) -> None:
    from i2e_deploy.bundle.bundle import MANIFEST

    export_then(network_file, tmp_path, capsys)
    manifest = tmp_path / "b" / MANIFEST
    manifest.write_text(manifest.read_text().replace('"chip": "speck2f"', '"chip": "loihi9"'))
    arguments = ("--chip", "speck2f", "--input", frames_file, "--out", tmp_path / "t.npz")
    assert "no chip 'loihi9'" in refused(capsys, "simulate", tmp_path / "b", *arguments)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--read", "reset=zero"], "has no option 'reset': .safetensors says all that is needed; leave it out"),
        (["--read", "reset"], "give each as NAME=VALUE, once"),
        (["--read", "=zero"], "give each as NAME=VALUE, once"),
        (["--read", "a=1", "--read", "a=2"], "give each as NAME=VALUE, once"),
    ],
)
def test_options_of_the_reader(network_file: Path, capsys: Captured, options: list[str], words: str) -> None:
    assert words in refused(capsys, "check", network_file, "--chip", "speck2f", *options)


def test_a_result_as_json_is_one_object_also_where_the_command_fails(tmp_path: Path, capsys: Captured) -> None:
    """Standard output is parsed as a whole by CI; the exit code and standard error say that it failed."""
    ops = {"conv": Conv2d(np.ones((1, 2, 3, 3), np.float32)), "n": IntegrateAndFire(1.0, -1.0)}
    write_network(chain((2, 3, 3), ops), tmp_path / "net.safetensors")
    given = ["evaluate", str(tmp_path / "net.safetensors"), str(tmp_path / "f.npz"), "--value-scale", "1"]
    np.savez(tmp_path / "f.npz", frames=np.ones((2, 2, 2, 3, 3), np.uint8), targets=np.zeros((2, 1)))
    for chips in ([], ["--chip", "speck2f", "--chip", "loihi2"]):
        assert run([*given, *chips, "--max-rmse", "0", "--json"]) == 1
        printed = capsys.readouterr()
        assert json.loads(printed.out)
        assert "is above 0" in printed.err


def test_an_error_is_json_too_where_json_is_asked_for(tmp_path: Path, capsys: Captured) -> None:
    """One line, for readers of one object and of a line a record; and the hint names the command."""
    for words, text in (
        (["check", tmp_path / "none.nir", "--chip", "speck2f"], "no such file"),
        (["check", "--chip"], "see `i2e-deploy check --help`"),
        (["simulate", "--loud"], "see `i2e-deploy simulate --help`"),
        (["chek"], "see `i2e-deploy --help`"),
    ):
        assert run([*map(str, words), "--json"]) == 2
        printed = capsys.readouterr()
        assert printed.err == f"error: {json.loads(printed.out)['error']}\n"
        assert text in printed.err
        assert printed.out.count("\n") == 1
        assert json.loads(printed.out)["exit_code"] == 2
