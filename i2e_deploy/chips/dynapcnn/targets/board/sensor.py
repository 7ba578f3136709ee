"""`speck://`: the event sensor of a Speck board, through samna.

Written against SynSense's documentation of samna 0.46 and a fake board: we had no board, unverified on silicon.
"""

from __future__ import annotations

import numpy as np

from i2e_deploy.chips.dynapcnn.targets.board.link import open_board, unwrap
from i2e_deploy.events.array import EVENT_DTYPE, Events, empty_events
from i2e_deploy.events.sources import SourceUri

#: Speck2e and Speck2f: 128 x 128 pixels (Speck Dev Kit Datasheet, 2.1).
SENSOR_SIZE = (128, 128)


class SpeckSensor:
    """The raw events of the sensor, before any core. `speck://` opens the first free board, `?board=` names one."""

    sensor_size = SENSOR_SIZE

    def __init__(self, uri: SourceUri) -> None:
        uri.only("board")
        self._last: int | None = None
        self._board = open_board("speck://", uri.options.get("board"))
        try:
            configuration = self._board.module.configuration.SpeckConfiguration()
            configuration.dvs_layer.raw_monitor_enable = True
            model, where = self._board.device.get_model(), "while its sensor was set up"
            self._sink = self._board.samna.graph.sink_from(model.get_source_node())
            self._board.call(where, model.apply_configuration, configuration)
            self._board.call(where, self._board.device.get_stop_watch().start)
        except BaseException:
            self._board.close()
            raise

    def read(self, timeout: float) -> Events | None:
        """See `Source.read`."""
        clock = self._board.clock
        deadline = clock.monotonic() + timeout
        while True:
            theirs = self._board.call("while its sensor was read", self._sink.get_events)
            rows = [(e.timestamp, e.x, e.y, e.p) for e in theirs if hasattr(e, "p")]
            if rows:
                return self._with_times(np.array(rows, EVENT_DTYPE))
            if clock.monotonic() >= deadline:
                return empty_events()
            clock.sleep(0.001)

    def _with_times(self, events: Events) -> Events:
        """Time stamps wrap every 71.6 minutes; the sensor is never silent for half of that."""
        last = int(events["t"][0]) if self._last is None else self._last
        for event in events:
            event["t"] = last = unwrap(int(event["t"]), last)
        self._last = last
        return events

    def close(self) -> None:
        """See `Source.close`."""
        self._board.close()
