"""Training on recordings, in time steps and then through the chip's events: the stages of `synthetic_to_real.py`.

Every recording is moved and thinned anew in each epoch, before it is counted into steps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from synthetic_digits import Recordings
from torch import nn

from i2e_deploy.chips import Injection, get
from i2e_deploy.chips.abilities import RunsRecordings, require
from i2e_deploy.events.array import Events
from i2e_deploy.network import from_sinabs
from i2e_deploy.training import sized
from i2e_deploy.training.bptt import SINABS
from i2e_deploy.training.judging import Entering
from i2e_deploy.training.samples import Batch
from i2e_deploy.training.through import Through

Frames = NDArray[np.uint8]
#: Summed output spikes are multiplied by it before the softmax.
SCALE = 0.25


@dataclass(frozen=True)
class Plan:
    """How a network is trained.

    Args:
        epochs: in time steps, of the one-cycle schedule; 0: none.
        rate: its peak.
        event_epochs: after them, through the chip's events.
        event_rate: of Adam there.
        batch: samples a step.
        least_steps: epochs are added until there are so many steps in time steps, and a tenth of it in events.
        shift: pixels to either side by which a recording is moved; `drop` is the greatest share of events left out.
    """

    epochs: int
    rate: float
    event_epochs: int
    event_rate: float = 3e-4
    batch: int = 40
    least_steps: int = 0
    shift: int = 2
    drop: float = 0.3


@dataclass(frozen=True)
class Setting:
    """Chip, recipe, and the frames of a task."""

    chip: str
    recipe: str
    side: int
    classes: int
    steps: int
    step_us: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        return (2, self.side, self.side)

    def network(self, seed: int) -> nn.Sequential:
        """The recipe, untrained."""
        module = sized.sized_network(self.chip, self.recipe, self.shape, self.classes, self.steps, seed)[1]
        assert isinstance(module, nn.Sequential)
        return module


def binned(setting: Setting, recordings: list[Events]) -> Frames:
    """Counts uint8 [N, T, 2, H, W], at most 255."""
    frames = np.zeros((len(recordings), setting.steps, *setting.shape), np.uint8)
    for frame, events in zip(frames, recordings, strict=True):
        kept = events[events["t"] < setting.steps * setting.step_us]
        np.add.at(frame, (kept["t"] // setting.step_us, kept["p"], kept["y"], kept["x"]), 1)
    return frames


def moved(events: Events, plan: Plan, side: int, rng: np.random.Generator) -> Events:
    """A recording moved, and thinned; without what leaves the frame."""
    right, down = rng.integers(-plan.shift, plan.shift + 1, 2)
    kept = events[rng.random(len(events)) >= plan.drop * rng.random()]
    x, y = kept["x"].astype(np.int64) + right, kept["y"].astype(np.int64) + down
    inside = (x >= 0) & (x < side) & (y >= 0) & (y < side)
    made: Events = kept[inside].copy()
    made["x"], made["y"] = x[inside], y[inside]
    return made


def train(
    setting: Setting, network: nn.Sequential, data: Recordings, plan: Plan, seed: int, say: Callable[[str], None]
) -> None:
    """In place: time steps with a one-cycle schedule, then through events; the last epoch is what counts."""
    rng = np.random.default_rng(seed)
    batches = -(-len(data) // plan.batch)
    epochs = max(plan.epochs, -(-plan.least_steps // batches)) if plan.epochs else 0
    if epochs:
        optimiser = torch.optim.AdamW(network.parameters(), plan.rate, weight_decay=0.02)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, plan.rate, epochs * batches + 1)
        for epoch in range(epochs):
            total = 0.0
            for part in np.array_split(rng.permutation(len(data)), batches):
                frames = binned(setting, [moved(data.events[i], plan, setting.side, rng) for i in part])
                counts = SINABS.outputs(network, torch.from_numpy(frames).float()).sum(1)
                loss = F.cross_entropy(counts * SCALE, torch.from_numpy(data.labels[part]), label_smoothing=0.05)
                optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimiser.step()
                schedule.step()
                total += float(loss.detach()) * len(part)
            say(f"time steps, epoch {epoch + 1} of {epochs}: loss {total / len(data):.3f}")
    event_epochs = max(plan.event_epochs, -(-plan.least_steps // 10 // batches)) if plan.event_epochs else 0
    for epoch in range(event_epochs):
        new = Recordings([moved(events, plan, setting.side, rng) for events in data.events], data.labels)
        _through_events(setting, network, new, plan, seed * 100 + epoch)
        say(f"events, epoch {epoch + 1} of {event_epochs}")


def _through_events(setting: Setting, network: nn.Sequential, data: Recordings, plan: Plan, seed: int) -> None:
    """An epoch of Adam: forward on the chip's integers, every event in its own order."""
    through = Through(get(setting.chip), "event", SINABS, Entering(Injection(step_us=setting.step_us)))
    optimiser = torch.optim.Adam(network.parameters(), plan.event_rate)
    frames = binned(setting, list(data.events))
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(seed))
    for part in torch.split(order, plan.batch):
        chosen = part.numpy()
        batch = Batch(frames[chosen], data.labels[chosen], [data.events[i] for i in chosen])
        found = through.trace(network, batch)
        counts = through.outputs(network, batch, found, torch.from_numpy(batch.frames).float()).sum(1)
        loss = F.cross_entropy(counts * SCALE, torch.from_numpy(batch.targets))
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()


def right(setting: Setting, network: nn.Sequential, data: Recordings) -> dict[str, NDArray[np.bool_]]:
    """Of every recording whether the chip's integers decide rightly, in time steps and as events in their own order."""
    program = get(setting.chip).lower(from_sinabs(network, setting.shape, states="zero"))
    by_events = require(program, RunsRecordings, "events")
    stepped, own = [], []
    for first in range(0, len(data), 100):
        part = data.some(np.arange(first, min(first + 100, len(data))))
        events = [e[e["t"] < setting.steps * setting.step_us] for e in part.events]
        stepped.append(program.run(binned(setting, events)).decisions() == part.labels)
        trace = by_events.run_recordings(events, setting.steps, Injection(step_us=setting.step_us))
        own.append(trace.decisions() == part.labels)
    return {"time steps": np.concatenate(stepped), "events": np.concatenate(own)}
