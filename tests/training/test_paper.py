"""The paper's trainings: they run as they are, on tiny data."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from i2e_deploy.errors import InputError
from i2e_deploy.events import empty_events, write
from i2e_deploy.network import from_ms_resnet
from i2e_deploy.training import paper
from i2e_deploy.training.loop import fit
from i2e_deploy.training.ms_resnet import ms_resnet

#: Sides of the pictures here; the trainings' own sizes are for GPUs.
SIDE = 32


def pictures(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    for part, count in (("train", 4), ("test", 2)):
        for name in ("cat", "dog"):
            for number in range(count):
                place = folder / part / name
                place.mkdir(parents=True, exist_ok=True)
                Image.fromarray(rng.integers(0, 256, (SIDE, SIDE, 3)).astype(np.uint8)).save(place / f"{number}.png")
    return folder


def recordings(folder: Path, each: int = 10) -> Path:
    rng = np.random.default_rng(1)
    for name in ("a", "b"):
        for number in range(each):
            events = empty_events(101)
            events["t"] = np.sort(rng.integers(0, 10**6, 101))
            for axis in ("x", "y"):
                events[axis] = rng.integers(0, 128, 101)
            events["p"] = rng.integers(0, 2, 101)
            (folder / name).mkdir(parents=True, exist_ok=True)
            write(folder / name / f"{number}.npz", events, (128, 128))
    return folder


def tiny(run: paper.PaperRun) -> paper.PaperRun:
    """The same training of one epoch, on small pictures."""
    options = None if run.options is None else replace(run.options, size=SIDE)
    return replace(run, options=options, config=replace(run.config, epochs=1, batch_size=4))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["i2e-cifar10-2", "i2e-imagenet-34"])
def test_a_training_on_pictures_runs_as_it_is(name: str, tmp_path: Path) -> None:
    run = tiny(paper.paper_run(name))
    data = paper.paper_data(run, pictures(tmp_path))
    network = paper.paper_network(run, len(data.classes))
    (result,) = fit(network, data, run.config, running=paper.MS_RESNET)
    assert np.isfinite(result.loss)
    assert data.steps == 8


@pytest.mark.slow
def test_fine_tuning_on_recordings_runs_from_a_checkpoint(tmp_path: Path) -> None:
    run = tiny(paper.paper_run("cifar10-dvs"))
    data = paper.paper_data(run, recordings(tmp_path / "data"))
    before = ms_resnet(18, 7)
    torch.save({"state_dict": {f"module.{name}": value for name, value in before.state_dict().items()}}, tmp_path / "x")
    network = paper.paper_network(run, len(data.classes), tmp_path / "x")
    assert network.fc.weight.shape[0] == 2
    assert torch.equal(network.layer1[0].conv1.weight, before.layer1[0].conv1.weight)  # type: ignore[union-attr, index]
    (result,) = fit(network, data, run.config, running=paper.MS_RESNET)
    assert np.isfinite(result.loss)


def test_recordings_are_cut_into_frames_of_equal_numbers_of_events(tmp_path: Path) -> None:
    data = paper.paper_data(paper.paper_run("cifar10-dvs"), recordings(tmp_path))
    assert (len(data.train), len(data.test), data.input_shape, data.steps) == (18, 2, (2, 128, 128), 8)
    frames = data.train.batch(np.arange(3), None).frames
    assert frames.sum((2, 3, 4)).tolist() == [[12] * 7 + [17]] * 3  # 101 events: 12 each, the rest in the last


def test_the_first_nine_tenths_of_each_class_train() -> None:
    """SpikingJelly's split_to_train_test_set without shuffling: ceil(0.9 n) of each class."""
    labels = np.array([1, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0])
    train, test = paper.in_order(labels)
    assert test.tolist() == [12]
    assert train.tolist() == list(range(12))


def test_outside_the_camera_is_refused(tmp_path: Path) -> None:
    events = empty_events(1)
    events["x"] = 200
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for number in range(10):
            write(tmp_path / name / f"{number}.npz", events, (240, 180))
    with pytest.raises(InputError, match="outside 128 x 128 pixels"):
        paper.paper_data(paper.paper_run("cifar10-dvs"), tmp_path)


@pytest.mark.parametrize("name", paper.PAPER_RUNS)
def test_every_training_says_where_its_settings_come_from(name: str) -> None:
    run = paper.paper_run(name)
    assert run.name == name
    for setting in ("network", "optimiser", "label smoothing", "input", "schedule", "augmentation", "published"):
        assert run.sources[setting].startswith(("paper", "scripts")), setting
    assert run.differs
    assert run.config.loss.label_smoothing == 0.1
    assert run.config.loss.scale == 1 / paper.STEPS


def test_unknown_trainings_and_checkpoints_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="choose one of i2e-cifar10-1"):
        paper.paper_run("imagenet")
    torch.save({"state_dict": ms_resnet(18, 10).state_dict()}, tmp_path / "r18")
    with pytest.raises(InputError, match=r"has no weights .* of MS-ResNet34"):
        paper.paper_network(paper.paper_run("i2e-imagenet-34"), 10, tmp_path / "r18")


def test_a_trained_network_is_read_for_chips() -> None:
    network = ms_resnet(18, 3, width=4)
    read = paper.MS_RESNET.read(network, (2, 32, 32), None, None)  # type: ignore[arg-type]
    assert read.input_shape == from_ms_resnet(network.state_dict(), (2, 32, 32)).input_shape
