"""A network on test samples: in float, and on the chip's integers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from i2e_deploy.chips import Deciding, Injection, Program
from i2e_deploy.chips.abilities import RunsRecordings
from i2e_deploy.chips.trace import Trace
from i2e_deploy.errors import InputError
from i2e_deploy.events.array import Events
from i2e_deploy.events.windows import into_steps
from i2e_deploy.text import record_repr
from i2e_deploy.training.losses import Loss
from i2e_deploy.training.metrics import class_sums, figures, value_sums
from i2e_deploy.training.running import Running
from i2e_deploy.training.samples import Batch, Samples

#: Samples that are tested together.
BATCH = 100


@dataclass(frozen=True)
class Entering:
    """How events go into an asynchronous chip.

    Args:
        injection: order of the events of frames, and the duration of a step.
        own_steps: the steps of a recording are equal parts of it, as its frames were counted (`events.into_steps`).
    """

    injection: Injection = field(default_factory=Injection)
    own_steps: bool = False

    __repr__ = record_repr


def in_common_steps(recordings: Sequence[Events], steps: int) -> tuple[list[Events], int]:
    """Recordings in equal parts of each, with pauses after the steps of the shorter ones, and the length of a step.

    The order stays, and what an asynchronous chip computes is the same: it has no clock but a tick a step.
    """
    bounds = [into_steps(events, steps) for events in recordings]
    parts = [np.repeat(np.arange(steps), bound[:, 1] - bound[:, 0]) for bound in bounds]
    inside = []
    for events, bound, part in zip(recordings, bounds, parts, strict=True):
        starts = np.array([int(events["t"][first]) if first < len(events) else 0 for first, _ in bound], np.int64)
        inside.append(events["t"].astype(np.int64) - starts[part])
    step_us = max((int(times.max()) for times in inside if len(times)), default=0) + 1
    moved = []
    for events, part, times in zip(recordings, parts, inside, strict=True):
        copy = events.copy()
        copy["t"] = part * step_us + times
        moved.append(copy)
    return moved, step_us


@dataclass(frozen=True, eq=False)
class Judgement:
    """What came of test samples.

    Args:
        sums: see `metrics`, to be added up over processes.
        predicted: decisions int64 [N], or values float64 [N, V] or [N, T, V].
        targets: of the same shape.
    """

    sums: Tensor
    predicted: NDArray[Any]
    targets: NDArray[Any]

    __repr__ = record_repr

    @property
    def figures(self) -> dict[str, float]:
        """See `metrics.figures`."""
        return figures(self.sums)

    def confusion(self, classes: int) -> NDArray[np.int64]:
        """int64 [classes, classes], row = target, column = decision."""
        found = np.zeros((classes, classes), np.int64)
        np.add.at(found, (self.targets, self.predicted), 1)
        return found


def evenly(samples: Samples, most: int) -> NDArray[np.int64]:
    """Numbers of at most so many samples, spread evenly; 0: all."""
    number = min(most or len(samples), len(samples))
    return np.linspace(0, len(samples) - 1, number).round().astype(np.int64)


def _batches(samples: Samples, numbers: NDArray[np.int64]) -> Iterator[Batch]:
    for first in range(0, len(numbers), BATCH):
        yield samples.batch(numbers[first : first + BATCH], None)


@torch.no_grad()
def in_float(
    network: nn.Module, running: Running, loss: Loss, samples: Samples, numbers: NDArray[np.int64],
    device: torch.device | str = "cpu",
) -> Judgement:  # fmt: skip
    """Test in floats, in evaluation mode; which mode it was in is forgotten."""
    network.eval()
    found = []
    for batch in _batches(samples, numbers):
        outputs = run(network, running, loss, torch.from_numpy(batch.frames).to(device))
        steps = batch.targets.shape[1] if batch.targets.ndim == 3 else None
        found.append((loss.predicted(outputs, steps).cpu(), batch.targets))
    return _judged(loss, found)


def run(network: nn.Module, running: Running, loss: Loss, frames: Tensor) -> Tensor:
    """What the loss reads of frames [B, T, C, H, W]: float [B, T', N].

    Raises:
        InputError: membranes are asked for, and not seen.
    """
    if loss.readout == "spikes":
        return running.outputs(network, frames)
    if running.membranes is None:
        raise InputError(f"loss: membranes of {running.name} networks are not seen in training: take 'spikes'")
    return running.membranes(network, frames)


def on_chip(
    network: nn.Module, running: Running, loss: Loss, samples: Samples, numbers: NDArray[np.int64],
    program: Program, semantics: str, entering: Entering,
) -> Judgement:  # fmt: skip
    """Test on the chip's integers.

    Args:
        network: of which the program was made.
        program: the integers, as `deciding` reads them.
        semantics: of the program.
        entering: how events go in; recordings as they came, where the semantics takes events.

    Raises:
        InputError: frames that are no counts.
    """
    found = []
    for batch in _batches(samples, numbers):
        trace = run_program(program, running, network, batch, semantics, entering, not loss.regression)
        if not loss.regression:
            found.append((torch.from_numpy(trace.decisions()), batch.targets))
            continue
        values = torch.from_numpy(running.program_output(network, trace.output))
        steps = batch.targets.shape[1] if batch.targets.ndim == 3 else None
        found.append((loss.predicted(values, steps), batch.targets))
    return _judged(loss, found, decided=True)


def deciding(program: Program, running: Running, loss: Loss, outputs: int) -> Program:
    """The program, whose output is read as the loss reads it.

    Args:
        program, running, loss: of the network.
        outputs: that it has in training.

    Raises:
        InputError: values of a membrane, whose scale on the chip is another.
    """
    if loss.readout == "membrane":
        if loss.regression:
            raise InputError("loss: values of a membrane are not known on the chip: leave out the chip, or read spikes")
        return program.decided_by(Deciding("state"))
    if running.voters == 1:
        return program
    return program.decided_by(replace(program.deciding, classes=outputs))


def run_program(
    program: Program, running: Running, network: nn.Module, batch: Batch, semantics: str, entering: Entering,
    decided: bool = False,
) -> Trace:  # fmt: skip
    """A run whose outputs stand at the steps of the network's: a program's may come later, see `Program.latencies`.

    Args:
        program, running, network, batch, semantics, entering: what runs, and how.
        decided: only its decisions matter, and the program knows itself how late they are.

    Raises:
        InputError: frames that are no counts.
    """
    if batch.frames.dtype.kind not in "bui":
        raise InputError(f"frames are {batch.frames.dtype}: the chip takes counts of events; leave out the chip")
    if batch.recordings is not None and semantics != "timestep" and isinstance(program, RunsRecordings):
        steps = batch.frames.shape[1]
        if not entering.own_steps:
            return program.run_recordings(batch.recordings, steps, entering.injection)
        recordings, step_us = in_common_steps(batch.recordings, steps)
        return program.run_recordings(recordings, steps, replace(entering.injection, step_us=step_us))
    frames = running.program_frames(network, batch.frames)
    late = 0 if decided and program.deciding.lag else program.latencies.get(program.layer_names[-1], 0)
    padded = np.pad(frames, ((0, 0), (0, late), *[(0, 0)] * (frames.ndim - 2))) if late else frames
    trace = program.simulate(padded, semantics, injection=entering.injection)
    return replace(trace, output=trace.output[:, late:]) if late else trace


def _judged(loss: Loss, found: list[tuple[Tensor, NDArray[Any]]], decided: bool = False) -> Judgement:
    """Joined over the batches; logits become decisions, the lowest number on a tie."""
    predicted = torch.cat([each for each, _ in found])
    targets = torch.from_numpy(np.concatenate([each for _, each in found]))
    if loss.regression:
        return Judgement(value_sums(predicted, targets), predicted.double().numpy(), targets.numpy())
    decisions = predicted if decided else predicted.argmax(1)
    return Judgement(class_sums(decisions, targets), decisions.numpy(), targets.numpy())
