"""What time it is on a camera's clock, seen from the host."""

from __future__ import annotations

#: A camera's packet may be this late behind its events, us: what silence is is known only after that.
GRACE_US = 20_000
#: Clocks drift (100 ppm are 9 s a day), so the offset is learnt anew over this many seconds.
MEMORY = 10.0


class StreamClock:
    """Estimates the stream's time from packets: the smallest delay seen lately between an event and its arrival."""

    def __init__(self) -> None:
        self._offset: float | None = None  # host minus stream, us
        self._previous: float | None = None
        self._since = 0.0

    def saw(self, t: int, arrived: float) -> None:
        """A packet whose last event is at `t` us came at `arrived` seconds of the host."""
        offset = arrived * 1e6 - t
        if self._offset is None or arrived - self._since > MEMORY:
            self._previous, self._offset, self._since = self._offset, offset, arrived
        self._offset = min(self._offset, offset)

    def now(self, host: float) -> int | None:
        """A time in us that no event still to come should lie before; None before the first packet."""
        if self._offset is None:
            return None
        offset = self._offset if self._previous is None else min(self._offset, self._previous)
        return int(host * 1e6 - offset) - GRACE_US
