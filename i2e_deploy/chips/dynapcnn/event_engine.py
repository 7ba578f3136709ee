"""The fast event engine: equal to `event_reference` on every input.

Neurons that one event reaches are independent of each other, so they are updated in runs of contiguous lanes, in
whatever order suits; only the spikes that one event causes are put in the order of the sweep afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.dynapcnn.event_kernel import run_core
from i2e_deploy.chips.dynapcnn.event_options import EventOptions
from i2e_deploy.chips.dynapcnn.event_reference import CoreState, EventRun, as_spikes, decimate, fresh_states, merge
from i2e_deploy.chips.dynapcnn.geometry import (
    geometry,
    lay_out_bias,
    lay_out_state,
    lay_out_weights,
    padded_features,
    read_state,
)
from i2e_deploy.chips.dynapcnn.program import CoreLayer, DynapcnnProgram
from i2e_deploy.chips.dynapcnn.spikes import SPIKE, TICK, Spikes, Stimuli
from i2e_deploy.chips.trace import LayerCounts
from i2e_deploy.network import INPUT

LOW, HIGH = -(2**15), 2**15 - 1
#: Spikes that the kernel writes before it hands them over.
ROOM = 2**16


class _Edge(NamedTuple):
    """Tables of what reaches a core from one source, in that source's own coordinates."""

    numbers: NDArray[np.int64]
    rows: NDArray[np.int32]
    columns: NDArray[np.int32]


class EventEngine:
    """A program made ready to run; keep it to run many samples. Its methods may be called from several threads."""

    def __init__(self, program: DynapcnnProgram, options: EventOptions) -> None:
        self.program, self.options = program, options
        self._weights = {layer.name: lay_out_weights(layer, np.int16) for layer in program.layers}
        self._edges = {layer.name: _edge(program, layer, options) for layer in program.layers}

    def run(self, stimuli: Stimuli, states: Mapping[str, CoreState] | None = None) -> EventRun:
        """`event_reference.run_event_reference`."""
        states = fresh_states(self.program) if states is None else states
        spikes: dict[str, Spikes] = {INPUT: as_spikes(stimuli)}
        after, counts = {}, {}
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
        options, edge = self.options, self._edges[layer.name]
        v = lay_out_state(layer, state.v_mem, np.int16)
        c, y, x = (np.ascontiguousarray(arrivals[name]) for name in "cyx")
        lanes = padded_features(layer)
        core = np.array(
            [layer.output_shape[2], lanes, layer.output_shape[0], layer.threshold, layer.min_v, layer.reset == "zero"],
            np.int64,
        )
        flags = np.array(
            [is_safe(layer, state.v_mem), options.overflow == "saturate", options.zero_weights == "skip",
             options.leak_fires == "yes"], np.bool_,
        )  # fmt: skip
        totals, parts, start = np.zeros(2, np.int64), [], 0
        room = max(ROOM, 2 * len(v), 2 * int(edge.numbers[1] * edge.numbers[2]))
        out: tuple[NDArray[Any], ...] = (np.empty(room, np.int32), *(np.empty(room, np.int16) for _ in range(3)))
        bias, weights = lay_out_bias(layer, np.int16), self._weights[layer.name]
        while start < len(c):
            start, count = run_core(
                start, c, y, x, v, weights, bias, edge.numbers, edge.rows, edge.columns, core, flags,
                out, totals,
            )  # fmt: skip
            parts.append(_as_spikes(arrivals, [column[:count] for column in out], options))
        spikes = np.concatenate(parts) if parts else np.empty(0, SPIKE)
        after = CoreState(read_state(layer, v), state.fired + len(spikes))
        return spikes, after, LayerCounts(len(spikes), int(totals[0]), int(totals[1]))


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
    tables = geometry(layer, shape, pool, shift, options.outside_pool == "keep")
    _, channels, kernel, _ = layer.weight.shape
    row_weights = layer.stride[1] * tables.taps * padded_features(layer)
    numbers = np.array([channels, kernel, row_weights, shift, layer.stride[0]], np.int64)
    axes = (np.stack([axis.first, axis.last, axis.tap]) for axis in (tables.rows, tables.columns))
    return _Edge(numbers, *axes)


def _merged_shape(program: DynapcnnProgram, layer: CoreLayer) -> tuple[int, int, int]:
    """Large enough for every routed address, those outside pooling windows included."""
    shapes = [(program.shapes()[source.layer], source.pool) for source in layer.sources]
    height = max(-(-shape[1] // pool[0]) for shape, pool in shapes)
    return layer.input_shape[0], height, max(-(-shape[2] // pool[1]) for shape, pool in shapes)


def _as_spikes(arrivals: Spikes, columns: list[NDArray[Any]], options: EventOptions) -> Spikes:
    """Spikes of consecutive events (event, c, y, x), in the order of the sweep."""
    event, c, y, x = columns
    if options.sweep != "pixel":
        keys = (x, y, c, event) if options.sweep == "feature" else (-c, -x, -y, event)
        order = np.lexsort(keys)
        event, c, y, x = event[order], c[order], y[order], x[order]
    spikes = np.empty(len(event), SPIKE)
    spikes["t"], spikes["cause"] = arrivals["t"][event], arrivals["cause"][event]
    spikes["c"], spikes["y"], spikes["x"] = c, y, x
    return spikes
