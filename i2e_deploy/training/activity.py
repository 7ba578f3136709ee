"""What layers do in a forward pass, with its gradient: spikes a neuron, and synaptic operations."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from i2e_deploy.training.running import Running


@dataclass
class Activity:
    """Of every layer, in the order in which they ran: `spikes` a neuron and step, `synops` a step and sample."""

    spikes: list[Tensor] = field(default_factory=list)
    synops: list[Tensor] = field(default_factory=list)


@contextmanager
def watched(network: nn.Module, running: Running, steps: int, batch: int) -> Iterator[Activity]:
    """While it lasts, layers of neurons and of weights (torch's own) report to the `Activity`.

    Synaptic operations are counted as the mean fan-out of an input (borders of convolutions included as if they were
    the middle) times the events that arrive.
    """
    found = Activity()

    def spikes(_module: nn.Module, _inputs: Any, output: Any) -> None:
        sent: Tensor = output[0] if isinstance(output, tuple) else output
        found.spikes.append(sent.mean())

    def synops(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        given = inputs[0]
        taps = module.weight[0].numel()  # type: ignore[index]
        found.synops.append(given.abs().sum() * (output.numel() * taps / given.numel() / steps / batch))

    hooks = [part.register_forward_hook(spikes) for part in running.neurons(network)]
    hooks += [
        part.register_forward_hook(synops) for part in network.modules() if isinstance(part, nn.Conv2d | nn.Linear)
    ]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()
