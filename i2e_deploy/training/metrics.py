"""Figures of a training: sums that add up over batches and ranks, and what they mean."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

#: Of every figure, whether more is better.
BETTER_HIGH: Mapping[str, bool] = {"accuracy": True, "r2": True, "mae": False, "rmse": False, "loss": False}

#: Of a training within limits of the chip: the largest share of its limit that a layer does, as a mean of the samples.
LOAD = "load"


def class_sums(decisions: Tensor, targets: Tensor) -> Tensor:
    """Samples, and right ones among them: float64 [2], of int64 [B] each."""
    return torch.tensor([len(targets), int((decisions == targets).sum())], dtype=torch.float64)


def value_sums(predicted: Tensor, targets: Tensor) -> Tensor:
    """By output: values, sums of absolute and squared errors, of targets and of their squares: float64 [5, V].

    Args:
        predicted: [B, V] or [B, T, V].
        targets: of the same shape.
    """
    wanted = targets.double().flatten(0, -2)
    error = predicted.detach().double().flatten(0, -2) - wanted
    count = torch.full_like(wanted[0], len(wanted))
    return torch.stack([count, error.abs().sum(0), error.square().sum(0), wanted.sum(0), wanted.square().sum(0)])


def figures(sums: Tensor) -> dict[str, float]:
    """`accuracy`, 0 to 1; or `mae`, `rmse` and `r2`, means over the outputs (R2: 1 is perfect, 0 is the mean)."""
    if sums.ndim == 1:
        return {"accuracy": float(sums[1] / sums[0])}
    count, absolute, squared, total, squares = sums
    spread = squares - total.square() / count
    r2 = 1 - squared / spread.clamp_min(torch.finfo(torch.float64).tiny)
    mae, rmse = (absolute / count).mean(), (squared / count).mean().sqrt()
    return {"mae": float(mae), "rmse": float(rmse), "r2": float(r2.mean())}


def main_figure(found: Mapping[str, float]) -> str:
    """The figure by which epochs are compared."""
    return "accuracy" if "accuracy" in found else "rmse"


def is_better(found: Mapping[str, float], than: Mapping[str, float] | None) -> bool:
    """Whether an epoch's figures are better than those of the best so far; the first of equals stays."""
    if than is None:
        return True
    name = main_figure(found)
    return found[name] > than[name] if BETTER_HIGH[name] else found[name] < than[name]


def said(found: Mapping[str, float]) -> str:
    """The main figure for people."""
    name = main_figure(found)
    return f"{100 * found[name]:.1f} %" if name == "accuracy" else f"{name.upper()} {found[name]:.4g}"
