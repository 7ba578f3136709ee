"""The DYNAP-CNN family as a `Chip`: check and lowering over a profile."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from i2e_deploy.chips.base import Chip, Program
from i2e_deploy.chips.check import CheckReport, Finding, Slot
from i2e_deploy.chips.costs import Costs
from i2e_deploy.chips.dynapcnn.activity import Activity
from i2e_deploy.chips.dynapcnn.config import build_config
from i2e_deploy.chips.dynapcnn.energy import Coefficients
from i2e_deploy.chips.dynapcnn.event_options import EventOptions
from i2e_deploy.chips.dynapcnn.fit import changes, enough, sizes_of, smallest_changes
from i2e_deploy.chips.dynapcnn.network_rules import NETWORK_RULES, Whole
from i2e_deploy.chips.dynapcnn.placement import holding, place
from i2e_deploy.chips.dynapcnn.program import DynapcnnProgram, Source
from i2e_deploy.chips.dynapcnn.program_file import read_program
from i2e_deploy.chips.dynapcnn.quantise import Quantised, core_layer, of_layer, quantise
from i2e_deploy.chips.dynapcnn.readout import spread
from i2e_deploy.chips.dynapcnn.rules import RULES
from i2e_deploy.chips.dynapcnn.split import halves, split_all, split_to_fit, splits_that_fit
from i2e_deploy.chips.dynapcnn.stages import Stage, arrange, sensor_of, words
from i2e_deploy.chips.profile import Profile, load_profile
from i2e_deploy.chips.trace import Integers, Trace
from i2e_deploy.errors import UnsupportedError
from i2e_deploy.events import Events
from i2e_deploy.network import AnyNetwork, Network


class DynapcnnChip(Chip):
    """A chip of the family, by the name of its profile; `coefficients` are those of one board, for `costs`.

    Raises:
        InputError: no such profile.
    """

    def __init__(self, name: str, coefficients: Coefficients | None = None) -> None:
        self.profile, self.coefficients = load_profile(name), coefficients

    def check(
        self,
        network: AnyNetwork,
        split: bool = False,
        program: DynapcnnProgram | None = None,
        activity: Activity | None = None,
    ) -> CheckReport:
        """See `Chip.check`.

        Args:
            split: look at what `lower(network, split=True)` makes, where that is possible.
            program: what was made of the network, if not by `lower`: its integers are looked at.
            activity: of that program; placement and rules then know the load of every core.
        """
        try:
            stages, outputs = arrange(_float(network))
            sensor = sensor_of(_float(network))
        except UnsupportedError as error:
            finding = Finding("structure", "", str(error), "one convolution and its neurons a core", "", "error")
            return CheckReport(self.profile.name, (), (finding,), ())
        integers = {stage.name: quantise(stage) for stage in stages}
        if split:
            stages, integers, outputs = _split(stages, integers, outputs, self.profile)
        if program is not None:
            integers = {layer.name: of_layer(layer) for layer in program.layers}
            wide = set() if program.readout is None else {source.layer for source in outputs}
            stages = tuple(spread(stage) if stage.name in wide else stage for stage in stages)
        findings = [f for s in stages for rule in RULES for f in rule(s, integers[s.name], self.profile)]
        slots, crowded = place(stages, self.profile, None if activity is None else activity.synops)
        whole = Whole(_float(network).input_shape, stages, outputs, sensor, slots, self.profile, activity)
        findings.append(_cores_finding(stages, crowded, self.profile))
        findings += [finding for network_rule in NETWORK_RULES for finding in network_rule(whole)]
        return CheckReport(self.profile.name, tuple(s.name for s in stages), tuple(findings), slots)

    def lower(self, network: AnyNetwork, split: bool = False) -> DynapcnnProgram:
        """See `Chip.lower`. One scale a layer, as Sinabs discretises; see `quantise`.

        Args:
            split: put layers that find no core on two, where that makes the network fit; see `split`.

        Raises:
            CheckFailed: with `split`, it does not help.
        """
        stages, outputs = arrange(_float(network))
        integers = [quantise(stage) for stage in stages]
        _refuse_unusable(stages, integers)
        channels, height, width = _float(network).input_shape
        layers = tuple(core_layer(stage, q) for stage, q in zip(stages, integers, strict=True))
        program = DynapcnnProgram((channels, height, width), layers, outputs, sensor_of(_float(network)))
        return split_to_fit(program, self.profile) if split else program

    def calibrate(self, network: AnyNetwork, frames: Integers, split: bool = False) -> DynapcnnProgram:
        """Lower with scales chosen on frames [B, T, C, H, W], see `calibrate`; `lower` is exact to Sinabs."""
        from i2e_deploy.chips.dynapcnn.calibrate import calibrate

        program = calibrate(_float(network), frames)
        return split_to_fit(program, self.profile) if split else program

    def calibrated(self, path: Path) -> DynapcnnChip:
        """See `Chip.calibrated` and `power_file`."""
        from i2e_deploy.chips.dynapcnn.power_file import read_coefficients

        return DynapcnnChip(self.profile.name, read_coefficients(path, self.profile.name))

    def costs(
        self,
        program: Program,
        frames: Integers | Events,
        step_us: int = 1000,
        trace: Trace | None = None,
        cores: Mapping[str, int] | None = None,
        options: EventOptions | None = None,
    ) -> Costs:
        """See `Chip.costs` and `costs.costs`; `options` say the duration of a step too, where they are given."""
        from i2e_deploy.chips.dynapcnn.costs import costs

        assert isinstance(program, DynapcnnProgram)
        options = EventOptions(step_us=step_us) if options is None else options
        return costs(program, self.profile, frames, options, trace, cores, self.coefficients)

    def native_files(self, program: Program, placement: Sequence[Slot]) -> dict[str, bytes]:
        """`speck2f.json`: the chip's complete configuration, see `config`."""
        assert isinstance(program, DynapcnnProgram)
        cores = {slot.layer: slot.core for slot in placement}
        data = build_config(program, cores, self.profile.name)
        return {f"{self.profile.name}.json": json.dumps(data, separators=(",", ":")).encode()}

    def program(self, tensors: Mapping[str, Integers], data: Mapping[str, Any]) -> DynapcnnProgram:
        """See `Chip.program`."""
        return read_program(tensors, data)


