"""TrueNorth as a `Chip`: float networks lowered to cores, checked over a profile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from i2e_deploy.chips.base import SPREAD, Chip, Program
from i2e_deploy.chips.check import CheckReport, Finding, Slot
from i2e_deploy.chips.costs import Costs
from i2e_deploy.chips.integers import AnyNetwork
from i2e_deploy.chips.options import PLAIN, Injection, LowerOptions
from i2e_deploy.chips.plans import Plan
from i2e_deploy.chips.profile import load_profile
from i2e_deploy.chips.rules import load_rules
from i2e_deploy.chips.trace import Integers, Trace
from i2e_deploy.chips.truenorth.checks.recipes import RECIPES
from i2e_deploy.chips.truenorth.formats.program_file import MOST_CORES, from_tensors
from i2e_deploy.chips.truenorth.program import CoreNetwork
from i2e_deploy.chips.truenorth.runnable import TrueNorthProgram
from i2e_deploy.errors import UnsupportedError
from i2e_deploy.events.array import Events
from i2e_deploy.network.graph import Network

#: Names of RANC's files in a bundle.
RANC_INPUT, RANC_CONFIG = "ranc_input.json", "ranc_config.json"


class TrueNorthChip(Chip):
    """TrueNorth, by the name of its profile.

    Raises:
        InputError: no such profile.
    """

    lower_options: ClassVar[frozenset[str]] = frozenset({"split", "standard_neurons"})
    recipes: ClassVar[Mapping[str, str]] = RECIPES

    def __init__(self, name: str) -> None:
        self.profile, self.rules = load_profile(name, __package__), load_rules(__package__)

    def check(self, network: AnyNetwork, options: LowerOptions = PLAIN, program: Program | None = None) -> CheckReport:
        """See `Chip.check`: of every layer also what it lost on the way to integers."""
        from i2e_deploy.chips.truenorth.checks.examine import examine
        from i2e_deploy.chips.truenorth.lowering.lower import lower

        self.refuse_unknown(options)
        if not isinstance(network, Network):
            text = f"{network.title}: TrueNorth takes float networks"
            finding = Finding("structure", "", text, "a float network", "", "error")
            return CheckReport(self.profile.name, (), (finding,), ())
        lowered = lower(network, options.split, options.standard_neurons)
        return examine(network, lowered, self.profile, None if program is None else _own(program))

    def lower(self, network: AnyNetwork, options: LowerOptions = PLAIN) -> TrueNorthProgram:
        """See `Chip.lower`.

        Raises:
            UnsupportedError: see `Chip.lower`; also where no core holds a layer.
        """
        from i2e_deploy.chips.truenorth.lowering.lower import lower

        self.refuse_unknown(options)
        if not isinstance(network, Network):
            raise UnsupportedError(f"{network.title}: TrueNorth takes float networks")
        lowered = lower(network, options.split, options.standard_neurons)
        if lowered.problems:
            named = (f"layer {name!r} {text}" if name else text for name, text in lowered.problems)
            raise UnsupportedError("; ".join(named))
        made = lowered.network
        if made is None or len(made.cores) > MOST_CORES:
            report = self.check(network, options)
            raise UnsupportedError("; ".join(map(str, report.errors)))
        return TrueNorthProgram(made)

    def plan(self, recipe: str, input_shape: tuple[int, int, int], classes: int) -> Plan:
        """See `OffersRecipes`; it takes some seconds, for the network is lowered."""
        from i2e_deploy.chips.truenorth.checks.recipes import plan

        return plan(self.profile.name, len(self.profile.cores), recipe, input_shape, classes)

    def program(self, tensors: Mapping[str, Integers], data: Mapping[str, Any]) -> TrueNorthProgram:
        """See `Chip.program`."""
        return TrueNorthProgram(from_tensors(tensors, data))

    def costs(
        self,
        program: Program,
        given: Integers | Events,
        injection: Injection = SPREAD,
        trace: Trace | None = None,
        cores: Mapping[str, int] | None = None,
    ) -> Costs:
        """See `Chip.costs`: a step is a tick of 1 ms, whatever the input's own time was."""
        from i2e_deploy.chips.truenorth.estimates.costs import costs

        trace = program.simulate(given, injection=injection) if trace is None else trace
        return costs(trace, _own(program), self.profile)

    def native_files(self, program: Program, placement: Sequence[Slot]) -> Mapping[str, bytes]:
        """RANC's input (cores without packets) and configuration; nothing where RANC computes something else."""
        from i2e_deploy.chips.truenorth.formats.ranc import as_bytes, config_json, input_json

        network = _own(program)
        try:
            return {
                RANC_INPUT: as_bytes(input_json(network)),
                RANC_CONFIG: as_bytes(dict(config_json(network, trace=False))),
            }
        except UnsupportedError:
            return {}

    def findings_on(
        self, network: AnyNetwork, frames: Integers, options: LowerOptions = PLAIN, program: Program | None = None
    ) -> tuple[Finding, ...]:
        """See `ChecksStates`: what a line cannot carry, potentials at their ends, and spikes beside the float run's."""
        from i2e_deploy.chips.truenorth.checks.on_input import findings_of

        made = program if isinstance(program, TrueNorthProgram) else self.lower(network, options)
        trace = made.run(frames)
        assert isinstance(network, Network)
        return findings_of(network, made.network, np.asarray(frames), trace)


def _own(program: Program) -> CoreNetwork:
    if not isinstance(program, TrueNorthProgram):
        raise UnsupportedError(f"{type(program).__name__} is a program of another chip, not of TrueNorth")
    return program.network
