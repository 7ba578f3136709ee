"""Training as `demo` and `train` show it: a bar, and a line an epoch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from i2e_deploy.cli.common import progress_bar

if TYPE_CHECKING:
    from rich.console import Console

    from i2e_deploy.training.digit_data import Set
    from i2e_deploy.training.loop import EpochResult
    from i2e_deploy.training.recipes import Recipe


def train_and_show(
    recipe: Recipe, train_set: Set, test_set: Set, say: Console, checkpoint: Path | None = None
) -> Iterator[EpochResult]:
    """Train the recipe's network in place; yields a result after each epoch, see `training.loop.train`."""
    from i2e_deploy.training.loop import train

    batches = -(-len(train_set[1]) // recipe.config.batch_size) * recipe.config.epochs
    with progress_bar("training", batches) as advance:
        for result in train(
            recipe.network, recipe.spike_counts, train_set, test_set, recipe.config,
            lambda done, loss: advance(done, f"loss {loss:.3f}"), checkpoint,
        ):  # fmt: skip
            say.print(
                f"epoch {result.epoch:2d}: loss {result.loss:.3f}, training digits {100 * result.train_accuracy:.1f} % "
                f"(deformed), test digits {100 * result.test_accuracy:.1f} %"
            )
            yield result
