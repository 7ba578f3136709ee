"""A small program without biases on a fake Speck board."""

from __future__ import annotations

from typing import Any

import numpy as np
from tiny_programs import tiny_program

from i2e_deploy.chips import Trace
from i2e_deploy.chips.dynapcnn import DynapcnnProgram
from i2e_deploy.chips.dynapcnn.targets.board import BoardOptions
from i2e_deploy.chips.dynapcnn.targets.board.fake import Faults, fake_samna

PROGRAM = tiny_program(bias=False)
FRAMES = np.random.default_rng(0).integers(0, 2, (4, 5, *PROGRAM.input_shape)).astype(np.int32)


def on_board(faults: Faults | None = None, program: DynapcnnProgram = PROGRAM, **options: Any) -> Trace:
    """FRAMES through the program on a board; it is given back whatever happens."""
    with fake_samna(faults=faults) as samna:
        try:
            return program.run_on_board(FRAMES, BoardOptions(**options))
        finally:
            assert all(not board.open for board in samna.opened)
