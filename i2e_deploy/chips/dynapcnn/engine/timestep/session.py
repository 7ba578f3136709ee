"""A time-stepped session: one step of one sample at a time, without the set-up that `DynapcnnProgram.run` pays a call.

Equal to `reference.run_reference` step by step. States and sums are 32-bit; a step in which a sum could leave them is
undone and run by the program itself.
"""
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numba
import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.dynapcnn.engine.geometry import (
    REACHED,
    SIZE,
    STATE,
    WEIGHT,
    lay_out_state,
    lay_out_weights,
    padded_features,
    reach_tables,
    read_state,
    row_slots,
)
from i2e_deploy.chips.dynapcnn.engine.timestep.engine import run_engine
from i2e_deploy.chips.dynapcnn.program import CoreLayer, Source
from i2e_deploy.chips.frames import check_frames
from i2e_deploy.chips.session import Session
from i2e_deploy.chips.trace import Integers, LayerCounts, States
from i2e_deploy.network import INPUT

if TYPE_CHECKING:
    from i2e_deploy.chips.dynapcnn.program import CoreNetwork

_LIMIT = 2**31
Counts = NDArray[np.int32]


class _Core:
    """One core's numbers, and its place in the session's arrays.

    Args:
        layer: the core.
        shapes: (C, H, W) of the input and of every layer.
        v: int32, flat, see `geometry`: the state.
    """

    def __init__(self, layer: CoreLayer, shapes: dict[str, tuple[int, int, int]], v: Counts) -> None:
        (features, height, width), lanes = layer.output_shape, padded_features(layer)
        self.layer, self.v, self.by_pixel = layer, v, v.reshape(height * width, lanes)
        self.spikes = np.zeros((height, width, lanes), np.int32)
        self.flat_spikes = self.spikes.reshape(height * width, lanes)
        self.weights = lay_out_weights(layer, np.int32)
        self.bias = np.zeros(features, np.int32) if layer.bias is None else layer.bias.astype(np.int32)
        self.most = _LIMIT - 1 if layer.max_spikes is None else layer.max_spikes
        self.edges = [(s.layer, *_edge(layer, s, shapes[s.layer])) for s in layer.sources]
        # the largest sum that arrivals of at most one spike make, and what the bias adds
        pooled = sum(prod(source.pool) for source in layer.sources)
        self.reach = pooled * int(np.abs(layer.weight.astype(np.int64)).sum(axis=(1, 2, 3)).max())
        self.offset = 0 if layer.bias is None else int(np.abs(layer.bias.astype(np.int64)).max())
        self.largest, self.peak = 0, 0
        self.totals = np.zeros(3, np.int64)

    def step(self, counts: dict[str, Counts], peak: int) -> bool:
        """Run one step on what arrives, at most `peak` spikes of one neuron; False, state undefined: does not fit."""
        if peak * self.reach + self.offset + self.largest >= _LIMIT:
            return False
        layer, synops = self.layer, 0
        for name, edge, rows, columns in self.edges:
            synops += layer.output_shape[0] * add_counts(counts[name], edge, rows, columns, self.v, self.weights)
        spikes, over, self.peak, self.largest = fire_counts(
            self.by_pixel, self.bias, layer.threshold, layer.min_v, self.most, layer.reset == "zero", self.flat_spikes
        )
        self.totals += (spikes, synops, over)
        return True


