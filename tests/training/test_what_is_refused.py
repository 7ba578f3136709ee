"""Trainings that would go wrong without a word: each is refused in one line that says the way out."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from training_data import bar_data, small_network

from i2e_deploy.cli.app import run
from i2e_deploy.errors import InputError
from i2e_deploy.events.array import empty_events
from i2e_deploy.training import FitConfig, Mixing, Optimising, fit, sized
from i2e_deploy.training.checkpoint import load_weights
from i2e_deploy.training.data import Augmentation, DataOptions, open_data
from i2e_deploy.training.recipes import PLAIN_RATE, plain_config
from i2e_deploy.training.samples import Batch

CONFIG = FitConfig(epochs=1, batch_size=8, chip="speck2f", chip_samples=2, optimising=Optimising(learning_rate=0.02))


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    path = tmp_path / "frames.npz"
    drawn = np.random.default_rng(0).integers(0, 2, (24, 3, 2, 8, 8)).astype(np.uint8)
    np.savez(path, frames=drawn, labels=np.arange(24) % 2)
    return path


def test_a_training_does_not_go_on_with_data_that_are_made_otherwise(frames: Path, tmp_path: Path) -> None:
    options = DataOptions(test_share=0.25)
    first = open_data(frames, options)
    module = _network(first)
    list(fit(module, first, CONFIG, tmp_path / "out"))
    for other, text in (
        (replace(options, augmentation=Augmentation(flip=True)), "data.augmentation.flip was False and is True"),
        (replace(options, seed=3), "data.seed was 0 and is 3"),
        (replace(options, groups="(.)"), r"data.groups was None and is \(.\)"),
    ):
        with pytest.raises(InputError, match=text):
            list(fit(module, open_data(frames, other), CONFIG, tmp_path / "out"))
    assert list(fit(module, open_data(frames, replace(options, threads=1)), CONFIG, tmp_path / "out")) == []


def _network(data: Any) -> nn.Module:
    return sized.sized_network("speck2f", "small", data.input_shape, 2, data.steps)[1]


def test_weights_that_are_no_numbers_end_the_training_and_keep_the_last_epoch(tmp_path: Path) -> None:
    data, network = bar_data(), small_network()
    steps = fit(network, data, replace(CONFIG, epochs=2), tmp_path)
    next(steps)
    kept = (tmp_path / "checkpoint.safetensors").read_bytes()
    with torch.no_grad():
        next(network.parameters()).fill_(torch.nan)
    with pytest.raises(InputError, match=r"0\.weight.* not finite after epoch 2.* lower learning rate"):
        next(steps)
    assert (tmp_path / "checkpoint.safetensors").read_bytes() == kept


def test_dropping_events_of_recordings_is_refused_where_their_order_counts() -> None:
    data = bar_data()
    mixed = replace(CONFIG, through="event", mixing=Mixing(0.5))
    assert len(list(fit(small_network(), data, mixed))) == 1  # counts have no order of their own
    with pytest.raises(InputError, match="events of recordings in their own order"):
        list(fit(small_network(), replace(data, train=_Recorded(data.train)), mixed))


class _Recorded:
    """Samples with events beside their frames."""

    def __init__(self, samples: Any) -> None:
        self.samples = samples

    def __len__(self) -> int:
        return len(self.samples)

    def batch(self, chosen: Any, draw: int | None) -> Batch:
        found: Batch = self.samples.batch(chosen, draw)
        return replace(found, recordings=[empty_events() for _ in chosen])


def test_weights_of_plain_filters_are_told_the_way_on(tmp_path: Path) -> None:
    shape = (2, 24, 24)
    plan, deep = sized.sized_network("speck2f", "large", shape, 3, 2)
    assert plan.standardised
    path = tmp_path / "old.pt"
    torch.save({name.replace(".parametrizations.weight.original0", ".weight"): value
                for name, value in deep.state_dict().items() if "original1" not in name}, path)  # fmt: skip
    with pytest.raises(InputError, match=r"standardised filters: go on from its network\.safetensors"):
        load_weights(deep, path)


def test_deep_networks_of_others_start_at_a_rate_that_does_not_silence_them() -> None:
    layers = [nn.Linear(2, 2) for _ in range(6)]
    assert plain_config(nn.Sequential(*layers), 0).optimising.learning_rate == PLAIN_RATE
    assert plain_config(nn.Sequential(*layers[:5]), 0).optimising.learning_rate == Optimising().learning_rate


def test_a_missing_framework_is_said_before_data_are_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "sinabs", None)  # what an import finds where it is not installed
    assert run(["train", str(tmp_path / "nowhere"), "--chip", "speck2f", "--out", str(tmp_path / "out")]) != 0
    said = capsys.readouterr().err
    assert "recipe small of speck2f needs the package 'sinabs'" in said.replace("\n", " ")
    assert "pip install" in said
    assert not (tmp_path / "out").exists()


def test_optimiser_schedule_and_loss_are_options(frames: Path, tmp_path: Path, capsys: Any) -> None:
    command = ["train", str(frames), "--chip", "speck2f", "--epochs", "2", "--out", str(tmp_path / "out"), "--json"]
    options = ["--optimiser", "sgd", "--schedule", "cosine", "--warm-up", "0.1", "--weight-decay", "0"]
    options += ["--label-smoothing", "0.1", "--merged", "0.5", "--learning-rate", "0.01"]
    assert run([*command, *options]) == 0
    capsys.readouterr()
    assert run([*command, "--loss", "mse", "--label-smoothing", "0.1"]) == 2
    assert "--label-smoothing is for classes" in capsys.readouterr().err
    assert run(command) == 2
    said = capsys.readouterr().err
    for text in ("loss.label_smoothing was 0.1 and is 0.05", "optimising.optimiser was sgd and is adamw"):
        assert text in said


def test_recordings_are_read_as_the_command_line_says(frames: Path, tmp_path: Path, capsys: Any) -> None:
    for number in range(8):
        path = tmp_path / "camera" / "ab"[number % 2] / f"{number}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{t},{t % 7},{number},{t % 2}\n" for t in range(0, 4000, 50)))
    command = ["train", str(tmp_path / "camera"), "--chip", "speck2f", "--epochs", "1", "--out", str(tmp_path / "out")]
    command += ["--steps", "2", "--columns", "txyp", "--time-unit", "us"]
    assert run(command) == 2
    assert "does not state the sensor's size: give sensor_size (--sensor-size)" in capsys.readouterr().err
    assert run([*command, "--sensor-size", "8x8"]) == 0
    for others, text in (
        ([], "--sensor-size is for recordings: the digits are none"),
        ([str(frames)], f"--sensor-size is for recordings: {frames} holds frames; leave it out"),
    ):
        assert run(["train", *others, "--chip", "speck2f", "--out", str(tmp_path / "o"), "--sensor-size", "8x8"]) == 2
        assert text in capsys.readouterr().err
    assert run([*command, "--sensor-size", "8x8", "--sort"]) == 2
    assert "data.read.sort was False and is True" in capsys.readouterr().err
    assert run([*command, "--sensor-size", "8"]) == 2
    assert "--sensor-size is '8': give WIDTHxHEIGHT" in capsys.readouterr().err
