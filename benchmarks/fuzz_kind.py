"""What a kind of files is, for `fuzz.py` and the tests.

A kind makes its seeds by code and reads a file as a user would. Its reader returns "read" or "salvaged" (what could be
read of a damaged file), or raises.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

Read = Callable[[Path], str]
#: Frames that are taken of a video, and rows of a table.
SOME = 200


@dataclass(frozen=True)
class Kind:
    """A kind of files.

    Args:
        name: e.g. `"events evt3"`.
        room: of the table.
        suffix: of its files.
        seeds: whole files.
        read: reads one.
    """

    name: str
    room: str
    suffix: str
    seeds: tuple[bytes, ...]
    read: Read
