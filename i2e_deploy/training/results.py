"""What each epoch of a training gave, and the files that say so."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from i2e_deploy.errors import FileFormatError
from i2e_deploy.files import replacing
from i2e_deploy.requirements import need
from i2e_deploy.text import record_repr
from i2e_deploy.training.metrics import LOAD, said

_PARTS = ("train", "test", "chip")


@dataclass(frozen=True)
class EpochResult:
    """After an epoch.

    Args:
        epoch: from 1.
        loss: mean over the training samples.
        train: figures of the training samples as they were given to the network (augmented), while it learned: see
            `metrics.figures`.
        test: of the test samples, in float.
        chip: of test samples on the chip's integers; empty where no chip is named.
        best: whether it is the best epoch so far, by the chip's figure where there is one, else by the float one. A
            best epoch is chosen by test samples: what it reaches on them is not what it will reach on others.
        learning_rate: at its end.
        seconds: wall time of training and tests.
        samples_per_second: of the training alone.
    """

    epoch: int
    loss: float
    train: Mapping[str, float]
    test: Mapping[str, float]
    chip: Mapping[str, float] = field(default_factory=dict)
    best: bool = False
    learning_rate: float = 0.0
    seconds: float = field(default=0.0, compare=False)
    samples_per_second: float = field(default=0.0, compare=False)

    __repr__ = record_repr

    @property
    def judged(self) -> Mapping[str, float]:
        """The figures by which epochs are compared: the chip's, or the float ones."""
        return self.chip or self.test

    def row(self) -> dict[str, Any]:
        """Its values by name, as `metrics.csv` has them: `train_accuracy`, `chip_accuracy`, ..."""
        parts = {f"{part}_{name}": value for part in _PARTS for name, value in getattr(self, part).items()}
        return {
            "epoch": self.epoch, "loss": self.loss, **parts, "best": self.best, "learning_rate": self.learning_rate,
            "seconds": self.seconds, "samples_per_second": self.samples_per_second,
        }  # fmt: skip


def result_of(row: Mapping[str, Any]) -> EpochResult:
    """The inverse of `EpochResult.row`.

    Raises:
        FileFormatError: it is no such row.
    """
    plain = {name: value for name, value in row.items() if not name.startswith(tuple(f"{part}_" for part in _PARTS))}
    parts: dict[str, Any] = {
        part: {
            name.removeprefix(f"{part}_"): float(value) for name, value in row.items() if name.startswith(f"{part}_")
        }
        for part in _PARTS
    }
    try:
        return EpochResult(**plain, **parts)
    except TypeError as error:
        raise FileFormatError(f"a row of the training's history is damaged: {error}") from error


def best_of(results: Sequence[EpochResult]) -> EpochResult | None:
    """The last one that was the best when it came; None: there is none."""
    return next((result for result in reversed(results) if result.best), None)


def sentence(result: EpochResult) -> str:
    """A result for people, in one line."""
    parts = [("training", result.train), ("test", result.test), ("on the chip's integers", result.chip)]
    figures = ", ".join(f"{part} {said(found)}" for part, found in parts if found)
    busiest = f", busiest core at {100 * result.train[LOAD]:.0f} % of its rate" if LOAD in result.train else ""
    rate = f", {result.samples_per_second:.0f} samples/s" if result.samples_per_second else ""
    best = " (best so far)" if result.best else ""
    return f"epoch {result.epoch:2d}: loss {result.loss:.3f}, {figures}{busiest}{best}{rate}"


def write_csv(path: Path, results: Sequence[EpochResult]) -> None:
    """`metrics.csv`: a line an epoch, written whole."""
    if not results:
        return
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(results[0].row()))
        writer.writeheader()
        writer.writerows(result.row() for result in results)


def write_tensorboard(folder: Path, result: EpochResult) -> None:
    """Add an epoch's figures to the event files in a folder.

    Raises:
        MissingDependency: tensorboard is not installed.
    """
    need({"tensorboard": "tensorboard"}, "curves for TensorBoard")
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(folder)) as writer:
        for name, value in result.row().items():
            if name not in ("epoch", "best"):
                writer.add_scalar(name.replace("_", "/", 1), value, result.epoch)
