"""Fine-tuning for the asynchronous chip: forward by the event engine, backward through the time steps.

In the forward pass every neuron layer's spikes are those that the `event` semantics of the lowered network gave,
counted in steps; the gradient is that of the time-stepped neurons on the same inputs (straight-through). So
training sees what the chip does: quantised weights, one spike per event, the order of injection.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from sinabs.layers import StatefulLayer
from torch import Tensor, nn

from i2e_deploy.chips import Chip, Injection, Program
from i2e_deploy.chips.abilities import RunsRecordings, require
from i2e_deploy.chips.trace import Trace
from i2e_deploy.events.array import Events
from i2e_deploy.network import from_sinabs
from i2e_deploy.training.bptt import spike_counts

#: Frames uint8 [N, T, C, H, W] and labels int64 [N].
Labelled = tuple[NDArray[np.uint8], NDArray[np.int64]]


@dataclass(frozen=True)
class FinetuneConfig:
    """How to fine-tune.

    Args:
        epochs: passes over the training set.
        batch_size: samples a step.
        learning_rate: of Adam.
        logit_scale: the summed output spikes are multiplied by it before the softmax.
        weight_limit: convolution and linear weights are held within plus and minus this after every step; None:
            free. Where a threshold is 1 and this 0.25, one event takes a neuron a quarter of its way at most, and
            the order of events matters less.
        seed: of the order of samples.
    """

    epochs: int = 1
    batch_size: int = 50
    learning_rate: float = 5e-4
    logit_scale: float = 0.25
    weight_limit: float | None = None
    seed: int = 0


def finetune(
    network: nn.Sequential,
    train_set: Labelled,
    chip: Chip,
    options: Injection,
    config: FinetuneConfig,
    on_batch: Callable[[int, float], None] | None = None,
    recordings: Sequence[Events] | None = None,
) -> None:
    """Train `network` in place through the event semantics.

    Args:
        network: Sinabs layers in a row, as `from_sinabs` reads them; takes float frames [B * T, C, H, W].
        options: the order in which the events of a step are injected, and the length of a step.
        on_batch: called with (batches done, loss).
        recordings: the events of each sample, from which its frames were counted in steps of `options.step_us`;
            they are injected as they came, and `options.order` does not matter.

    Raises:
        UnsupportedError: the network cannot be lowered (at the start, or when training made it so).
    """
    frames, labels = train_set

    def counts(chosen: NDArray[np.int64]) -> Tensor:
        events = None if recordings is None else [recordings[i] for i in chosen]
        return event_counts(network, frames[chosen], chip, options, events)

    fit(network, labels, counts, config, on_batch)


def fit(
    network: nn.Module,
    labels: NDArray[np.int64],
    counts: Callable[[NDArray[np.int64]], Tensor],
    config: FinetuneConfig,
    on_batch: Callable[[int, float], None] | None = None,
) -> None:
    """The loop alone: Adam on the cross entropy of output spikes.

    Args:
        labels: int64 [N].
        counts: output spikes, float [B, classes], of the samples chosen, int64 [B], of N.
        on_batch: called with (batches done, loss), after the step.
    """
    generator = torch.Generator().manual_seed(config.seed)
    optimiser = torch.optim.Adam(network.parameters(), config.learning_rate)
    done = 0
    for _ in range(config.epochs):
        for batch in torch.split(torch.randperm(len(labels), generator=generator), config.batch_size):
            chosen = batch.numpy()
            loss = F.cross_entropy(counts(chosen) * config.logit_scale, torch.from_numpy(labels[chosen]))
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            if config.weight_limit is not None:
                _limit_weights(network, config.weight_limit)
            done += 1
            if on_batch is not None:
                on_batch(done, float(loss.detach()))


@torch.no_grad()
def _limit_weights(network: nn.Module, limit: float) -> None:
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.weight.clamp_(-limit, limit)


def event_counts(
    network: nn.Sequential,
    frames: NDArray[np.uint8],
    chip: Chip,
    options: Injection,
    recordings: Sequence[Events] | None = None,
) -> Tensor:
    """Output spikes of the asynchronous chip, float [B, classes], with the gradient of the time-stepped network."""
    program = chip.lower(from_sinabs(network, frames.shape[2:]))
    events = require(program, RunsRecordings, "fine-tuning through events")
    if recordings is None:
        trace = events.run_events(frames, options=options)
    else:
        trace = events.run_recordings(recordings, frames.shape[1], options)
    with _spikes_of_the_chip(network, program, trace):
        return spike_counts(network, torch.from_numpy(frames).float())


@contextmanager
def _spikes_of_the_chip(network: nn.Sequential, program: Program, trace: Trace) -> Iterator[None]:
    """While it lasts, each neuron layer gives the spikes of the event engine."""
    layers = [layer for layer in network.modules() if isinstance(layer, StatefulLayer)]

    def replacing(name: str) -> Callable[[nn.Module, Any, Tensor], Tensor]:
        spikes = torch.from_numpy(trace.spikes[name]).float().flatten(0, 1)
        return lambda _module, _inputs, output: output + (spikes.reshape(output.shape) - output).detach()

    hooks = [
        layer.register_forward_hook(replacing(name)) for layer, name in zip(layers, program.layer_names, strict=True)
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
