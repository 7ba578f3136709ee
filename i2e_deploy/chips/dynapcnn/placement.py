"""Which layer goes on which core: a matching between stages and cores whose memories hold them."""

from __future__ import annotations

from collections.abc import Sequence

from i2e_deploy.chips.check import Slot
from i2e_deploy.chips.dynapcnn.stages import Sized, words
from i2e_deploy.chips.profile import Core, Profile
from i2e_deploy.network import INPUT


def place(stages: Sequence[Sized], profile: Profile) -> tuple[tuple[Slot, ...], tuple[str, ...]]:
    """Give every stage a core of its own.

    Stages fed by the input prefer parallel cores, all others the rest; among those the smallest that holds them.

    Returns:
        (slots in network order, ()) when all fit; else ((), the smallest found group of stages that
        together have fewer cores to choose from than members, by Hall's theorem).
    """
    options = {stage.name: _options(stage, profile) for stage in stages}
    owner: dict[int, str] = {}

    def assign(name: str, seen: set[int]) -> bool:
        """Augmenting path (Kuhn): take a free core, or one whose owner can move."""
        for core in options[name]:
            if core.index in seen:
                continue
            seen.add(core.index)
            if core.index not in owner or assign(owner[core.index], seen):
                owner[core.index] = name
                return True
        return False

    for stage in sorted(stages, key=lambda stage: len(options[stage.name])):
        seen: set[int] = set()
        if not assign(stage.name, seen):
            return (), tuple(s.name for s in stages if s.name == stage.name or s.name in {owner[i] for i in seen})
    cores = {core.index: core for core in profile.cores}
    index = {name: core for core, name in owner.items()}
    return tuple(Slot(s.name, index[s.name], words(s), cores[index[s.name]].memory) for s in stages), ()


def _options(stage: Sized, profile: Profile) -> list[Core]:
    """Cores whose every memory holds the stage, best first."""
    used, from_input = words(stage), any(source.layer == INPUT for source in stage.sources)
    holding = [core for core in profile.cores if all(used[kind] <= core.memory[kind] for kind in used)]
    return sorted(holding, key=lambda core: (core.parallel != from_input, sum(core.memory.values()), core.index))
