"""The neurons of one layer in the engine: state, currents in flight, messages of the current block of steps."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np

from i2e_deploy.chips.loihi2.engine import neuron_kernels
from i2e_deploy.chips.loihi2.engine.plan import Array, LayerPlan, WirePlan
from i2e_deploy.chips.loihi2.engine.programmable_kernel import options_of, programmable, shifted
from i2e_deploy.chips.loihi2.engine.relay_kernel import relay
from i2e_deploy.chips.loihi2.engine.workers import Workers, worthwhile
from i2e_deploy.chips.loihi2.program import CubaLif, Delta, Resonator, Sigma, SigmaDelta
from i2e_deploy.chips.loihi2.programmable import ProgrammableLif
from i2e_deploy.chips.loihi2.reference.counts import LoihiCounts
from i2e_deploy.chips.loihi2.reference.neurons import State, final, fresh, update
from i2e_deploy.chips.loihi2.relay import Relay
from i2e_deploy.chips.trace import States

_SIGMA = ("sigma", "act", "residue")
_MODES = {Delta: 0, SigmaDelta: 1, Sigma: 2}


class Population:
    """Arrays are channel-last; rows of messages are padded to a multiple of 64 neurons with zeros."""

    def __init__(self, plan: LayerPlan, index: int, samples: int, block: int, workers: Workers) -> None:
        layer = plan.layer
        self.plan, self.neuron, self.size, self.workers = plan, layer.neuron, layer.size, workers
        padded = -(-layer.size // 64) * 64
        self.sent = np.zeros((samples, block, padded), np.int32 if plan.graded else np.uint8)
        parts = 2 if isinstance(layer.neuron, Resonator) else 1
        #: The only wire, if its currents arrive in the same step or all in the next: they need not be added up.
        alone = len(plan.wires) == 1 and not plan.wires[0].delayed and plan.wires[0].wire.source != index
        self.lone = plan.wires[0] if alone else None
        rows = 0 if self.lone is not None and self.lone.kind == "direct" else block + plan.depth
        #: What it sends itself arrives in later steps: these follow each update.
        self.late = tuple(wire for wire in plan.wires if wire.wire.source == index)
        self._current: list[Array] = [np.zeros((samples, rows, layer.size), plan.dtype) for _ in range(parts)]
        self._slow: State | None = None
        self.state = {k: np.zeros((samples, layer.size), np.int32) for k in layer.neuron.variables}
        self._reset = layer.neuron.reset
        self._arguments = self._prepare()
        self._totals = [np.zeros(7, np.int64) for _ in range(workers.threads)]
        self.start(None)

    def _prepare(self) -> tuple[Any, ...]:
        """What the kernel takes beside currents, steps and messages."""
        neuron, bias = self.neuron, self.plan.bias
        if isinstance(neuron, CubaLif):
            keep = [self._kept(4096 - decay) for decay in (neuron.current_decay, neuron.voltage_decay)]
            largest = int(np.abs(bias.astype(np.int64)).max(initial=0))
            return *self.state.values(), *keep, min(neuron.threshold << 6, 2**31 - 1), bias, largest
        if isinstance(neuron, ProgrammableLif):
            keep = [self._kept(4096 - decay) for decay in (neuron.current_decay, neuron.voltage_decay)]
            adapts = self._kept(4096 - neuron.adaptation_decay)
            levels = [self._kept(shifted(x)) for x in (neuron.threshold, neuron.reset_value, neuron.lowest)]
            step = self._kept(shifted(neuron.adaptation_step))
            return *self.state.values(), *keep, *levels, adapts, step, bias, options_of(neuron)
        if isinstance(neuron, Relay):
            bounds = (self._kept(neuron.lowest), self._kept(neuron.highest))
            return *self.state.values(), *bounds, bias, neuron.shift, 2 ** (neuron.bits - 1) - 1
        if isinstance(neuron, Resonator):
            return ()
        shift, none = getattr(neuron, "spike_exp", 0) + 6, np.zeros((1, 1), np.int32)
        threshold = ((getattr(neuron, "threshold", 0) << shift) + 2**31) % 2**32 - 2**31
        return *(self.state.get(name, none) for name in _SIGMA), threshold, bias, _MODES[type(neuron)], shift

    def _kept(self, values: Any) -> Any:
        if values.size > 1:
            values = self.plan.layer.per_neuron(values)[self.plan.order]
        return np.ascontiguousarray(values.astype(np.int32))

    def currents(self, imag: bool) -> Array:
        """[B, T + depth, N]: row t arrives in step t of the block."""
        return self._current[int(imag)]

    def end(self, steps: int) -> None:
        """Currents still in flight move to the front; the rest becomes zero where currents are added up."""
        for current in self._current:
            depth = self.plan.depth
            current[:, :depth] = current[:, steps : steps + depth].copy()
            if self.lone is None:
                current[:, depth : steps + depth] = 0

    def add(self, wire: WirePlan, sent: Array) -> None:
        """A direct wire beside others: what the source sends arrives in the same step."""
        values = sent[:, :, : self.size]
        values = values if wire.wire.graded or wire.wire.source < 0 else (values != 0)
        self.currents(wire.wire.imag)[:, : values.shape[1]] += values.astype(self.plan.dtype)

    def update(self, start: int, stop: int, first: int, only: Array | None = None) -> None:
        """Steps start..stop of the block, the block's step 0 being step `first` of the run (from 1).

        `only`: messages that are the currents, where nothing else feeds the layer.
        """
        current = self._current[0] if only is None else only
        if isinstance(self.neuron, CubaLif):
            bound = self.plan.bound if only is None else -1
            for lo, hi in self._between_resets(start, stop, first):
                self._run(neuron_kernels.cuba, current, lo, hi, bound)
        elif isinstance(self.neuron, ProgrammableLif):
            for lo, hi in self._between_resets(start, stop, first):
                self._run(programmable, current, lo, hi)
        elif isinstance(self.neuron, Relay):
            self._run(relay, current, start, stop)
        elif isinstance(self.neuron, Resonator):
            self._resonator(start, stop, first)
            self.spikes += int(np.count_nonzero(self.sent[:, start:stop]))
        else:
            self._run(neuron_kernels.sigma_delta, current, start, stop)

    def _between_resets(self, start: int, stop: int, first: int) -> Iterator[tuple[int, int]]:
        """Ranges of steps; the state is reset before those that begin with a reset."""
        if self._reset is None:
            yield start, stop
            return
        interval, offset = self._reset.interval, self._reset.offset
        at = range(start + (offset - first - start) % interval, stop, interval)
        for lo, hi in pairwise(sorted({start, stop, *at})):
            for state in self.state.values() if lo in at else ():
                state[:] = 0
            yield lo, hi

    def _run(self, kernel: Any, current: Array, start: int, stop: int, *bound: int) -> None:
        arguments = (current, start, stop, *self._arguments, *bound, self.sent)
        if not worthwhile((stop - start) * len(current) * self.size):
            kernel(*arguments, 0, self.size, self._totals[0])
            return

        def run(lo: int, hi: int, part: int) -> int:
            kernel(*arguments, lo, hi, self._totals[part])
            return 0

        self.workers.split(run, self.size, neuron_kernels.BLOCK)

    def _resonator(self, start: int, stop: int, first: int) -> None:
        """The definition itself: resonators are used in small dense layers."""
        assert self._slow is not None
        real, imag = (current[:, start:stop].astype(np.int64).swapaxes(0, 1) for current in self._current)
        for t, *currents in zip(range(start, stop), real, imag, strict=True):
            self.sent[:, t, : self.size] = update(self.plan.layer, self._slow, first + t, *currents)

    def counts(self) -> LoihiCounts:
        """Totals since the start."""
        if self._slow is not None:
            return LoihiCounts(
                self.spikes, self.synops, self._slow.saturations, self._slow.wraps, dict(self._slow.peaks)
            )
        wraps, saturations, spikes = (int(x) for x in np.sum(self._totals, axis=0)[:3])
        names = self.neuron.variables if isinstance(self.neuron, (CubaLif, ProgrammableLif, Relay)) else _SIGMA
        largest = dict(zip(names, np.max(self._totals, axis=0)[3:], strict=False))
        return LoihiCounts(spikes, self.synops, saturations, wraps, {name: int(largest[name]) for name in self.state})

    def start(self, states: States | None) -> int:
        """Go on from where an earlier run ended, None: all zero. Counts start at 0.

        Returns the step, 0 where it does not matter.
        """
        layer, order = self.plan.layer, self.plan.order
        self.synops = self.spikes = 0
        for values in (*self._totals, *self.state.values(), *(x[:, : self.plan.depth] for x in self._current)):
            values[:] = 0
        if states is None and not isinstance(layer.neuron, Resonator):
            return 0
        state = fresh(layer, len(self.sent), states)
        if isinstance(layer.neuron, Resonator):
            self._slow = state
        for name, values in self.state.items():
            values[:] = state.variables[name][:, order]
        for current, arriving in zip(self._current, state.in_flight, strict=False):
            if current.shape[1]:
                current[:, : arriving.shape[1]] = arriving[:, :, order]
        return state.t

    def state_arrays(self, t: int) -> dict[str, Array]:
        """What a trace holds after step t; see `neurons.final`."""
        layer, order = self.plan.layer, self.plan.order
        state = self._slow or fresh(layer, len(self.sent))
        state.t = t
        for name, values in self.state.items() if self._slow is None else ():
            state.variables[name][:, order] = values
        for current, arriving in zip(self._current, state.in_flight, strict=False):
            if current.shape[1]:
                arriving[:, :, order] = current[:, : arriving.shape[1]]
        return final(layer, state)
