"""Checkpoints of torch as data: the authors' layout, other objects beside the weights, hostile and damaged files."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from i2e_deploy.cli.app import run
from i2e_deploy.errors import FileFormatError, InputError
from i2e_deploy.network.checkpoint import read_checkpoint
from i2e_deploy.network.file import read_network, read_notes
from i2e_deploy.network.ms_resnet import from_ms_resnet
from i2e_deploy.training.ms_resnet import ms_resnet


def module() -> Any:
    return ms_resnet((1, 1), 4, width=4, generator=torch.Generator().manual_seed(1)).eval()


def as_the_authors_save(path: Path, **beside: Any) -> Path:
    """`module.` in front, with the kernels of the conversion, the optimiser and numbers."""
    state = {f"module.{name}": value for name, value in module().state_dict().items()}
    state["module.i2e.weight"] = torch.ones(8, 1, 3, 3)
    torch.save({"epoch": 7, "best_acc": 92.5, "arch": "MSNet", "state_dict": state, "optimizer": {}, **beside}, path)
    return path


def test_the_authors_layout_becomes_a_network(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, out = as_the_authors_save(tmp_path / "best.pth.tar"), tmp_path / "net.safetensors"
    assert run(["checkpoint", str(path), "--input-shape", "2,32,32", "--out", str(out), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["key"], said["prefix"], said["left_out"]) == ("state_dict", "module.", [])
    assert said["beside"] == {"epoch": "7", "best_acc": "92.5", "arch": "MSNet"}
    frames = np.random.default_rng(0).integers(0, 2, (1, 3, 2, 32, 32))
    wanted = from_ms_resnet(module().state_dict(), (2, 32, 32)).run(frames).output
    np.testing.assert_array_equal(read_network(out).run(frames).output, wanted)
    assert read_notes(out)["best_acc"] == "92.5"


def test_objects_of_other_classes_are_left_out_and_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Options of a training and numbers of NumPy, as timm's and others' scripts save them."""
    options = argparse.Namespace(lr=0.1, out=Path("x"))
    path = as_the_authors_save(tmp_path / "a.pth.tar", args=options, acc=np.float64(3))
    found = read_checkpoint(path)
    assert "argparse.Namespace" in found.left_out
    assert any("numpy" in name for name in found.left_out)
    np.testing.assert_array_equal(found.weights["fc.weight"], module().fc.weight.detach().numpy())
    arguments = ["checkpoint", str(path), "--input-shape", "2,32,32", "--out", str(tmp_path / "n.safetensors")]
    assert run(arguments) == 0
    assert "objects of argparse.Namespace" in capsys.readouterr().out


class Runs:
    """What a hostile file would have run."""

    def __init__(self, how: Any, *arguments: Any) -> None:
        self.how = (how, arguments)

    def __reduce__(self) -> Any:
        return self.how


def touched(path: Path) -> None:
    path.touch()


def test_nothing_in_a_file_is_run(tmp_path: Path) -> None:
    """A function of this module is left out unrun; one of a module that torch blocks refuses the file."""
    mark = tmp_path / "mark"
    path = as_the_authors_save(tmp_path / "a.pt", trap=Runs(touched, mark))
    assert any(name.endswith("touched") for name in read_checkpoint(path).left_out)
    assert not mark.exists()
    path = as_the_authors_save(tmp_path / "b.pt", trap=Runs(os.system, f"touch {mark}"))
    with pytest.raises(
        FileFormatError, match=r"cannot be read as weights .*blocked.*save its state dict alone"
    ) as said:
        read_checkpoint(path)
    assert "\n" not in str(said.value)
    assert not mark.exists()


def test_files_that_are_none_are_refused_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = as_the_authors_save(tmp_path / "whole.pt").read_bytes()
    cases = {"empty.pt": b"", "words.pt": b"hello", "cut.pt": whole[: len(whole) // 2]}
    old = tmp_path / "old.pt"
    torch.save({"a": argparse.Namespace()}, old, _use_new_zipfile_serialization=False)
    cases["old.pt"] = old.read_bytes()
    for name, content in cases.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(FileFormatError) as found:
            read_checkpoint(tmp_path / name)
        assert name in str(found.value)
        assert "\n" not in str(found.value)
    for index in range(0, len(whole), len(whole) // 40):
        (tmp_path / "bad.pt").write_bytes(whole[:index] + bytes([whole[index] ^ 0xFF]) + whole[index + 1 :])
        with contextlib.suppress(FileFormatError, InputError):  # a changed weight is none that anybody could see
            read_checkpoint(tmp_path / "bad.pt")
    spread = torch.ones(1).expand(2**20, 2**20)
    torch.save({"state_dict": {"a": spread}}, tmp_path / "spread.pt")
    with pytest.raises(FileFormatError, match=r"a claims \[1048576, 1048576\], and holds less"):
        read_checkpoint(tmp_path / "spread.pt")
    with pytest.raises(InputError, match="no such file"):
        read_checkpoint(tmp_path / "none.pt")
    assert capsys.readouterr().out == ""


def test_weights_that_are_elsewhere_or_of_another_network(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = module().state_dict()
    torch.save({"a": {"b": state}, "c": 3}, tmp_path / "deep.pt")
    assert read_checkpoint(tmp_path / "deep.pt", "a.b").weights.keys() == state.keys()
    with pytest.raises(InputError, match=r"holds no weights under .*it holds a, c; say where \(--key\)"):
        read_checkpoint(tmp_path / "deep.pt")
    with pytest.raises(InputError, match=r"holds no 'a\.c'"):
        read_checkpoint(tmp_path / "deep.pt", "a.c")
    torch.save({"head.weight": torch.ones(2, 2)}, tmp_path / "other.pt")
    arguments = ["--input-shape", "2,32,32", "--out", str(tmp_path / "n.safetensors")]
    assert run(["checkpoint", str(tmp_path / "other.pt"), *arguments]) == 2
    assert "no MS-ResNet's: load them into your module" in capsys.readouterr().err
    assert run(["checkpoint", str(tmp_path / "deep.pt"), "--key", "a.b", "--input-shape", "32", *arguments[2:]]) == 2
    assert not (tmp_path / "n.safetensors").exists()
