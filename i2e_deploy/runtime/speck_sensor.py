"""`speck://`: the event sensor of a Speck board, through samna.

Written against SynSense's documentation of samna 0.46 and a stand-in: no board was here, unverified on silicon.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from i2e_deploy.errors import CameraNotFound, MissingDependency, SourceLost
from i2e_deploy.events.array import EVENT_DTYPE, Events, empty_events
from i2e_deploy.events.sources import SourceUri

#: Speck2e and Speck2f: 128 x 128 pixels (Speck Dev Kit Datasheet, 2.1).
SENSOR_SIZE = (128, 128)


class SpeckSensor:
    """The raw events of the sensor, before any core. `speck://` opens the first board, `?board=` names one."""

    sensor_size = SENSOR_SIZE

    def __init__(self, uri: SourceUri) -> None:
        uri.only("board")
        samna = _load_samna()
        found = [str(device.device_type_name) for device in samna.device.get_unopened_devices()]
        boards = [name for name in found if "speck" in name.lower()]
        wanted = uri.options.get("board", f"{boards[0]}:0" if boards else "")
        if not wanted or wanted.partition(":")[0] not in boards:
            raise CameraNotFound(
                f"no Speck board found{f' named {wanted}' if wanted else ''}; samna sees {found or 'no device'}; "
                'on Linux it usually lacks its udev rule: SUBSYSTEM=="usb", ATTRS{idVendor}=="337d", MODE="0666"'
            )
        self._board: Any = samna.device.open_device(wanted)
        module = getattr(samna, "speck2f" if "2f" in wanted.lower() else "speck2e")
        configuration = module.configuration.SpeckConfiguration()
        configuration.dvs_layer.raw_monitor_enable = True
        model = self._board.get_model()
        self._sink = samna.graph.sink_from(model.get_source_node())
        model.apply_configuration(configuration)

    def read(self, timeout: float) -> Events | None:
        """See `Source.read`."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                theirs = self._sink.get_events()
            except (RuntimeError, OSError) as error:
                raise SourceLost(f"speck: {' '.join(str(error).split())[:200]}") from error
            rows = [(e.timestamp, e.x, e.y, e.p) for e in theirs if hasattr(e, "p")]
            if rows:
                return np.array(rows, EVENT_DTYPE)
            if time.monotonic() >= deadline:
                return empty_events()
            time.sleep(0.001)

    def close(self) -> None:
        """See `Source.close`."""
        self._board = self._sink = None


def _load_samna() -> Any:
    """The real samna; the one on the public index is an installer that runs pip when imported: told by its files."""
    import sys

    if "samna" in sys.modules:
        return sys.modules["samna"]
    from i2e_deploy.environment import SAMNA_INSTALL
    from i2e_deploy.environment import samna as installed

    if installed().status != "ok":
        raise MissingDependency("samna", "speck://", SAMNA_INSTALL)
    import samna

    return samna
