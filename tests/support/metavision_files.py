"""Records of Metavision's HDF5, and its compression ECF as the description has it."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

METAVISION = np.dtype({"names": ["x", "y", "p", "t"], "formats": ["<u2", "<u2", "<i2", "<i8"],
                       "offsets": [0, 2, 4, 8], "itemsize": 16})  # fmt: skip


def metavision(events: Any) -> Any:
    theirs = np.zeros(len(events), METAVISION)
    for name in "xypt":
        theirs[name] = events[name]
    return theirs


def ecf(events: Any, kind: int) -> bytes:
    """A chunk as the format's description has it; `kind` 2 packs all, 1 the columns, 0 runs."""
    out = struct.pack("<IQ", len(events) << 2 | kind, int(events["t"][0]))
    t, rows = int(events["t"][0]), events.tolist()

    def runs(values: list[int]) -> list[tuple[int, int]]:
        found: list[list[int]] = []
        for value in values:
            if found and found[-1][0] == value:
                found[-1][1] += 1
            else:
                found.append([value, 1])
        return [(value, count) for value, count in found]

    for time, count in runs([row[0] for row in rows]):
        step = time - t
        if step >= 15:
            while step:
                out += bytes([0xF0 | step & 15])
                step >>= 4
            step = 0
        out += bytes([step << 4 | min(count, 15)]) + (struct.pack("<H", count) if count >= 15 else b"")
        t = time
    padded = rows + [(0, 0, 0, 0)] * 3
    if kind == 2:
        for i in range(0, len(rows), 4):
            a, b, c, d = (y << 12 | x << 1 | p for _, x, y, p in padded[i : i + 4])
            out += struct.pack("<III", a << 8 | b & 0xFF, b >> 8 << 16 | c & 0xFFFF, c >> 16 << 24 | d)
        return out
    for y, count in runs([row[2] for row in rows]):
        out += struct.pack("<H", y << 5 | min(count, 31)) + (struct.pack("<H", count) if count >= 31 else b"")
    if kind == 1:
        for i in range(0, len(rows), 4):
            a, b, c, d = (x << 1 | p for _, x, _, p in padded[i : i + 4])
            out += struct.pack("<HHH", a << 4 | b & 15, b >> 4 << 8 | c & 255, c >> 8 << 12 | d)
        return out
    i = 0
    while i < len(rows):
        x, mask = rows[i][1], 0
        i += 1
        for j in range(5):
            if i < len(rows) and rows[i][1] == x + j + 1:
                mask |= 16 >> j
                i += 1
        out += struct.pack("<H", x << 5 | mask)
    for p, count in runs([row[3] for row in rows]):
        out += bytes([p << 7 | min(count, 127)]) + (struct.pack("<H", count) if count >= 127 else b"")
    return out
