"""A recording that the camera of a fake Speck board plays, and the same one in the simulator."""

from __future__ import annotations

from typing import Any

import numpy as np
from event_strategies import random_events

from i2e_deploy.chips import Trace
from i2e_deploy.chips.dynapcnn.engine.event.run import run_recordings
from i2e_deploy.chips.dynapcnn.program import CoreNetwork
from i2e_deploy.chips.dynapcnn.targets.board import BoardOptions
from i2e_deploy.chips.dynapcnn.targets.board.camera import Watched, watch
from i2e_deploy.chips.dynapcnn.targets.board.fake import Faults, fake_samna
from i2e_deploy.events import Events

STEPS = 12
RECORDING = random_events(3000, 128, 128, seed=1, span=8)
NO_LOSS = Faults(loses_first="none")
QUIET = BoardOptions(power_hz=0)


def see(
    program: CoreNetwork, recording: Events = RECORDING, faults: Faults = NO_LOSS, **more: Any
) -> tuple[Watched, Trace]:
    """What the fake board makes of a recording, and the simulator."""
    options = BoardOptions(**{"power_hz": 0, "monitor": program.layer_names, **more})
    with fake_samna(faults=faults, sensor=recording) as samna:
        watched = watch(program, STEPS, options)
        assert all(not board.open for board in samna.opened)
    return watched, run_recordings(program, [recording], STEPS, options.events)


def assert_equal_spikes(watched: Trace, expected: Trace) -> None:
    assert watched.events is not None
    assert expected.events is not None
    for name, events in watched.events.items():
        for field in ("sample", "t", "c", "y", "x"):
            np.testing.assert_array_equal(events[field], expected.events[name][field], err_msg=f"{name} {field}")
    np.testing.assert_array_equal(watched.output, expected.output)
