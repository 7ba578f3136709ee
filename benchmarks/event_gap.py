"""How far accuracy falls from time steps to events, and what training does about it, against a control.

    python benchmarks/event_gap.py FOLDER > benchmarks/results/event_gap.txt

From one start (trained in time steps), as many epochs more with each remedy: the same samples in the same order, the
same optimiser. The control is ordinary training in time steps. FOLDER as for `nmnist.py`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from event_tasks import (
    FOLDS,
    Chosen,
    Frames,
    Task,
    bin_events,
    i2e_digits,
    nmnist,
    nmnist_folder,
    weighted,
    with_weights,
)
from numpy.typing import NDArray
from sinabs.activation import SingleSpike
from sinabs.layers import IAFSqueeze
from torch import nn

from i2e_deploy.chips.dynapcnn import DynapcnnChip
from i2e_deploy.chips.dynapcnn.engine.event.run import run_recordings
from i2e_deploy.chips.dynapcnn.reference.event_options import EventOptions
from i2e_deploy.chips.dynapcnn.reference.injection import inject
from i2e_deploy.network import from_sinabs
from i2e_deploy.training import FitConfig, FrameSamples, Loss, Optimising, data_of, fit

CHIP = DynapcnnChip("speck2f")
#: Steps are cut into so many by the remedy "finer steps"; largest weight, in thresholds, of "clipped weights".
FINER, CLIP = 4, 0.25
DIGIT_NAMES = tuple("0123456789")
PLAIN = Optimising(learning_rate=3e-4, schedule="constant", warm_up=0, weight_decay=0)
RECORDINGS = FitConfig(epochs=3, batch_size=40, loss=Loss(label_smoothing=0), optimising=PLAIN)
DIGITS = replace(RECORDINGS, epochs=1, batch_size=50)
Remedy = Callable[[Task, nn.Sequential, Chosen, FitConfig], nn.Sequential]
Right = dict[str, NDArray[np.bool_]]


def nothing(task: Task, network: nn.Sequential, chosen: Chosen, config: FitConfig) -> nn.Sequential:
    return network


def time_steps(task: Task, network: nn.Sequential, chosen: Chosen, config: FitConfig) -> nn.Sequential:
    """Ordinary training."""
    train(network, FrameSamples(task.frames[chosen], task.labels[chosen]), task, config)
    return network


def train(network: nn.Sequential, samples: FrameSamples, task: Task, config: FitConfig) -> None:
    """Without tests on the way: one sample stands in for those."""
    unused = FrameSamples(samples.frames[:1], samples.targets[:1])
    for _ in fit(network, data_of(samples, unused, DIGIT_NAMES, task.step_us), config):
        pass


def clipped(task: Task, network: nn.Sequential, chosen: Chosen, config: FitConfig) -> nn.Sequential:
    return time_steps(task, network, chosen, replace(config, optimising=replace(PLAIN, weight_limit=CLIP)))


def single_spikes(task: Task, network: nn.Sequential, chosen: Chosen, config: FitConfig) -> nn.Sequential:
    """At most one spike a neuron and step, in training and afterwards."""
    for i, layer in enumerate(network):
        if isinstance(layer, IAFSqueeze):
            network[i] = IAFSqueeze(
                num_timesteps=task.frames.shape[1], min_v_mem=-1.0, spike_fn=SingleSpike,
                surrogate_grad_fn=layer.surrogate_grad_fn,
            ).requires_grad_(False)  # fmt: skip
    return time_steps(task, network, chosen, config)


def finer_steps(task: Task, network: nn.Sequential, chosen: Chosen, config: FitConfig) -> nn.Sequential:
    """Each step cut into several; recordings by time, pictures by the order of injection."""
    steps = FINER * task.frames.shape[1]
    if task.recordings is not None:
        frames = bin_events([task.recordings[i] for i in chosen], steps)
    else:
        frames = np.stack([_cut(task.frames[i], task.step_us) for i in chosen])
    fine = with_weights(task.build(steps, torch.Generator()), [layer.weight for layer in weighted(network)])
    train(fine, FrameSamples(frames, task.labels[chosen]), task, config)
    return with_weights(network, [layer.weight for layer in weighted(fine)])


def _cut(sample: Frames, step_us: int) -> Frames:
    """One sample [T, C, H, W] in steps FINER times shorter, its events in default order."""
    stimuli = inject(sample, EventOptions(step_us=step_us), ticks=False)
    frames = np.zeros((len(sample) * FINER, *sample.shape[1:]), np.uint8)
    np.add.at(frames, (stimuli["t"] * FINER // step_us, stimuli["c"], stimuli["y"], stimuli["x"]), 1)
    return frames


def events(task: Task, network: nn.Sequential, chosen: Chosen, config: FitConfig, order: Any = None) -> nn.Sequential:
    """Through the event semantics, in that order of injection; None: the recordings' own."""
    recordings = None if order or task.recordings is None else [task.recordings[i] for i in chosen]
    through = replace(config, through="event", chip="speck2f", order=order or "spread", chip_samples=1)
    train(network, FrameSamples(task.frames[chosen], task.labels[chosen], recordings), task, through)
    return network


