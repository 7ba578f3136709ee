"""What pictures are worth on a second sensor and task: seven objects before a DVS128, on the integers of a Speck2f.

    nice python benchmarks/dvs128_objects.py --start CHECKPOINT --keep WORK > benchmarks/results/dvs128_objects.txt

The folder that I2E_DEPLOY_DATA names, or an argument, holds dvs128_objects/<class>/<number>.npz, windows of 500 ms in
the order of time. CHECKPOINT is that of `cifar10.py`: from its weights, trained on pictures alone, the pre-trained
networks start, with a new last layer: trained on gently, and as long and at the same rate as from scratch. WORK keeps
networks: an interrupted run goes on. No setting was chosen by what it gave; the third curve came after the first two,
as gentle training has fewer steps.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from event_training import Plan, Setting, right, train
from rows import machine
from synthetic_digits import Recordings
from synthetic_to_real import Right, said

from i2e_deploy.events.array import Events
from i2e_deploy.events.files import read_events
from i2e_deploy.training.checkpoint import load_weights, save_weights
from i2e_deploy.training.starting import take_weights

#: Of each recording the first windows may be trained on, the last are tested; those between are left out.
TRAINED, TESTED = 11, 5
COUNTS = (1, 2, 5, 11)
#: What `cifar10.py` trains: 8 steps of 48 x 48 pixels.
SETTING = Setting("speck2f", "large", 48, 7, 8, 62_500)
SENSOR = 128
SCRATCH = Plan(epochs=12, rate=2e-3, event_epochs=1, least_steps=150)
TUNED = Plan(epochs=12, rate=1e-3, event_epochs=1, least_steps=60)
#: Of each curve: its name, that of its files, the training, and whether it starts from pictures.
CURVES = (
    ("from scratch", "scratch", SCRATCH, False),
    ("from I2E-CIFAR10, gently", "tuned", TUNED, True),
    ("from I2E-CIFAR10, as scratch", "as_scratch", SCRATCH, True),
)


def windows(folder: Path) -> tuple[list[str], list[list[Events]]]:
    """Classes, and the windows of each in the order of time, the whole sensor on the pixels of the input."""
    found = []
    classes = sorted(path.name for path in folder.iterdir() if path.is_dir())
    for name in classes:
        own = [read_events(file).events.copy() for file in sorted((folder / name).glob("*.npz"))]
        for events in own:
            events["t"] -= events["t"][0] if len(events) else 0
            for axis in ("x", "y"):
                events[axis] = events[axis].astype(np.int64) * SETTING.side // SENSOR
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


def trained(
    found: Sequence[Sequence[Events]], count: int, plan: Plan, seed: int, start: Path | None, file: Path
) -> Right:
    """Train, or take what `file` holds, and test once."""
    network = SETTING.network(seed)
    given, tested = parts(found, count, seed)
    if file.exists():
        load_weights(network, file)
    else:
        if start is not None:
            take_weights(network, start)
        train(SETTING, network, given, plan, seed, lambda _: None)
        save_weights(network, file, {})
    return right(SETTING, network, tested)


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
    found = (given or Path(os.environ.get("I2E_DEPLOY_DATA", ""))) / "dvs128_objects"
    if not found.is_dir():
        raise SystemExit("DVS128 objects are not here: give their folder")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", help="default: what I2E_DEPLOY_DATA names")
    parser.add_argument("--start", type=Path, required=True, help="checkpoint.safetensors of cifar10.py")
    parser.add_argument("--keep", type=Path, required=True, help="folder for networks")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--plot", type=Path, help="picture to write")
    given = parser.parse_args()
    given.keep.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    classes, found = windows(objects_folder(given.folder))
    counts = ", ".join(f"{name} {len(own)}" for name, own in zip(classes, found, strict=True))
    print(machine())
    print(f"windows of 500 ms: {counts}; one recording a class")
    print(f"trained on n of the first {TRAINED} of each, tested on the last {TESTED} of each; at least one between")
    print(f"{SETTING}\nfrom scratch: {SCRATCH}\ngently: {TUNED}\nseeds 0 to {given.seeds - 1}\n", flush=True)
    points: dict[str, list[tuple[int, float]]] = {}
    for name, stem, plan, starts in CURVES:
        points[name] = []
        for count in COUNTS:
            results = []
            for seed in range(given.seeds):
                file = given.keep / f"{stem}_{count}_{seed}.safetensors"
                results.append(trained(found, count, plan, seed, given.start if starts else None, file))
                print(f"{file.stem}: {accuracy(results[-1:]):.3f}", file=sys.stderr, flush=True)
            points[name].append((count, accuracy(results)))
            for kind in ("time steps", "events"):
                print(f"n = {count:2d} a class, {name:28s} {kind:10s} {said(results, kind)}", flush=True)
    if given.plot:
        draw(points, given.plot)


if __name__ == "__main__":
    main()
