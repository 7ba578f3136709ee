"""How synthetic events differ from recorded ones: a few numbers a recording, compared between two sets.

| name            | meaning                                                                                    |
|-----------------|--------------------------------------------------------------------------------------------|
| on_rate_hz      | ON events a pixel and second                                                               |
| off_rate_hz     | OFF events a pixel and second                                                              |
| on_share        | ON events among all                                                                        |
| active_pixels   | share of pixels with at least one event                                                    |
| events_a_pixel  | events of an active pixel                                                                  |
| isi_median_ms   | median time between two events of one pixel                                                |
| spectrum_centre | centre of mass of the power spectrum of the event-count image, cycles a pixel (0 to 0.5)    |
| local_support   | share of events with an earlier one in the 3x3 neighbourhood (not itself) within 5 ms       |
| burstiness      | variance over mean of the events in windows of 1 ms (1: as independent as rain)             |

`local_support` is what a background-activity filter tests: real edges move over neighbours shortly
after each other, noise does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.errors import InputError
from i2e_deploy.events.array import Events, check_events

#: Each number, and its title in tables and plots.
STATISTICS = {
    "on_rate_hz": "ON rate, Hz a pixel",
    "off_rate_hz": "OFF rate, Hz a pixel",
    "on_share": "ON share",
    "active_pixels": "active pixels, share",
    "events_a_pixel": "events an active pixel",
    "isi_median_ms": "inter-event time, ms",
    "spectrum_centre": "spectrum centre, cycles a pixel",
    "local_support": "local support, share",
    "burstiness": "burstiness",
}
SUPPORT_US = 5_000
WINDOW_US = 1_000


def statistics(events: Events, width: int, height: int, duration_us: int) -> dict[str, float]:
    """The numbers of one recording; NaN where they have no meaning (e.g. no pixel with two events).

    Args:
        events: [N], sorted by time.
        width: pixels a row.
        height: rows.
        duration_us: length of the recording.

    Raises:
        InputError: not a valid event array for this sensor, or no duration.
    """
    check_events(events, width, height)
    if duration_us < 1:
        raise InputError(f"duration is {duration_us} us: give at least 1")
    pixel = events["y"].astype(np.int64) * width + events["x"]
    counts = np.bincount(pixel, minlength=width * height)
    seconds, on = duration_us / 1e6, int(events["p"].sum())
    active = int((counts > 0).sum())
    order = np.lexsort((events["t"], pixel))
    gaps = np.diff(events["t"][order])[np.diff(pixel[order]) == 0]
    start = events["t"][0] if len(events) else 0
    windows = np.bincount((events["t"] - start) // WINDOW_US, minlength=max(1, duration_us // WINDOW_US))
    return {
        "on_rate_hz": on / counts.size / seconds,
        "off_rate_hz": (len(events) - on) / counts.size / seconds,
        "on_share": _ratio(on, len(events)),
        "active_pixels": active / counts.size,
        "events_a_pixel": _ratio(len(events), active),
        "isi_median_ms": float(np.median(gaps)) / 1e3 if len(gaps) else float("nan"),
        "spectrum_centre": spectrum_centre(counts.reshape(height, width)),
        "local_support": local_support(events, width, height),
        "burstiness": _ratio(float(windows.var()), float(windows.mean())),
    }


def radial_spectrum(image: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Frequencies (cycles a pixel) and mean power of an event-count image [H, W], mean removed."""
    power = np.abs(np.fft.fft2(image - image.mean())) ** 2
    radius = np.hypot(*np.meshgrid(*(np.fft.fftfreq(n) for n in image.shape), indexing="ij"))
    edges = np.linspace(0, 0.5, max(2, min(image.shape) // 2) + 1)
    which = np.digitize(radius.ravel(), edges) - 1
    inside = which < len(edges) - 1
    total = np.bincount(which[inside], power.ravel()[inside], minlength=len(edges) - 1)
    number = np.bincount(which[inside], minlength=len(edges) - 1)
    return (edges[:-1] + edges[1:]) / 2, total / np.maximum(number, 1)


def spectrum_centre(image: NDArray[np.int64]) -> float:
    """Centre of mass of `radial_spectrum`, cycles a pixel; NaN for an image without contrast."""
    frequency, power = radial_spectrum(image)
    return _ratio(float((frequency * power).sum()), float(power.sum()))


def local_support(events: Events, width: int, height: int, within_us: int = SUPPORT_US) -> float:
    """Share of events that another pixel of the 3x3 neighbourhood preceded by at most `within_us`."""
    from i2e_deploy.conversion.event_kernels import count_supported  # numba: on first use

    if not len(events):
        return float("nan")
    t, x, y = (events[name].astype(np.int64) for name in ("t", "x", "y"))
    return int(count_supported(t, x, y, width, height, within_us)) / len(events)


@dataclass(frozen=True)
class Row:
    """One statistic of two sets: means, their 95 % intervals, and how far apart they are.

    `effect` is Cliff's delta: the probability that a recording of the first set has the larger value,
    minus that it has the smaller one; 0 = alike, -1 or 1 = no overlap.
    """

    name: str
    synthetic: float
    synthetic_interval: tuple[float, float]
    recorded: float
    recorded_interval: tuple[float, float]
    effect: float


def compare(
    synthetic: Sequence[dict[str, float]], recorded: Sequence[dict[str, float]], seed: int = 0, resamples: int = 1000
) -> list[Row]:
    """Compare two sets of `statistics`; intervals by bootstrap over recordings.

    Raises:
        InputError: an empty set.
    """
    if not synthetic or not recorded:
        raise InputError(f"{len(synthetic)} synthetic and {len(recorded)} recorded: give at least one of each")
    rng, rows = np.random.default_rng(seed), []
    for name in STATISTICS:
        first, second = (_finite([entry[name] for entry in entries]) for entries in (synthetic, recorded))
        intervals = [_bootstrap(values, rng, resamples) for values in (first, second)]
        sign = np.sign(first[:, None] - second[None])
        effect = float(sign.mean()) if sign.size else float("nan")
        rows.append(Row(name, _mean(first), intervals[0], _mean(second), intervals[1], effect))
    return rows


def mean_gap(rows: Sequence[Row]) -> float:
    """Mean |effect| of the statistics, 0 to 1: one number to rank presets by."""
    return _mean(_finite([abs(row.effect) for row in rows]))


def log_gap(rows: Sequence[Row]) -> float:
    """Mean |log2(synthetic / recorded)| of the means: 1 = off by a factor of two on average.

    Cliff's delta saturates where the sets do not overlap; this still tells near from far.
    """
    pairs = [(row.synthetic, row.recorded) for row in rows if row.synthetic > 0 and row.recorded > 0]
    return _mean(np.array([abs(np.log2(synthetic / recorded)) for synthetic, recorded in pairs]))


def _finite(values: Sequence[float]) -> NDArray[np.float64]:
    return np.array([value for value in values if np.isfinite(value)], np.float64)


def _mean(values: NDArray[np.float64]) -> float:
    return float(values.mean()) if len(values) else float("nan")


def _bootstrap(values: NDArray[np.float64], rng: np.random.Generator, resamples: int) -> tuple[float, float]:
    if not len(values):
        return float("nan"), float("nan")
    means = values[rng.integers(len(values), size=(resamples, len(values)))].mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


def _ratio(upper: float, lower: float) -> float:
    return upper / lower if lower else float("nan")
