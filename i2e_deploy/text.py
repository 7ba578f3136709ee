"""Plain text for people: columns that line up, shapes, and lists that stay short."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence


def aligned(rows: Iterable[Sequence[object]], right: Collection[int] = ()) -> str:
    """Rows of equal length as lines, columns two blanks apart; the columns of the numbers in `right` end together."""
    texts = [[str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    lines = (
        "  ".join(c.rjust(w) if i in right else c.ljust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True)))
        for row in texts
    )
    return "\n".join(line.rstrip() for line in lines)


def shape_text(shape: Sequence[int]) -> str:
    """(2, 32, 32) as `2x32x32`."""
    return "x".join(map(str, shape))


def shortened(names: Sequence[str], most: int = 6) -> str:
    """Names with commas between; of many the first and the last."""
    if len(names) > most:
        names = [*names[: most - 1], "...", names[-1]]
    return ", ".join(name if len(name) <= LONGEST else f"{name[: LONGEST - 3]}..." for name in names)


#: Longest name that `shortened` gives whole, characters.
LONGEST = 24
