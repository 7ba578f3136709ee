"""The neurons of one layer in the engine: state, currents in flight, messages of the current block of steps."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from i2e_deploy.chips.loihi2 import neuron_kernels
from i2e_deploy.chips.loihi2.neurons import VARIABLES, final, fresh, update
from i2e_deploy.chips.loihi2.plan import Array, LayerPlan, WirePlan
from i2e_deploy.chips.loihi2.workers import Workers
from i2e_deploy.chips.trace import LayerCounts, States
from i2e_deploy.network.blocks import CubaLif, Delta, Resonator, Sigma, SigmaDelta

_MODES = {Delta: 0, SigmaDelta: 1, Sigma: 2}


class Population:
    """Arrays are channel-last; rows of messages are padded to a multiple of 64 neurons with zeros."""

    def __init__(self, plan: LayerPlan, index: int, samples: int, block: int) -> None:
        layer = plan.layer
        self.plan, self.neuron, self.size = plan, layer.neuron, layer.size
        padded = -(-layer.size // 64) * 64
        self.sent = np.zeros((samples, block, padded), np.int32 if plan.graded else np.uint8)
        parts = 2 if isinstance(layer.neuron, Resonator) else 1
        #: The only wire, if its currents arrive in the same step or all in the next: they need not be added up.
        alone = len(plan.wires) == 1 and not plan.wires[0].delayed and plan.wires[0].wire.source != index
        self.lone = plan.wires[0] if alone else None
        rows = 0 if self.lone is not None and self.lone.kind == "direct" else block + plan.depth
        self._current: list[Array] = [np.zeros((samples, rows, layer.size), plan.dtype) for _ in range(parts)]
        self._slow = fresh(layer, samples) if isinstance(layer.neuron, Resonator) else None
        self.state = {k: np.zeros((samples, layer.size), np.int32) for k in VARIABLES[type(layer.neuron)]}
        if isinstance(layer.neuron, CubaLif):
            decays = (layer.neuron.current_decay, layer.neuron.voltage_decay)
            self._keep = [self._kept(4096 - decay) for decay in decays]
        self._largest_bias = int(np.abs(plan.bias.astype(np.int64)).max(initial=0))
        self.synops = self.spikes = self.wraps = self.saturations = 0
        self.peaks = dict.fromkeys(self.state, 0)

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

    def update(self, start: int, stop: int, first: int, only: Array | None, workers: Workers) -> None:
        """Steps start..stop of the block, the block's step 0 being step `first` of the run (from 1)."""
        current = self._current[0] if only is None else only
        if isinstance(self.neuron, CubaLif):
            for lo, hi in self._between_resets(start, stop, first):
                self._cuba(current, lo, hi, self.plan.bound if only is None else -1, workers)
        elif isinstance(self.neuron, Resonator):
            self._resonator(start, stop, first)
            self.spikes += int(np.count_nonzero(self.sent[:, start:stop]))
        else:
            self._sigma_delta(current, start, stop, workers)

    def _between_resets(self, start: int, stop: int, first: int) -> list[tuple[int, int]]:
        reset = self.neuron.reset if isinstance(self.neuron, CubaLif) else None
        if reset is None:
            return [(start, stop)]
        at = [t for t in range(start, stop) if (first + t) % reset.interval == reset.offset % reset.interval]
        edges = sorted({start, stop, *at})
        return [(-lo - 1 if lo in at else lo, hi) for lo, hi in pairwise(edges)]

    def _cuba(self, current: Array, lo: int, hi: int, bound: int, workers: Workers) -> None:
        assert isinstance(self.neuron, CubaLif)
        if lo < 0:  # a reset comes first
            lo = -lo - 1
            self.state["u"][:] = 0
            self.state["v"][:] = 0
        threshold = min(self.neuron.threshold << 6, 2**31 - 1)
        results = []

        def run(first: int, last: int) -> int:
            total = np.zeros(5, np.int64)
            neuron_kernels.cuba(
                current, lo, hi, self.state["u"], self.state["v"], *self._keep, threshold, self.plan.bias,
                self._largest_bias, bound, self.sent, first, last, total,
            )  # fmt: skip
            results.append(total)
            return 0

        work = (hi - lo) * self.state["u"].size * 1.0
        workers.split(run, self.size, work, neuron_kernels.BLOCK)
        for wraps, saturations, peak_u, peak_v, spikes in results:
            self.wraps += int(wraps)
            self.saturations += int(saturations)
            self.spikes += int(spikes)
            self.peaks["u"] = max(self.peaks["u"], int(peak_u))
            self.peaks["v"] = max(self.peaks["v"], int(peak_v))

    def _sigma_delta(self, current: Array, start: int, stop: int, workers: Workers) -> None:
        neuron = self.neuron
        mode, shift = _MODES[type(neuron)], getattr(neuron, "spike_exp", 0) + 6
        threshold = ((getattr(neuron, "threshold", 0) << shift) + 2**31) % 2**32 - 2**31
        none = np.zeros((1, 1), np.int32)
        arrays = [self.state.get(name, none) for name in ("sigma", "act", "residue")]
        results = []

        def run(first: int, last: int) -> int:
            total = np.zeros(5, np.int64)
            neuron_kernels.sigma_delta(
                current, start, stop, *arrays, threshold, self.plan.bias, mode, shift, self.sent, first, last, total
            )
            results.append(total)
            return 0

        work = (stop - start) * current.shape[0] * self.size * 3.0
        workers.split(run, self.size, work, neuron_kernels.BLOCK)
        for wraps, *peaks, spikes in results:
            self.wraps += int(wraps)
            self.spikes += int(spikes)
            for name, peak in zip(("sigma", "act", "residue"), peaks, strict=True):
                if name in self.peaks:
                    self.peaks[name] = max(self.peaks[name], int(peak))

    def _resonator(self, start: int, stop: int, first: int) -> None:
        """The definition itself: resonators stand in small dense layers."""
        assert self._slow is not None
        real, imag = (current.astype(np.int64) for current in self._current)
        for t in range(start, stop):
            self.sent[:, t, : self.size] = update(self.plan.layer, self._slow, first + t, real[:, t], imag[:, t])

    def counts(self) -> LayerCounts:
        """Totals since the start."""
        if self._slow is not None:
            return LayerCounts(
                self.spikes, self.synops, self._slow.saturations, self._slow.wraps, dict(self._slow.peaks)
            )
        return LayerCounts(self.spikes, self.synops, self.saturations, self.wraps, dict(self.peaks))

    def load(self, states: States) -> int:
        """Go on from where an earlier run ended; returns the step, 0 where it does not matter."""
        layer, order = self.plan.layer, self.plan.order
        state = fresh(layer, len(self.sent), states)
        if self._slow is not None:
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
