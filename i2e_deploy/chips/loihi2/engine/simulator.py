"""The fast simulator: equal to the reference on every input.

A block of steps goes through layer after layer. Synapses sum rows of weights by a list of the events (cost falls with
activity) or, where many fire, of patterns; neurons run fused over time.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from i2e_deploy.chips.loihi2.engine.kernels import to_channel_last
from i2e_deploy.chips.loihi2.engine.plan import Array, LayerPlan, holds, plan_layers
from i2e_deploy.chips.loihi2.engine.population import Population
from i2e_deploy.chips.loihi2.engine.synapses import deliver
from i2e_deploy.chips.loihi2.engine.workers import Workers
from i2e_deploy.chips.loihi2.program import BlockNetwork
from i2e_deploy.chips.loihi2.reference.counts import LoihiCounts
from i2e_deploy.chips.loihi2.reference.layers import layers_of
from i2e_deploy.chips.trace import States, Trace
from i2e_deploy.errors import InputError

#: Bytes of currents and messages that the largest layer may take in one block: well inside the last-level cache.
BLOCK_BYTES = 2**22


class Stream:
    """A running program: state and currents in flight are kept from call to call.

    Args:
        network: the program's blocks.
        samples: B, simulated side by side.
        semantics: see `LoihiProgram.run`.
        threads: worker threads; None = all cores.
        states: see `start`.
        resumes: `start` will be given states that runs of this network left: plan for them.
    """

    def __init__(
        self,
        network: BlockNetwork,
        samples: int = 1,
        semantics: str = "chip",
        threads: int | None = None,
        states: States | None = None,
        resumes: bool = False,
    ) -> None:
        self._network, self.layers, self.samples = network, layers_of(network, semantics), samples
        self._workers, self._resumes = Workers(threads), resumes
        self._prepare(states)
        self.start(states)

    def _prepare(self, states: States | None) -> None:
        network, samples = self._network, self.samples
        bits = tuple(block.message_bits for block in network.blocks)
        self.plans = plan_layers(self.layers, bits, states, self._resumes)
        largest = max(plan.layer.size * (np.dtype(plan.dtype).itemsize + 1) for plan in self.plans) * samples
        self.block = int(np.clip(BLOCK_BYTES // largest, 1, 256))
        self._shape = (samples, prod(network.input_shape))
        self._channels = network.input_shape[0] if len(network.input_shape) > 1 else 1
        inputs = prod(network.input_shape)
        dtype = np.uint8 if network.input_message_bits == 0 else np.int32
        self._given = np.zeros((samples, self.block, -(-inputs // 64) * 64), dtype)
        self.populations = [
            Population(plan, i, samples, self.block, self._workers) for i, plan in enumerate(self.plans)
        ]

    def start(self, states: States | None = None) -> None:
        """Go on from `Trace.states` of an earlier run, None: from all zero. Counts start at 0.

        Nothing is planned again, unless currents in flight are larger than was planned for.
        """
        if not holds(self.plans, states):
            self._prepare(states)
        self.t = max(population.start(states) for population in self.populations)

    def advance(self, frames: Array, record: dict[int, Array] | None = None) -> Array:
        """Run the next steps.

        Args:
            frames: [B, T, N], C outermost.
            record: by index of a layer an array int32 [B, T, *shape] to fill.

        Returns:
            int32 [B, T, N_out]: what the last layer sends.
        """
        if frames.ndim != 3 or frames.shape[::2] != self._shape:
            expected = f"[{self._shape[0]}, T, {self._shape[1]}]"
            raise InputError(f"frames have shape {list(frames.shape)}, expected {expected}")
        last, length = len(self.plans) - 1, frames.shape[1]
        out = np.empty((self.samples, length, self.populations[last].size), np.int32)
        wanted = [(last, out), *((i, x.reshape(*x.shape[:2], -1)) for i, x in (record or {}).items())]
        for start in range(0, length, self.block):
            stop = min(length, start + self.block)
            sent = self._steps(np.ascontiguousarray(frames[:, start:stop]))
            for i, target in wanted:
                target[:, start:stop] = in_file_order(sent[i], stop - start, self.plans[i])
        return out

    def _steps(self, frames: Array) -> dict[int, Array]:
        to_channel_last(frames, self._given, self._channels)
        sent, steps = {-1: self._given}, frames.shape[1]
        for i, population in enumerate(self.populations):
            sent[i], lone = population.sent, population.lone
            if lone is not None and lone.kind == "direct":
                population.update(0, steps, self.t + 1, sent[lone.wire.source])
            elif lone is not None and steps == 1:
                population.update(0, 1, self.t + 1)
                source = sent[lone.wire.source]  # what arrived is used up: its place is free
                population.synops += deliver(lone, source, 0, 1, population, 0, True)
            else:
                self._layer(population, sent, steps)
        self.t += steps
        return sent

    def _layer(self, population: Population, sent: dict[int, Array], steps: int) -> None:
        for wire in population.plan.wires:
            source = sent[wire.wire.source]
            if wire.kind == "direct":
                population.add(wire, source[:, :steps])
            elif wire not in population.late:
                fresh = wire is population.lone
                population.synops += deliver(wire, source, 0, steps, population, 1, fresh)
        if population.late:
            for t in range(steps):
                population.update(t, t + 1, self.t + 1)
                for wire in population.late:
                    population.synops += deliver(wire, population.sent, t, 1, population, t + 1)
        else:
            population.update(0, steps, self.t + 1)
        population.end(steps)

    def counts(self) -> dict[str, LoihiCounts]:
        """Totals since the start, by layer."""
        return {p.plan.layer.name: p.counts() for p in self.populations}

    def states(self) -> dict[str, dict[str, Array]]:
        """State variables of each layer, int64 [B, *shape]."""
        return {p.plan.layer.name: p.state_arrays(self.t) for p in self.populations}


def in_file_order(messages: Array, steps: int, plan: LayerPlan) -> Any:
    """Channel-last messages [B, block, N and padding] as (C, H, W), flat: [B, T, N]."""
    shape, size = plan.layer.shape, len(plan.order)
    rows = messages[:, :steps, :size]
    if len(shape) < 3:
        return rows
    return rows.reshape(*rows.shape[:2], *shape[1:], shape[0]).transpose(0, 1, 4, 2, 3).reshape(*rows.shape[:2], size)


def run_engine(network: BlockNetwork, frames: Array, semantics: str, states: States | None = None) -> Trace:
    """As `run_reference`, fast."""
    samples, steps = frames.shape[:2]
    stream = Stream(network, samples, semantics, states=states)
    layers = [plan.layer for plan in stream.plans]
    record = {i: np.empty((samples, steps, *layer.shape), np.int32) for i, layer in enumerate(layers)}
    output = stream.advance(frames, record)
    spikes = {layer.name: record[i] for i, layer in enumerate(layers)}
    return Trace(spikes, stream.states(), output, stream.counts(), deciding=network.deciding)
