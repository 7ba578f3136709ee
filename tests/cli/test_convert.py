"""`convert`: frames, shards, a comparison, and pictures that are none."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from command_line import Captured, refused
from pictures import write_tree
from PIL import Image

from i2e_deploy.cli.app import run


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
