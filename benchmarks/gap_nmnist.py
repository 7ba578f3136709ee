"""How converted MNIST differs from the recorded N-MNIST, and which realism preset narrows the gap.

    python benchmarks/gap_nmnist.py NMNIST_FOLDER > benchmarks/results/gap_nmnist.txt

NMNIST_FOLDER holds `<digit>/<id>.bin`. Equal numbers of each digit; different images of the same kind, so
the two sets are compared as distributions. Recordings last about 300 ms on 34x34 pixels: the images
are centred on 34x34, and eight saccades take 300 ms.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.conversion import RATIO
from i2e_deploy.conversion.gap import Row, compare, log_gap, mean_gap, statistics
from i2e_deploy.conversion.sensor import PRESETS, Sensor, make_pixels, simulate
from i2e_deploy.datasets.mnist5k import load_mnist5k
from i2e_deploy.events.files import read_events

SIDE, DURATION_US = 34, 300_000
SACCADE_US = DURATION_US // 8
MOTIONS = {"jump": 0, "moving eye": SACCADE_US}


def synthetic(images: NDArray[np.uint8], sensor: Sensor, motion_us: int) -> list[dict[str, float]]:
    """Statistics of each image through the sensor."""
    found, pixels = [], make_pixels(sensor, SIDE, SIDE, seed=0)
    for index, image in enumerate(images):
        padded = np.pad(image, (SIDE - image.shape[0]) // 2)[None]
        rng = np.random.default_rng([0, index])
        events = simulate(padded, RATIO["mnist"], sensor, rng, pixels, saccade_us=SACCADE_US, motion_us=motion_us)
        found.append(statistics(events, SIDE, SIDE, DURATION_US))
    return found


def print_rows(rows: list[Row]) -> None:
    print("| statistic | synthetic [95 %] | recorded [95 %] | effect |\n|---|---|---|---|")
    for row in rows:
        low, high = row.synthetic_interval
        real_low, real_high = row.recorded_interval
        print(
            f"| {row.name} | {row.synthetic:.3f} [{low:.3f}, {high:.3f}] | {row.recorded:.3f} "
            f"[{real_low:.3f}, {real_high:.3f}] | {row.effect:+.2f} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--per-digit", type=int, default=20)
    parser.add_argument("--plot", type=Path, help="picture to write")
    options = parser.parse_args()
    count, digits = options.per_digit, load_mnist5k()[0]
    images = np.concatenate([digits.images[digits.labels == digit][:count] for digit in range(10)])
    paths = [path for digit in range(10) for path in sorted((options.folder / str(digit)).glob("*.bin"))[:count]]
    recorded = [statistics(read_events(path).events, SIDE, SIDE, DURATION_US) for path in paths]
    print(f"{len(images)} converted MNIST digits, {len(recorded)} recordings of N-MNIST; effect: Cliff's delta")
    results = {
        f"{name}, {motion}": compare(synthetic(images, sensor, motion_us), recorded)
        for name, sensor in PRESETS.items()
        for motion, motion_us in MOTIONS.items()
    }
    ranked = sorted(((name, log_gap(rows), rows) for name, rows in results.items()), key=lambda result: result[1])
    if options.plot:
        from i2e_deploy.reporting.gap_plot import save_gap_plot

        best = {name.split(",")[0]: result for result in reversed(ranked) for name in [result[0]]}
        chosen = [best[name] for name in ("speck", "dvs128", "v2e-noisy")] + [
            r for r in ranked if r[0] == "ideal, jump"
        ]
        save_gap_plot(chosen, options.plot)
    for name, _, rows in ranked:
        print(f"\npreset {name}: mean |effect| {mean_gap(rows):.2f}, mean |log2 ratio| {log_gap(rows):.2f}")
        print_rows(rows)


if __name__ == "__main__":
    main()