def _float(network: AnyNetwork) -> Network:
    if not isinstance(network, Network):
        raise UnsupportedError(
            "this chip takes float networks of integrate-and-fire neurons, not SLAYER's integer blocks"
        )
    return network


def _split(
    stages: Sequence[Stage], integers: dict[str, Quantised], outputs: Sequence[Source], profile: Profile
) -> tuple[tuple[Stage, ...], dict[str, Quantised], tuple[Source, ...]]:
    """Stages and their integers as `split_to_fit` makes them; unchanged where splitting does not help."""
    names = splits_that_fit(stages, outputs, profile) or ()
    by_name = {stage.name: stage for stage in stages}
    parts, outputs = split_all(stages, outputs, names)
    fed = [source.layer for part in parts for source in part.sources] + [source.layer for source in outputs]
    parts = [replace(part, destinations=fed.count(part.name)) for part in parts]
    for name in names:
        whole = integers[name]
        layers = halves(core_layer(by_name[name], whole), name)
        integers |= {half.name: replace(whole, weight=half.weight, bias=half.bias) for half in layers}
    return tuple(parts), integers, tuple(outputs)


def _refuse_unusable(stages: Sequence[Stage], integers: Sequence[Quantised]) -> None:
    bad = [
        f"layer {stage.name!r}: the threshold {stage.neuron.threshold:g} rounds to 0 beside weights up to "
        f"{np.abs(stage.weight).max():g} and lower bound {stage.neuron.min_v}: "
        + (
            "min_v_mem=None asks for the whole 16-bit range; set e.g. min_v_mem=-1.0"
            if stage.neuron.min_v is None
            else "scale the weights down or raise spike_threshold"
        )
        for stage, q in zip(stages, integers, strict=True)
        if q.threshold < 1
    ]
    if bad:
        raise UnsupportedError("; ".join(bad))


def _cores_finding(stages: Sequence[Stage], crowded: Sequence[str], profile: Profile) -> Finding:
    """The network as a whole on the cores as a whole."""
    total, source = len(profile.cores), profile.cores_source
    if not crowded:
        return Finding("cores", "", len(stages), total, "cores", "ok", source=source)
    by_name = {stage.name: stage for stage in stages}
    alone = [name for name in crowded if not _holding(by_name[name], profile)]
    names = alone or list(crowded)
    cores = sorted({index for name in names for index in _holding(by_name[name], profile)})
    needs = ", ".join(f"{name!r} ({_needs(by_name[name])})" for name in names)
    value = f"no core for {needs}" if not cores else f"{len(names)} layers share cores {cores}: {needs}"
    fix = _proposal(stages, names, profile)
    return Finding("cores", "", value, f"{total} cores, one layer each", "", "error", fix, source)


def _proposal(stages: Sequence[Stage], names: Sequence[str], profile: Profile) -> str:
    """The smallest set of changes found, then what else would do for the first of its layers."""
    if len(stages) > len(profile.cores):
        return f"leave out {len(stages) - len(profile.cores)} of the {len(stages)} layers, or use a second chip"
    chosen = smallest_changes(stages, profile)
    if not chosen:
        return f"make {', '.join(map(repr, names))} smaller: fewer channels, smaller kernels, larger strides"
    fix = "; ".join(f"{change.layer!r}: {change}" for change in chosen)
    if len(chosen) > 1:
        return fix
    first = next(stage for stage in stages if stage.name == chosen[0].layer)
    kinds = {chosen[0].kind: chosen[0]}
    sizes = {stage.name: sizes_of(stage) for stage in stages}
    for change in changes(first.name, sizes[first.name], profile, may_split=False):
        if enough(sizes, [change], profile):
            kinds.setdefault(change.kind, change)
    return ", or ".join([fix, *(str(change) for kind, change in kinds.items() if kind != chosen[0].kind)])


def _holding(stage: Stage, profile: Profile) -> list[int]:
    return [core.index for core in holding(words(stage), profile)]


def _needs(stage: Stage) -> str:
    return ", ".join(f"{used} {kind} words" for kind, used in words(stage).items() if used)
