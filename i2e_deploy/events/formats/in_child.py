"""Event files that a foreign decoder reads (HDF5 and its filters), read in a child process: see `guarded_child`."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

from i2e_deploy.errors import FileFormatError
from i2e_deploy.events.array import EVENT_DTYPE, Events
from i2e_deploy.events.formats.base import PACKET_EVENTS, Damaged, LeftOut, Opened
from i2e_deploy.guarded_child import Answer, Child

#: Processor time for a packet of 2^20 events, s. The slowest filters take a fiftieth of it.
_SECONDS = 10


def in_child(module: str) -> Callable[[Path, Any], Opened]:
    """`Format.open` that runs the function `open_here` of `module`, same arguments, in a child.

    Options are None, text, or a dataclass of plain values.
    """

    def open_there(path: Path, options: Any) -> Opened:
        said = options
        if is_dataclass(options) and not isinstance(options, type):
            kind = type(options)
            said = [f"{kind.__module__}:{kind.__qualname__}", asdict(options)]
        try:
            child = Child("i2e_deploy.events.formats.in_child:EventFile", (module, str(path), said), "it", _SECONDS)
            try:
                head, _ = child.ask("head")
                known = _checked(head)
            except BaseException:
                child.close()
                raise
        except FileFormatError as error:
            raise Damaged(str(error).removeprefix("it: "), None) from error
        size, notes = known["size"], list(known["notes"])
        left_out = LeftOut(salvage=True) if known["left_out"] is not None else None
        packets = _packets(child, notes, left_out)
        sides = None if size is None else (size[0], size[1])
        return Opened(sides, packets, child.close, notes, left_out=left_out, size_assumed=known["size_assumed"])

    return open_there


def streams_in_child(module: str, path: Path) -> tuple[str, ...]:
    """What the function `streams_here` of `module` gives for the file, run in a child."""
    try:
        with Child("i2e_deploy.events.formats.in_child:Streams", (module, str(path)), "it", _SECONDS) as child:
            found, _ = child.ask("streams")
    except FileFormatError as error:
        raise Damaged(str(error).removeprefix("it: "), None) from error
    if "damaged" in found:
        raise Damaged(*found["damaged"])
    return tuple(map(str, found["streams"]))


def _packets(child: Child, notes: list[str], left_out: LeftOut | None) -> Iterator[Events]:
    while True:
        try:
            value, events = child.ask("next")
        except FileFormatError as error:
            raise Damaged(str(error).removeprefix("it: "), None) from error
        known = _checked(value)
        notes[:] = known["notes"]
        if left_out is not None:
            left_out.count, first = known["left_out"]
            left_out.first = None if first is None else (first[0], first[1], first[2])
        if events is None:
            return
        if events.dtype != EVENT_DTYPE or events.ndim != 1 or len(events) > PACKET_EVENTS:
            raise Damaged("its decoder gave something else than events", None)
        yield events


def _checked(value: Any) -> dict[str, Any]:
    """What an answer says of the file, or its damage raised."""
    if "damaged" in value:
        raise Damaged(*value["damaged"])
    return dict(value)


class Streams:
    """In the child: the streams of a file."""

    def __init__(self, module: str, path: str) -> None:
        self._module, self._path = module, Path(path)

    def answer(self, *question: Any) -> Answer:
        """Their names."""
        del question
        try:
            return {"streams": list(importlib.import_module(self._module).streams_here(self._path))}, None
        except Damaged as trouble:
            return _damaged(trouble), None


class EventFile:
    """In the child: an open event file."""

    def __init__(self, module: str, path: str, said: Any) -> None:
        options = said
        if isinstance(said, list):
            of, _, kind = said[0].partition(":")
            fields = {name: tuple(value) if isinstance(value, list) else value for name, value in said[1].items()}
            options = getattr(importlib.import_module(of), kind)(**fields)
        self._damage: Damaged | None = None
        self._opened: Opened | None = None
        try:
            self._opened = importlib.import_module(module).open_here(Path(path), options)
        except Damaged as trouble:
            self._damage = trouble

    def answer(self, *question: Any) -> Answer:
        """`head`: what is known of the file; `next`: a packet, or no array at the end."""
        if self._damage is not None or self._opened is None:
            return _damaged(self._damage or Damaged("it cannot be opened")), None
        events = None
        if question[0] == "next":
            try:
                events = next(self._opened.packets, None)
            except Damaged as trouble:
                return _damaged(trouble), None
        left = self._opened.left_out
        return {
            "size": self._opened.sensor_size, "notes": self._opened.notes, "size_assumed": self._opened.size_assumed,
            "left_out": None if left is None else [left.count, left.first],
        }, events  # fmt: skip


def _damaged(trouble: Damaged) -> dict[str, Any]:
    return {"damaged": [trouble.reason, trouble.position]}
