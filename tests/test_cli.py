"""The command line: what it writes, what it prints, and how it refuses."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from networks import single_neuron
from pictures import write_tree
from PIL import Image

from i2e_deploy.chips import get
from i2e_deploy.cli.app import run
from i2e_deploy.network import Conv2d, IntegrateAndFire, chain
from i2e_deploy.network.file import write_network

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def network_file(tmp_path: Path) -> Path:
    path = tmp_path / "net.safetensors"
    weight = np.random.default_rng(0).normal(0.1, 0.4, (3, 2, 3, 3)).astype(np.float32)
    neuron = IntegrateAndFire(1.0, -1.0)
    write_network(chain((2, 8, 8), {"conv": Conv2d(weight, stride=(2, 2)), "neuron": neuron}), path)
    return path


@pytest.fixture
def frames_file(tmp_path: Path) -> Path:
    path = tmp_path / "frames.npy"
    np.save(path, np.random.default_rng(1).integers(0, 2, (2, 5, 2, 8, 8)).astype(np.uint8))
    return path


def refused(capsys: Captured, *arguments: object, code: int = 2) -> str:
    """Run a command that must fail; returns its one line."""
    assert run([str(argument) for argument in arguments]) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    assert "Traceback" not in captured.err
    return captured.err


def test_export_verify_simulate_report(network_file: Path, frames_file: Path, tmp_path: Path, capsys: Captured) -> None:
    folder, trace_file = tmp_path / "bundle", tmp_path / "trace.npz"
    assert (
        run(["export", str(network_file), "--chip", "speck2f", "--out", str(folder), "--input", str(frames_file)]) == 0
    )
    assert "look at" in capsys.readouterr().out
    assert run(["verify", str(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["exact"] is True
    for model in (folder, network_file):
        arguments = ["simulate", str(model), "--chip", "speck2f", "--input", str(frames_file), "--out", str(trace_file)]
        assert run([*arguments, "--state", "--json"]) == 0
        printed = json.loads(capsys.readouterr().out)
        with np.load(trace_file) as trace:
            assert set(trace) == {"layer0", "layer0_v_mem"}
            assert trace["layer0"].shape == (2, 5, 3, 3, 3)
            assert trace["layer0_v_mem"].shape == (2, 3, 3, 3)
            assert printed["layers"]["conv"]["spikes"] == trace["layer0"].sum() > 0
    page = tmp_path / "page.html"
    assert run(["report", str(folder), "--out", str(page)]) == 0
    assert page.read_text().startswith("<!DOCTYPE html>")


def test_one_sample_without_a_batch_axis(
    network_file: Path, frames_file: Path, tmp_path: Path, capsys: Captured
) -> None:
    np.save(tmp_path / "one.npy", np.load(frames_file)[0])
    arguments = ["simulate", str(network_file), "--chip", "speck2f", "--input", str(tmp_path / "one.npy")]
    assert run([*arguments, "--out", str(tmp_path / "t.npz"), "--json"]) == 0
    with np.load(tmp_path / "t.npz") as trace:
        assert trace["layer0"].shape == (1, 5, 3, 3, 3)
    assert capsys.readouterr().out


def test_export_says_when_its_golden_vectors_prove_little(tmp_path: Path, capsys: Captured) -> None:
    path = tmp_path / "silent.safetensors"
    write_network(single_neuron(0.01, 100.0), path)
    assert run(["export", str(path), "--chip", "speck2f", "--out", str(tmp_path / "b")]) == 0
    assert "no neuron fires on the golden inputs" in capsys.readouterr().err


def test_verify_exits_with_1_and_names_the_place(network_file: Path, tmp_path: Path, capsys: Captured) -> None:
    from i2e_deploy.bundle.bundle import GOLDEN, MANIFEST
    from i2e_deploy.files import read_tensors, sha256, write_tensors

    folder = tmp_path / "bundle"
    assert run(["export", str(network_file), "--chip", "speck2f", "--out", str(folder), "--json"]) == 0
    tensors, metadata = read_tensors(folder / GOLDEN)
    tensors["expected.layer0"][0, 3, 1, 2, 0] += 1
    write_tensors(folder / GOLDEN, tensors, metadata)
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["files"][GOLDEN]["sha256"] = sha256(folder / GOLDEN)
    (folder / MANIFEST).write_text(json.dumps(manifest))
    capsys.readouterr()
    line = refused(capsys, "verify", folder, code=1)
    assert "layer0 ('conv') differs first at step 3, sample 0, neuron (1, 2, 0)" in line


def test_check_fits(network_file: Path, capsys: Captured) -> None:
    assert run(["check", str(network_file), "--chip", "speck2f", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["fits"] is True
    assert report["placement"][0]["core"] == 0
    assert run(["check", str(network_file), "--chip", "speck2f"]) == 0
    assert "fits speck2f" in capsys.readouterr().out


def test_check_that_does_not_fit_exits_with_1(tmp_path: Path, capsys: Captured) -> None:
    path = tmp_path / "bad.safetensors"
    write_network(single_neuron(1.0, 1.0, min_v=0.0), path)
    assert run(["check", str(path), "--chip", "speck2f"]) == 1
    assert "set min_v_mem below zero" in capsys.readouterr().out
    assert "lower bound" in refused(capsys, "export", path, "--chip", "speck2f", "--out", tmp_path / "b", code=1)
    assert not (tmp_path / "b").exists()


def test_convert_pictures(tmp_path: Path, capsys: Captured) -> None:
    from i2e_deploy.conversion import i2e_reference

    folder = tmp_path / "photos"
    (folder / "sub").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name in ("b.png", "sub/a.png"):
        Image.fromarray(rng.integers(0, 256, (20, 30, 3)).astype(np.uint8)).save(folder / name)
    out = tmp_path / "f.npy"
    assert run(["convert", str(folder), "--out", str(out), "--size", "20", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    frames = np.load(out)
    assert frames.shape == (2, 8, 2, 20, 20)
    assert printed["event_rate"] == pytest.approx(frames.mean())
    middle = np.asarray(Image.open(folder / "b.png"))[:, 5:25].transpose(2, 0, 1)[None]
    assert np.array_equal(frames[0], i2e_reference(middle, "0.12")[0])


def test_convert_to_shards(tmp_path: Path, capsys: Captured) -> None:
    pytest.importorskip("pyarrow.parquet", exc_type=ImportError)
    write_tree(tmp_path / "photos", 10)
    out = tmp_path / "shards"
    command = ["convert", str(tmp_path / "photos"), "--out", str(out), "--size", "16", "--shard-items", "4"]
    assert run([*command, "--workers", "1", "--json"]) == 0
    manifest = json.loads(capsys.readouterr().out)
    assert manifest == json.loads((out / "manifest.json").read_text())
    assert sum(shard["rows"] for shard in manifest["shards"]) == 10
    assert run([*command, "--workers", "1"]) == 0
    assert "10 pictures in 3 shards" in " ".join(capsys.readouterr().out.split())
    assert "other settings" in refused(capsys, *command, "--ratio", "0.2")
    (tmp_path / "photos/train/cat/x.png").write_bytes(b"")
    other = (*command[:3], tmp_path / "other", *command[4:], "--workers", "1")
    assert "train/cat/x.png is not" in refused(capsys, *other).replace(":", "")
    assert "either --out" in refused(capsys, "convert", tmp_path / "photos")
    assert run([str(part) for part in (*other[:3], tmp_path / "third", *other[4:], "--broken", "skip")]) == 0
    assert "skipped train/cat/x.png" in capsys.readouterr().err


def test_compare_with_recordings(tmp_path: Path, capsys: Captured) -> None:
    pytest.importorskip("i2e_deploy.events.files")
    from i2e_deploy.events.array import empty_events

    write_tree(tmp_path / "photos", 4)
    (tmp_path / "real").mkdir()
    for seed in range(3):
        rng, events = np.random.default_rng(seed), empty_events(300)
        events["t"], events["x"] = np.sort(rng.integers(0, 300_000, 300)), rng.integers(0, 16, 300)
        events["y"], events["p"] = rng.integers(0, 16, 300), rng.integers(0, 2, 300)
        np.save(tmp_path / "real" / f"{seed}.npy", events)
    command = ["convert", str(tmp_path / "photos"), "--compare", str(tmp_path / "real"), "--size", "16"]
    assert run([*command, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found) >= {"ideal, jump", "dvs128, moving eye"}
    assert list(found) == sorted(found, key=lambda name: found[name]["gap"])
    assert "at least one of each" in refused(capsys, *command[:3], tmp_path / "photos", *command[4:])


def test_bad_pictures(tmp_path: Path, capsys: Captured) -> None:
    bad = tmp_path / "x.png"
    bad.write_text("no picture")
    whole = tmp_path / "whole.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)).save(whole)
    half = tmp_path / "half.png"
    half.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    out = tmp_path / "f.npy"
    for path in (bad, half):
        assert "not a whole picture" in refused(capsys, "convert", path, "--out", out)
    assert "no such file or folder" in refused(capsys, "convert", tmp_path / "none", "--out", out)
    (tmp_path / "empty").mkdir()
    assert "no image found" in refused(capsys, "convert", tmp_path / "empty", "--out", out)
    assert "S_th0" in refused(capsys, "convert", whole, "--out", out, "--ratio", "2")
    assert "size is 0" in refused(capsys, "convert", whole, "--out", out, "--size", "0")
    assert ".npy" in refused(capsys, "convert", whole, "--out", tmp_path / "f.png")
    assert {path.name for path in tmp_path.iterdir()} == {"x.png", "whole.png", "half.png", "empty"}


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
    assert "no target 'moon'" in refused(capsys, *export_then(network_file, tmp_path, capsys), "--target", "moon")
    assert "no hardware profile" in refused(capsys, "profiles", "speck9")
    assert not out.exists()
    assert not list(tmp_path.glob(".*"))


def export_then(network_file: Path, tmp_path: Path, capsys: Captured) -> tuple[object, ...]:
    assert run(["export", str(network_file), "--chip", "speck2f", "--out", str(tmp_path / "b"), "--json"]) == 0
    capsys.readouterr()
    return "verify", tmp_path / "b"


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


def test_names_are_never_markup(network_file: Path, frames_file: Path, tmp_path: Path, capsys: Captured) -> None:
    """Square brackets and dollar signs in paths and layer names come out as they are."""
    from i2e_deploy.network import Layer, Network
    from i2e_deploy.network.file import read_network

    network = read_network(network_file)
    assert isinstance(network, Network)
    first, second = network.layers
    renamed = Network(
        network.input_shape, (Layer("[/] $x_$", first.op, ("input",)), Layer("n", second.op, ("[/] $x_$",)))
    )
    write_network(renamed, network_file)
    assert run(["check", str(network_file), "--chip", "speck2f"]) == 0
    assert "[/] $x_$" in capsys.readouterr().out
    assert run(["export", str(network_file), "--chip", "speck2f", "--out", str(tmp_path / "b[red]")]) == 0
    assert str(tmp_path / "b[red]" / "report.html") in capsys.readouterr().out
    out = tmp_path / "t[b].npz"
    simulate = ["simulate", str(network_file), "--chip", "speck2f", "--input", str(frames_file), "--out", str(out)]
    assert run(simulate) == 0
    assert str(out) in capsys.readouterr().out
    assert out.exists()


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


def test_no_arguments_show_the_help(capsys: Captured) -> None:
    assert run([]) == 0
    assert "Commands:" in capsys.readouterr().out


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


def test_profiles_show_every_limit_with_its_source(capsys: Captured) -> None:
    assert run(["profiles", "--json"]) == 0
    profiles = {profile["name"]: profile for profile in json.loads(capsys.readouterr().out)}
    limits = get("speck2f").profile.limits
    assert set(profiles["speck2f"]["limits"]) == set(limits)
    assert all(limit.source and limit.unit for limit in limits.values())
    assert run(["profiles"]) == 0
    assert "speck2f" in capsys.readouterr().out
    assert run(["profiles", "speck2f"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "threshold-low-zero: The lower bound" in printed
    assert all(limit.source in printed for limit in limits.values())


def test_doctor(capsys: Captured) -> None:
    assert run(["doctor", "--json"]) == 0
    names = {row["name"] for row in json.loads(capsys.readouterr().out)}
    assert {"python", "torch", "samna", "GPU", "event camera", "neuromorphic board"} <= names
    assert run(["doctor"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(names)


def test_starting_up_imports_nothing_heavy() -> None:
    """`--help` answers at once because neither it nor `import i2e_deploy` imports these."""
    code = (
        "import sys; import i2e_deploy; from i2e_deploy.cli.app import run; run(['--help']);"
        "print([m for m in ('torch', 'numba', 'numpy', 'rich', 'sinabs', 'samna', 'matplotlib') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1] == "[]"
    for command in ("demo", "doctor", "profiles", "convert", "check", "export", "verify", "simulate", "report"):
        assert f"  {command} " in result.stdout


@pytest.mark.parametrize("command", ["convert", "check", "export", "verify", "simulate", "report", "demo", "profiles"])
def test_help_shows_an_example(command: str, capsys: Captured) -> None:
    assert run([command, "--help"]) == 0
    assert f"Example: i2e-deploy {command}" in " ".join(capsys.readouterr().out.split())
