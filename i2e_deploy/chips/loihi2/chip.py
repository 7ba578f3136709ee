"""Loihi 2 as a `Chip`: check, placement and lowering over a profile."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from i2e_deploy.chips.base import Chip, Program
from i2e_deploy.chips.check import CheckReport, Finding, Severity, Slot
from i2e_deploy.chips.costs import Costs
from i2e_deploy.chips.loihi2.checks.calibration import calibration_findings
from i2e_deploy.chips.loihi2.checks.partition import Cut, place
from i2e_deploy.chips.loihi2.checks.rules import RULES
from i2e_deploy.chips.loihi2.costs import costs
from i2e_deploy.chips.loihi2.lava.export import export_netx
from i2e_deploy.chips.loihi2.layers import layers_of
from i2e_deploy.chips.loihi2.program import LoihiProgram, read_program
from i2e_deploy.chips.profile import Profile, load_profile
from i2e_deploy.chips.trace import Integers, Trace
from i2e_deploy.errors import UnsupportedError
from i2e_deploy.network import AnyNetwork, BlockNetwork

#: Name of the netx file in a bundle.
NATIVE = "program.net"


class Loihi2Chip(Chip):
    """Loihi 2, by the name of its profile.

    Raises:
        InputError: no such profile.
    """

    def __init__(self, name: str) -> None:
        self.profile = load_profile(name)

    def check(self, network: AnyNetwork) -> CheckReport:
        """See `Chip.check`."""
        if not isinstance(network, BlockNetwork):
            text = _refusal()
            return CheckReport(
                self.profile.name, (), (Finding("structure", "", text, "integer blocks", "", "error"),), ()
            )
        layers = layers_of(network, "chip")
        findings = [f for block in network.blocks for rule in RULES for f in rule(network, block, self.profile)]
        findings += [Finding("note", note.layer, note.text, "", "", "info") for note in network.notes]
        if network.input_transform is not None:
            weight, bias = network.input_transform
            text = "neither Lava nor the chip applies it: give frames as x * weight + bias, integers"
            findings.append(
                Finding("input transform", network.blocks[0].name, f"x * {weight} + {bias}", "", "", "info", text)
            )
        slots, cuts, homeless = place(layers, self.profile)
        findings += _core_findings(cuts, homeless, self.profile)
        return CheckReport(self.profile.name, tuple(b.name for b in network.blocks), tuple(findings), slots)

    def lower(self, network: AnyNetwork) -> LoihiProgram:
        """See `Chip.lower`. Blocks are integers already: their numbers are the program's."""
        if not isinstance(network, BlockNetwork):
            raise UnsupportedError(_refusal())
        return LoihiProgram(network)

    def check_on(self, network: AnyNetwork, frames: Integers) -> tuple[Finding, ...]:
        """See `Chip.check_on`: headroom of the states, and messages that differ on Lava and in SLAYER."""
        return calibration_findings(self.lower(network), frames, self.profile)

    def costs(
        self,
        program: Program,
        frames: Integers,
        step_us: int = 1000,
        trace: Trace | None = None,
        cores: Mapping[str, int] | None = None,
    ) -> Costs:
        """See `Chip.costs`: a step takes the time that it needs, and layers span cores: neither is asked for."""
        assert isinstance(program, LoihiProgram)
        trace = program.run(frames) if trace is None else trace
        return costs(trace, layers_of(program.network, "chip"), self.profile)

    def native_files(self, program: Program, placement: Sequence[Slot]) -> Mapping[str, bytes]:
        """`program.net` for netx, mended (see `export`); nothing where a `.net` file cannot hold the network."""
        assert isinstance(program, LoihiProgram)
        with tempfile.TemporaryDirectory(prefix="i2e-net-") as folder:
            path = Path(folder) / NATIVE
            try:
                export_netx(program.network, path)
            except UnsupportedError:
                return {}
            return {NATIVE: path.read_bytes()}

    def program(self, tensors: Mapping[str, Integers], data: Mapping[str, Any]) -> LoihiProgram:
        """See `Chip.program`."""
        return read_program(tensors, data)


def _refusal() -> str:
    return (
        "a float network of integrate-and-fire neurons (reset by subtraction, no leak): Loihi 2 takes "
        "SLAYER's integer blocks; train with SLAYER and use from_slayer or read_netx"
    )


def _core_findings(cuts: tuple[Cut, ...], homeless: tuple[str, ...], profile: Profile) -> list[Finding]:
    per_chip, source = len(profile.cores), profile.cores_source
    total = sum(cut.cores for cut in cuts)
    findings = [
        Finding(
            "cores",
            cut.name,
            cut.cores,
            per_chip,
            "cores (estimate)",
            "ok" if cut.cores <= per_chip else "info",
            "",
            source,
        )
        for cut in cuts
    ]
    fix = "use fewer inputs, channels or taps in these layers"
    if homeless:
        findings += [
            Finding("cores", name, "no piece fits a core", per_chip, "cores", "error", fix, source) for name in homeless
        ]
    sizes = [(board, board.chips * per_chip) for board in profile.boards]
    for board, cores in sizes:
        text = f"{total} of {cores}" if total <= cores else f"{total}, {total - cores} too many"
        last = board is profile.boards[-1]
        severity: Severity = "ok" if total <= cores else ("error" if last else "info")
        findings.append(
            Finding(f"cores of {board.name}", "", text, cores, "cores (estimate)", severity, "", board.source)
        )
    return findings
