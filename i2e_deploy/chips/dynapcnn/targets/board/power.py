"""The power monitor of a board (samna: `get_power_monitor`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from i2e_deploy.chips.dynapcnn.targets.board.link import Board
from i2e_deploy.chips.trace import Power

#: Channels of the power monitor (Speck Dev Kit Datasheet, Aug 2023; Sinabs' notebook "power_monitoring").
RAILS = ("io", "ram", "logic", "pixel_digital", "pixel_analog")


@dataclass(frozen=True)
class Rail:
    """One reading of the power monitor: channel, watts."""

    channel: int
    watts: float


class Readings:
    """The power monitor while a sample runs."""

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
