"""Which layer goes on which core: a matching between layers and cores whose memories hold them, and the best of them.

Of all placements that fit, where the load of the layers is known, those come first in which no core is above its rate
(an overloaded core stalls the chip: sinabs' documentation, "tips for training"), or, if there is none, in which
the largest load is least, since that core sets the pace of all. Of these the one that puts layers fed by the input on
the parallel cores (Speck Dev Kit Datasheet, Aug 2023, 2.4: "can be used as input layers") and single neurons elsewhere
(as the vendor's own test of one does); then the one with the least work, in seconds of work a second of all cores
together; then the smallest cores. The datasheet's advice comes before the total because rates are secondary figures,
and after the limit because a stalled chip gains nothing from it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

from i2e_deploy.chips.check import CheckReport, Slot
from i2e_deploy.chips.dynapcnn.lowering.stages import Sized, words
from i2e_deploy.chips.profile import Core, Profile
from i2e_deploy.errors import UnsupportedError
from i2e_deploy.network import INPUT

#: (preferences not met; seconds of work a second; words of memory taken): smaller is better.
Cost = tuple[float, float, int]


def place(
    stages: Sequence[Sized], profile: Profile, loads: Mapping[str, float] | None = None
) -> tuple[tuple[Slot, ...], tuple[str, ...]]:
    """Give every stage a core of its own.

    Args:
        loads: synaptic operations a second of every stage, where they are known.

    Returns:
        (slots in network order, ()) when all fit; else ((), a group of stages that together have fewer cores to choose
        from than members, by Hall's theorem).
    """
    options = {stage.name: holding(words(stage), profile) for stage in stages}
    _, without_core = match({name: [core.index for core in cores] for name, cores in options.items()})
    if without_core:
        return (), tuple(stage.name for stage in stages if stage.name in without_core)
    chosen = _best(stages, options, profile, loads)
    return tuple(Slot(s.name, c.index, words(s), c.memory) for s, c in zip(stages, chosen, strict=True)), ()


def holding(used: Mapping[str, int], profile: Profile) -> list[Core]:
    """Cores whose every memory holds so many words."""
    return [core for core in profile.cores if all(used[kind] <= core.memory[kind] for kind in used)]


def cores_of(stage: Sized, profile: Profile) -> tuple[int, ...]:
    """Numbers of the cores that hold a stage."""
    return tuple(core.index for core in holding(words(stage), profile))


def match(options: Mapping[str, Sequence[int]]) -> tuple[dict[str, int], tuple[str, ...]]:
    """A core for each name out of its options; or ({}, a group that shares too few), by augmenting paths (Kuhn)."""
    owner: dict[int, str] = {}

    def assign(name: str, seen: set[int]) -> bool:
        for core in options[name]:
            if core in seen:
                continue
            seen.add(core)
            if core not in owner or assign(owner[core], seen):
                owner[core] = name
                return True
        return False

    for name in sorted(options, key=lambda name: len(options[name])):
        seen: set[int] = set()
        if not assign(name, seen):
            return {}, (name, *(owner[core] for core in seen))
    return {name: core for core, name in owner.items()}, ()


def unplaced(options: Mapping[str, Sequence[int]]) -> int:
    """The smallest possible number of names without a core."""
    left = dict(options)
    while without_core := match(left)[1]:
        del left[without_core[0]]
    return len(options) - len(left)


def rate_of(core: Core, profile: Profile) -> float:
    """Synaptic operations a second that a core can do, as the profile has it (secondary source, unverified)."""
    value = profile.limit("synops_rate_parallel" if core.parallel else "synops_rate").value
    assert isinstance(value, int)
    return float(value)


def layer_rates(report: CheckReport, profile: Profile) -> dict[str, float]:
    """Synaptic operations a second that the core of every layer can do.

    Raises:
        UnsupportedError: the report has no placement.
    """
    if not report.placement:
        found = "; ".join(map(str, report.errors))
        raise UnsupportedError(f"rates of the cores of {profile.name}: the network is on none: {found}")
    cores = {core.index: core for core in profile.cores}
    return {slot.layer: rate_of(cores[slot.core], profile) for slot in report.placement}


def _best(
    stages: Sequence[Sized], options: Mapping[str, Sequence[Core]], profile: Profile, loads: Mapping[str, float] | None
) -> tuple[Core, ...]:
    """The cheapest placement, exactly: for each set of cores in use the cheapest way to fill it, layer by layer."""
    if loads is not None:
        options = _fast_enough(options, profile, loads)
    ways: dict[int, tuple[Cost, tuple[Core, ...]]] = {0: ((0.0, 0.0, 0), ())}
    for stage in stages:
        longer: dict[int, tuple[Cost, tuple[Core, ...]]] = {}
        for taken, (before, cores) in ways.items():
            for core in options[stage.name]:
                if taken >> core.index & 1:
                    continue
                unmet, work, memory = _cost(stage, core, profile, loads)
                way = ((before[0] + unmet, before[1] + work, before[2] + memory), (*cores, core))
                key = taken | 1 << core.index
                if key not in longer or way[0] < longer[key][0]:
                    longer[key] = way
        ways = longer
    return min(ways.values(), key=lambda way: way[0])[1]


def _fast_enough(
    options: Mapping[str, Sequence[Core]], profile: Profile, loads: Mapping[str, float]
) -> dict[str, list[Core]]:
    """For every layer the cores that may take it so that the largest load of any core is least, or at most 1."""
    shares = {name: [(loads[name] / rate_of(core, profile), core) for core in cores] for name, cores in options.items()}
    for largest in sorted({max(1.0, share) for row in shares.values() for share, _ in row}):
        kept = {name: [core for share, core in row if share <= largest] for name, row in shares.items()}
        if not match({name: [core.index for core in cores] for name, cores in kept.items()})[1]:
            return kept
    raise AssertionError("all options together are a placement")


def _cost(stage: Sized, core: Core, profile: Profile, loads: Mapping[str, float] | None) -> Cost:
    from_input = any(source.layer == INPUT for source in stage.sources)
    unmet = float(from_input and not core.parallel) + 2.0 * (core.parallel and prod(stage.output_shape) == 1)
    memory = sum(core.memory.values())
    if loads is None:  # the parallel cores are left to those that may need them
        return unmet + float(core.parallel and not from_input), 0.0, memory
    return unmet, loads[stage.name] / rate_of(core, profile), memory
