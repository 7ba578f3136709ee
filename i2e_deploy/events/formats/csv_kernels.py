"""A compiled loop over the bytes of a text file of events.

Numbers are taken digit by digit, so that no decimal fraction goes through a float: 1504645177.421234 s are exactly
1504645177421234 us.
"""

from __future__ import annotations

import numba

_NEWLINE, _RETURN, _SPACE, _TAB, _PLUS, _MINUS, _ZERO, _DOT = 10, 13, 32, 9, 43, 45, 48, 46
_HASH, _PERCENT = 35, 37
#: A significand beyond this takes no further digit; a value beyond the second is no time and no pixel.
_MOST, _FAR = 10**17, 2**60
#: Index of the fields in `rows`.
_T, _P = 0, 3


@numba.njit(cache=True, nogil=True)
def _number(data, at, power):  # type: ignore[no-untyped-def]  # noqa: PLR0912  # one pass over the bytes
    """The number at `at` times 10^`power`: (value rounded, whole, good, next position)."""
    negative = data[at] == _MINUS
    if negative or data[at] == _PLUS:
        at += 1
    value, digits, scale = 0, 0, power
    fraction = False
    while True:
        if _ZERO <= data[at] <= _ZERO + 9:
            digits += 1
            if value < _MOST:
                value = 10 * value + (data[at] - _ZERO)
                scale -= 1 if fraction else 0
            elif not fraction:
                scale += 1
        elif data[at] == _DOT and not fraction:
            fraction = True
        else:
            break
        at += 1
    if digits == 0:
        return 0, True, False, at
    if data[at] == 101 or data[at] == 69:  # e, E
        at += 1
        down = data[at] == _MINUS
        if down or data[at] == _PLUS:
            at += 1
        exponent, digits = 0, 0
        while _ZERO <= data[at] <= _ZERO + 9 and digits < 4:
            exponent, digits, at = 10 * exponent + (data[at] - _ZERO), digits + 1, at + 1
        if digits == 0:
            return 0, True, False, at
        scale += -exponent if down else exponent
    whole = True
    while scale > 0 and value != 0:
        if value > _FAR // 10:
            return 0, True, False, at
        value, scale = value * 10, scale - 1
    half = 0  # last digit that is cut off, to round
    while scale < 0 and (value != 0 or half != 0):
        whole = whole and value % 10 == 0
        half, value, scale = value % 10, value // 10, scale + 1
    if scale == 0 and half >= 5:
        value += 1
    return -value if negative else value, whole, value <= _FAR, at


@numba.njit(cache=True, nogil=True)
def _word(data, at):  # type: ignore[no-untyped-def]
    """A polarity in letters, true, false, on or off in any case: (value or -2, next position)."""
    start = at
    while 65 <= (data[at] & 0xDF) <= 90:
        at += 1
    first, length = data[start] & 0xDF, at - start
    second = data[start + 1] & 0xDF if length > 1 else 0
    if first == 84 and length in (1, 4):  # T
        return 1, at
    if first == 70 and length in (1, 5):  # F
        return 0, at
    if first == 79 and second == 78 and length == 2:  # ON
        return 1, at
    if first == 79 and second == 70 and length == 3:  # OFF
        return 0, at
    return -2, at


@numba.njit(cache=True, nogil=True)
def _row(data, at, separator, place, power, rounded, row):  # type: ignore[no-untyped-def]  # noqa: PLR0912  # as above
    """The line at `at` to `row`: (1 good, 0 empty or a comment, -1 bad; position at its end or at the trouble)."""
    column, columns = 0, len(place)
    while True:
        while data[at] == _SPACE or data[at] == _RETURN or (data[at] == _TAB and separator != _TAB):
            at += 1
        if data[at] == _NEWLINE:
            break
        if column == 0 and (data[at] == _HASH or data[at] == _PERCENT):
            return 0, at
        if column == columns:
            return -1, at
        field = place[column]
        if field < 0:  # a column that is not read
            while data[at] != separator and data[at] != _NEWLINE and not (separator == _SPACE and data[at] == _TAB):
                at += 1
        else:
            value, whole, good, after = _number(data, at, power if field == _T else 0)
            if not good and field == _P:
                value, after = _word(data, at)
                whole, good = True, value >= 0
            if not good or not (whole or (field == _T and rounded)):
                return -1, at
            row[field], at = value, after
        column += 1
        ended = False
        while data[at] == _SPACE or data[at] == _RETURN or (data[at] == _TAB and separator != _TAB):
            ended = ended or separator == _SPACE
            at += 1
        if data[at] == _NEWLINE:
            break
        if data[at] == separator:
            at += 1
        elif not ended:
            return -1, at
    if column == 0:
        return 0, at
    possible = 0 <= row[1] < 65536 and 0 <= row[2] < 65536 and -1 <= row[3] <= 1
    return (1 if column == columns and possible else -1), at


@numba.njit(cache=True, nogil=True)
def parse_rows(data, separator, place, power, rounded, skip, rows):  # type: ignore[no-untyped-def]
    """Lines of numbers, each ended by a newline, to `rows`; empty lines and comments (`#`, `%`) are left out.

    Args:
        data: uint8 [N], its last byte a newline.
        separator: byte between numbers; spaces may stand around them.
        place: int64 [C], for each column of a line the column of `rows`, or -1 where it is not read.
        power: times are multiplied by 10 to this.
        rounded: whether times may have a fraction then.
        skip: leave lines out that are no event, and count them.
        rows: int64 [M, 4] for t, x, y, p, at least as many as `data` has lines.

    Returns:
        (rows written, bytes taken, lines left out, byte of the first of these, rows in front of it): fewer bytes than N
        where a line is no event and is not left out.
    """
    count = at = bad = 0
    first = before = -1
    while at < len(data):
        start = at
        status, at = _row(data, at, separator, place, power, rounded, rows[count])
        if status < 0:
            if not skip:
                return count, start, 0, start, count
            bad += 1
            if first < 0:
                first, before = start, count
        while data[at] != _NEWLINE:
            at += 1
        at += 1
        if status > 0:
            count += 1
    return count, at, bad, first, before
