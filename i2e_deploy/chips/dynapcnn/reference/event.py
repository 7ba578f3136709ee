"""The definition of the asynchronous chip: slow, obvious, one event at a time.

Documented (Speck Dev Kit Datasheet, Aug 2023, 3.2.4.6; Sinabs' documentation "tips for training" and
"leak_neuron"): a core takes one event after the other. An event at (c, y, x) reaches every neuron (f, oy, ox) for which

    ky = y + padding - stride * oy  and  kx = x + padding - stride * ox

lie in the kernel, and adds weight[f, c, ky, kx] to its 16-bit state. The neuron then fires if its state is at or above
the threshold, once, whatever is left; the reset takes one threshold off or sets the state to zero; the state is held
at or above its lower bound. There is no step, and no bias: a bias is added to every neuron of the core at each tick
of the slow clock. A spike goes to each destination at once, its address divided by the pooling, its feature shifted.
What public text leaves open is in `EventOptions`.

The cores form a graph without loops, and each works through its events in order of arrival. So a core may be worked
through completely before the next: every spike carries the index of the stimulus that caused it, and
several sources of one core are merged by that index.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.dynapcnn.program import CoreLayer, CoreNetwork, Source
from i2e_deploy.chips.dynapcnn.reference.event_options import EventOptions
from i2e_deploy.chips.dynapcnn.reference.spikes import SPIKE, TICK, Spikes, Stimuli
from i2e_deploy.chips.trace import LayerCounts
from i2e_deploy.network import INPUT

LOW, HIGH = -(2**15), 2**15 - 1


@dataclass(frozen=True, eq=False)
class CoreState:
    """State of one core: `v_mem` int16 (C, H, W), and how often its neurons fired (the decimator counts them)."""

    v_mem: NDArray[np.int16]
    fired: int = 0


@dataclass(frozen=True, eq=False)
class EventRun:
    """One sample through the chip.

    Args:
        spikes: SPIKE arrays by layer, in the order in which they left the core, after its decimator.
        states: final state by layer; feed it back to go on.
        counts: by layer; the spikes of neurons, before the decimator.
    """

    spikes: Mapping[str, Spikes]
    states: Mapping[str, CoreState]
    counts: Mapping[str, LayerCounts]


def fresh_states(program: CoreNetwork) -> dict[str, CoreState]:
    """All neurons at zero, or where the program says that they start."""
    return {
        layer.name: CoreState(np.zeros(layer.output_shape, np.int16) if layer.initial is None else layer.initial.copy())
        for layer in program.layers
    }


def run_event_reference(
    program: CoreNetwork,
    stimuli: Stimuli,
    options: EventOptions,
    states: Mapping[str, CoreState] | None = None,
) -> EventRun:
    """Run one sample: STIMULUS array in order of injection, from `states` or from a fresh start."""
    states = fresh_states(program) if states is None else states
    spikes: dict[str, Spikes] = {INPUT: as_spikes(stimuli)}
    after: dict[str, CoreState] = {}
    counts: dict[str, LayerCounts] = {}
    for layer in program.layers:
        arrivals = merge(program, layer, spikes, options)
        fired, after[layer.name], counts[layer.name] = _run_core(layer, arrivals, states[layer.name], options)
        spikes[layer.name] = decimate(layer, fired, states[layer.name].fired)
    del spikes[INPUT]
    return EventRun(spikes, after, counts)


def as_spikes(stimuli: Stimuli) -> Spikes:
    """Stimuli with their index as cause."""
    spikes = np.empty(len(stimuli), SPIKE)
    for name in ("t", "c", "y", "x"):
        spikes[name] = stimuli[name]
    spikes["cause"] = np.arange(len(stimuli))
    return spikes


def merge(program: CoreNetwork, layer: CoreLayer, spikes: Mapping[str, Spikes], options: EventOptions) -> Spikes:
    """What arrives at a core, in order: ticks of the slow clock if it has a bias, and the spikes of its sources."""
    shapes = program.shapes()
    sources = layer.sources if options.merge == "listed" else layer.sources[::-1]
    parts = [route(source, spikes[source.layer], shapes[source.layer], options) for source in sources]
    if layer.bias is not None:
        parts.insert(0, spikes[INPUT][spikes[INPUT]["c"] == TICK])
    if len(parts) == 1:
        return parts[0]
    joined = np.concatenate(parts)
    return np.asarray(joined[np.argsort(joined["cause"], kind="stable")])


def route(source: Source, spikes: Spikes, shape: tuple[int, int, int], options: EventOptions) -> Spikes:
    """Spikes of a layer of that shape on their way to one destination: pooled and shifted."""
    routed, (ky, kx), (_, height, width) = spikes[spikes["c"] != TICK], source.pool, shape
    if options.outside_pool == "drop":
        routed = routed[(routed["y"] < height // ky * ky) & (routed["x"] < width // kx * kx)]
    routed["y"] //= ky
    routed["x"] //= kx
    routed["c"] += source.feature_shift
    return np.asarray(routed)


def decimate(layer: CoreLayer, spikes: Spikes, fired_before: int) -> Spikes:
    """Every `decimation`-th spike; that the last of each group passes is an assumption."""
    index = fired_before + 1 + np.arange(len(spikes))
    return np.asarray(spikes[index % layer.decimation == 0])


def _run_core(
    layer: CoreLayer, arrivals: Spikes, state: CoreState, options: EventOptions
) -> tuple[Spikes, CoreState, LayerCounts]:
    """Work through the events one at a time."""
    v, out, synops, saturations = state.v_mem.astype(np.int64), [], 0, 0
    for t, cause, c, y, x in arrivals.tolist():
        reached = _sweep(list(_tick(layer) if c == TICK else _reached(layer, c, y, x)), options)
        synops += 0 if c == TICK else len(reached)
        for f, oy, ox, weight in reached:
            if weight == 0 and options.zero_weights == "skip":
                continue
            total = int(v[f, oy, ox]) + weight
            saturations += not LOW <= total <= HIGH
            value = max(_in_16_bits(total, options), layer.min_v)
            if value >= layer.threshold and (c != TICK or options.leak_fires == "yes"):
                value = 0 if layer.reset == "zero" else value - layer.threshold
                out.append((t, cause, f, oy, ox))
            v[f, oy, ox] = value
    spikes = np.array(out, SPIKE)
    return (
        spikes,
        CoreState(v.astype(np.int16), state.fired + len(spikes)),
        LayerCounts(len(spikes), synops, saturations),
    )


def _reached(layer: CoreLayer, c: int, y: int, x: int) -> Iterator[tuple[int, int, int, int]]:
    """(feature, y, x, weight) of every neuron that an event reaches, in pixel order."""
    features, channels, kh, kw = layer.weight.shape
    (sy, sx), (py, px), (_, height, width) = layer.stride, layer.padding, layer.output_shape
    if not 0 <= c < channels:
        return
    for oy in range(height):
        for ox in range(width):
            ky, kx = y + py - sy * oy, x + px - sx * ox
            if 0 <= ky < kh and 0 <= kx < kw:
                for f in range(features):
                    yield f, oy, ox, int(layer.weight[f, c, ky, kx])


def _tick(layer: CoreLayer) -> Iterator[tuple[int, int, int, int]]:
    """Every neuron with its bias, in pixel order."""
    assert layer.bias is not None
    features, height, width = layer.output_shape
    for oy in range(height):
        for ox in range(width):
            for f in range(features):
                yield f, oy, ox, int(layer.bias[f])


def _sweep(reached: list[tuple[int, int, int, int]], options: EventOptions) -> list[tuple[int, int, int, int]]:
    if options.sweep == "feature":
        return sorted(reached)
    return reached[::-1] if options.sweep == "reverse" else reached


def _in_16_bits(value: int, options: EventOptions) -> int:
    if options.overflow == "wrap":
        return (value - LOW) % 2**16 + LOW
    return min(max(value, LOW), HIGH)
