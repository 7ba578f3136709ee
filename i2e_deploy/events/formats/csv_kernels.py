"""A compiled loop over the bytes of a text file of events."""

from __future__ import annotations

import numba

_NEWLINE, _RETURN, _SPACE, _PLUS, _MINUS, _ZERO = 10, 13, 32, 43, 45, 48
#: More digits than this do not fit an int64.
_MOST_DIGITS = 18


@numba.njit(cache=True, nogil=True)
def parse_rows(data, separator, rows):  # type: ignore[no-untyped-def]  # noqa: PLR0912  # one pass over the bytes
    """Lines of four whole numbers, each ended by a newline, to `rows`; lines without a character are left out.

    Args:
        data: uint8 [N], its last byte a newline.
        separator: byte between numbers; spaces may stand around them.
        rows: int64 [M, 4], at least as many as `data` has lines.

    Returns:
        (Rows written, bytes taken): fewer than N where a line is not four whole numbers.
    """
    count, at = 0, 0
    while at < len(data):
        start, column = at, 0
        while True:
            while data[at] == _SPACE or data[at] == _RETURN:
                at += 1
            if data[at] == _NEWLINE:
                break
            negative = data[at] == _MINUS
            if negative or data[at] == _PLUS:
                at += 1
            value, digits = 0, 0
            while _ZERO <= data[at] <= _ZERO + 9:
                value, digits, at = 10 * value + (data[at] - _ZERO), digits + 1, at + 1
            if digits == 0 or digits > _MOST_DIGITS or column == 4:
                return count, start
            rows[count, column] = -value if negative else value
            column += 1
            ended = False
            while data[at] == _SPACE or data[at] == _RETURN:
                ended = ended or separator == _SPACE
                at += 1
            if data[at] == _NEWLINE:
                break
            if data[at] == separator:
                at += 1
            elif not ended:
                return count, start
        at += 1
        if column == 4:
            count += 1
        elif column:
            return count, start
    return count, at
