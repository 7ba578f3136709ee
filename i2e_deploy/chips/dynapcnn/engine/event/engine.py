"""The fast event engine: equal to `reference.event` on every input.

Neurons that one event reaches are independent of each other, so they are updated in runs of contiguous lanes, in
whatever order suits; only the spikes that one event causes are put in the order of the sweep afterwards.

There are two ways to work through a part of the events. The quick one (`event.blocks`) is for events that take no state
out of 16 bits; it stops after an event if the next one could. The other (`event.kernels.run_core`) knows
overflow, ticks and weights of 0 that touch; it does the part in which states are that high.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.dynapcnn.engine.event.blocks import (
    add_blocks,
    add_row_16,
    add_rows_2x16,
    add_rows_3x24,
    list_fired,
)
from i2e_deploy.chips.dynapcnn.engine.event.kernels import count_outside, run_core, write_spikes
from i2e_deploy.chips.dynapcnn.engine.geometry import (
    REACHED,
    SIZE,
    STATE,
    WEIGHT,
    Table,
    lay_out_bias,
    lay_out_state,
    lay_out_weights,
    padded_features,
    reach_tables,
    read_state,
    row_slots,
)
from i2e_deploy.chips.dynapcnn.program import CoreLayer, CoreNetwork
from i2e_deploy.chips.dynapcnn.reference.event import CoreState, EventRun, as_spikes, decimate, fresh_states, merge
from i2e_deploy.chips.dynapcnn.reference.event_options import EventOptions
from i2e_deploy.chips.dynapcnn.reference.spikes import SPIKE, STIMULUS, TICK, Spikes, Stimuli
from i2e_deploy.chips.trace import LayerCounts
from i2e_deploy.errors import InputError
from i2e_deploy.network import INPUT

LOW, HIGH = -(2**15), 2**15 - 1
#: The quick way: events of a part, and neurons that they may reach; with fewer events in a row it does not pay.
QUICK, REACH, FEW = 2**15, 2**21, 2**8
#: The way for any states: events of a part, spikes of a part.
CHUNK, ROOM = 2**13, 2**16
Ints = NDArray[np.int32]
#: Works through the first of the events (as words), adds to the totals (pixels reached, overflows): how many events
#: that were; event and neuron of each spike.
Work = Callable[[NDArray[np.uint16], NDArray[np.int64]], tuple[int, Ints, Ints]]


class _Core(NamedTuple):
    """What the kernels need to know of a core, see `event.blocks` and `event.kernels`; tables are for what arrives."""

    reach: tuple[Table, Table]
    tables: tuple[NDArray[np.int64], NDArray[np.int64]]
    weights: NDArray[np.int16]
    edge: tuple[int, int, int]
    row_steps: tuple[int, int]
    height: int
    length: int
    neurons: NDArray[np.int32]
    lanes: tuple[int, int, int, int]


class EventEngine:
    """A program made ready to run; keep it to run many samples. Its methods may be called from several threads."""

    def __init__(self, program: CoreNetwork, options: EventOptions) -> None:
        self.program, self.options = program, options
        self._cores = {layer.name: _core(program, layer, options) for layer in program.layers}

    def run(self, stimuli: Stimuli, states: Mapping[str, CoreState] | None = None) -> EventRun:
        """`reference.event.run_event_reference`.

        Raises:
            InputError: an address outside the plane that the cores see (after a sensor: what it lets through).
        """
        states = fresh_states(self.program) if states is None else states
        stimuli, plane = np.ascontiguousarray(stimuli, STIMULUS), self.program.shapes()[INPUT]
        outside = count_outside(*_words(stimuli), *plane[1:])
        if outside:
            raise InputError(f"{outside} events lie outside the input {plane} (C, H, W): drop them")
        by_cause = any(len(layer.sources) > 1 or layer.bias is not None for layer in self.program.layers)
        spikes, after, counts = {INPUT: as_spikes(stimuli) if by_cause else stimuli}, {}, {}
        for layer in self.program.layers:
            arrivals = self._arrivals(layer, spikes)
            fired, after[layer.name], counts[layer.name] = self._run_core(layer, arrivals, states[layer.name])
            spikes[layer.name] = decimate(layer, fired, states[layer.name].fired) if layer.decimation > 1 else fired
        del spikes[INPUT]
        return EventRun(spikes, after, counts)

    def _arrivals(self, layer: CoreLayer, spikes: Mapping[str, Spikes]) -> Spikes:
        """Unrouted where there is one source: the tables route then. Ticks do nothing without a bias."""
        if len(layer.sources) > 1:
            return merge(self.program, layer, spikes, self.options)
        name, arrivals = layer.sources[0].layer, spikes[layer.sources[0].layer]
        if layer.bias is None or name == INPUT:
            return arrivals
        ticks = spikes[INPUT][spikes[INPUT]["c"] == TICK]
        return np.insert(arrivals, np.searchsorted(arrivals["cause"], ticks["cause"]), ticks)

    def _run_core(self, layer: CoreLayer, arrivals: Spikes, state: CoreState) -> tuple[Spikes, CoreState, LayerCounts]:
        core, v, (words, size) = self._cores[layer.name], lay_out_state(layer, state.v_mem, np.int16), _words(arrivals)
        quick, any_states = _quick_core(layer, core, v, arrivals), _any_core(layer, core, v, size, self.options)
        bounded = self.options.zero_weights == "skip" and is_bounded(layer, state.v_mem)
        highest, pays, ends = _levels(layer)[-1], True, _parts(layer, arrivals)
        spikes, total, done, totals = np.empty(2 * len(arrivals) + 1024, SPIKE), 0, 0, np.zeros(2, np.int64)
        while done < len(arrivals):
            while ends[0] <= done:
                ends.pop(0)
            left, ticks = words[done * size : ends[0] * size], layer.bias is not None and arrivals["c"][done] == TICK
            use_quick = bounded and pays and not ticks and v.max() <= highest
            used, event_of, neuron_of = quick(left, totals) if use_quick else any_states(left, totals)
            pays = used >= min(FEW, ends[0] - done) or not use_quick
            spikes = _with_room(spikes, total, len(event_of))
            part = spikes[total : total + len(event_of)]
            write_spikes(left, size, done, event_of, neuron_of, core.lanes, part.view(np.uint16))
            if self.options.sweep != "pixel":
                part[:] = _sorted(part, event_of, self.options)
            done, total = done + used, total + len(part)
        spikes, (reached, over) = spikes[:total], totals.tolist()
        after = CoreState(read_state(layer, v), state.fired + len(spikes))
        return spikes, after, LayerCounts(len(spikes), reached * layer.output_shape[0], over)


def _parts(layer: CoreLayer, arrivals: Spikes) -> list[int]:
    """Where parts of the list end: with a bias, ticks are parts of their own."""
    if layer.bias is None:
        return [len(arrivals)]
    ticks = np.flatnonzero(arrivals["c"] == TICK)
    return [*np.unique(np.concatenate([ticks, ticks + 1])).tolist(), len(arrivals)]


def _quick_core(layer: CoreLayer, core: _Core, v: NDArray[np.int16], arrivals: Spikes) -> Work:
    """The quick way."""
    block, levels, mask_words = (*core.row_steps, core.height, core.length), _levels(layer), len(core.neurons) // 64
    small = {(1, 16): add_row_16, (2, 16): add_rows_2x16, (3, 24): add_rows_3x24}
    add = small.get((core.height, core.length), add_blocks)
    neurons, size = max(1, core.height * core.length), _words(arrivals)[1]
    events = min(QUICK, max(1, REACH // neurons), len(arrivals))
    masks, fired = np.zeros(events * mask_words, np.uint64), np.empty(events * mask_words, np.int32)
    event_of, neuron_of = np.empty(events * neurons, np.int32), np.empty(events * neurons, np.int32)

    def work(words: NDArray[np.uint16], totals: NDArray[np.int64]) -> tuple[int, Ints, Ints]:
        words = words[: events * size]
        used, reached = add(words, size, core.tables, core.edge, v, core.weights, block, levels, masks)
        totals[0] += reached
        count = list_fired(words[: used * size], size, core.tables, masks, core.neurons, fired, event_of, neuron_of)
        return used, event_of[:count], neuron_of[:count]

    return work


def _any_core(layer: CoreLayer, core: _Core, v: NDArray[np.int16], size: int, options: EventOptions) -> Work:
    """The way for any states."""
    block = (*core.row_steps, core.lanes[0], core.height * core.length)
    flags = (
        options.overflow == "saturate", options.zero_weights == "skip",
        layer.bias is not None, options.leak_fires == "yes",
    )  # fmt: skip
    levels, room = _levels(layer), max(ROOM, len(v), core.height * core.length)
    event_of, neuron_of = np.empty(room, np.int32), np.empty(room, np.int32)

    def work(words: NDArray[np.uint16], totals: NDArray[np.int64]) -> tuple[int, Ints, Ints]:
        words = words[: CHUNK * size]
        used, count = run_core(
            words, size, core.reach, core.edge, v, core.weights, block, levels, flags, event_of, neuron_of, totals
        )
        return used, event_of[:count], neuron_of[:count]

    return work


def is_bounded(layer: CoreLayer, v_mem: NDArray[np.int16]) -> bool:
    """True when no event takes a state below 16 bits, and no weight of 0 changes one; a tick may."""
    return bool(layer.min_v + int(layer.weight.min()) >= LOW and v_mem.min() >= layer.min_v)


def _levels(layer: CoreLayer) -> tuple[np.int16, ...]:
    """Lower bound, threshold - 1, most that a spike takes away, highest state that no weight overflows."""
    most = HIGH if layer.reset == "zero" else layer.threshold  # reset to zero takes away all there is
    highest = HIGH - max(0, int(layer.weight.max()))
    return np.int16(layer.min_v), np.int16(layer.threshold - 1), np.int16(most), np.int16(highest)


@lru_cache(maxsize=4)
def engine_of(program: CoreNetwork, options: EventOptions) -> EventEngine:
    """The engine of a program, kept for the next call."""
    return EventEngine(program, options)


def reach_words(table: Table) -> NDArray[np.int64]:
    """A reach table as two words a coordinate, flat: offset in states + offset in weights << 32, pixels reached.

    So one addition joins a row and a column, in states and in weights.
    """
    wide = table.astype(np.int64)
    return np.asarray(np.stack([wide[:, STATE] | wide[:, WEIGHT] << 32, wide[:, REACHED]], axis=1).reshape(-1))


def reciprocal(divisor: int) -> int:
    """`n * reciprocal(d) >> 40` is `n // d`, for n * d < 2^40."""
    return -(-(2**40) // divisor)


def _core(program: CoreNetwork, layer: CoreLayer, options: EventOptions) -> _Core:
    source = layer.sources[0]
    pool, shift, shape = source.pool, source.feature_shift, program.shapes()[source.layer]
    if len(layer.sources) > 1:  # `merge` has pooled and shifted them
        pool, shift, shape = (1, 1), 0, _merged_shape(program, layer)
    touch = options.zero_weights == "touch"
    rows, columns = reach_tables(layer, shape[1:], pool, options.outside_pool == "keep", exact=touch)
    weights, lanes, width = lay_out_weights(layer, np.int16), padded_features(layer), layer.output_shape[2]
    height, length = int(rows[:, SIZE].max()), int(columns[:, SIZE].max()) * lanes
    bits = np.arange(-(-max(1, height * length) // 64) * 64)
    return _Core(
        reach=(rows, columns),
        tables=(reach_words(rows), reach_words(columns)),
        weights=np.concatenate([weights, lay_out_bias(layer, np.int16)]),
        edge=(layer.weight.shape[1], len(weights) // layer.weight.shape[1], shift),
        row_steps=(width * lanes, row_slots(layer) * lanes),
        height=height,
        length=length,
        neurons=(bits // max(1, length) * width * lanes + bits % max(1, length)).astype(np.int32),
        lanes=(lanes, reciprocal(lanes), width, reciprocal(width)),
    )


def _merged_shape(program: CoreNetwork, layer: CoreLayer) -> tuple[int, int, int]:
    """Large enough for every routed address, those outside pooling windows included."""
    shapes = [(program.shapes()[source.layer], source.pool) for source in layer.sources]
    height = max(-(-shape[1] // pool[0]) for shape, pool in shapes)
    return layer.input_shape[0], height, max(-(-shape[2] // pool[1]) for shape, pool in shapes)


def _words(events: NDArray[np.void]) -> tuple[NDArray[np.uint16], int]:
    """A list of events as 16-bit words, and how many of them make one event."""
    return events.view(np.uint16), events.dtype.itemsize // 2


def _with_room(spikes: Spikes, count: int, more: int) -> Spikes:
    """The first `count` spikes, with room for more after them."""
    if count + more <= len(spikes):
        return spikes
    larger = np.empty(2 * (count + more), SPIKE)
    larger.view(np.uint8)[: count * SPIKE.itemsize] = spikes.view(np.uint8)[: count * SPIKE.itemsize]
    return larger


def _sorted(spikes: Spikes, event_of: NDArray[np.int32], options: EventOptions) -> Spikes:
    """Spikes of each event in the order of the sweep."""
    c, y, x = spikes["c"], spikes["y"], spikes["x"]
    return np.asarray(spikes[np.lexsort((x, y, c, event_of) if options.sweep == "feature" else (-c, -x, -y, event_of))])
