"""Events for benchmarks: the fake camera's disc, as one array."""

from __future__ import annotations

import numpy as np

from i2e_deploy.events import Events
from i2e_deploy.events.sources import open_source


def disc(size: tuple[int, int], count: int) -> Events:
    """`count` events [N] of a circling disc on a sensor of (width, height)."""
    source = open_source(f"fake://{size[0]}x{size[1]}?rate=1e6&realtime=0&packet=10000")
    packets: list[Events] = []
    while sum(map(len, packets)) < count:
        packet = source.read(1)
        assert packet is not None
        packets.append(packet)
    return np.concatenate(packets)[:count]
