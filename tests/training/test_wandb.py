"""The lines of `docs/training.md` for the logger of W&B, without its service."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from time import sleep

import pytest
from training_data import bar_data, small_network

from i2e_deploy.training import FitConfig, fit

wandb = pytest.importorskip("wandb", reason="needs wandb, which this project does not ask for")


def test_its_logger_gets_every_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_SILENT", "true")
    network, data = small_network(), bar_data()
    config = replace(FitConfig(), epochs=2, batch_size=8, chip="speck2f", chip_samples=4)
    rows = []
    with wandb.init(project="digits", config=config.flat(), mode="offline", dir=tmp_path) as run:
        for result in fit(network, data, config):
            rows.append(result.row())
            run.log(result.row(), step=result.epoch)
        for _ in range(200):  # another process keeps a row once the next one is there
            if run.summary.get("epoch") == 1:
                break
            sleep(0.05)
        kept = {name: run.summary[name] for name in rows[0]}
        settings = dict(run.config)
    assert len(rows) == 2
    assert kept == rows[0]
    assert settings["optimising.learning_rate"] == config.optimising.learning_rate
    assert list(tmp_path.glob("wandb/offline-run-*/run-*.wandb"))
