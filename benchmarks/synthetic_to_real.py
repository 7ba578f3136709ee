"""What made recordings are worth on real ones: N-MNIST, as events in recorded order on the integers of a Speck2f.

    nice python benchmarks/synthetic_to_real.py FOLDER --keep WORK > benchmarks/results/synthetic_to_real.txt

FOLDER holds train/ and test/ with <digit>/<id>.bin as distributed (Orchard et al. 2015, CC BY-SA 4.0); without it,
`nmnist_small` in the folder that I2E_DEPLOY_DATA names. WORK keeps made recordings and networks, so that an interrupted
run goes on. Settings were fixed on 200 of the training recordings; the test recordings were run once, at the end, with
the weights of the last epoch.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from event_tasks import nmnist_folder
from event_training import Plan, Setting, right, train
from numpy.typing import NDArray
from rows import machine
from synthetic_digits import Recordings, kept_recordings
from torch import nn

from i2e_deploy.events.files import read_events
from i2e_deploy.files import read_tensors, write_tensors
from i2e_deploy.runtime import wilson

SETTING = Setting("speck2f", "small", 34, 10, 16, 20_000)
#: Trainings: on made recordings; on n real ones from there; on n real ones from nothing.
MADE = Plan(epochs=8, rate=1e-2, event_epochs=1)
TUNED = Plan(epochs=12, rate=2e-3, event_epochs=3, least_steps=150)
#: From there on so few that a network forgets more than they teach it: a fifth of the rates, and fewer steps.
GENTLE, FEW = Plan(epochs=12, rate=4e-4, event_epochs=3, event_rate=6e-5, least_steps=60), 30
SCRATCH = Plan(epochs=12, rate=1e-2, event_epochs=3, least_steps=150)
COUNTS = (10, 30, 100, 300, 800)
#: Of MNIST-DVS, with five recordings of each digit: two of each are tested.
DVS_COUNTS, DVS_TESTED = (10, 20, 30), 2
SCRATCH_NAME, TUNED_NAME = "from scratch", "pre-trained on I2E digits"
Right = dict[str, NDArray[np.bool_]]
#: Of each curve: recordings trained on, and the share that is decided rightly.
Points = dict[str, list[tuple[int, float]]]


@dataclass(frozen=True)
class Job:
    """One training: `name` is that of its file."""

    name: str
    plan: Plan
    seed: int
    start: Path | None = None


def real(folder: Path, part: str) -> Recordings:
    """Recordings of a part, by class and number."""
    files = sorted((folder / part).glob("*/*.bin"))
    labels = np.array([int(file.parent.name) for file in files])
    return Recordings([read_events(file).events for file in files], labels)


def balanced(labels: NDArray[np.int64], count: int, seed: int) -> NDArray[np.int64]:
    """So many of the samples, equally many of each class."""
    order = np.random.default_rng(seed).permutation(len(labels))
    rank = np.zeros(len(labels), np.int64)
    for label in np.unique(labels):
        own = order[labels[order] == label]
        rank[own] = np.arange(len(own))
    return np.sort(order[np.argsort(rank[order], kind="stable")][:count])


def trained(job: Job, data: Recordings, keep: Path) -> nn.Sequential:
    """The network of a job: from its file, or trained and put there."""
    network, file = SETTING.network(job.seed), keep / f"{job.name}.safetensors"
    if job.start is not None:
        _load(network, job.start)
    if file.exists():
        _load(network, file)
        return network
    begin = time.process_time()
    train(SETTING, network, data, job.plan, job.seed, lambda text: print(f"{job.name}: {text}", file=sys.stderr))
    print(f"{job.name}: {time.process_time() - begin:.0f} s of processor time", file=sys.stderr, flush=True)
    write_tensors(file, {n: v.detach().numpy() for n, v in network.named_parameters()}, {"format": "benchmark"})
    return network


@torch.no_grad()
def _load(network: nn.Sequential, file: Path) -> None:
    tensors, _ = read_tensors(file)
    for name, value in network.named_parameters():
        value.copy_(torch.from_numpy(np.array(tensors[name])).reshape(value.shape))


def said(results: Sequence[Right], kind: str) -> str:
    """Accuracy over all networks, with the 95 % interval of one network's number of recordings, and of each."""
    each = [float(result[kind].mean()) for result in results]
    count = len(results[0][kind])
    low, high = wilson(round(float(np.mean(each)) * count), count)
    alone = " ".join(f"{100 * one:.1f}" for one in each)
    return f"{100 * np.mean(each):5.1f} % ({100 * low:.1f} to {100 * high:.1f}; each {alone})"


