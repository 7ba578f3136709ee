"""Accuracy on N-MNIST, real recordings, and of the demo's network: two lowerings, two semantics, orders of injection.

    i2e-deploy demo --out demo_output
    python benchmarks/nmnist.py FOLDER --demo demo_output > benchmarks/results/nmnist.txt

FOLDER holds train/ and test/ with <digit>/<id>.bin as distributed (Orchard et al. 2015, CC BY-SA 4.0); without it,
`nmnist_small` in the folder that I2E_DEPLOY_DATA names. Either part is left out where its data are absent.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from event_tasks import FOLDS, Frames, Task, nmnist, nmnist_folder, to_frames, with_weights
from numpy.typing import NDArray

from i2e_deploy.chips import LowerOptions
from i2e_deploy.chips.dynapcnn import DynapcnnChip, DynapcnnProgram
from i2e_deploy.chips.dynapcnn.engine.event.run import run_recordings
from i2e_deploy.chips.dynapcnn.lowering.calibrate import effective_bits
from i2e_deploy.chips.dynapcnn.reference.event_options import EventOptions
from i2e_deploy.chips.trace import Trace
from i2e_deploy.datasets.mnist5k import load_mnist5k
from i2e_deploy.datasets.picture import resize
from i2e_deploy.events.array import Events
from i2e_deploy.network import Network, from_sinabs
from i2e_deploy.network.file import read_network
from i2e_deploy.runtime import wilson
from i2e_deploy.training.bptt import spike_counts
from i2e_deploy.training.digits import SIZE, build_digit_network

CHIP = DynapcnnChip("speck2f")
Labels = NDArray[np.int64]
#: Rows of the table: name, order of injection, seed.
ORDERS = (
    ("raster, as Sinabs", "raster", 0), ("interleaved", "interleaved", 0), ("spread", "spread", 0),
    *((f"shuffled, seed {seed}", "shuffled", seed) for seed in range(3)),
)  # fmt: skip
#: Samples that `calibrate` sees.
CALIBRATION = 64


@dataclass
class Score:
    """Right decisions, and spikes per layer, over one or more networks."""

    right: list[bool] = field(default_factory=list)
    spikes: list[int] = field(default_factory=list)

    def add(self, trace: Trace, labels: Labels) -> None:
        self.right += (trace.decisions() == labels).tolist()
        counts = [count.spikes for count in trace.counts.values()]
        self.spikes = [a + b for a, b in zip(self.spikes or [0] * len(counts), counts, strict=True)]

    def accuracy(self) -> str:
        low, high = wilson(sum(self.right), len(self.right))
        return f"{100 * np.mean(self.right):5.1f} % ({100 * low:.1f} to {100 * high:.1f})"


@dataclass
class Table:
    """Scores of one lowering by row, and the bits of every network's layers."""

    rows: dict[str, Score] = field(default_factory=dict)
    bits: list[list[float]] = field(default_factory=list)

    def add(
        self, program: DynapcnnProgram, frames: Frames, labels: Labels, recordings: list[Events] | None, step_us: int
    ) -> None:
        self.bits.append([effective_bits(layer) for layer in program.layers])
        self.rows.setdefault("timestep", Score()).add(program.run(frames), labels)
        if recordings is not None:
            trace = run_recordings(program, recordings, frames.shape[1], EventOptions(step_us=step_us))
            self.rows.setdefault("event, own timestamps", Score()).add(trace, labels)
        for name, order, seed in ORDERS:
            options = EventOptions(order=order, seed=seed, step_us=step_us)  # type: ignore[arg-type]
            trace = program.run(frames, "event", options=options)
            self.rows.setdefault(f"event, {name}", Score()).add(trace, labels)


