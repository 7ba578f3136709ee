"""Your own source in 20 lines: anything with `sensor_size`, `read` and `close`.

To make it known as `rain://`, name it in your package's pyproject.toml:

    [project.entry-points."i2e_deploy.sources"]
    rain = "my_package:Rain"
"""

from __future__ import annotations

import time

import numpy as np

from i2e_deploy.events import EVENT_DTYPE, Events
from i2e_deploy.events.sources import Source, SourceUri


class Rain:
    """Drops on a window: 1,000 events every 10 ms, for `seconds`."""

    sensor_size = (128, 128)

    def __init__(self, uri: SourceUri) -> None:
        self._random = np.random.default_rng(0)
        self._left, self._now = int(100 * uri.number("seconds", 1, 0, 1e6)), 0

    def read(self, timeout: float) -> Events | None:
        """The next 1,000 drops."""
        if self._left == 0:
            return None  # the end; an empty array would mean: nothing yet
        time.sleep(min(timeout, 0.01))
        events = np.zeros(1000, EVENT_DTYPE)
        events["t"] = self._now + np.arange(1000) * 10
        events["x"], events["y"] = self._random.integers(0, 128, (2, 1000))
        events["p"] = self._random.integers(0, 2, 1000)
        self._left, self._now = self._left - 1, self._now + 10_000
        return events

    def close(self) -> None:
        """Nothing to give back."""


def main() -> int:
    """Read it as the live loop does; returns the number of events."""
    source: Source = Rain(SourceUri.parse("rain://window?seconds=0.2"))
    count = 0
    while (events := source.read(timeout=0.1)) is not None:
        count += len(events)
    source.close()
    print(f"{count} events from {source.sensor_size}")
    return count


if __name__ == "__main__":
    main()
