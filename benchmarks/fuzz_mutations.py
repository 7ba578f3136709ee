"""Whole files made wrong: what a bad disk, a cut transfer, a wrong tool and a person with a bad will do to them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

#: Numbers that lengths, counts and offsets are made of by those who look for trouble.
ODD = (
    0,
    1,
    2,
    7,
    8,
    127,
    128,
    255,
    256,
    2**15,
    2**16 - 1,
    2**24,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**48,
    2**63 - 1,
    2**64 - 1,
)
#: Pieces of text that parsers stumble over.
TEXT = (b"-1", b"1e999", b"NaN", b"null", b"[]", b"{}", b'""', b"[" * 3000, b"\xff", b"\0", b"9" * 400, b"true", b"-")

Random = np.random.Generator


def mutated(seeds: tuple[bytes, ...], rng: Random) -> bytes:
    """One of the seeds after one to four mutations."""
    data = bytearray(seeds[int(rng.integers(len(seeds)))])
    for _ in range(int(rng.integers(1, 5))):
        if not data:
            break
        _ALL[int(rng.integers(len(_ALL)))](data, rng, seeds)
    return bytes(data)


def _place(data: bytearray, rng: Random) -> int:
    """Anywhere, the start more often: headers are there."""
    end = len(data) if rng.random() < 0.6 else min(len(data), 256)
    return int(rng.integers(end))


def _bytes(data: bytearray, rng: Random, seeds: tuple[bytes, ...]) -> None:
    for _ in range(int(rng.integers(1, 6))):
        data[_place(data, rng)] = int(rng.integers(256))


def _bit(data: bytearray, rng: Random, seeds: tuple[bytes, ...]) -> None:
    data[_place(data, rng)] ^= 1 << int(rng.integers(8))


def _number(data: bytearray, rng: Random, seeds: tuple[bytes, ...]) -> None:
    size = int(rng.choice((1, 2, 4, 8)))
    place = _place(data, rng)
    place -= place % size if rng.random() < 0.7 else 0
    value = ODD[int(rng.integers(len(ODD)))] % 2 ** (8 * size)
    data[place : place + size] = value.to_bytes(size, "little" if rng.random() < 0.8 else "big")


def _cut(data: bytearray, rng: Random, seeds: tuple[bytes, ...]) -> None:
    del data[_place(data, rng) :]


def _remove(data: bytearray, rng: Random, seeds: tuple[bytes, ...]) -> None:
    place = _place(data, rng)
    del data[place : place + int(rng.integers(1, 64))]


def _repeat(data: bytearray, rng: Random, seeds: tuple[bytes, ...]) -> None:
    place, size = _place(data, rng), int(rng.integers(1, 256))
    data[place:place] = data[place : place + size] * int(rng.integers(1, 4))


def _move(data: bytearray, rng: Random, seeds: tuple[bytes, ...]) -> None:
    to, start, size = _place(data, rng), _place(data, rng), int(rng.integers(1, 64))
    part = data[start : start + size]
    data[to : to + len(part)] = part


def _text(data: bytearray, rng: Random, seeds: tuple[bytes, ...]) -> None:
    place = _place(data, rng)
    data[place : place + int(rng.integers(0, 4))] = TEXT[int(rng.integers(len(TEXT)))]


def _join(data: bytearray, rng: Random, seeds: tuple[bytes, ...]) -> None:
    other = seeds[int(rng.integers(len(seeds)))]
    data[_place(data, rng) :] = other[int(rng.integers(len(other))) :]


def _noise(data: bytearray, rng: Random, seeds: tuple[bytes, ...]) -> None:
    place, size = _place(data, rng), int(rng.integers(1, 64))
    data[place : place + size] = rng.bytes(size)


_ALL: tuple[Callable[[bytearray, Random, tuple[bytes, ...]], None], ...] = (
    _bytes, _bytes, _bit, _bit, _number, _number, _number, _cut, _remove, _repeat, _move, _text, _join, _noise,
)  # fmt: skip