def evaluate(task: Task, network: nn.Sequential, tested: Chosen) -> Right:
    """Of every test sample whether it is right, by semantics and order."""
    frames, labels = task.frames[tested], task.labels[tested]
    program = CHIP.lower(from_sinabs(network, frames.shape[2:]))
    traces = {"timestep": program.run(frames)}
    for order in ("spread", "raster"):
        options = EventOptions(order=order, step_us=task.step_us)
        traces[f"event, {order}"] = program.run(frames, "event", options=options)
    if task.recordings is not None:
        recordings, options = [task.recordings[i] for i in tested], EventOptions(step_us=task.step_us)
        traces["event, own order"] = run_recordings(program, recordings, frames.shape[1], options)
    return {name: trace.decisions() == labels for name, trace in traces.items()}


def remedies(task: Task) -> dict[str, Remedy]:
    """By name, the control first of those that train."""
    orders = ("spread", "raster") if task.recordings is None else (None,)
    through = {f"events, {order or 'own order'}": partial(events, order=order) for order in orders}
    return {
        "start": nothing, "control: time steps": time_steps, "single spikes": single_spikes,
        f"weights within {CLIP:g}": clipped, f"steps cut in {FINER}": finer_steps, **through,
    }  # fmt: skip


@dataclass(frozen=True)
class Change:
    """Accuracy of one arm in percent, and its difference from the control with half a 95 % interval (paired)."""

    accuracy: float
    difference: float
    margin: float

    @classmethod
    def of(cls, right: NDArray[np.bool_], control: NDArray[np.bool_]) -> Change:
        pairs = right.astype(int) - control.astype(int)
        return cls(100 * right.mean(), 100 * pairs.mean(), 196 * pairs.std() / len(pairs) ** 0.5)

    def __str__(self) -> str:
        return f"{self.accuracy:5.1f} ({self.difference:+.1f} +-{self.margin:.1f})"


def measure(task: Task, fold: int, name: str, config: FitConfig, keep: Path | None) -> Right:
    """One remedy from one start."""
    chosen, tested = task.split(fold)
    start = [layer.weight.detach().clone() for layer in weighted(task.start(fold, keep))]
    network = with_weights(task.build(task.frames.shape[1], torch.Generator()), start)
    return evaluate(task, remedies(task)[name](task, network, chosen, config), tested)


def report(task: Task, found: dict[str, list[Right]], config: FitConfig) -> None:
    """All starts pooled, and the column that matters by start."""
    pooled = {name: {c: np.concatenate([r[c] for r in rights]) for c in rights[0]} for name, rights in found.items()}
    control = pooled["control: time steps"]
    print(
        f"\n{task.name}: {len(found['start'])} start(s), {len(control['timestep'])} samples, none tested by a network "
        f"trained with it; epochs more: {config.epochs}\n"
        "correct in % (difference from the control with its 95 % interval, paired by sample)"
    )
    print(f"{'':22s}" + "".join(f"{column:21s}" for column in control).rstrip())
    for name, right in pooled.items():
        cells = (str(Change.of(right[column], control[column])) for column in control)
        print(f"{name:22s}" + "".join(f"{cell:21s}" for cell in cells).rstrip())
    start, target = pooled["start"], list(control)[-1]
    falls = ((column, Change.of(start[column], start["timestep"])) for column in list(start)[1:])
    print("start, from time steps to " + ", ".join(f"{c} {f.difference:+.1f} +-{f.margin:.1f}" for c, f in falls))
    print(f"by start, {target}:")
    for name, rights in found.items():
        print(f"{name:22s}" + " ".join(f"{100 * right[target].mean():5.1f}" for right in rights), flush=True)


def run(task: Task, folds: int, config: FitConfig, keep: Path | None) -> None:
    """Every remedy from every start."""
    names = list(remedies(task))
    report(task, {name: [measure(task, fold, name, config, keep) for fold in range(folds)] for name in names}, config)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", help="of N-MNIST")
    parser.add_argument("--folds", type=int, default=FOLDS, help="starts, each tested on another fifth")
    parser.add_argument("--digit-folds", type=int, default=1, help="the same for the 5,000 I2E digits; 0: without")
    parser.add_argument("--networks", type=Path, help="folder that keeps the starts")
    arguments = parser.parse_args()
    folder, keep = nmnist_folder(arguments.folder), arguments.networks
    if folder is None:
        print("N-MNIST: not here, give its folder")
    elif arguments.folds:
        run(nmnist(folder), arguments.folds, RECORDINGS, keep)
    if arguments.digit_folds:
        run(i2e_digits(), arguments.digit_folds, DIGITS, keep)


if __name__ == "__main__":
    main()
