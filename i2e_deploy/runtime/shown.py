"""A program with an eye as one whose frames are pictures, so that all that runs frames runs pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.abilities import TakesPictures
from i2e_deploy.chips.base import Program
from i2e_deploy.chips.deciding import Deciding
from i2e_deploy.chips.eye import Eye
from i2e_deploy.chips.options import Engine, Semantics
from i2e_deploy.chips.trace import Integers, States, Trace
from i2e_deploy.errors import InputError, UnsupportedError
from i2e_deploy.text import LayerLine


class Shown(Program):
    """Frames are one step of pixels, uint8 [B, 1, C, H, W]; each run goes on until all that they cause has left.

    Args:
        program: with an eye, see `TakesPictures`.
    """

    def __init__(self, program: Program) -> None:
        if not isinstance(program, TakesPictures):
            raise UnsupportedError("this program has no eye: it takes frames, not pictures; give --eye")
        self.program: Program = program
        self.eye: Eye = program.eye
        self._eyed: TakesPictures = program
        self.input_shape = self.eye.shape

    @property
    def layer_names(self) -> tuple[str, ...]:
        """See `Program.layer_names`."""
        return self.program.layer_names

    @property
    def latencies(self) -> Mapping[str, int]:
        """See `Program.latencies`."""
        return self.program.latencies

    @property
    def deciding(self) -> Deciding:
        """See `Program.deciding`."""
        return self.program.deciding

    def frames_of(self, given: Integers) -> Integers:
        """Frames of the program with the eye, of what this one takes."""
        return self._eyed.frames_of(_pixels(given))

    def layer_lines(self) -> Sequence[LayerLine]:
        """See `Program.layer_lines`."""
        return self.program.layer_lines()

    def run(
        self,
        frames: Integers,
        semantics: Semantics = "timestep",
        engine: Engine = "fast",
        states: States | None = None,
    ) -> Trace:
        """See `TakesPictures.see`.

        Raises:
            UnsupportedError: from states: every picture is seen afresh.
        """
        if states is not None:
            raise UnsupportedError("a program with an eye sees every picture afresh: it does not go on from states")
        return self._eyed.see(_pixels(frames), semantics, engine)

    def to_tensors(self) -> tuple[dict[str, Integers], dict[str, Any]]:
        """See `Program.to_tensors`."""
        return self.program.to_tensors()


def _pixels(frames: Integers) -> NDArray[np.uint8]:
    """uint8 [B, C, H, W] of one step of them."""
    if frames.ndim != 5 or frames.shape[1] != 1 or frames.dtype != np.uint8:
        raise InputError(f"pictures are {frames.dtype} {list(frames.shape)}: give uint8 [B, 1, C, H, W]")
    return np.asarray(frames[:, 0], np.uint8)
