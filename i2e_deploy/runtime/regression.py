"""How far predicted values are from those that were wanted, with intervals; means over outputs, as the trainer has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.errors import InputError
from i2e_deploy.text import record_repr

Floats = NDArray[np.float64]
#: Resamplings of the bootstrap, the seed of its generator, and numbers of a block of weights.
DRAWS, SEED, BLOCK = 1000, 0, 2**22


@dataclass(frozen=True)
class Errors:
    """Errors of values, over samples, steps and outputs.

    Args:
        mae: mean absolute error.
        rmse: root of the mean squared error.
        r2: share of the variance that is explained, the mean over the outputs; 1 is perfect, 0 is the mean as a guess;
            NaN where an output's wanted values are all the same.
        smape: symmetric mean absolute percentage error, 0 to 200; as NeuroBench has it 200 where a value and its target
            are both 0.
        intervals: by figure, 95 % (low, high) of a bootstrap over samples; empty for fewer than two samples.
    """

    mae: float
    rmse: float
    r2: float
    smape: float
    intervals: dict[str, tuple[float, float]]

    __repr__ = record_repr

    @property
    def measures(self) -> dict[str, float]:
        """Under NeuroBench's names."""
        return {"MSE": self.rmse**2, "MAE": self.mae, "R2": self.r2, "SMAPE": self.smape}

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; what is not a number is None."""
        figures = {name: _number(getattr(self, name)) for name in ("mae", "rmse", "r2", "smape")}
        return {**figures, "interval95": {name: list(map(_number, pair)) for name, pair in self.intervals.items()}}


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def errors_of(predicted: Floats, wanted: Floats) -> Errors:
    """Errors and their intervals.

    Args:
        predicted: float64 [N, V], or a value a step [N, T, V].
        wanted: of the same shape.

    Raises:
        InputError: shapes that differ, no samples, or numbers that are not finite.
    """
    if predicted.shape != wanted.shape or predicted.ndim not in (2, 3) or not predicted.size:
        shapes = f"values {list(predicted.shape)} and targets {list(wanted.shape)}"
        raise InputError(f"{shapes}: give [N, V] or [N, T, V] each")
    if not np.isfinite(wanted).all():
        raise InputError("targets hold values that are not finite: leave these samples out")
    sums = _sums(predicted, wanted)
    mae, rmse, r2 = (float(figure) for figure in _figures(sums.sum(axis=0)))
    with np.errstate(invalid="ignore", divide="ignore"):
        smape = 200 * np.mean(np.abs(predicted - wanted) / (np.abs(predicted) + np.abs(wanted)))
    drawn = _bootstrap(sums) if len(predicted) > 1 else {}
    return Errors(mae, rmse, r2, 200.0 if np.isnan(smape) else float(smape), drawn)


def _sums(predicted: Floats, wanted: Floats) -> Floats:
    """Of each sample and output: values, absolute and squared errors, targets and their squares: [N, 5, V]."""
    steps = wanted.reshape(len(wanted), -1, wanted.shape[-1])
    error = predicted.reshape(steps.shape) - steps
    # Around their mean, as squares of large targets lose what their variance needs.
    centred = steps - steps.mean(axis=(0, 1))
    parts = (np.ones_like(steps), np.abs(error), error**2, centred, centred**2)
    return np.stack([part.sum(axis=1) for part in parts], axis=1)


def _figures(sums: Floats) -> tuple[Floats, Floats, Floats]:
    """MAE, RMSE and R2 of sums [..., 5, V]."""
    count, absolute, squared, total, squares = np.moveaxis(sums, -2, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = squares - total**2 / count
        r2 = np.where(spread > 0, 1 - squared / spread, np.nan)
    return (absolute / count).mean(axis=-1), np.sqrt((squared / count).mean(axis=-1)), r2.mean(axis=-1)


def _bootstrap(sums: Floats) -> dict[str, tuple[float, float]]:
    """95 % intervals of the figures when samples are drawn with replacement (percentiles)."""
    generator, samples = np.random.default_rng(SEED), len(sums)
    flat, found = sums.reshape(samples, -1), []
    block = max(1, BLOCK // samples)
    for start in range(0, DRAWS, block):
        weights = generator.multinomial(samples, np.full(samples, 1 / samples), min(block, DRAWS - start))
        found.append(_figures((weights @ flat).reshape(-1, *sums.shape[1:])))
    intervals = {}
    for name, column in zip(("mae", "rmse", "r2"), np.concatenate(found, axis=1), strict=True):
        finite = column[np.isfinite(column)]  # R2 has none where all wanted values of a draw are the same
        if len(finite):
            low, high = np.percentile(finite, (2.5, 97.5))
            intervals[name] = (float(low), float(high))
    return intervals
