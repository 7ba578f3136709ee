"""Training through the chip: forward by its integers, backward by the surrogate.

In the forward pass every neuron layer's spikes are those that the lowered network gave on the engine, counted in steps;
the gradient is that of the float neurons on the same inputs (straight-through). So training sees what the chip does:
quantised weights and thresholds, and where the semantics has them one spike an event and the order of events.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from i2e_deploy.chips import Chip, Program
from i2e_deploy.chips.trace import Trace
from i2e_deploy.errors import InputError, UnsupportedError
from i2e_deploy.text import record_repr
from i2e_deploy.training.judging import Entering, run_program
from i2e_deploy.training.running import Running
from i2e_deploy.training.samples import Batch


@dataclass(frozen=True, eq=False)
class Through:
    """The chip that a training goes through.

    Args:
        chip: whose integers.
        semantics: of its programs, see `semantics_of`.
        running: how the network runs.
        entering: how events go in.
    """

    chip: Chip
    semantics: str
    running: Running
    entering: Entering = field(default_factory=Entering)

    __repr__ = record_repr

    def trace(self, network: nn.Module, batch: Batch) -> tuple[Program, Trace]:
        """What the integers of the network as it is now give.

        Raises:
            UnsupportedError: it cannot be lowered.
        """
        shape = batch.frames.shape[2:]
        program = self.chip.lower(self.running.read(network, shape, None, self.chip))
        return program, run_program(program, self.running, network, batch, self.semantics, self.entering)

    def outputs(self, network: nn.Module, batch: Batch, found: tuple[Program, Trace], frames: Tensor) -> Tensor:
        """Output of every step, float [B, T, N], the chip's, with the gradient of the float network.

        Args:
            network: of which the trace was made.
            batch: what was run.
            found: of `trace`.
            frames: of the batch, float, where the network is.
        """
        with _spikes_of(network, self.running, *found, steps=batch.frames.shape[1]):
            return self.running.outputs(network, frames)


def semantics_of(chip: Chip, program: Program, asked: str) -> str:
    """The semantics that is asked for; the chip's own name stands for its first.

    Raises:
        InputError: its programs have none of that name.
    """
    if asked in ("", chip.profile.name):
        return program.semantics[0]
    if asked not in program.semantics:
        known = ", ".join(program.semantics)
        raise InputError(f"--through {asked}: programs of {chip.profile.name} run in {known}; choose one of these")
    return asked


def check_through(network: nn.Module, running: Running, program: Program) -> None:
    """Raise UnsupportedError unless every layer of neurons has its layer in the program."""
    if running.spikes_like is None:
        raise UnsupportedError(
            f"--through: layers of {running.name} networks cannot be given the chip's spikes (Sinabs networks can; "
            "SLAYER's train on the chip's integers as they are); leave it out"
        )
    mine, theirs = len(running.neurons(network)), len(program.layer_names)
    if mine != theirs:
        raise UnsupportedError(
            f"--through: the network has {mine} layers of neurons and its program {theirs} layers "
            f"({', '.join(program.layer_names)}): they must be the same; leave it out"
        )


@contextmanager
def _spikes_of(network: nn.Module, running: Running, program: Program, trace: Trace, steps: int) -> Iterator[None]:
    """While it lasts, each neuron layer gives the spikes of the chip."""
    like = running.spikes_like
    if like is None:
        raise InputError(f"layers of {running.name} networks cannot be given the chip's spikes")

    def replacing(name: str) -> Callable[[nn.Module, Any, Tensor], Tensor]:
        late = program.latencies.get(name, 0)
        spikes = torch.from_numpy(np.asarray(trace.spikes[name][:, late : late + steps], np.float32))

        def given(_module: nn.Module, _inputs: Any, output: Tensor) -> Tensor:
            chips = like(spikes, output).to(output.device)
            return output + (chips - output).detach()

        return given

    layers = running.neurons(network)
    hooks = [
        layer.register_forward_hook(replacing(name)) for layer, name in zip(layers, program.layer_names, strict=True)
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
