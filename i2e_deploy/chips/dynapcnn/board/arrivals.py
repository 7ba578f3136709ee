"""What a board sends to the host: spikes of cores, states that were asked for, events of its own pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.dynapcnn.board.link import Board, unwrap
from i2e_deploy.events.array import EVENT_DTYPE, Events

#: A spike on its way to or from a core: `t` microseconds since the stop watch began, the core, the address on it.
CORE_EVENT = np.dtype([("t", "<i8"), ("core", "<i4"), ("c", "<i4"), ("y", "<i4"), ("x", "<i4")])

#: What the readout block's pins showed: `t` microseconds since the stop watch began, and the class, from 1; 0 is idle.
PINS = np.dtype([("t", "<i8"), ("index", "<i4")])

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
        self._spikes: list[tuple[int, int, int, int, int]] = []
        self._pixels: list[tuple[int, int, int, int]] = []
        self._pins: list[tuple[int, int]] = []

    def poll(self, now_us: int, where: str) -> int:
        """Take what has come; how many spikes.

        Args:
            now_us: time of the stop watch as the host reckons it, to tell how often the 32 bits of stamps wrapped.
            where: see `Board.call`.
        """
        before = len(self._spikes)
        for event in self._board.call(where, self._sink.get_events):
            if isinstance(event, self._event.Spike):
                t = unwrap(int(event.timestamp), now_us)
                self._spikes.append((t, int(event.layer), int(event.feature), int(event.y), int(event.x)))
            elif isinstance(event, self._event.DvsEvent):
                t = unwrap(int(event.timestamp), now_us)
                self._pixels.append((t, int(event.x), int(event.y), int(event.p)))
            elif isinstance(event, self._event.ReadoutPinValue):
                self._pins.append((unwrap(int(event.timestamp), now_us), int(event.index)))
            elif isinstance(event, self._event.NeuronValue):
                self.states[int(event.layer), int(event.address)] = int(event.neuron_state)
        return len(self._spikes) - before

    def take_spikes(self) -> CoreEvents:
        """Spikes since the last call, in order of arrival."""
        spikes, self._spikes = self._spikes, []
        return np.array(spikes, CORE_EVENT)

    def take_pixels(self) -> Events:
        """Events of the chip's own pixels since the last call, in order of arrival."""
        pixels, self._pixels = self._pixels, []
        return np.array(pixels, EVENT_DTYPE)

    def take_pins(self) -> NDArray[np.void]:
        """What the readout's pins showed since the last call: PINS."""
        pins, self._pins = self._pins, []
        return np.array(pins, PINS)


def read_neuron(board: Board, core: int, address: int) -> Any:
    """The question for the state of one neuron."""
    event = board.module.event.ReadNeuronValue()
    event.layer, event.address = core, address
    return event