def report(right: Sequence[bool], tables: dict[str, Table]) -> None:
    """Both lowerings side by side."""
    low, high = wilson(sum(right), len(right))
    print(f"float network, time steps: {100 * np.mean(right):.1f} % ({100 * low:.1f} to {100 * high:.1f})")
    for name, table in tables.items():
        print(f"effective bits, {name}: {' '.join(f'{bits:.2f}' for bits in np.mean(table.bits, axis=0))}")
    print(f"spikes a sample in time steps: {' '.join(_per_sample(table) for table in list(tables.values())[:1])}")
    print((f"\n{'':26s}" + "".join(f"{name:25s}{'spikes / timestep':26s}" for name in tables)).rstrip())
    for row in next(iter(tables.values())).rows:
        cells = ""
        for table in tables.values():
            ratios = np.array(table.rows[row].spikes) / table.rows["timestep"].spikes
            shown = " ".join(f"{ratio:.2f}" for ratio in ratios) if row != "timestep" else ""
            cells += f"{table.rows[row].accuracy():25s}{shown:26s}"
        print(f"{row:26s}{cells}".rstrip())


def _per_sample(table: Table) -> str:
    score = table.rows["timestep"]
    return " ".join(f"{spikes / len(score.right):.0f}" for spikes in score.spikes)


def float_right(module: torch.nn.Sequential, frames: Frames, labels: Labels) -> list[bool]:
    """Of every sample whether the float network is right."""
    with torch.no_grad():
        parts = [spike_counts(module, part).argmax(1) for part in torch.from_numpy(frames).float().split(100)]  # type: ignore[no-untyped-call]
    return list((torch.cat(parts).numpy() == labels).tolist())


def lowered(network: Network, frames: Frames) -> dict[str, DynapcnnProgram]:
    """Both lowerings; `frames` to calibrate with."""
    return {"compatible": CHIP.lower(network), "calibrated": CHIP.lower(network, LowerOptions(frames))}


def nmnist_table(task: Task, keep: Path | None) -> None:
    """Five networks, pooled."""
    assert task.recordings is not None
    right: list[bool] = []
    tables = {"compatible": Table(), "calibrated": Table()}
    for fold in range(FOLDS):
        chosen, tested = task.split(fold)
        module, labels = task.start(fold, keep), task.labels[tested]
        right += float_right(module, task.frames[tested], labels)
        network = from_sinabs(module, task.frames.shape[2:])
        few = chosen[:: len(chosen) // CALIBRATION][:CALIBRATION]
        for name, program in lowered(network, task.frames[few]).items():
            recordings = [task.recordings[i] for i in tested]
            tables[name].add(program, task.frames[tested], labels, recordings, task.step_us)
    print(
        f"N-MNIST: {len(task.labels)} recordings, {task.frames.shape[1]} steps of {task.step_us // 1000} ms; "
        f"{FOLDS} networks, each tested on the fifth of the recordings that it was not trained with"
    )
    report(right, tables)


def demo_table(folder: Path) -> None:
    """The demo's network on its 1,000 test digits."""
    train, test = load_mnist5k(0)
    frames, few = to_frames(resize(test.images, SIZE)), to_frames(resize(train.images[:CALIBRATION], SIZE))
    network = read_network(folder / "network.safetensors")
    assert isinstance(network, Network)
    module = build_digit_network(frames.shape[1], torch.Generator().manual_seed(0))
    with_weights(module, [layer.op.weight for layer in network.layers if hasattr(layer.op, "weight")])
    tables = {"compatible": Table(), "calibrated": Table()}
    for name, program in lowered(network, few).items():
        tables[name].add(program, frames, test.labels, None, 1000)
    print(f"The demo's network, seed 0: {len(frames)} test digits as I2E events, {frames.shape[1]} steps")
    report(float_right(module, frames, test.labels), tables)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", help="of N-MNIST")
    parser.add_argument("--demo", type=Path, help="what `i2e-deploy demo` wrote")
    parser.add_argument(
        "--networks", type=Path, help="folder that keeps the networks, `event_gap.py` starts from the same"
    )
    arguments = parser.parse_args()
    print("correct (95 % interval), and spikes of each layer as a multiple of those in time steps\n")
    folder = nmnist_folder(arguments.folder)
    if folder is None:
        print("N-MNIST: not here, give its folder")
    else:
        nmnist_table(nmnist(folder), arguments.networks)
    if arguments.demo:
        print()
        demo_table(arguments.demo)


if __name__ == "__main__":
    main()
