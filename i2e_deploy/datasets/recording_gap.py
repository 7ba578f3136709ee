"""Converted pictures against a folder of recordings: which realism preset comes closest, and what still differs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np

from i2e_deploy.conversion.gap import Row, compare, log_gap, statistics
from i2e_deploy.conversion.sensor import PRESETS, make_pixels, simulate
from i2e_deploy.conversion.vectors import saccades
from i2e_deploy.datasets.picture import decode_picture
from i2e_deploy.datasets.plan import Settings
from i2e_deploy.datasets.recordings import read_recording
from i2e_deploy.datasets.sources import ImageSource
from i2e_deploy.errors import InputError
from i2e_deploy.events.array import Events
from i2e_deploy.events.formats import SUFFIXES

Item = TypeVar("Item")

#: Files used of either side, evenly spread over the sorted names.
MAX_FILES = 200


def compare_with_recordings(
    source: ImageSource,
    settings: Settings,
    folder: Path,
    read: Callable[[Path], Events] = read_recording,
    seed: int = 0,
) -> list[tuple[str, float, list[Row]]]:
    """Compare every preset, with an eye that jumps and one that moves, with the recordings below `folder`.

    The sensor's size is `settings.resize.size`; saccades share the mean duration of the recordings.

    Returns:
        (preset, `gap.log_gap`, rows), the closest first.

    Raises:
        InputError: no pictures, no recordings, or recordings of a larger sensor.
    """
    names, paths = (
        _spread(source.names()),
        _spread(sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES)),
    )
    if not names or not paths or settings.resize.size is None:
        raise InputError(
            f"{len(names)} pictures, {len(paths)} recordings below {folder}: give at least one of each, and a size"
        )
    side, recordings = settings.resize.size, [read(path) for path in paths]
    durations = [int(np.ptp(events["t"])) + 1 for events in recordings if len(events)]
    if not durations:
        raise InputError(f"{folder}: all recordings are empty")
    duration = int(np.mean(durations))
    recorded = [statistics(events, side, side, duration) for events in recordings]
    images = [decode_picture(source.read(name), settings.resize, name).transpose(2, 0, 1) for name in names]
    kernels, saccade_us = saccades(settings.order, settings.steps), max(1, duration // settings.steps)
    results = []
    for preset, sensor in PRESETS.items():
        pixels = make_pixels(sensor, side, side, seed)
        for motion, motion_us in (("jump", 0), ("moving eye", saccade_us)):
            synthetic = []
            for index, image in enumerate(images):
                rng = np.random.default_rng([seed, index])
                events = simulate(image, settings.ratio, sensor, rng, pixels, kernels, saccade_us, motion_us)
                synthetic.append(statistics(events, side, side, duration))
            rows = compare(synthetic, recorded, seed)
            results.append((f"{preset}, {motion}", log_gap(rows), rows))
    return sorted(results, key=lambda result: result[1])


def _spread(items: list[Item]) -> list[Item]:
    """At most `MAX_FILES` of them, evenly spread."""
    if len(items) <= MAX_FILES:
        return items
    return [items[i * len(items) // MAX_FILES] for i in range(MAX_FILES)]
