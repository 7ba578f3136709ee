"""NeuroBench's figures of a program's integers and of the float network beside them, and those that the chip adds.

The names are the package's (`neurobench` 2.3.0), so that results stand beside those of its harness; the definitions are
in `counting`. `neurobench_model` lets the harness itself run a program.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.abilities import ShowsConnections, require
from i2e_deploy.chips.base import Program
from i2e_deploy.chips.connections import Connection, Population
from i2e_deploy.chips.options import Semantics
from i2e_deploy.chips.trace import Integers, States
from i2e_deploy.errors import InputError
from i2e_deploy.network.convolution import Conv1d, Conv2d
from i2e_deploy.network.graph import INPUT, Network
from i2e_deploy.network.layers import Linear
from i2e_deploy.network.neurons import IntegrateAndFire, LeakyIntegrateAndFire
from i2e_deploy.runtime.counting import Counted, count, reach
from i2e_deploy.text import record_repr

#: Whose definitions these are.
DEFINITIONS = "neurobench 2.3.0"
#: Samples that run together.
BATCH = 32
Values = NDArray[np.generic]


@dataclass(frozen=True, eq=False)
class Ran:
    """One run, as it is counted: what layers sent, what reached the connections, membranes after each step."""

    spikes: Mapping[str, Values]
    given: Sequence[NDArray[Any]]
    membranes: Mapping[str, Sequence[Values]]

    __repr__ = record_repr


class Subject(Protocol):
    """What is counted: a program, or a float network."""

    @property
    def connections(self) -> Sequence[Connection]: ...  # noqa: D102
    @property
    def populations(self) -> Sequence[Population]: ...  # noqa: D102

    def run(self, frames: Integers) -> Ran:
        """Frames [B, T, *input_shape] from a fresh state."""
        ...


@dataclass(frozen=True, eq=False)
class Deployed:
    """A program in one of its semantics.

    Raises:
        UnsupportedError: it does not show its connections.
    """

    program: Program
    semantics: Semantics = "timestep"
    connections: Sequence[Connection] = field(init=False)
    populations: Sequence[Population] = field(init=False)

    __repr__ = record_repr

    def __post_init__(self) -> None:
        shown = require(self.program, ShowsConnections, "NeuroBench's figures")
        object.__setattr__(self, "connections", tuple(shown.connections()))
        object.__setattr__(self, "populations", tuple(shown.populations()))

    def run(self, frames: Integers) -> Ran:
        """A step at a time, as the whole run does not tell the membranes in between."""
        shown = require(self.program, ShowsConnections, "NeuroBench's figures")
        states: States | None = None
        spikes: dict[str, list[Integers]] = {each.layer: [] for each in self.populations}
        membranes: dict[str, list[Integers]] = {each.layer: [] for each in self.populations}
        for step in range(frames.shape[1]):
            trace = self.program.run(frames[:, step : step + 1], self.semantics, states=states)
            states = trace.states
            for each in self.populations:
                spikes[each.layer].append(trace.spikes[each.layer])
                membranes[each.layer].append(states[each.layer][each.membrane])
        sent = {name: np.concatenate(parts, axis=1) for name, parts in spikes.items()}
        return Ran(sent, shown.reaching(frames, sent), membranes)


@dataclass(frozen=True, eq=False)
class Trained:
    """The float network: its convolutions and linear layers, and its neurons; weights and biases in float32."""

    network: Network
    connections: Sequence[Connection] = field(init=False)
    populations: Sequence[Population] = field(init=False)

    __repr__ = record_repr

    def __post_init__(self) -> None:
        shapes, biases = self.network.shapes(), {}
        connections, populations = [], []
        for layer in self.network.layers:
            if isinstance(layer.op, (Conv1d, Conv2d, Linear)):
                connections.append(Connection(layer.name, layer.op, shapes[layer.inputs[0]], layer.op.weight))
                biases[layer.name] = layer.op.bias
            elif isinstance(layer.op, (IntegrateAndFire, LeakyIntegrateAndFire)):
                populations.append(Population(layer.name, shapes[layer.name], "v_mem", {}))
        stored = {f"{name}.bias": bias for name, bias in biases.items() if bias is not None}
        if populations and stored:
            populations[0] = Population(populations[0].layer, populations[0].shape, "v_mem", stored)
        object.__setattr__(self, "connections", tuple(connections))
        object.__setattr__(self, "populations", tuple(populations))

    def run(self, frames: Integers) -> Ran:
        """A step at a time, as the whole run does not tell the membranes in between."""
        sources = {layer.name: layer.inputs[0] for layer in self.network.layers}
        feeding = [sources[each.layer] for each in self.connections]
        keep = {*feeding, *(each.layer for each in self.populations)} - {INPUT}
        parts: dict[str, list[Values]] = {name: [] for name in keep}
        membranes: dict[str, list[Values]] = {each.layer: [] for each in self.populations}
        states = None
        for step in range(frames.shape[1]):
            trace = self.network.run(frames[:, step : step + 1], states, keep=keep)
            states = trace.states
            for name in keep:
                parts[name].append(trace.layers[name])
            for each in self.populations:
                membranes[each.layer].append(states[each.layer][each.membrane])
        layers = {INPUT: frames, **{name: np.concatenate(rows, axis=1) for name, rows in parts.items()}}
        return Ran(
            {each.layer: layers[each.layer] for each in self.populations}, [layers[n] for n in feeding], membranes
        )


def neurobench_figures(
    subject: Subject, frames: Integers, progress: Callable[[int, int], None] | None = None
) -> dict[str, Any]:
    """Footprint, sparsity, operations and membrane updates, under the package's names; counts are means a sample.

    `Footprint` is in bytes, each array in whole bytes a value; `ActivationSparsity` and `ConnectionSparsity` are shares
    of zeros.

    Args:
        frames: [N, T, *input_shape].
        progress: called with (samples done, samples in all).

    Raises:
        InputError: no samples, or no neurons.
    """
    if not len(frames):
        raise InputError("there are no samples to count on: give at least one")
    reaches, total = [reach(each) for each in subject.connections], Counted()
    for start, batch in _batches(frames):
        ran = subject.run(batch)
        total = total + count(subject.populations, ran.spikes, reaches, ran.given, ran.membranes)
        if progress is not None:
            progress(start + len(batch), len(frames))
    weights = sum(each.stored.size for each in subject.connections)
    zeros = sum(int(each.stored.size - np.count_nonzero(each.stored)) for each in subject.connections)
    held = [each.stored for each in subject.connections]
    held += [array for each in subject.populations for array in each.stored.values()]
    sent = sum(total.sent.values())
    return {
        "Footprint": sum(array.nbytes for array in held),
        "ParameterCount": sum(array.size for array in held),
        "ConnectionSparsity": round(zeros / weights, 4) if weights else None,
        "ActivationSparsity": sum(total.zeros.values()) / sent,
        "ActivationSparsityByLayer": {name: total.zeros[name] / count for name, count in total.sent.items()},
        "SynapticOperations": {
            "Effective_MACs": total.macs / total.samples,
            "Effective_ACs": total.acs / total.samples,
            "Dense": total.dense / total.samples,
        },
        "MembraneUpdates": total.updates / total.samples,
    }


def _batches(frames: Integers) -> Iterator[tuple[int, Integers]]:
    for start in range(0, len(frames), BATCH):
        yield start, frames[start : start + BATCH]
