"""Where a program runs: `simulator` and `reference` everywhere; `lava` and `board` where the chip's software is.

`board:NAME` is a certain board, e.g. `board:Speck2fDevKit:1`, so that two boards can be compared.
"""

from __future__ import annotations

from i2e_deploy.chips import Program, Trace
from i2e_deploy.chips.trace import Integers
from i2e_deploy.errors import InputError

#: The fast engine, the slow definition, Intel's software on this machine, the chip.
TARGETS = ("simulator", "reference", "lava", "board")


def run_on(target: str, program: Program, frames: Integers, semantics: str = "timestep", step_us: int = 1000) -> Trace:
    """Run `frames` [B, T, C, H, W], each sample from a fresh state, on a target.

    Args:
        step_us: duration of a step on a board; no spike of a simulation depends on it.

    Raises:
        InputError: no such target, or frames that the program does not take.
        UnsupportedError: the program's chip has no such target.
        MissingDependency: the vendor's software is not installed.
    """
    if target not in TARGETS and not target.startswith("board:"):
        raise InputError(f"no target {target!r}: choose one of {', '.join(TARGETS)}, board:NAME")
    if target == "simulator":
        return program.run(frames, semantics)
    if target == "reference":
        return program.run(frames, semantics, engine="reference")
    return program.run_on(target, frames, semantics, step_us)
