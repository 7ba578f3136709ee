"""Curves for TensorBoard are read back with its own reader."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path

import numpy as np
import pytest
from training_data import bars

from i2e_deploy.cli.app import run
from i2e_deploy.training import read_history

there = pytest.mark.skipif(importlib.util.find_spec("tensorboard") is None, reason="tensorboard is not installed")


@there
@pytest.mark.filterwarnings("ignore")  # of tensorboard and protobuf, about each other
def test_every_figure_of_every_epoch_is_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A training that goes on adds its epochs; one that begins anew leaves no curve of the one before."""
    reader = importlib.import_module("tensorboard.backend.event_processing.event_accumulator")
    data, out, samples = tmp_path / "bars.npz", tmp_path / "out", bars(20)
    np.savez(data, frames=samples.frames, labels=samples.targets)
    command = ["train", str(data), "--chip", "speck2f", "--tensorboard", "--epochs", "2", "--out", str(out)]
    for more in ([], ["--restart", "--seed", "1"]):
        assert run([*command, *more]) == 0, capsys.readouterr().err
        curves = reader.EventAccumulator(str(out / "tensorboard")).Reload()
        names = curves.Tags()["scalars"]
        assert {"loss", "train/accuracy", "test/accuracy", "chip/accuracy", "learning/rate"} <= set(names)
        rows = read_history(out / "checkpoint.safetensors")
        for name in names:
            found = [(point.step, point.value) for point in curves.Scalars(name)]
            wanted = [(row["epoch"], np.float32(row[name.replace("/", "_", 1)])) for row in rows]
            assert found == wanted, name