def _edge(layer: CoreLayer, source: Source, shape: tuple[int, int, int]) -> tuple[Any, Any, Any]:
    """Numbers and tables for `add_counts`."""
    channels, lanes = layer.weight.shape[1], padded_features(layer)
    arriving = min(shape[0], channels - source.feature_shift)
    steps = (layer.output_shape[2] * lanes, row_slots(layer) * lanes, lanes)
    numbers = (arriving, source.feature_shift, len(lay_out_weights(layer, np.int32)) // channels, *steps)
    return numbers, *reach_tables(layer, shape[1:], source.pool, keep_outside=False, exact=True)


class TimestepSession(Session):
    """See `Session`; for programs without decimators, semantics `timestep`."""

    def __init__(self, program: CoreNetwork) -> None:
        self._program = program
        shapes = program.shapes()
        sizes = [prod(layer.output_shape[1:]) * padded_features(layer) for layer in program.layers]
        self._v, self._before = (np.zeros(sum(sizes), np.int32) for _ in range(2))
        parts = np.split(self._v, np.cumsum(sizes)[:-1])
        self._cores = [_Core(layer, shapes, v) for layer, v in zip(program.layers, parts, strict=True)]
        channels, height, width = program.input_shape
        self._input = np.zeros((height, width, channels), np.int32)
        self._arriving = {INPUT: self._input, **{core.layer.name: core.spikes for core in self._cores}}
        self._outputs = [(source, shapes[source.layer][0]) for source in program.outputs]
        self._input_shape = program.input_shape
        self._wide: States | None = None

    def start(self, state: States | None = None) -> None:
        """See `Session.start`."""
        for core in self._cores:
            core.totals[:] = 0
        self._load(state)

    def state(self) -> States:
        """See `Session.state`."""
        return self._read_states() if self._wide is None else self._wide

    def step(self, frame: Integers) -> NDArray[np.int32]:
        """See `Session.step`."""
        check_frames(frame[None, None], self._input_shape)
        if self._wide is None:
            self._before[:] = self._v
            kept = [core.largest for core in self._cores], [core.totals.copy() for core in self._cores]
            if self._run(frame):
                return self._output()
            self._v[:] = self._before
            for core, largest, totals in zip(self._cores, *kept, strict=True):
                core.largest, core.totals = largest, totals
        return self._run_wide(frame)

    def counts(self) -> dict[str, LayerCounts]:
        """See `Session.counts`."""
        totals = {core.layer.name: map(int, core.totals) for core in self._cores}
        return {
            name: LayerCounts(spikes, synops, saturations) for name, (spikes, synops, saturations) in totals.items()
        }

    def _run(self, frame: Integers) -> bool:
        self._input[:] = frame.transpose(1, 2, 0)
        peaks = {INPUT: int(self._input.max())}
        for core in self._cores:
            if not core.step(self._arriving, max(peaks[name] for name, *_ in core.edges)):
                return False
            peaks[core.layer.name] = core.peak
        return True

    def _output(self) -> NDArray[np.int32]:
        """What leaves the network: int32 [N]."""
        parts = []
        for source, features in self._outputs:
            counts: Integers = self._arriving[source.layer][..., :features]
            ky, kx = source.pool
            if source.pool != (1, 1):
                height, width, _ = counts.shape
                counts = counts[: height // ky * ky, : width // kx * kx]
                counts = counts.reshape(height // ky, ky, width // kx, kx, features).sum(axis=(1, 3))
            parts.append(counts.transpose(2, 0, 1).reshape(-1).astype(np.int32))
        return np.concatenate(parts)

    def _run_wide(self, frame: Integers) -> NDArray[np.int32]:
        """One step through the program itself; after it back to 32 bits if they hold the state."""
        trace = run_engine(self._program, frame[None, None], self.state())
        for core in self._cores:
            count = trace.counts[core.layer.name]
            core.totals += (count.spikes, count.synops, count.saturations)
        self._load(trace.states)
        return np.asarray(trace.output[0, 0], np.int32)

    def _load(self, states: States | None) -> None:
        self._wide = None
        states = self._program.initial_states(1) if states is None else states
        for core in self._cores:
            v = None if states is None else states[core.layer.name]["v_mem"][0]
            core.largest = 0 if v is None else int(np.abs(v).max())
            if core.largest >= _LIMIT:
                self._wide = states
                return
            core.v[:] = 0 if v is None else lay_out_state(core.layer, v, np.int32)

    def _read_states(self) -> States:
        return {
            core.layer.name: {"v_mem": read_state(core.layer, core.v).astype(np.int64)[None]} for core in self._cores
        }


@numba.njit(cache=True, nogil=True, boundscheck=False)
def add_counts(counts, edge, rows, columns, v, w):
    """Add the weights of all spikes of a source to the states that they reach; pixels reached.

    Args:
        counts: int32 [H, W, lanes], spikes of the source.
        edge: channels of the source that reach the core, feature shift, weights of a channel, states from one row to
            the next, weights from one to the next, lanes of the core.
        rows, columns: see `geometry.reach_tables`.
        v, w: int32, flat, see `geometry`.
    """
    channels, shift, channel_weights, row_states, row_weights, lanes = edge
    reached = 0
    for y in range(counts.shape[0]):
        if rows[y, SIZE] == 0:
            continue
        for x in range(counts.shape[1]):
            length = columns[x, SIZE] * lanes
            if length == 0:
                continue
            for c in range(channels):
                n = counts[y, x, c]
                if n == 0:
                    continue
                i = rows[y, STATE] + columns[x, STATE]
                k = (c + shift) * channel_weights + rows[y, WEIGHT] + columns[x, WEIGHT]
                for _ in range(rows[y, SIZE]):
                    to, weights = v[i : i + length], w[k : k + length]
                    for j in range(length):
                        to[j] += n * weights[j]
                    i += row_states
                    k += row_weights
                reached += np.int64(n) * rows[y, REACHED] * columns[x, REACHED]
    return reached


@numba.njit(cache=True, nogil=True, boundscheck=False)
def fire_counts(v, bias, threshold, low, most, to_zero, counts):
    """All neurons once: bias, fire, reset, clamp.

    Args:
        v, counts: int32 [pixel, lane]; `counts` gets the spikes. Lanes after the features are not changed.
        bias: int32 [feature].
        threshold, low, most, to_zero: of the core; `most` spikes of a neuron in a step.

    Returns:
        (spikes, states outside 16 bits before the reset, most spikes of one neuron, largest |state| after it).
    """
    spikes, over, peak, largest = 0, 0, 0, 0
    for i in range(v.shape[0]):
        for j in range(bias.shape[0]):
            total = v[i, j] + bias[j]
            over += total < -32768 or total > 32767
            n = 0
            if total >= threshold:
                n = min(total // threshold, most)
                total = 0 if to_zero else total - n * threshold
                spikes += n
                peak = max(peak, n)
            total = max(total, low)
            largest = max(largest, abs(total))
            counts[i, j] = n
            v[i, j] = total
    return spikes, over, peak, largest
