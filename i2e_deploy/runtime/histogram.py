"""A histogram of latencies in constant memory."""

from __future__ import annotations

from math import log2
from typing import Any

import numpy as np


class LatencyHistogram:
    """Counts durations in bins of 1/16 octave from 1 us to 1,000 s: a quantile is right to 4.4 %."""

    BINS_PER_OCTAVE, LOWEST, BINS = 16, 1e-6, 480

    def __init__(self) -> None:
        self.counts = np.zeros(self.BINS, np.int64)
        self.total, self.sum, self.worst = 0, 0.0, 0.0

    def add(self, seconds: float) -> None:
        """Count one duration."""
        place = int(log2(max(seconds, self.LOWEST) / self.LOWEST) * self.BINS_PER_OCTAVE)
        self.counts[min(place, self.BINS - 1)] += 1
        self.total += 1
        self.sum += seconds
        self.worst = max(self.worst, seconds)

    def quantile(self, share: float) -> float:
        """Upper edge of the bin in which the given share of all durations is reached, seconds; 0 if none."""
        if not self.total:
            return 0.0
        place = int(np.searchsorted(np.cumsum(self.counts), share * self.total))
        return float(min(self.LOWEST * 2 ** ((place + 1) / self.BINS_PER_OCTAVE), self.worst))

    def summary(self) -> dict[str, Any]:
        """Milliseconds: p50, p90, p99, worst; and how many."""
        quantiles = {f"p{int(100 * q)}_ms": round(1e3 * self.quantile(q), 4) for q in (0.5, 0.9, 0.99)}
        return {**quantiles, "worst_ms": round(1e3 * self.worst, 4), "count": self.total}
