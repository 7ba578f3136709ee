"""How certain a share of samples is."""

from __future__ import annotations

from math import sqrt

#: Standard normal quantile of a two-sided 95 % interval.
Z95 = 1.959964


def wilson(correct: int, total: int) -> tuple[float, float]:
    """95 % confidence interval of a proportion (Wilson 1927), exact enough for any count."""
    share, z2 = correct / total, Z95**2
    middle = (share + z2 / (2 * total)) / (1 + z2 / total)
    half = Z95 / (1 + z2 / total) * sqrt(share * (1 - share) / total + z2 / (4 * total**2))
    return max(0.0, middle - half), min(1.0, middle + half)
