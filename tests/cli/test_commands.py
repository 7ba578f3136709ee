"""What the commands write and print."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from command_line import Captured, refused
from networks import single_neuron

from i2e_deploy.chips import get
from i2e_deploy.cli.app import run
from i2e_deploy.network.file import write_network


@pytest.mark.slow
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
    layer = single_neuron(0.01, 100.0).layers[0].name
    assert f"nothing fires in {layer}, output on the golden inputs" in capsys.readouterr().err
    assert run(["verify", str(tmp_path / "b")]) == 0
    assert f"nothing fires in {layer}, output on these inputs" in capsys.readouterr().out


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


def test_no_arguments_show_the_help(capsys: Captured) -> None:
    assert run([]) == 0
    assert "Commands:" in capsys.readouterr().out


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
