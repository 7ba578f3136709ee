"""Training as `demo` and `train` show it: a bar, and a line an epoch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from i2e_deploy.cli.common import progress_bar

if TYPE_CHECKING:
    from rich.console import Console

    from i2e_deploy.training.devices import Devices
    from i2e_deploy.training.recipes import Recipe
    from i2e_deploy.training.results import EpochResult
    from i2e_deploy.training.samples import TrainingData


def fit_and_show(
    recipe: Recipe,
    data: TrainingData,
    say: Console,
    folder: Path | None = None,
    devices: Devices | None = None,
    restart: bool = False,
) -> Iterator[EpochResult]:
    """Train the recipe's network in place; yields a result after each epoch, see `training.fit`."""
    from i2e_deploy.training.batches import count
    from i2e_deploy.training.devices import Devices
    from i2e_deploy.training.loop import fit
    from i2e_deploy.training.results import sentence

    own, config = devices or Devices(), recipe.config
    with progress_bar("training", count(len(data.train), config.batch_size) * config.epochs) as advance:
        for result in fit(
            recipe.network, data, config, folder, running=recipe.running, devices=own, restart=restart,
            on_batch=lambda done, loss: advance(done, f"loss {loss:.3f}"),
        ):  # fmt: skip
            if own.rank == 0:
                say.print(sentence(result))
            yield result
