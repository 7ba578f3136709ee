"""What a real event sensor adds to ideal I2E: seeded, every part optional, for training and for tests.

The order is that of the pixel: low-pass photoreceptor, comparator with its own threshold, refractory
period, then events that no light caused, then the error of the clock.

A saccade is a step of the light on the pixel by dV. After a first-order low-pass with time constant
tau = 1 / (2 pi cutoff_hz) the comparator sees dV (1 - exp(-t / tau)), so it fires at

    t = tau * ln(dV / (dV - s))        if that is within the saccade, else not at all

with s its own threshold: strong edges early, weak ones late, the weakest never. A comparator that is
reset after each event (`repeat`) fires again at 2 s, 3 s, ... An eye that takes `motion_us` for its jump
makes the step a ramp, which delays the k-th event by motion_us * k s / dV; the two delays are added, which
is exact where either is 0 and late by at most tau otherwise.

Names and default meanings follow v2e (Hu, Liu, Delbruck, CVPRW 2021, section 4); the sources of the
presets stand beside them. No sensor was measured for this package: presets are literature values.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.conversion.reference import check_images
from i2e_deploy.conversion.stream import SACCADE_US
from i2e_deploy.conversion.threshold import as_ratio
from i2e_deploy.conversion.vectors import Kernels, as_table
from i2e_deploy.errors import InputError
from i2e_deploy.events.array import Events, empty_events


@dataclass(frozen=True)
class Sensor:
    """Parameters of a sensor; 0 switches a part off.

    Args:
        sigma_thres: standard deviation of a pixel's threshold, as a share of the threshold.
        cutoff_hz: bandwidth of the photoreceptor in Hz.
        refractory_us: a pixel is deaf for so long after an event.
        leak_rate_hz: ON events a pixel and second from the leak of the reset switch.
        shot_noise_rate_hz: events of either polarity a dark pixel and second; a quarter of that on a white one.
        hot_fraction: share of pixels that fire by themselves.
        hot_rate_hz: rate of a hot pixel.
        jitter_us: standard deviation of the timestamps.
        repeat: fire once for each multiple of the threshold, as change detectors do, instead of once a saccade.

    Raises:
        InputError: a negative or non-finite value, or hot_fraction above 1.
    """

    sigma_thres: float = 0.0
    cutoff_hz: float = 0.0
    refractory_us: int = 0
    leak_rate_hz: float = 0.0
    shot_noise_rate_hz: float = 0.0
    hot_fraction: float = 0.0
    hot_rate_hz: float = 0.0
    jitter_us: float = 0.0
    repeat: bool = False

    def __post_init__(self) -> None:
        for part in fields(self):
            value = getattr(self, part.name)
            if not 0 <= value < 1e9 or (part.name == "hot_fraction" and value > 1):
                raise InputError(f"{part.name} is {value}: give a finite number from 0 (a share: at most 1)")


#: Literature values, none checked on a device here. A mismatch published in contrast is divided by a threshold of 0.2.
PRESETS: dict[str, Sensor] = {
    "ideal": Sensor(),
    # Lichtsteiner, Posch, Delbruck, JSSC 43(2) 2008: mismatch 2.1 % contrast, 3 kHz bandwidth, leak about 0.1 Hz at
    # room temperature (Nozaki and Delbruck 2017); refractory period and jitter are bias settings, typical values.
    "dvs128": Sensor(0.105, 3000, 500, 0.1, 0.5, 0.0005, 50, 15, repeat=True),
    # Brandli et al., JSSC 49(10) 2014 (DAVIS240, the same pixel): mismatch 3.5 % contrast, 3 kHz, latency jitter.
    "davis346": Sensor(0.175, 3000, 500, 0.1, 0.5, 0.001, 50, 10, repeat=True),
    # No noise figures are published for the pixels of Speck: inferred from DVS128, with a slower bias.
    "speck": Sensor(0.12, 500, 1000, 0.1, 1.0, 0.001, 50, 20, repeat=True),
    # v2e's own setting "noisy": dim light.
    "v2e-noisy": Sensor(0.25, 30, 500, 0.1, 5.0, 0.0, 0.0, 0.0, repeat=True),
}


@dataclass(frozen=True)
class Pixels:
    """One copy of a sensor, the same in all its recordings: factor on the threshold [2, H, W], hot pixels [H, W]."""

    factor: NDArray[np.float64]
    hot: NDArray[np.bool_]


def make_pixels(sensor: Sensor, height: int, width: int, seed: int) -> Pixels:
    """Draw the fixed pattern of copy `seed` of a sensor."""
    rng = np.random.default_rng(seed)
    factor = 1 + sensor.sigma_thres * rng.standard_normal((2, height, width))
    return Pixels(np.maximum(factor, 0.1), rng.random((height, width)) < sensor.hot_fraction)


def simulate(
    image: NDArray[np.uint8],
    ratio: Fraction | float | str,
    sensor: Sensor,
    rng: np.random.Generator,
    pixels: Pixels | None = None,
    kernels: Kernels | None = None,
    saccade_us: int = SACCADE_US,
    motion_us: int = 0,
) -> Events:
    """One image as a sensor would see it during the saccades of I2E.

    With `Sensor()` and binned by `saccade_us`, the events are exactly `i2e_reference`.

    Args:
        image: uint8 [C, H, W], C = 1, 3 or 4.
        ratio: S_th0.
        sensor: what to add.
        rng: source of all draws of this recording.
        pixels: the sensor's fixed pattern, from `make_pixels`; default: copy 0.
        kernels: saccades, see `reference.i2e_reference`.
        saccade_us: duration of one saccade in us.
        motion_us: how long the eye moves in each, 0 (a jump) to `saccade_us`.

    Returns:
        Events [N], sorted by time, from 0 to T * saccade_us.

    Raises:
        InputError: wrong shape, dtype, ratio, kernels or pixels.
    """
    check_images((1, *image.shape), image.dtype)
    height, width = image.shape[1:]
    pixels = make_pixels(sensor, height, width, 0) if pixels is None else pixels
    if pixels.hot.shape != (height, width):
        raise InputError(f"pixels are for {list(pixels.hot.shape)}, the image is {[height, width]}")
    if not 0 <= motion_us <= saccade_us or saccade_us < 1:
        raise InputError(f"motion_us is {motion_us}, saccade_us {saccade_us}: give 0 <= motion_us <= saccade_us")
    table = as_table(kernels, 1)[0]
    duration = saccade_us * len(table)
    value = image[:3].max(axis=0)
    _check_noise(sensor, height * width, duration)
    parts = [_saccade_events(value, as_ratio(ratio), sensor, pixels, table, (saccade_us, motion_us))]
    parts.append(_noise(np.full((height, width), sensor.leak_rate_hz), duration, rng, polarity=1))
    parts.append(_noise(sensor.shot_noise_rate_hz * (1 - 0.75 * value / 255), duration, rng))
    parts.append(_noise(sensor.hot_rate_hz * pixels.hot, duration, rng))
    events = _sorted(np.concatenate(parts))
    if sensor.refractory_us:
        from i2e_deploy.conversion.event_kernels import outside_dead_time  # numba: on first use

        pixel = events["y"].astype(np.int64) * width + events["x"]
        times = np.ascontiguousarray(events["t"])
        events = events[outside_dead_time(times, pixel, height * width, sensor.refractory_us)]
    if sensor.jitter_us:
        moved = events["t"] + np.rint(sensor.jitter_us * rng.standard_normal(len(events))).astype(np.int64)
        events["t"] = np.clip(moved, 0, duration - 1)
    return _sorted(events)


def _saccade_events(
    value: NDArray[np.uint8],
    ratio: Fraction,
    sensor: Sensor,
    pixels: Pixels,
    table: NDArray[np.int64],
    times_us: tuple[int, int],
) -> Events:
    """The events that the picture causes, through the low-pass and each pixel's threshold."""
    height, width = value.shape
    padded = np.pad(value.astype(np.int64), 1, mode="edge")
    spread = int(value.max()) - int(value.min())
    threshold = ratio.numerator * spread * pixels.factor / ratio.denominator
    saccade_us, motion_us = times_us
    exact = not sensor.sigma_thres
    parts = []
    for step, (minus, plus) in enumerate(table):
        bright, dark = (padded[c // 3 : c // 3 + height, c % 3 : c % 3 + width] for c in (plus, minus))
        change = np.stack([dark - bright, bright - dark])  # OFF, ON
        limit = ratio.numerator * spread if exact else threshold * ratio.denominator
        p, y, x = np.nonzero(ratio.denominator * change > limit)
        moved, limit = change[p, y, x], threshold[p, y, x]
        # The k-th event of a pixel needs dV > k s; below one grey level there is nothing to count.
        count = np.ceil(moved / np.maximum(limit, 1)).astype(np.int64) - 1
        count = np.maximum(count, 1) if sensor.repeat else np.ones(len(moved), np.int64)
        which = np.repeat(np.arange(len(moved)), count)
        number = np.arange(len(which)) - np.repeat(np.cumsum(count) - count, count) + 1
        delay = _delay(moved[which], number * limit[which], sensor.cutoff_hz, saccade_us, motion_us)
        seen = delay < saccade_us
        events = empty_events(int(seen.sum()))
        events["x"], events["y"], events["p"] = (column[which][seen] for column in (x, y, p))
        events["t"] = step * saccade_us + delay[seen]
        parts.append(events)
    return np.concatenate(parts)


def _delay(
    change: NDArray[np.int64], level: NDArray[np.float64], cutoff_hz: float, saccade_us: int, motion_us: int
) -> NDArray[np.int64]:
    """Microseconds until a change [N] crosses a level [N] below it."""
    share = np.minimum(level / change, 1 - 1e-9)
    crossing = motion_us * share
    if cutoff_hz:
        crossing = crossing - 1e6 / (2 * np.pi * cutoff_hz) * np.log1p(-share)
    return np.asarray(np.minimum(crossing, saccade_us), np.int64)


#: Most noise events of a recording that are expected: 2^26 of them take 5 GiB while they are sorted.
MAX_NOISE = 2**26


def _check_noise(sensor: Sensor, pixels: int, duration_us: int) -> None:
    """Raise InputError where the rates make more events than memory holds."""
    rates = {
        "leak_rate_hz": sensor.leak_rate_hz,
        "shot_noise_rate_hz": sensor.shot_noise_rate_hz,
        "hot_rate_hz": sensor.hot_rate_hz * sensor.hot_fraction,
    }
    name = max(rates, key=lambda name: rates[name])
    expected = sum(rates.values()) * pixels * duration_us / 1e6
    if expected > MAX_NOISE:
        raise InputError(
            f"{name} is {getattr(sensor, name):g}: {pixels} pixels give {expected:.3g} noise events in {duration_us} "
            f"us, at most {MAX_NOISE}: lower the rate"
        )


def _noise(
    rate_hz: NDArray[np.floating[Any]], duration_us: int, rng: np.random.Generator, polarity: int | None = None
) -> Events:
    """Independent events [N] at `rate_hz` [H, W] a pixel; the polarity is drawn unless given."""
    counts = rng.poisson(rate_hz * duration_us / 1e6)
    y, x = np.nonzero(counts)
    repeats = counts[y, x]
    events = empty_events(int(repeats.sum()))
    events["x"], events["y"] = np.repeat(x, repeats), np.repeat(y, repeats)
    events["t"] = rng.integers(duration_us, size=len(events))
    events["p"] = rng.integers(2, size=len(events)) if polarity is None else polarity
    return events


def _sorted(events: Events) -> Events:
    """By time, then row, column, polarity: the same order for the same events."""
    ordered: Events = events[np.lexsort((events["p"], events["x"], events["y"], events["t"]))]
    return ordered
