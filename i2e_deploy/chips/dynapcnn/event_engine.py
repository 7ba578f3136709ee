"""The fast event engine: equal to `event_reference` on every input.

Neurons that one event reaches are independent of each other, so they are updated in runs of contiguous lanes, in
whatever order suits; only the spikes that one event causes are put in the order of the sweep afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.dynapcnn.event_kernel import locate, number_stimuli, run_core, write_spikes
from i2e_deploy.chips.dynapcnn.event_options import EventOptions
from i2e_deploy.chips.dynapcnn.event_reference import CoreState, EventRun, decimate, fresh_states, merge
from i2e_deploy.chips.dynapcnn.geometry import (
    Table,
    lay_out_bias,
    lay_out_state,
    lay_out_weights,
    padded_features,
    reach_tables,
    read_state,
    row_slots,
)
from i2e_deploy.chips.dynapcnn.program import CoreLayer, DynapcnnProgram
from i2e_deploy.chips.dynapcnn.spikes import SPIKE, TICK, Spikes, Stimuli
from i2e_deploy.chips.trace import LayerCounts
from i2e_deploy.errors import InputError
from i2e_deploy.network import INPUT

LOW, HIGH = -(2**15), 2**15 - 1
#: Events that are worked through at a time, and spikes that they may cause: what fits the processor's cache.
CHUNK, ROOM = 2**13, 2**16


class _Edge(NamedTuple):
    """Numbers and tables for the kernels, in the coordinates of what arrives."""

    edge: tuple[int, ...]
    rows: Table
    columns: Table
    core: tuple[int, ...]


class EventEngine:
    """A program made ready to run; keep it to run many samples. Its methods may be called from several threads."""

    def __init__(self, program: DynapcnnProgram, options: EventOptions) -> None:
        self.program, self.options = program, options
        self._weights = {layer.name: _weights(layer) for layer in program.layers}
        self._edges = {layer.name: _edge(program, layer, options) for layer in program.layers}

    def run(self, stimuli: Stimuli, states: Mapping[str, CoreState] | None = None) -> EventRun:
        """`event_reference.run_event_reference`.

        Raises:
            InputError: an address outside the plane that the cores see (behind a sensor: what it lets through).
        """
        states = fresh_states(self.program) if states is None else states
        arrivals = np.empty(len(stimuli), SPIKE)
        plane = self.program.shapes()[INPUT]
        outside = number_stimuli(stimuli, arrivals, *plane[1:])
        if outside:
            raise InputError(f"{outside} events lie outside the input {plane} (C, H, W): drop them")
        spikes, after, counts = {INPUT: arrivals}, {}, {}
        for layer in self.program.layers:
            arrivals = self._arrivals(layer, spikes)
            fired, after[layer.name], counts[layer.name] = self._run_core(layer, arrivals, states[layer.name])
            spikes[layer.name] = decimate(layer, fired, states[layer.name].fired) if layer.decimation > 1 else fired
        del spikes[INPUT]
        return EventRun(spikes, after, counts)

    def _arrivals(self, layer: CoreLayer, spikes: Mapping[str, Spikes]) -> Spikes:
        """Unrouted where one source is all there is: the tables route then."""
        if len(layer.sources) > 1 or layer.bias is not None:
            return merge(self.program, layer, spikes, self.options)
        arrivals = spikes[layer.sources[0].layer]
        if layer.sources[0].layer == INPUT and self.program.has_bias:
            arrivals = arrivals[arrivals["c"] != TICK]
        return arrivals

    def _run_core(self, layer: CoreLayer, arrivals: Spikes, state: CoreState) -> tuple[Spikes, CoreState, LayerCounts]:
        options, (edge, rows, columns, core) = self.options, self._edges[layer.name]
        v, weights = lay_out_state(layer, state.v_mem, np.int16), self._weights[layer.name]
        flags = (
            layer.reset == "zero", is_safe(layer, state.v_mem), options.overflow == "saturate",
            options.zero_weights == "skip", options.leak_fires == "yes",
        )  # fmt: skip
        blocks, lanes, room = np.empty((CHUNK, 5), np.int32), padded_features(layer), max(ROOM, len(v))
        event_of, lane_of = np.empty(room, np.int32), np.empty(room, np.int32)
        spikes, total = np.empty(2 * len(arrivals) + 1024, SPIKE), 0
        totals, done = np.zeros(2, np.int64), 0
        while done < len(arrivals):
            chunk = arrivals[done : done + CHUNK]
            locate(chunk, edge, rows, columns, lanes, blocks)
            used, count = run_core(blocks[: len(chunk)], v, weights, core, flags, event_of, lane_of, totals)
            spikes = _with_room(spikes, total, count)
            part = spikes[total : total + count]
            write_spikes(chunk, event_of[:count], lane_of[:count], lanes, layer.output_shape[2], part)
            if options.sweep != "pixel":
                part[:] = _sorted(part, event_of[:count], options)
            done, total = done + used, total + count
        spikes, (reached, over) = spikes[:total], totals.tolist()
        after = CoreState(read_state(layer, v), state.fired + len(spikes))
        return spikes, after, LayerCounts(len(spikes), reached * layer.output_shape[0], over)


@lru_cache(maxsize=4)
def engine_of(program: DynapcnnProgram, options: EventOptions) -> EventEngine:
    """The engine of a program, kept for the next call."""
    return EventEngine(program, options)


def is_safe(layer: CoreLayer, v_mem: NDArray[np.int16]) -> bool:
    """True when no state can leave 16 bits and none stays at or above threshold after it fired.

    Below threshold a state rises to `threshold - 1 + w` at most; one threshold less is below threshold again
    if `w <= threshold`.
    """
    largest, smallest = int(layer.weight.max()), int(layer.weight.min())
    below = layer.bias is None and int(v_mem.max()) < layer.threshold and int(v_mem.min()) >= layer.min_v
    stays = layer.reset == "zero" or largest <= layer.threshold
    return below and stays and layer.threshold - 1 + largest <= HIGH and layer.min_v + smallest >= LOW


def _edge(program: DynapcnnProgram, layer: CoreLayer, options: EventOptions) -> _Edge:
    source = layer.sources[0]
    pool, shift, shape = source.pool, source.feature_shift, program.shapes()[source.layer]
    if len(layer.sources) > 1 or layer.bias is not None:  # `merge` has pooled and shifted them
        pool, shift, shape = (1, 1), 0, _merged_shape(program, layer)
    touch = options.zero_weights == "touch"
    rows, columns = reach_tables(layer, shape[1:], pool, options.outside_pool == "keep", exact=touch)
    channels, lanes = layer.weight.shape[1], padded_features(layer)
    edge = (channels, len(lay_out_weights(layer, np.int16)) // channels, shift)
    most = int(rows[:, 2].max() * columns[:, 2].max()) * lanes
    core = (layer.output_shape[2] * lanes, row_slots(layer) * lanes, lanes, most, layer.threshold, layer.min_v)
    return _Edge(edge, rows, columns, core)


def _weights(layer: CoreLayer) -> NDArray[np.int16]:
    """Weights, and behind them the bias."""
    return np.concatenate([lay_out_weights(layer, np.int16), lay_out_bias(layer, np.int16)])


def _merged_shape(program: DynapcnnProgram, layer: CoreLayer) -> tuple[int, int, int]:
    """Large enough for every routed address, those outside pooling windows included."""
    shapes = [(program.shapes()[source.layer], source.pool) for source in layer.sources]
    height = max(-(-shape[1] // pool[0]) for shape, pool in shapes)
    return layer.input_shape[0], height, max(-(-shape[2] // pool[1]) for shape, pool in shapes)


def _with_room(spikes: Spikes, count: int, more: int) -> Spikes:
    """The first `count` spikes, with room for more behind them."""
    if count + more <= len(spikes):
        return spikes
    larger = np.empty(2 * (count + more), SPIKE)
    larger.view(np.uint8)[: count * SPIKE.itemsize] = spikes.view(np.uint8)[: count * SPIKE.itemsize]
    return larger


def _sorted(spikes: Spikes, event_of: NDArray[np.int32], options: EventOptions) -> Spikes:
    """Spikes of each event in the order of the sweep."""
    c, y, x = spikes["c"], spikes["y"], spikes["x"]
    return np.asarray(spikes[np.lexsort((x, y, c, event_of) if options.sweep == "feature" else (-c, -x, -y, event_of))])
