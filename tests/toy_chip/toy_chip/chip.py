"""The chip: what the entry point in pyproject.toml names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from i2e_deploy.chips.base import Chip, Program
from i2e_deploy.chips.check import CheckReport, Finding
from i2e_deploy.chips.integers import AnyNetwork
from i2e_deploy.chips.options import PLAIN, LowerOptions
from i2e_deploy.chips.profile import load_profile
from i2e_deploy.chips.trace import Integers
from toy_chip.checks import examine
from toy_chip.formats import from_tensors
from toy_chip.lowering import arrange, lower
from toy_chip.runnable import ToyProgram


class ToyChip(Chip):
    """The chip, by the name of its profile.

    Raises:
        InputError: no such profile.
    """

    def __init__(self, name: str) -> None:
        self.profile = load_profile(name, "toy_chip")

    def check(self, network: AnyNetwork, options: LowerOptions = PLAIN, program: Program | None = None) -> CheckReport:
        """See `Chip.check`."""
        self.refuse_unknown(options)
        cores, refusals = arrange(network)
        made = program.crossbars.cores if isinstance(program, ToyProgram) else cores
        return examine(made, refusals, self.profile)

    def lower(self, network: AnyNetwork, options: LowerOptions = PLAIN) -> ToyProgram:
        """See `Chip.lower`."""
        self.refuse_unknown(options)
        return ToyProgram(lower(network))

    def program(self, tensors: Mapping[str, Integers], data: Mapping[str, Any]) -> ToyProgram:
        """See `Chip.program`."""
        return ToyProgram(from_tensors(tensors, data))

    def findings_on(
        self, network: AnyNetwork, frames: Integers, options: LowerOptions = PLAIN, program: Program | None = None
    ) -> tuple[Finding, ...]:
        """See `ChecksStates`: how often a state left its 8 bits."""
        counts = self.lower(network).run(frames).counts
        return tuple(
            Finding("saturations", name, count.saturations, 0, "updates", "warning" if count.saturations else "ok")
            for name, count in counts.items()
        )
