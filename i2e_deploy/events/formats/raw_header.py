"""The text header of Prophesee's RAW and DAT files: lines that start with `%`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from i2e_deploy.events.formats.base import Damaged
from i2e_deploy.events.options import SensorSize

#: A header is text for people: anything longer than this is not one.
MAX_HEADER = 2**16

_VERSIONS = {"2.0": "evt2", "2.1": "evt2.1", "3.0": "evt3", "EVT2": "evt2", "EVT21": "evt2.1", "EVT3": "evt3"}


@dataclass(frozen=True)
class RawHeader:
    """What a header says; None where it is silent.

    Args:
        version: `"evt2"`, `"evt2.1"` or `"evt3"`.
        sensor_size: (width, height).
        size: bytes of the header: the data starts here.
        legacy: EVT2.1 with the two 32-bit halves of a word swapped: what a silent header means.
    """

    version: str | None
    sensor_size: SensorSize | None
    size: int
    legacy: bool = True


def read_raw_header(path: Path) -> RawHeader:
    """Parse the header of a RAW or DAT file.

    Raises:
        Damaged: an unknown version, a size outside 1..65536, or no end within 64 KiB.

    Source: docs.prophesee.ai, "RAW File Format" (`% evt 3.0`, `% geometry 1280x720`,
    `% format EVT3;height=720;width=1280`, `% end`).
    """
    with path.open("rb") as file:
        data = file.read(MAX_HEADER)
    version, size, position, legacy = None, None, 0, True
    while data[position : position + 2] == b"% " or data[position : position + 2] == b"%\n":
        end = data.find(b"\n", position)
        if end < 0:
            raise Damaged(f"the header does not end within {MAX_HEADER} bytes", position)
        key, _, value = data[position + 2 : end].decode("latin-1").strip().partition(" ")
        if key == "evt":
            version = _version(value, position)
        elif key == "format":
            name, *options = value.split(";")
            version = _version(name, position)
            fields = dict(option.split("=", 1) for option in options if "=" in option)
            legacy = fields["endianness"] == "legacy" if "endianness" in fields else legacy
            if "width" in fields and "height" in fields:
                size = _size(fields["width"], fields["height"], position)
        elif key == "endianness":
            legacy = value.strip() == "legacy"
        elif key == "geometry":
            width, _, height = value.partition("x")
            size = _size(width, height, position)
        elif key.lower() in {"width", "height"}:  # DAT: two lines
            size = _one_side(size, key.lower(), value, position)
        position = end + 1
        if key == "end":
            break
    if size is not None and 0 in size:
        raise Damaged("the header gives only one of width and height", 0)
    return RawHeader(version, size, position, legacy)


def _version(text: str, position: int) -> str:
    if text.strip() not in _VERSIONS:
        raise Damaged(f"the header names version {text.strip()[:20]!r}; known: {', '.join(_VERSIONS)}", position)
    return _VERSIONS[text.strip()]


def _size(width: str, height: str, position: int) -> SensorSize:
    sides = [int(side) if re.fullmatch("[0-9]{1,6}", side) else 0 for side in (width.strip(), height.strip())]
    if not all(1 <= side <= 2**16 for side in sides):
        raise Damaged(f"the header gives sensor size {width[:12]!r} x {height[:12]!r}: each is 1..65536", position)
    return sides[0], sides[1]


def _one_side(size: SensorSize | None, key: str, value: str, position: int) -> SensorSize:
    side = _size(value, "1", position)[0]
    width, height = size or (0, 0)
    return (side, height) if key == "width" else (width, side)
