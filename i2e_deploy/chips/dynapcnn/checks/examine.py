"""Every rule on a network and its placement on cores: what a check finds, before changes are searched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from i2e_deploy.chips.check import CheckReport, Finding, note_findings
from i2e_deploy.chips.dynapcnn.checks.activity import Activity
from i2e_deploy.chips.dynapcnn.checks.evidence import touched
from i2e_deploy.chips.dynapcnn.checks.network_rules import NETWORK_RULES, Whole, averages
from i2e_deploy.chips.dynapcnn.checks.placement import holding, place
from i2e_deploy.chips.dynapcnn.checks.rules import RULES
from i2e_deploy.chips.dynapcnn.checks.split import halves, split_all, splits_that_fit
from i2e_deploy.chips.dynapcnn.lowering.quantise import Quantised, core_layer, of_layer, quantise
from i2e_deploy.chips.dynapcnn.lowering.stages import Stage, arrange, sensor_of, words
from i2e_deploy.chips.dynapcnn.peripherals import spread
from i2e_deploy.chips.dynapcnn.program import CoreNetwork, Source
from i2e_deploy.chips.evidence import evidence_findings
from i2e_deploy.chips.profile import Profile
from i2e_deploy.errors import UnsupportedError
from i2e_deploy.network import Network


@dataclass(frozen=True, eq=False)
class Asked:
    """What is checked besides the network itself.

    Args:
        split: what `lower(network, split=True)` makes, where that is possible.
        program: what was made of the network, if not by `lower`: its integers are looked at.
        activity: of that program; placement and rules then know the load of every core.
    """

    split: bool = False
    program: CoreNetwork | None = None
    activity: Activity | None = None


def examine(network: Network, profile: Profile, asked: Asked) -> CheckReport:
    """All findings; where layers have no core, the finding "cores" names them, but not yet what would help."""
    try:
        stages, outputs = arrange(network)
        sensor = sensor_of(network)
    except UnsupportedError as error:
        return unreadable(profile, error)
    integers = {stage.name: quantise(stage) for stage in stages}
    if asked.split:
        stages, integers, outputs = _split(stages, integers, outputs, profile)
    if asked.program is not None:
        integers = {layer.name: of_layer(layer) for layer in asked.program.layers}
        wide = set() if asked.program.readout is None else {source.layer for source in outputs}
        stages = tuple(spread(stage) if stage.name in wide else stage for stage in stages)
    findings = note_findings(network.notes)
    findings += [f for s in stages for rule in RULES for f in rule(s, integers[s.name], profile)]
    slots, without_core = place(stages, profile, None if asked.activity is None else asked.activity.synops)
    whole = Whole(network.input_shape, stages, outputs, sensor, slots, profile, asked.activity)
    findings.append(_cores_finding(stages, without_core, profile))
    findings += [finding for network_rule in NETWORK_RULES for finding in network_rule(whole)]
    findings += averages(network)
    findings += evidence_findings(profile, touched(network.input_shape, stages, integers))
    return CheckReport(profile.name, tuple(s.name for s in stages), tuple(findings), slots)


def unreadable(profile: Profile, error: UnsupportedError) -> CheckReport:
    """The check of what cannot be arranged as cores."""
    finding = Finding("structure", "", str(error), "one convolution and its neurons a core", "", "error")
    return CheckReport(profile.name, (), (finding,), ())


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


def _cores_finding(stages: Sequence[Stage], without_core: Sequence[str], profile: Profile) -> Finding:
    """The network as a whole on the cores as a whole."""
    total, source = len(profile.cores), profile.cores_source
    if not without_core:
        return Finding("cores", "", len(stages), total, "cores", "ok", source=source)
    by_name = {stage.name: stage for stage in stages}
    alone = [name for name in without_core if not _holding(by_name[name], profile)]
    names = alone or list(without_core)
    cores = sorted({index for name in names for index in _holding(by_name[name], profile)})
    needs = ", ".join(f"{name!r} ({_needs(by_name[name])})" for name in names)
    value = f"no core for {needs}" if not cores else f"{len(names)} layers share cores {cores}: {needs}"
    return Finding("cores", "", value, f"{total} cores, one layer each", "", "error", "", source)


def _holding(stage: Stage, profile: Profile) -> list[int]:
    return [core.index for core in holding(words(stage), profile)]


def _needs(stage: Stage) -> str:
    return ", ".join(f"{used} {kind} words" for kind, used in words(stage).items() if used)
