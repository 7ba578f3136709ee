"""What is before and after the cores of the fake chip, read back from its configuration: camera and readout."""

from __future__ import annotations

from typing import Any

import numpy as np

from i2e_deploy.chips.dynapcnn.engine.event.run import Memory, filter_fast
from i2e_deploy.chips.dynapcnn.peripherals import CLASSES, DESTINATION, SPACING, EventFilter, Readout
from i2e_deploy.chips.dynapcnn.reference.event_filter import fresh_memory
from i2e_deploy.chips.dynapcnn.reference.preprocess import preprocess_events
from i2e_deploy.chips.dynapcnn.reference.readout import read_out
from i2e_deploy.chips.dynapcnn.reference.spikes import STIMULUS, Stimuli
from i2e_deploy.chips.dynapcnn.targets.board.fake.character import Character
from i2e_deploy.chips.dynapcnn.targets.board.on_camera import PIXELS
from i2e_deploy.events.array import Events
from i2e_deploy.network import Sensor

#: Ticks that the readout looks back: its longest window, and what a recursive filter of that length keeps.
REMEMBERED = 256


class FakeCamera:
    """A recording that the pixels see from `on_us` of the stop watch on, and the chip's pre-processing after them."""

    def __init__(self, configuration: Any, recording: Events, on_us: int, character: Character) -> None:
        layer = configuration.dvs_layer
        self.targets = {to.layer for to in layer.destinations if to.enable is True}
        self.shown = layer.raw_monitor_enable is True
        self._passes = layer.pass_sensor_events is True
        self._times, self._recording, self._at = recording["t"] + on_us, recording, 0
        self._sensor, self._filter = _sensor(layer), _filter(configuration.dvs_filter, character)
        self._memory: Memory = fresh_memory(self._sensor.shape(PIXELS))

    def due(self, before_us: int) -> Events:
        """Events of the pixels before that time that were not given yet, on the stop watch's clock."""
        first, self._at = self._at, max(self._at, int(np.searchsorted(self._times, before_us)))
        events = self._recording[first : self._at].copy()
        events["t"] = self._times[first : self._at]
        return events

    def core_inputs(self, events: Events, clock_since_us: int, period_us: int, from_host: bool = False) -> Stimuli:
        """The events that arrive at the cores; the filter counts ticks of the slow clock."""
        stimuli = np.zeros(len(events) if self._passes or from_host else 0, STIMULUS)
        for name, field in (("t", "t"), ("c", "p"), ("y", "y"), ("x", "x")):
            stimuli[name] = events[field][: len(stimuli)]
        stimuli = preprocess_events(self._sensor, stimuli, PIXELS)
        if self._filter is None:
            return stimuli
        stimuli["t"] -= clock_since_us
        stimuli, self._memory = filter_fast(self._filter, stimuli, self._memory, period_us)
        stimuli["t"] += clock_since_us
        return stimuli


class FakeReadout:
    """The readout block: spikes of its core since the last tick, and what the pins show at a tick."""

    def __init__(self, configuration: Any, character: Character) -> None:
        feeding = [
            core
            for core, layer in enumerate(configuration.cnn_layers)
            if any(to.enable is True and to.layer == DESTINATION for to in layer.destinations)
        ]
        block = configuration.readout
        self.core = feeding[0] if feeding and block.enable is True else -1
        self._counts = [np.zeros(CLASSES, np.int64)]
        if self.core >= 0:
            window = 1 if block.low_pass_filter_disable else 32 if block.low_pass_filter32_not16 else 16
            made: Any = {"tie": character.tie, "average": character.average}
            self._block = Readout(block.threshold, window, override=block.override_threshold_max, **made)  # type: ignore[arg-type]

    def count(self, feature: int) -> None:
        """A spike of the core."""
        if feature % SPACING == 0 and feature // SPACING < CLASSES:
            self._counts[-1][feature // SPACING] += 1

    def tick(self) -> int | None:
        """The class on the pins, None where no interrupt rises."""
        trace = read_out(self._block, np.array([self._counts[-REMEMBERED:]]))
        self._counts = [*self._counts[-REMEMBERED:], np.zeros(CLASSES, np.int64)]
        return int(trace.winner[0, -1]) if trace.interrupt[0, -1] else None


def _sensor(layer: Any) -> Sensor:
    crop, pool = None, (1, 1)
    if isinstance(layer.cut.x, int):
        crop = ((layer.origin.y, layer.cut.y + 1), (layer.origin.x, layer.cut.x + 1))
        pool = (layer.pooling.y, layer.pooling.x)
    return Sensor(
        pool,
        crop,
        merge_polarities=layer.merge is True,
        flip_y=layer.mirror.y is True,
        flip_x=layer.mirror.x is True,
        swap_xy=layer.mirror_diagonal is True,
        keep="on" if layer.off_channel is False else "off" if layer.on_channel is False else "both",
    )


def _filter(section: Any, character: Character) -> EventFilter | None:
    if section.enable is not True:
        return None
    if section.low_pass_mode_enable is True:
        return EventFilter("low_pass", threshold=section.threshold)
    window = section.filter_size.y, section.filter_size.x
    mode = "hot_pixel" if section.hot_pixel_filter_enable is True else "noise"
    made: Any = {"own_pixel": character.own_pixel, "hot_pixels": character.hot_pixels}
    return EventFilter(mode, window, section.threshold, **made)  # type: ignore[arg-type]