def synthetic_alone(folder: Path, keep: Path, seeds: int, variants: int) -> None:
    """Section 1."""
    data = kept_recordings(keep, SETTING.side, variants)
    print(f"1. Trained on {len(data)} made recordings alone, {np.mean([len(e) for e in data.events]):.0f} events each")
    parts = {"100 test recordings": real(folder, "test"), "all 900 recordings": _joined(folder)}
    found: dict[str, list[Right]] = {name: [] for name in parts}
    for seed in range(seeds):
        network = trained(Job(f"made_{seed}", MADE, seed), data, keep)
        for name, part in parts.items():
            found[name].append(right(SETTING, network, part))
    for name, results in found.items():
        for kind in ("time steps", "events"):
            print(f"   {name}, {kind:10s} {said(results, kind)}")


def _joined(folder: Path) -> Recordings:
    train_part, test = real(folder, "train"), real(folder, "test")
    return Recordings([*train_part.events, *test.events], np.concatenate([train_part.labels, test.labels]))


def curve(folder: Path, keep: Path, seeds: int, only_kept: bool) -> Points:
    """Section 2: the points of both curves, as events."""
    everything, test = real(folder, "train"), real(folder, "test")
    print("\n2. Trained on n real recordings, tested on the 100 of the test part")
    points: Points = {SCRATCH_NAME: [], TUNED_NAME: []}
    for count in COUNTS:
        for name, plan in ((SCRATCH_NAME, SCRATCH), (TUNED_NAME, TUNED)):
            starts = [keep / f"made_{seed}.safetensors" if plan is TUNED else None for seed in range(seeds)]
            own = GENTLE if plan is TUNED and count <= FEW else plan
            jobs = [Job(f"{'tuned' if start else 'scratch'}_{count}_{seed}", own, seed, start)
                    for seed, start in enumerate(starts)]  # fmt: skip
            if only_kept and not all((keep / f"{job.name}.safetensors").exists() for job in jobs):
                print(f"   n = {count:3d}, {name:26s} not trained")
                continue
            some = [everything.some(balanced(everything.labels, count, job.seed)) for job in jobs]
            results = [right(SETTING, trained(job, part, keep), test) for job, part in zip(jobs, some, strict=True)]
            points[name].append((count, float(np.mean([result["events"].mean() for result in results]))))
            for kind in ("time steps", "events"):
                print(f"   n = {count:3d}, {name:26s} {kind:10s} {said(results, kind)}", flush=True)
    return points


def other_sensor(folder: Path, keep: Path, seeds: int) -> Points:
    """Section 3: MNIST-DVS, seen as the networks of section 1 see N-MNIST; the points of both curves, as events."""
    everything = mnist_dvs(folder, SETTING.side)
    print(f"\n3. {len(everything)} recordings of MNIST-DVS (DVS128, 200 ms)")
    print("   the networks of section 1, none trained on")
    unused = Recordings([], np.zeros(0, np.int64))
    networks = [trained(Job(f"made_{seed}", MADE, seed), unused, keep) for seed in range(seeds)]
    results = [right(SETTING, network, everything) for network in networks]
    for kind in ("time steps", "events"):
        print(f"   {kind:10s} {said(results, kind)}")
    print("   trained on n of them, tested on 20 others, which each seed draws")
    points: Points = {SCRATCH_NAME: [], TUNED_NAME: []}
    for count in DVS_COUNTS:
        for name, plan in ((SCRATCH_NAME, SCRATCH), (TUNED_NAME, TUNED)):
            results = []
            for seed in range(seeds):
                train_part, test = dvs_parts(everything, count, seed)
                start = keep / f"made_{seed}.safetensors" if plan is TUNED else None
                job = Job(f"dvs_{'tuned' if start else 'scratch'}_{count}_{seed}", plan, seed, start)
                results.append(right(SETTING, trained(job, train_part, keep), test))
            points[name].append((count, float(np.mean([result["events"].mean() for result in results]))))
            for kind in ("time steps", "events"):
                print(f"   n = {count:3d}, {name:26s} {kind:10s} {said(results, kind)}", flush=True)
    return points


