"""Numbers of datagrams: which is next, which is late, and when the sender began anew.

As RFC 3550 (RTP), appendix A.1, has it: a number that does not fit counts only when its successor follows, so that
neither one garbage datagram nor a sender that starts again silences the stream.
"""

from __future__ import annotations

from collections import deque

#: A number further ahead than this is a restart or garbage, one less far behind than this is late (RFC 3550's values).
MAX_DROPOUT, MAX_MISORDER = 3000, 100
_MODULUS = 2**32


class Numbers:
    """Follows the numbers of a stream, which wrap after 2^32.

    Attributes:
        lost: datagrams that never came, came too late or fitted nothing, as far as numbers tell.
        late: those of them that came late.
        restarts: how often the sender began anew.
    """

    def __init__(self) -> None:
        self.lost, self.late, self.restarts = 0, 0, 0
        self._first, self._next = 0, -1
        self._taken: deque[int] = deque(maxlen=MAX_MISORDER)
        self._after = -1  # what follows a number that fitted nothing

    def take(self, number: int) -> bool:
        """Whether the datagram of this number is the next to use."""
        if self._next < 0:
            self.lost += number if number < MAX_DROPOUT else 0
            return self._use(number, number)
        ahead = (number - self._next) % _MODULUS
        if ahead < MAX_DROPOUT:
            self.lost += ahead
            return self._use(number, self._first)
        if number == self._after:  # the one before it, which was not taken, stays counted
            self.restarts += 1
            return self._use(number, number)
        if self._is_missed(number):
            self.late += 1  # it was counted as lost when its successor came
        else:  # a sender that began anew, or garbage: the next number tells
            self.lost += 1
            self._after = (number + 1) % _MODULUS
        return False

    def _use(self, number: int, first: int) -> bool:
        if first != self._first:
            self._taken.clear()
        self._first, self._next, self._after = first, (number + 1) % _MODULUS, -1
        self._taken.append(number)
        return True

    def _is_missed(self, number: int) -> bool:
        """Whether it is one of the last numbers of this sender that did not come."""
        behind = (self._next - number) % _MODULUS
        since_first = (self._next - self._first) % _MODULUS
        return behind <= min(MAX_MISORDER, since_first) and number not in self._taken
