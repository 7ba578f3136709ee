"""Where a program runs: `simulator` is always there; others come with the chip's own software."""

from __future__ import annotations

from i2e_deploy.chips import Program, Trace
from i2e_deploy.chips.trace import Integers
from i2e_deploy.errors import InputError

TARGETS = ("simulator",)


def run_on(target: str, program: Program, frames: Integers, semantics: str = "timestep") -> Trace:
    """Run `frames` [B, T, C, H, W] from a fresh state on a target.

    Raises:
        InputError: no such target, or frames that the program does not take.
    """
    if target not in TARGETS:
        raise InputError(f"target {target!r} is not available for this program: choose one of {', '.join(TARGETS)}")
    return program.run(frames, semantics)
