"""What layers do in a forward pass, with its gradient: spikes a neuron, and synaptic operations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from i2e_deploy.training.running import Running


@dataclass
class Activity:
    """Of every layer by its path in the module, in the order in which they ran.

    A module that runs once a step is one layer, as is one that runs once for all of them.
    """

    _sent: dict[str, tuple[Tensor, int]] = field(default_factory=dict)
    _synops: dict[str, Tensor] = field(default_factory=dict)

    @property
    def spikes(self) -> Mapping[str, Tensor]:
        """A neuron and step."""
        return {name: sent / places for name, (sent, places) in self._sent.items()}

    @property
    def synops(self) -> Mapping[str, Tensor]:
        """A step and sample."""
        return self._synops

    def add_spikes(self, name: str, sent: Tensor, steps: int) -> None:
        """What a layer of neurons sent in one of its runs, each of whose steps stands for so many."""
        before, places = self._sent.get(name, (0, 0))
        self._sent[name] = (before + sent.sum(), places + sent.numel() * steps)

    def add_synops(self, name: str, number: Tensor) -> None:
        """What a layer of weights did in one of its runs."""
        self._synops[name] = self._synops.get(name, 0) + number


@contextmanager
def watched(network: nn.Module, running: Running, steps: int, batch: int, merged: bool = False) -> Iterator[Activity]:
    """While it lasts, layers of neurons and of weights (torch's own) report to the `Activity`.

    Synaptic operations are counted as the mean fan-out of an input (borders of convolutions included as if they were
    the middle) times the events that arrive.

    Args:
        steps, batch: of the samples that run.
        merged: their steps enter as one; what is done then is spread over all of them.
    """
    found, stood_for = Activity(), steps if merged else 1
    paths = {part: path for path, part in network.named_modules()}

    def spikes(module: nn.Module, _inputs: Any, output: Any) -> None:
        found.add_spikes(paths[module], output[0] if isinstance(output, tuple) else output, stood_for)

    def synops(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        given = inputs[0]
        taps = module.weight[0].numel()  # type: ignore[index]
        found.add_synops(paths[module], given.abs().sum() * (output.numel() * taps / given.numel() / steps / batch))

    hooks = [part.register_forward_hook(spikes) for part in running.neurons(network)]
    hooks += [part.register_forward_hook(synops) for part in paths if isinstance(part, nn.Conv2d | nn.Linear)]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()
