"""Plain text for people: what an object is in one line, and tables whose columns line up."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import fields
from typing import Any, NamedTuple

#: Longest `repr` of an object, of one of its values, and longest name in a list, characters.
LONGEST, LONGEST_VALUE, LONGEST_NAME = 300, 60, 24


def cut(text: str, most: int) -> str:
    """The text, at most so many characters of it."""
    return text if len(text) <= most else f"{text[: most - 3]}..."


def said(thing: object, *parts: str) -> str:
    """`Class(part, part)`: for a `__repr__` that says what it is, and holds no arrays."""
    return cut(f"{type(thing).__name__}({', '.join(parts)}", LONGEST - 1) + ")"


def record_repr(record: Any) -> str:
    """A dataclass as Python shows it, but arrays by type and shape, and long values cut: `__repr__ = record_repr`."""
    return said(record, *(f"{field.name}={_value(getattr(record, field.name))}" for field in fields(record)))


def counted(number: int, word: str) -> str:
    """`1 layer`, `1,024 layers`."""
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def listed(names: Sequence[str], most: int = 8) -> str:
    """Names with commas between; of many, the first and the last."""
    shown = [*names[: most - 1], "...", names[-1]] if len(names) > most else names
    return ", ".join(cut(name, LONGEST_NAME) for name in shown)


def shape_text(shape: Sequence[int]) -> str:
    """(2, 32, 32) as `2x32x32`."""
    return "x".join(map(str, shape))


def aligned(rows: Iterable[Sequence[object]], right: Collection[int] = ()) -> str:
    """Rows of equal length as lines, columns two blanks apart; those whose numbers are in `right` end together."""
    texts = [[str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    lines = (
        "  ".join(c.rjust(w) if i in right else c.ljust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True)))
        for row in texts
    )
    return "\n".join(line.rstrip() for line in lines)


class LayerLine(NamedTuple):
    """One layer in a summary: its name, what it is, shape of its output without batch and time, and parameters."""

    name: str
    kind: str = ""
    shape: Sequence[int] = ()
    parameters: int = 0


def layer_table(title: str, layers: Sequence[LayerLine]) -> str:
    """What a network or program is, then a line a layer."""
    total = counted(sum(layer.parameters for layer in layers), "parameter")
    rows = [(layer.name, layer.kind, shape_text(layer.shape), f"{layer.parameters:,}") for layer in layers]
    table = aligned([("name", "layer", "output", "parameters"), *rows], right=(3,))
    return f"{title}, {counted(len(layers), 'layer')}, {total}\n{table}"


def _value(value: Any) -> str:
    if hasattr(value, "dtype"):
        return f"{value.dtype} {list(value.shape)}"
    return cut(" ".join(repr(value).split()), LONGEST_VALUE)


def one_line(error: BaseException) -> str:
    """What an error of a library says first, for a message of ours; its name where it says nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
