"""What pictures are worth on a second sensor and task: seven objects before a DVS128, on the integers of a Speck2f.

    nice python benchmarks/dvs128_objects.py FOLDER --keep WORK > benchmarks/results/dvs128_objects.txt

FOLDER holds <class>/<number>.npz, windows of 500 ms in the order of time; without it, `dvs128_objects` in the folder
that I2E_DEPLOY_DATA names. WORK is that of `synthetic_to_real.py`: its networks, trained on I2E digits alone, are what
the pre-trained ones start from, with a new last layer. No setting was tried out: they are those of that benchmark.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from event_training import Plan, right, train
from rows import machine
from synthetic_digits import Recordings
from synthetic_to_real import SCRATCH, SETTING, TUNED, Right, said
from torch import nn

from i2e_deploy.events.array import Events
from i2e_deploy.events.files import read_events
from i2e_deploy.files import read_tensors

#: Of each recording the first windows may be trained on, the last are tested; those between are left out.
TRAINED, TESTED = 11, 5
COUNTS = (1, 2, 5, 11)
WINDOW_US, SENSOR, BY = 500_000, 128, 4
SCRATCH_NAME, TUNED_NAME = "from scratch", "pre-trained on I2E digits"


def windows(folder: Path) -> tuple[list[str], list[list[Events]]]:
    """Classes, and the windows of each in the order of time, four by four pixels of the sensor in one."""
    found = []
    classes = sorted(path.name for path in folder.iterdir() if path.is_dir())
    margin = (SETTING.side - SENSOR // BY) // 2
    for name in classes:
        own = [read_events(file).events.copy() for file in sorted((folder / name).glob("*.npz"))]
        for events in own:
            events["t"] -= events["t"][0] if len(events) else 0
            for axis in ("x", "y"):
                events[axis] = events[axis] // BY + margin
        found.append(own)
    return classes, found


def parts(found: Sequence[Sequence[Events]], count: int, seed: int) -> tuple[Recordings, Recordings]:
    """So many windows of each class to train on, drawn of its first, and its last to test."""
    rng = np.random.default_rng(seed)
    chosen = [[own[i] for i in np.sort(rng.permutation(TRAINED)[:count])] for own in found]
    return _joined(chosen), _joined([own[-TESTED:] for own in found])


def _joined(by_class: Sequence[Sequence[Events]]) -> Recordings:
    labels = np.repeat(np.arange(len(by_class)), [len(own) for own in by_class]).astype(np.int64)
    return Recordings([events for own in by_class for events in own], labels)


@torch.no_grad()
def take(network: nn.Sequential, file: Path) -> None:
    """The weights of a file, but for those of the last layer."""
    tensors, _ = read_tensors(file)
    *others, _ = [(name, value) for name, value in network.named_parameters() if value.requires_grad]
    for name, value in others:
        value.copy_(torch.from_numpy(np.array(tensors[name])).reshape(value.shape))


def run(found: Sequence[Sequence[Events]], count: int, plan: Plan, seed: int, start: Path | None) -> Right:
    """Train and test once."""
    setting = replace(SETTING, classes=len(found), step_us=WINDOW_US // SETTING.steps)
    network = setting.network(seed)
    if start is not None:
        take(network, start)
    given, tested = parts(found, count, seed)
    train(setting, network, given, plan, seed, lambda _: None)
    return right(setting, network, tested)


def draw(points: dict[str, list[tuple[int, float]]], path: Path) -> None:
    """Both curves."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
    for name, row in points.items():
        axes.plot([n for n, _ in row], [100 * share for _, share in row], "o-", label=name)
    axes.axhline(100 / 7, ls="--", c="gray", label="chance")
    axes.set(xscale="log", xticks=COUNTS, xticklabels=COUNTS, xlabel="windows of each object trained on",
             ylabel="right of 35 later windows, %", title="DVS128 objects, Speck2f integers, recorded events",
             ylim=(0, 102))  # fmt: skip
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=110)


def accuracy(results: Sequence[Right]) -> float:
    """Mean over networks, as events."""
    return float(np.mean([result["events"].mean() for result in results]))


def objects_folder(given: Path | None) -> Path:
    """Where the windows are."""
    found = given or Path(os.environ.get("I2E_DEPLOY_DATA", "")) / "dvs128_objects"
    if not found.is_dir():
        raise SystemExit("DVS128 objects are not here: give their folder")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--keep", type=Path, required=True, help="WORK of synthetic_to_real.py")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--plot", type=Path, help="picture to write")
    given = parser.parse_args()
    torch.set_num_threads(1)
    classes, found = windows(objects_folder(given.folder))
    counts = ", ".join(f"{name} {len(own)}" for name, own in zip(classes, found, strict=True))
    print(machine())
    print(f"windows of 500 ms: {counts}; one recording a class")
    print(f"trained on n of the first {TRAINED} of each, tested on the last {TESTED} of each; at least one between")
    print(f"{SETTING.chip}, recipe {SETTING.recipe}, {SETTING.steps} steps, {SETTING.side} pixels")
    print(f"from scratch: {SCRATCH}\npre-trained: {TUNED}\nseeds 0 to {given.seeds - 1}\n")
    points: dict[str, list[tuple[int, float]]] = {SCRATCH_NAME: [], TUNED_NAME: []}
    for count in COUNTS:
        for name, plan in ((SCRATCH_NAME, SCRATCH), (TUNED_NAME, TUNED)):
            starts = [given.keep / f"made_{seed}.safetensors" for seed in range(given.seeds)]
            if plan is TUNED and not all(start.exists() for start in starts):
                print(f"n = {count:2d} a class, {name:26s} not trained: {starts[-1].name} is not there")
                continue
            results = []
            for seed, start in enumerate(starts):
                results.append(run(found, count, plan, seed, start if plan is TUNED else None))
                print(f"{name}, {count} a class, seed {seed}: {accuracy(results[-1:]):.3f}", file=sys.stderr)
            points[name].append((count, accuracy(results)))
            for kind in ("time steps", "events"):
                print(f"n = {count:2d} a class, {name:26s} {kind:10s} {said(results, kind)}", flush=True)
    if given.plot:
        draw(points, given.plot)


if __name__ == "__main__":
    main()
