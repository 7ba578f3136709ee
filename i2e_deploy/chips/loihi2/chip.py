"""Loihi 2 as a `Chip`: check and placement over a profile, float networks lowered, integers taken as they are."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from i2e_deploy.chips.base import SPREAD, Chip, Program
from i2e_deploy.chips.check import CheckReport, Finding, Severity, Slot, note_findings
from i2e_deploy.chips.checked import yes_or_no
from i2e_deploy.chips.costs import Costs
from i2e_deploy.chips.evidence import evidence_findings
from i2e_deploy.chips.eye import eye_for
from i2e_deploy.chips.integers import AnyNetwork, IntegerNetwork
from i2e_deploy.chips.loihi2.checks import recipes
from i2e_deploy.chips.loihi2.checks.boards import board_findings
from i2e_deploy.chips.loihi2.checks.partition import Cut, place
from i2e_deploy.chips.loihi2.checks.rules import RULES, time_shift
from i2e_deploy.chips.loihi2.formats.program_file import from_tensors, to_tensors
from i2e_deploy.chips.loihi2.lowering.losses import findings_of, measured_findings
from i2e_deploy.chips.loihi2.lowering.lower import Lowered, beside, lower
from i2e_deploy.chips.loihi2.program import BlockNetwork
from i2e_deploy.chips.loihi2.reference.layers import layers_of
from i2e_deploy.chips.loihi2.runnable import EyeProgram, LoihiProgram, program_of
from i2e_deploy.chips.options import PLAIN, Injection, LowerOptions
from i2e_deploy.chips.plans import Plan
from i2e_deploy.chips.profile import Profile, load_profile
from i2e_deploy.chips.recorded import Recorded
from i2e_deploy.chips.rules import load_rules
from i2e_deploy.chips.trace import Integers, Trace
from i2e_deploy.conversion.vectors import Kernels
from i2e_deploy.errors import InputError, UnsupportedError
from i2e_deploy.events.array import Events
from i2e_deploy.network.graph import Network

if TYPE_CHECKING:
    from i2e_deploy.chips.abilities import Asked as Question
    from i2e_deploy.chips.answers import BoardAnswers

#: Name of the netx file in a bundle.
NATIVE = "program.net"


class Loihi2Chip(Chip):
    """Loihi 2, by the name of its profile.

    Raises:
        InputError: no such profile.
    """

    integer_suffixes: ClassVar[tuple[str, ...]] = (".net", ".h5", ".hdf5")
    read_options: ClassVar[Mapping[str, Callable[[str], Any]]] = {
        "input_message_bits": int,
        "spike_exp": int,
        "reset_interval": int,
        "reset_offset": int,
        "reset_staggered": yes_or_no,
    }
    integer_kind: ClassVar[str] = BlockNetwork.kind
    lower_options: ClassVar[frozenset[str]] = frozenset({"calibration", "standard_neurons"})
    why_not: ClassVar[Mapping[str, str]] = {
        "LimitsRates": "its cores wait for each other at the end of every step: activity makes steps longer, and loses "
        "nothing"
    }
    recipes: ClassVar[Mapping[str, str]] = recipes.RECIPES

    replayable: ClassVar[tuple[str, ...]] = ("lif-neuron",)
    own_semantics: ClassVar[str] = "chip"
    probe_targets: ClassVar[tuple[str, ...]] = ("board", "lava")

    def __init__(self, name: str, answers: BoardAnswers | None = None) -> None:
        self.profile, self.rules, self.answers = load_profile(name), load_rules(__package__), answers
        if answers is not None and answers.chip != name:
            raise InputError(f"the answers are of a board with {answers.chip}, not {name}: probe a board of it")

    def replay_record(self, name: str, records: Path | None, data: Path | None, semantics: str) -> tuple[Recorded, ...]:
        """See `ReplaysRecords` and `records`."""
        from i2e_deploy.chips.loihi2.records import REPLAYS

        return REPLAYS[name](records, data, semantics)

    def check(self, network: AnyNetwork, options: LowerOptions = PLAIN, program: Program | None = None) -> CheckReport:
        """See `Chip.check`: of a float network also what each layer lost, see `lowering.losses`."""
        self.refuse_unknown(options)
        try:
            lowered = _lowered(network, options)
        except UnsupportedError as error:
            finding = Finding("structure", "", str(error), "blocks of weights and neurons", "", "error")
            notes = note_findings(network.notes) if isinstance(network, Network) else []
            return CheckReport(self.profile.name, (), (finding, *notes), ())
        blocks, losses = lowered.network, lowered.losses
        rules = tuple(rule for rule in RULES if rule is not time_shift) if isinstance(network, Network) else RULES
        if isinstance(program, LoihiProgram):
            losses = losses if _same(blocks, program.network) else ()  # it was lowered with other options
            blocks = program.network
        layers = layers_of(blocks, "chip")
        findings = [f for block in blocks.blocks for rule in rules for f in rule(blocks, block, self.profile)]
        findings += [*findings_of(losses), *note_findings(blocks.notes)]
        if blocks.input_transform is not None:
            weight, bias = blocks.input_transform
            text = "neither Lava nor the chip applies it: give frames as x * weight + bias, integers"
            findings.append(
                Finding("input transform", blocks.blocks[0].name, f"x * {weight} + {bias}", "", "", "info", text)
            )
        slots, cuts, unplaced = place(layers, self.profile)
        findings += _core_findings(cuts, unplaced, self.profile)
        findings += evidence_findings(self.profile)
        return CheckReport(self.profile.name, tuple(b.name for b in blocks.blocks), tuple(findings), slots)

    def lower(self, network: AnyNetwork, options: LowerOptions = PLAIN) -> LoihiProgram:
        """See `Chip.lower` and `lowering.lower`. Blocks are integers already: their numbers are the program's."""
        self.refuse_unknown(options)
        return program_of(_lowered(network, options).network)

    def with_eye(
        self, program: Program, ratio: Fraction | float | str, kernels: Kernels | None = None, channels: int = 3
    ) -> EyeProgram:
        """See `SeesPictures.with_eye`."""
        from i2e_deploy.chips.loihi2.eye.attach import with_eye

        network = _own(program).network
        return EyeProgram(with_eye(network, eye_for(network.input_shape, ratio, kernels, channels)))

    def findings_on(
        self, network: AnyNetwork, frames: Integers, options: LowerOptions = PLAIN, program: Program | None = None
    ) -> tuple[Finding, ...]:
        """See `ChecksStates`: headroom of the states, and what differs on Lava, in SLAYER, or from the float run."""
        from i2e_deploy.chips.loihi2.checks.calibration import calibration_findings

        if isinstance(program, EyeProgram):  # frames are pictures: what the float network makes of them says nothing
            late = np.zeros((len(frames), program.deciding.lag, *frames.shape[2:]), frames.dtype)
            whole = np.concatenate([frames, late], axis=1)
            return calibration_findings(program.network, whole, self.profile)
        if not isinstance(network, Network):
            return calibration_findings(_blocks(network), frames, self.profile)
        lowered = beside(network, frames, options.standard_neurons)
        if isinstance(program, LoihiProgram) and not _same(lowered.network, program.network):
            lowered = beside(network, frames, options.standard_neurons, program.network)
        return (*measured_findings(lowered.losses), *calibration_findings(lowered.network, frames, self.profile))

    def board_findings(self, program: Program, board: str) -> tuple[Finding, ...]:
        """See `SpreadsOverBoards` and `checks.boards`."""
        return tuple(board_findings(layers_of(_own(program).network, "chip"), self.profile, board))

    def questions(self) -> Sequence[Question]:
        """See `AnswersQuestions`."""
        from i2e_deploy.chips.loihi2.probing.questions import questions

        return questions()

    def probe(
        self,
        target: str,
        repeats: int | None = None,
        only: Sequence[str] = (),
        progress: Callable[[int, str], None] = lambda *_: None,
    ) -> BoardAnswers:
        """See `AnswersQuestions`; through Lava a repeat takes seconds, and its CPU models never differ: three each."""
        from i2e_deploy.chips.answers import FEWEST
        from i2e_deploy.chips.loihi2.probing.probe import probe

        return probe(self.profile.name, target, FEWEST if repeats is None else repeats, only, progress)

    def as_answered(self, answers: BoardAnswers) -> Loihi2Chip:
        """See `AnswersQuestions`."""
        return Loihi2Chip(self.profile.name, answers)

    def settle(self, program: Program) -> LoihiProgram:
        """See `AnswersQuestions`; the simulation has no options, so the program stays as it is."""
        return _own(program)

    def told(self) -> tuple[str, ...]:
        """See `AnswersQuestions`."""
        from i2e_deploy.chips.loihi2.probing.probe import told

        return () if self.answers is None else tuple(told(self.answers))

    def costs(
        self,
        program: Program,
        given: Integers | Events,
        injection: Injection = SPREAD,
        trace: Trace | None = None,
        cores: Mapping[str, int] | None = None,
    ) -> Costs:
        """See `Chip.costs`: a step takes the time that it needs, and layers span cores: neither is asked for.

        Without a trace the run goes on until the pipeline is empty, as a decision needs it.
        """
        from i2e_deploy.chips.loihi2.estimates.costs import costs

        network = _own(program).network
        if trace is None and (late := max(block.latency for block in network.blocks)):
            frames = program.in_steps(given, injection.step_us)
            given = np.pad(frames, ((0, 0), (0, late), *((0, 0) for _ in frames.shape[2:])))
        trace = program.simulate(given, injection=injection) if trace is None else trace
        return costs(trace, layers_of(network, "chip"), self.profile)

    def native_files(self, program: Program, placement: Sequence[Slot]) -> Mapping[str, bytes]:
        """`program.net` for netx, corrected (see `formats.netx_export`); nothing where a `.net` file cannot hold it."""
        from i2e_deploy.chips.loihi2.formats.netx_export import export_netx

        with tempfile.TemporaryDirectory(prefix="i2e-net-") as folder:
            path = Path(folder) / NATIVE
            try:
                export_netx(_own(program).network, path)
            except UnsupportedError:
                return {}
            return {NATIVE: path.read_bytes()}

    def plan(self, recipe: str, input_shape: tuple[int, int, int], classes: int) -> Plan:
        """See `OffersRecipes`."""
        return recipes.plan(self.profile, recipe, input_shape, classes)

    def program(self, tensors: Mapping[str, Integers], data: Mapping[str, Any]) -> LoihiProgram:
        """See `Chip.program`."""
        return program_of(from_tensors(tensors, data))

    def read_integers(self, path: Path, input_shape: tuple[int, ...] | None = None, **options: Any) -> BlockNetwork:
        """See `TakesIntegers`: a netx file; options are those of `read_netx`."""
        from i2e_deploy.chips.loihi2.formats.netx_read import read_netx

        return read_netx(path, input_shape, **options)

    def from_module(self, module: Any, input_shape: tuple[int, ...] | None = None, example: Any = None) -> BlockNetwork:
        """See `TakesIntegers`: a SLAYER network."""
        from i2e_deploy.chips.loihi2.formats.slayer import from_slayer

        return from_slayer(module, input_shape, example=example)

    def pack_integers(self, network: IntegerNetwork) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        """See `TakesIntegers`."""
        return to_tensors(_blocks(network))

    def unpack_integers(self, tensors: Mapping[str, Any], data: Mapping[str, Any]) -> BlockNetwork:
        """See `TakesIntegers`."""
        return from_tensors(tensors, data)


def _lowered(network: AnyNetwork, options: LowerOptions) -> Lowered:
    return lower(network, options) if isinstance(network, Network) else Lowered(_blocks(network), ())


def _blocks(network: AnyNetwork) -> BlockNetwork:
    if not isinstance(network, BlockNetwork):
        title = network.title if isinstance(network, IntegerNetwork) else "a float network"
        raise UnsupportedError(f"{title}: Loihi 2 takes float networks and {BlockNetwork.title}")
    return network


def _same(one: BlockNetwork, other: BlockNetwork) -> bool:
    """Whether two networks have the same integers."""
    (first, _), (second, _) = to_tensors(one), to_tensors(other)
    return first.keys() == second.keys() and all(np.array_equal(array, second[name]) for name, array in first.items())


def _own(program: Program) -> LoihiProgram:
    if not isinstance(program, LoihiProgram):
        raise UnsupportedError(f"{type(program).__name__} is a program of another chip, not of Loihi 2")
    return program


def _core_findings(cuts: tuple[Cut, ...], unplaced: tuple[str, ...], profile: Profile) -> list[Finding]:
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
    if unplaced:
        findings += [
            Finding("cores", name, "no piece fits a core", per_chip, "cores", "error", fix, source) for name in unplaced
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
