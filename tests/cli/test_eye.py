"""`--eye`: pictures for simulate, check, export and evaluate; what a bundle keeps of it; what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import Captured, refused
from pictures import write_tree

from i2e_deploy import bundle
from i2e_deploy.chips import get, write_model
from i2e_deploy.chips.abilities import TakesPictures
from i2e_deploy.chips.loihi2 import Loihi2Chip
from i2e_deploy.chips.loihi2.eye.see import EVENTS
from i2e_deploy.cli.app import run
from i2e_deploy.conversion import convert
from i2e_deploy.datasets import Resize, decode_picture
from i2e_deploy.errors import InputError, UnsupportedError
from i2e_deploy.events.array import empty_events
from i2e_deploy.events.frames import FrameSpec
from i2e_deploy.events.stream import StreamSpec
from i2e_deploy.network import Conv2d, Flatten, IntegrateAndFire, Linear, Network, chain
from i2e_deploy.runtime.decider import Decider, LiveSpec
from i2e_deploy.runtime.shown import Shown

SIDE = 8


def network() -> Network:
    rng = np.random.default_rng(4)
    conv, linear = rng.normal(0, 0.5, (3, 2, 3, 3)), rng.normal(0, 0.3, (2, 48))
    return chain((2, SIDE, SIDE), {
        "a": Conv2d(conv.astype(np.float32), np.full(3, 0.1, np.float32), (2, 2), (1, 1)), "na": IntegrateAndFire(1.0),
        "f": Flatten(), "b": Linear(linear.astype(np.float32)), "nb": IntegrateAndFire(1.0),
    })  # fmt: skip


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "network.safetensors"
    write_model(network(), path)
    return path


@pytest.fixture
def pixels(tmp_path: Path) -> tuple[Path, Any]:
    images = np.random.default_rng(1).integers(0, 256, (3, 3, SIDE, SIDE)).astype(np.uint8)
    np.save(tmp_path / "pictures.npy", images)
    return tmp_path / "pictures.npy", images


def printed(capsys: Captured, *arguments: object) -> Any:
    assert run([str(argument) for argument in (*arguments, "--json")]) == 0
    return json.loads(capsys.readouterr().out)


def test_simulate_decides_of_pictures_as_of_their_events(model: Path, pixels: Any, capsys: Captured) -> None:
    path, images = pixels
    out = model.parent / "trace.npz"
    found = printed(capsys, "simulate", model, "--chip", "loihi2", "--eye", "0.12", "--input", path, "--out", out)
    plain = get("loihi2").lower(network())
    assert found["decisions"] == plain.run(convert(images, "0.12")).decisions().tolist()
    with np.load(out) as arrays:
        place = list(found["layers"]).index(EVENTS)
        np.testing.assert_array_equal(arrays[f"layer{place}"][:, -10:-2], convert(images, "0.12"))


def test_a_bundle_keeps_its_eye_and_is_verified_and_evaluated(model: Path, tmp_path: Path, capsys: Captured) -> None:
    folder, tree = tmp_path / "bundle", write_tree(tmp_path / "tree", 12)
    assert run(["export", str(model), "--chip", "loihi2", "--eye", "1/9,looks=2,seed=7,v", "--out", str(folder)]) == 0
    assert run(["verify", str(folder), "--target", "simulator"]) == 0
    assert run(["check", str(folder), "--chip", "loihi2"]) == 0
    capsys.readouterr()
    read = bundle.read(folder)
    assert isinstance(read.program, TakesPictures)
    assert read.manifest["notes"]["eye"] == "1/9,looks=2,seed=7,v"
    targets = ("--target", "simulator", "--target", "reference")
    found = printed(capsys, "evaluate", folder, tree, *targets)
    assert found["samples"] == 2  # of the part `test`
    assert found["agreement"][0]["same"] == 2
    files = sorted((tree / "test").rglob("*.png"), key=lambda path: (path.parent.name, path.name))
    pictures = np.stack([decode_picture(file.read_bytes(), Resize(SIDE)).transpose(2, 0, 1) for file in files])
    host = get("loihi2").lower(network()).run(convert(pictures, "1/9", read.program.eye.kernels[None]))
    assert [file.parent.name for file in files] == ["cat", "dog"]
    assert found["targets"]["simulator"]["correct"] == int((host.decisions() == [0, 1]).sum())


def test_check_looks_at_the_eye_too(model: Path, pixels: Any, capsys: Captured) -> None:
    path, _ = pixels
    found = printed(capsys, "check", model, "--chip", "loihi2", "--eye", "0.12", "--input", path)
    layers = {row["layer"] for row in found["findings"]}
    assert EVENTS in layers
    assert found["estimate"] is not None
    assert not [row for row in found["findings"] if row["rule"] == "saturations" and row["severity"] != "ok"]


@pytest.mark.parametrize("asked", ["0.12,looks", "0.12,looks=-1", "0.12,w", "0.12,seed=1.5", ",v,v=1"])
def test_an_eye_that_cannot_be_read_is_refused(asked: str, model: Path, pixels: Any, capsys: Captured) -> None:
    out = model.parent / "t.npz"
    arguments = ("simulate", model, "--chip", "loihi2", "--input", pixels[0], "--out", out, "--eye", asked)
    assert "write S_TH0, then looks=N, seed=N or v" in refused(capsys, *arguments)


def test_what_an_eye_does_not_go_with_is_refused(model: Path, pixels: Any, tmp_path: Path, capsys: Captured) -> None:
    path, images = pixels
    simulate = ("simulate", model, "--input", path, "--out", tmp_path / "t.npz", "--chip")
    said = refused(capsys, *simulate, "speck2f", "--eye", "0.12")
    assert "speck2f does not offer that (SeesPictures): its events carry no value" in said
    assert "--target float takes frames" in refused(capsys, *simulate, "loihi2", "--eye", "0.12", "--target", "float")
    assert "S_th0 is 2" in refused(capsys, *simulate, "loihi2", "--eye", "2")
    evaluate = ("evaluate", model, path, "--chip", "loihi2", "--eye", "0.1")
    assert "--eye" in refused(capsys, *evaluate, "--chip", "speck2f")
    folder = tmp_path / "bundle"
    assert run(["export", str(model), "--chip", "loihi2", "--eye", "0.12", "--out", str(folder)]) == 0
    capsys.readouterr()
    assert "has an eye already" in refused(capsys, "check", folder, "--chip", "loihi2", "--eye", "0.12")
    np.save(tmp_path / "frames.npy", images.astype(np.int32))
    wrong = ("simulate", folder, "--chip", "loihi2", "--out", tmp_path / "t.npz", "--input", tmp_path / "frames.npy")
    assert "give pictures, uint8 [N, C, H, W]" in refused(capsys, *wrong)


def test_a_program_with_an_eye_is_not_fed_events() -> None:
    chip = Loihi2Chip("loihi2")
    plain = chip.lower(network())
    program = chip.with_eye(plain, "0.1", channels=1)
    with pytest.raises(InputError, match="takes pictures, not recordings"):
        program.in_steps(empty_events(), 1000)
    with pytest.raises(InputError, match="give live events to the network without it"):
        Decider(program, LiveSpec(StreamSpec(8, 1000), FrameSpec((SIDE, SIDE), (1, SIDE + 2, SIDE + 2))))
    with pytest.raises(UnsupportedError, match="has no eye"):
        Shown(plain)
    with pytest.raises(UnsupportedError, match="does not go on from states"):
        Shown(program).run(np.zeros((1, 1, 1, SIDE, SIDE), np.uint8), states={})
    with pytest.raises(InputError, match=r"give uint8 \[B, 1, C, H, W\]"):
        Shown(program).run(np.zeros((1, 2, 1, SIDE, SIDE), np.uint8))
