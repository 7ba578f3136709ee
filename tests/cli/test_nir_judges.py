"""`check` of a NIR file: what each reading of its neurons gives, and another program's word on what was read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import Captured, refused
from nir_files import neurons, nir_write

from i2e_deploy.cli.app import run
from i2e_deploy.network import read_nir

nir = pytest.importorskip("nir")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """One convolution and neurons whose file says nothing of resets."""
    weight = np.random.default_rng(0).normal(0.1, 0.4, (3, 2, 3, 3)).astype(np.float32)
    conv = nir.Conv2d((8, 8), weight, (1, 1), (0, 0), (1, 1), 1, np.zeros(3, np.float32))
    nodes = {
        "input": nir.Input({"input": np.array((2, 8, 8))}), "conv": conv, "fire": neurons((3, 6, 6)),
        "output": nir.Output({"output": np.array((3, 6, 6))}),
    }  # fmt: skip
    edges = [("input", "conv"), ("conv", "fire"), ("fire", "output")]
    return nir_write(tmp_path / "net.nir", nodes, edges)


def findings(capsys: Captured, *arguments: object) -> list[dict[str, Any]]:
    assert run([*map(str, arguments), "--json"]) == 0
    told: list[dict[str, Any]] = json.loads(capsys.readouterr().out)["findings"]
    return told


def test_each_reading_of_the_neurons_is_told_with_its_spikes(model: Path, frames_file: Path, capsys: Captured) -> None:
    command = ("check", model, "--chip", "speck2f", "--input", frames_file)
    told = [row for row in findings(capsys, *command) if row["rule"] == "reading of neurons"]
    assert len(told) == 8
    assert [row["fix"] for row in told] == ["as it is read now", *[""] * 7]
    frames = np.load(frames_file)
    spikes = int(read_nir(model, reset="zero", max_spikes=1, min_v="none").run(frames).layers["fire"].sum())
    (zero,) = (row for row in told if "reset=zero --read max_spikes=1 --read min_v=none" in row["value"])
    assert zero["value"].startswith(f"{spikes:,} spikes, sum of the output {spikes:,},")
    chosen = ("--read", "reset=zero", "--read", "max_spikes=1", "--read", "min_v=none")
    assert not [row for row in findings(capsys, *command, *chosen) if row["rule"] == "reading of neurons"]


def test_another_program_s_word(model: Path, frames_file: Path, capsys: Captured) -> None:
    pytest.importorskip("sinabs")
    command = ("check", model, "--chip", "speck2f", "--input", frames_file, "--against", "sinabs")
    notes = [row["value"] for row in findings(capsys, *command) if row["rule"] == "note"]
    assert any(text.startswith("compared with sinabs on 2 samples of 5 steps") for text in notes)
    said = refused(capsys, *command, "--read", "reset=zero")
    assert "layer 'fire'" in said
    assert "was read wrongly: first at step" in said


def test_judges_that_cannot_be(model: Path, network_file: Path, frames_file: Path, capsys: Captured) -> None:
    check = ("check", model, "--chip", "speck2f")
    assert "give --input, the frames on which both run" in refused(capsys, *check, "--against", "sinabs")
    assert "choose one of" in refused(capsys, *check, "--against", "nobody", "--input", frames_file)
    other = ("check", network_file, "--chip", "speck2f", "--input", frames_file, "--against", "sinabs")
    assert "is no .nir file" in refused(capsys, *other)
