"""The chip of the fake board, as its configuration describes it, run by the `event` engine.

The program is read back from the configuration object, so that a wrong field there gives wrong spikes here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from i2e_deploy.chips.dynapcnn.engine.event.engine import EventEngine
from i2e_deploy.chips.dynapcnn.formats.config import DECIMATION
from i2e_deploy.chips.dynapcnn.peripherals import DESTINATION
from i2e_deploy.chips.dynapcnn.program import CoreLayer, CoreNetwork, Source
from i2e_deploy.chips.dynapcnn.reference.event import CoreState
from i2e_deploy.chips.dynapcnn.reference.event_options import EventOptions
from i2e_deploy.chips.dynapcnn.reference.spikes import STIMULUS, TICK, Spikes, Stimuli
from i2e_deploy.chips.dynapcnn.targets.board.fake.character import Character
from i2e_deploy.chips.dynapcnn.targets.board.fake.timing import Timing
from i2e_deploy.network import INPUT

#: (time, core, c, y, x) of a spike that leaves the chip.
Out = tuple[int, int, int, int, int]


class FakeChip:
    """Cores with their states, and stimuli that wait to be run together."""

    def __init__(self, configuration: Any, options: EventOptions, character: Character) -> None:
        self.layers = {core: _made(layer, character) for core, layer in _layers(configuration).items()}
        self.monitored = {core for core in self.layers if configuration.cnn_layers[core].monitor_enable}
        self._options, self._character, self._timing = options, character, Timing(character, options)
        self.spent_j = 0.0
        self._states = {
            core: CoreState(
                np.zeros(layer.output_shape, np.int16) if layer.initial is None else layer.initial.copy(),
                layer.decimation - 1 if character.passes == "first" else 0,
            )
            for core, layer in self.layers.items()
        }
        self._engines: dict[frozenset[int], EventEngine] = {}
        self._places = {core: places(layer) for core, layer in self.layers.items()}
        self._waiting: deque[tuple[set[int], tuple[int, int, int, int]]] = deque()
        self._inputs = {core for core, layer in self.layers.items() if not layer.sources}

    def inject(self, t: int, core: int, c: int, y: int, x: int) -> None:
        """An event from the host; the same event to several cores in a row is one stimulus."""
        stimulus = (t, c, y, x)
        if self._waiting and self._waiting[-1][1] == stimulus and core not in self._waiting[-1][0]:
            self._waiting[-1][0].add(core)
        else:
            self._waiting.append(({core}, stimulus))
        self._inputs.add(core)

    def inject_all(self, targets: set[int], stimuli: Stimuli) -> None:
        """Events of the camera, each to all of its destinations."""
        self._waiting.extend((targets, stimulus) for stimulus in stimuli.tolist())

    def tick(self, t: int) -> None:
        """The slow clock: every core with a bias adds it."""
        self._waiting.append((set(self._inputs), (t, TICK, 0, 0)))

    def run(self) -> list[Out]:
        """Run what waits; the spikes of monitored cores, in order of what caused them."""
        found: list[Out] = []
        while self._waiting:
            targets = frozenset(self._waiting[0][0])
            rows = []
            while self._waiting and self._waiting[0][0] == targets:
                rows.append(self._waiting.popleft()[1])
            found += self._run(targets, np.array(rows, STIMULUS))
        return found

    def rest(self) -> None:
        """All cores are idle."""
        self._timing = Timing(self._character, self._options)

    def read(self, core: int, address: int) -> int:
        """State of a neuron; 0 where none is."""
        self.run()
        place = self._places.get(core, {}).get(address)
        return 0 if place is None else int(self._states[core].v_mem[place])

    def write(self, core: int, address: int, value: int) -> None:
        """Set the state of a neuron."""
        place = self._places.get(core, {}).get(address)
        if place is not None:
            self._states[core].v_mem[place] = value

    def _run(self, targets: frozenset[int], stimuli: Any) -> list[Out]:
        if targets not in self._engines:
            self._engines[targets] = EventEngine(_fed(self.layers, targets), self._options)
        engine = self._engines[targets]
        cores = {layer.name: int(layer.name) for layer in engine.program.layers}
        done = engine.run(stimuli, {name: self._states[core] for name, core in cores.items()})
        self._states |= {core: done.states[name] for name, core in cores.items()}
        for counts in done.counts.values():
            self.spent_j += self._character.synop_j * counts.synops + self._character.spike_j * counts.spikes
        rows = [
            (cause, core, (t, core, c, y, x))
            for name, core in cores.items()
            if core in self.monitored
            for t, cause, c, y, x in done.spikes[name].tolist()
        ]
        if self._character.takes_time:
            return self._late(engine.program, stimuli, done.spikes, rows)
        return [row for _, _, row in sorted(rows, key=lambda row: row[0])]

    def _late(
        self, program: CoreNetwork, stimuli: Stimuli, spikes: Mapping[str, Spikes], rows: list[tuple[int, int, Out]]
    ) -> list[Out]:
        """The spikes as they leave: when the cores are done with their causes, one after the other."""
        done = self._timing.done(program, stimuli, spikes)
        ready = sorted(((float(done[str(core)][cause]), row) for cause, core, row in rows), key=lambda each: each[0])
        left = self._timing.leave([time for time, _ in ready])
        return [(t, *row[1:]) for t, (_, row) in zip(left, ready, strict=True) if t is not None]


def _made(layer: CoreLayer, character: Character) -> CoreLayer:
    return layer if character.twist is None else character.twist(layer)


def _layers(configuration: Any) -> dict[int, CoreLayer]:
    """The layer on every core that has dimensions, sources before those they feed."""
    used = {i: core for i, core in enumerate(configuration.cnn_layers) if isinstance(core.dimensions, Mapping)}
    sources: dict[int, list[Source]] = {i: [] for i in used}
    for i, core in used.items():
        for to in core.destinations:
            if to.enable is True and to.layer != DESTINATION:
                sources[to.layer].append(Source(str(i), (to.pooling, to.pooling), int(to.feature_shift or 0)))
    ordered: dict[int, CoreLayer] = {}
    while len(ordered) < len(used):
        ready = [i for i in used if i not in ordered and all(int(s.layer) in ordered for s in sources[i])]
        ordered |= {i: _layer(i, used[i], tuple(sources[i])) for i in ready}
        if not ready:
            raise RuntimeError("the cores feed each other in a circle")
    return ordered


def _layer(index: int, core: Any, sources: tuple[Source, ...]) -> CoreLayer:
    sizes = core.dimensions
    decimation = {code: n for n, code in DECIMATION.items()}
    return CoreLayer(
        name=str(index),
        sources=sources,
        weight=np.array(core.weights, np.int8).transpose(0, 1, 3, 2),
        bias=np.array(core.biases, np.int16) if core.leak_enable else None,
        stride=(sizes["stride"]["y"], sizes["stride"]["x"]),
        padding=(sizes["padding"]["y"], sizes["padding"]["x"]),
        threshold=core.threshold_high,
        min_v=core.threshold_low,
        max_spikes=1,
        reset="zero" if core.return_to_zero else "subtract",
        input_shape=_shape(sizes["input_shape"]),
        output_shape=_shape(sizes["output_shape"]),
        decimation=decimation[core.output_decimator_interval] if core.output_decimator_enable is True else 1,
        initial=np.array(core.neurons_initial_value, np.int16).transpose(0, 2, 1),
    )


def _shape(sizes: Mapping[str, Any]) -> tuple[int, int, int]:
    return sizes["feature_count"], sizes["size"]["y"], sizes["size"]["x"]


def places(layer: CoreLayer) -> dict[int, tuple[int, int, int]]:
    """(c, y, x) by address: feature in the lowest bits, then x, then y."""
    features, height, width = layer.output_shape
    c_bits, x_bits = (features - 1).bit_length(), (width - 1).bit_length()
    return {
        y << (c_bits + x_bits) | x << c_bits | c: (c, y, x)
        for y in range(height)
        for x in range(width)
        for c in range(features)
    }


def _fed(layers: Mapping[int, CoreLayer], targets: Iterable[int]) -> CoreNetwork:
    """The cores that events to `targets` can reach, as a program whose input goes to those cores."""
    found: dict[str, CoreLayer] = {}
    for core, layer in layers.items():
        sources = [source for source in layer.sources if source.layer in found]
        if core in targets:
            sources.append(Source(INPUT))
        if sources:
            found[layer.name] = replace(layer, sources=tuple(sources))
    shapes = [layers[core].input_shape for core in targets]
    c, height, width = (max(sizes) for sizes in zip(*shapes, strict=True))
    return CoreNetwork((c, height, width), tuple(found.values()), (Source(next(iter(found))),))