def dvs_parts(everything: Recordings, count: int, seed: int) -> tuple[Recordings, Recordings]:
    """So many recordings to train on, equally many of each digit, and two others of each to test."""
    order = np.random.default_rng(seed).permutation(len(everything))
    own = [order[everything.labels[order] == digit] for digit in range(10)]
    chosen, tested = (np.sort(np.concatenate(part)) for part in
                      ([each[: count // 10] for each in own], [each[-DVS_TESTED:] for each in own]))  # fmt: skip
    return everything.some(chosen), everything.some(tested)


def mnist_dvs(folder: Path, side: int, by: int = 4) -> Recordings:
    """Recordings `<digit>/<name>.npz` of 128 x 128 pixels: the digits of these lie on their side and are mirrored, and
    about 90 pixels high; by 4 they are about as high as N-MNIST's."""
    files = sorted(folder.glob("*/*.npz"))
    found = []
    for file in files:
        events = read_events(file).events
        margin = (128 - side * by) // 2
        x, y = ((127 - events[axis].astype(np.int64) - margin) // by for axis in ("y", "x"))
        inside = (x >= 0) & (x < side) & (y >= 0) & (y < side)
        seen = events[inside].copy()
        seen["x"], seen["y"] = x[inside], y[inside]
        found.append(seen)
    return Recordings(found, np.array([int(file.parent.name) for file in files]))


def draw(curves: dict[str, Points], alone: float, path: Path) -> None:
    """Both curves of each sensor, and what made recordings alone give on N-MNIST."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, all_axes = plt.subplots(1, len(curves), figsize=(5 * len(curves), 4), layout="constrained", squeeze=False,
                                    sharey=True)  # fmt: skip
    for axes, (title, points) in zip(all_axes[0], curves.items(), strict=True):
        for name, row in points.items():
            axes.plot([n for n, _ in row], [100 * share for _, share in row], "o-", label=name)
        counts = [n for n, _ in points[SCRATCH_NAME]]
        axes.set(xscale="log", xticks=counts, xticklabels=counts, xlabel="real recordings trained on", title=title)
        axes.minorticks_off()
        axes.grid(alpha=0.3)
    all_axes[0][0].axhline(100 * alone, ls="--", c="gray", label="I2E digits alone, no recording")
    all_axes[0][0].set_ylabel("right on Speck2f's integers, recorded events, %")
    all_axes[0][0].legend()
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", help="of N-MNIST")
    parser.add_argument("--keep", type=Path, required=True, help="folder for made recordings and networks")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--kept", action="store_true", help="section 2 trains nothing: networks in WORK alone")
    parser.add_argument("--variants", type=int, default=1, help="made recordings of each of 4,000 digits")
    parser.add_argument("--mnist-dvs", type=Path, help="folder <digit>/<name>.npz of MNIST-DVS")
    parser.add_argument("--plot", type=Path, help="picture to write")
    given = parser.parse_args()
    folder = nmnist_folder(given.folder)
    if folder is None:
        raise SystemExit("N-MNIST is not here: give its folder")
    given.keep.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    print(machine())
    print(f"{SETTING}\nmade: {MADE}\nfrom made: {TUNED}\nfrom made, n up to {FEW}: {GENTLE}\nfrom scratch: {SCRATCH}")
    print(f"seeds 0 to {given.seeds - 1}\n")
    synthetic_alone(folder, given.keep, given.seeds, given.variants)
    curves = {"N-MNIST (ATIS), 100 tested": curve(folder, given.keep, given.seeds, given.kept)}
    if given.mnist_dvs:
        curves["MNIST-DVS (DVS128), 20 tested"] = other_sensor(given.mnist_dvs, given.keep, given.seeds)
    if given.plot:
        test = real(folder, "test")
        data = Recordings([], np.zeros(0, np.int64))
        alone = [right(SETTING, trained(Job(f"made_{s}", MADE, s), data, given.keep), test) for s in range(given.seeds)]
        draw(curves, float(np.mean([result["events"].mean() for result in alone])), given.plot)


if __name__ == "__main__":
    main()
