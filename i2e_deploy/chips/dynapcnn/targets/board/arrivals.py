"""What a board sends to the host: spikes of cores, states that were asked for, events of its own pixels, power."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.dynapcnn.targets.board.link import Board, unwrap
from i2e_deploy.chips.trace import Power
from i2e_deploy.events.array import EVENT_DTYPE, Events

#: A spike on its way to or from a core: `t` microseconds since the stop watch began, the core, the address on it.
CORE_EVENT = np.dtype([("t", "<i8"), ("core", "<i4"), ("c", "<i4"), ("y", "<i4"), ("x", "<i4")])

#: What the readout block's pins showed: `t` microseconds since the stop watch began, and the class, from 1; 0 is idle.
PINS = np.dtype([("t", "<i8"), ("index", "<i4")])

#: Channels of the power monitor (Speck Dev Kit Datasheet, Aug 2023; Sinabs' notebook "power_monitoring").
RAILS = ("io", "ram", "logic", "pixel_digital", "pixel_analog")

CoreEvents = NDArray[np.void]


class Arrivals:
    """Takes what has come out of a board and keeps it until it is asked for.

    Attributes:
        states: values of neurons by (core, address), of the last readings.
    """

    def __init__(self, board: Board) -> None:
        self.states: dict[tuple[int, int], int] = {}
        self._board, self._event = board, board.module.event
        self._sink = board.samna.graph.sink_from(board.device.get_model().get_source_node())
        self._spikes: list[CoreEvents] = []
        self._pixels: list[Events] = []
        self._pins: list[NDArray[np.void]] = []

    def poll(self, now_us: int, where: str) -> int:
        """Read what has arrived; returns the number of spikes.

        Args:
            now_us: time of the stop watch as the host computes it, to find how often the 32 bits of stamps wrapped.
            where: see `Board.call`.
        """
        events, kinds = self._board.call(where, self._sink.get_events), self._event
        spikes = [(e.timestamp, e.layer, e.feature, e.y, e.x) for e in events if isinstance(e, kinds.Spike)]
        if spikes:
            self._spikes.append(_rows(spikes, CORE_EVENT, now_us))
        if len(spikes) < len(events):
            pixels = [(e.timestamp, e.x, e.y, e.p) for e in events if isinstance(e, kinds.DvsEvent)]
            pins = [(e.timestamp, e.index) for e in events if isinstance(e, kinds.ReadoutPinValue)]
            self._pixels.append(_rows(pixels, EVENT_DTYPE, now_us))
            self._pins.append(_rows(pins, PINS, now_us))
            for e in events:
                if isinstance(e, kinds.NeuronValue):
                    self.states[int(e.layer), int(e.address)] = int(e.neuron_state)
        return len(spikes)

    def take_spikes(self) -> CoreEvents:
        """Spikes since the last call, in order of arrival."""
        spikes, self._spikes = self._spikes, []
        return np.concatenate([np.zeros(0, CORE_EVENT), *spikes])

    def take_pixels(self) -> Events:
        """Events of the chip's own pixels since the last call, in order of arrival."""
        pixels, self._pixels = self._pixels, []
        return np.concatenate([np.zeros(0, EVENT_DTYPE), *pixels])

    def take_pins(self) -> NDArray[np.void]:
        """What the readout's pins showed since the last call: PINS."""
        pins, self._pins = self._pins, []
        return np.concatenate([np.zeros(0, PINS), *pins])


def _rows(rows: list[tuple[Any, ...]], dtype: np.dtype[Any], now_us: int) -> NDArray[np.void]:
    """Rows that begin with a time stamp, its wraps undone."""
    names = dtype.names or ()
    columns = np.array(rows, np.int64).reshape(len(rows), len(names)).T
    made = np.empty(len(rows), dtype)
    for name, column in zip(names, columns, strict=True):
        made[name] = column
    made["t"] = unwrap(columns[0], now_us)
    return made


def read_neuron(board: Board, core: int, address: int) -> Any:
    """The question for the state of one neuron."""
    event = board.module.event.ReadNeuronValue()
    event.layer, event.address = core, address
    return event


@dataclass(frozen=True)
class Rail:
    """One reading of the power monitor: channel, watts."""

    channel: int
    watts: float


class Readings:
    """The power monitor (samna: `get_power_monitor`) while a sample runs."""

    def __init__(self, board: Board, hz: float, where: str) -> None:
        self._board, self._where = board, where
        self._monitor = board.call(where, board.device.get_power_monitor) if hz else None
        if self._monitor is not None:
            self._sink = board.samna.graph.sink_from(self._monitor.get_source_node())
            board.call(where, self._sink.get_events)
            board.call(where, _named(self._monitor, "start_auto_power"), hz)

    def stop(self) -> list[Rail]:
        """What was read. Its time stamps come in bursts, so they are not used: readings are to be averaged."""
        if self._monitor is None:
            return []
        self._board.call(self._where, _named(self._monitor, "stop_auto_power"))
        events = self._board.call(self._where, self._sink.get_events)
        return [Rail(int(event.channel), float(event.value)) for event in events]


def _named(monitor: Any, start: str) -> Any:
    """The datasheet says `..._monitor`, Sinabs' notebook `..._measurement`: versions of samna differ."""
    return getattr(monitor, f"{start}_measurement", None) or getattr(monitor, f"{start}_monitor")


def mean_power(rails: Sequence[Rail]) -> Power | None:
    """Means of every channel, None without a reading; a channel without a name is left out."""
    values = {name: [rail.watts for rail in rails if rail.channel == i] for i, name in enumerate(RAILS)}
    readings = max((len(found) for found in values.values()), default=0)
    return Power({name: sum(v) / len(v) for name, v in values.items() if v}, readings) if readings else None
