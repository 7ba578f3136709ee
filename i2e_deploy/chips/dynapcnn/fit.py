"""When layers find no cores: the smallest set of changes that would make them fit.

Splitting a layer over two cores keeps the network as it is, see `split`. The others (fewer channels, a smaller kernel,
pooling earlier) need the network trained again, so they are only proposed.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, product
from typing import Any, Literal

from i2e_deploy.chips.dynapcnn.placement import holding, match
from i2e_deploy.chips.dynapcnn.stages import Sized, memory_words
from i2e_deploy.chips.profile import Core, Profile
from i2e_deploy.network import INPUT

#: More changes than these beyond one for each layer that fits no core are not looked for.
MORE_CHANGES = 2
#: Sets of changes that are tried.
TRIES = 20_000


@dataclass(frozen=True)
class Sizes:
    """What decides the memory of a layer: output features, input channels, kernel, neurons, bias or none."""

    features: int
    channels: int
    kernel: tuple[int, int]
    height: int
    width: int
    bias: bool

    def words(self) -> dict[str, int]:
        """Memory words by kind."""
        return memory_words(self.features, self.channels, self.kernel, (self.height, self.width), self.bias)

    def fits(self, profile: Profile) -> bool:
        """Whether any core holds it."""
        return bool(holding(self.words(), profile))


@dataclass(frozen=True)
class Change:
    """One change of one layer; `cost` is the share of it that is lost, 0 where the network stays as it is."""

    layer: str
    kind: Literal["split", "channels", "kernel", "pool"]
    value: int
    before: Sizes
    cost: float

    def __str__(self) -> str:
        if self.kind == "split":
            return f"split it over two cores of {self.value} features each (no retraining: export --split)"
        if self.kind == "channels":
            return f"use {self.value} output channels instead of {self.before.features}"
        if self.kind == "kernel":
            return f"use a {self.value}x{self.value} kernel instead of {'x'.join(map(str, self.before.kernel))}"
        return f"pool by {self.value} before it, or use a stride {self.value} times as large"

    def after(self) -> dict[str, Sizes]:
        """What stands in place of the layer."""
        old = self.before
        if self.kind == "split":
            sizes = {"a": self.value, "b": old.features - self.value}
            return {f"{self.layer}.{part}": replace(old, features=n) for part, n in sizes.items()}
        if self.kind == "channels":
            return {self.layer: replace(old, features=self.value)}
        if self.kind == "kernel":
            return {self.layer: replace(old, kernel=(self.value, self.value))}
        height, width = -(-old.height // self.value), -(-old.width // self.value)
        return {self.layer: replace(old, height=height, width=width)}


def sizes_of(stage: Sized) -> Sizes:
    """Sizes of a stage or a core layer."""
    features, channels, kh, kw = stage.weight.shape
    return Sizes(features, channels, (kh, kw), stage.output_shape[1], stage.output_shape[2], stage.bias is not None)


def changes(layer: str, sizes: Sizes, profile: Profile, may_split: bool = True) -> list[Change]:
    """Changes of one layer alone that let it fit a core, or a core that it did not fit before; the cheapest first."""
    before = {core.index for core in holding(sizes.words(), profile)}
    found = []

    def add(kind: Any, value: int, cost: float) -> None:
        change = Change(layer, kind, value, sizes, cost)
        if all({core.index for core in holding(part.words(), profile)} - before for part in change.after().values()):
            found.append(change)

    if sizes.features > 1 and may_split:
        add("split", -(-sizes.features // 2), 0.0)
    for core in profile.cores:
        channels = _largest(sizes.features, lambda n: replace(sizes, features=n), core)
        if channels:
            add("channels", channels, 1 - channels / sizes.features)
        side = min(sizes.kernel)
        kernel = _largest(side, lambda n: replace(sizes, kernel=(n, n)), core) if side > 1 else 0
        if kernel:
            add("kernel", kernel, 1 - kernel**2 / (sizes.kernel[0] * sizes.kernel[1]))
    for factor in (2, 4):
        add("pool", factor, 1 - 1 / factor**2)
    return sorted(dict.fromkeys(found), key=lambda change: change.cost)


def smallest_changes(stages: Sequence[Sized], profile: Profile) -> tuple[Change, ...]:
    """The smallest set of changes found after which every layer has a core; empty when none is, or none is needed.

    One change for each layer that fits no core, and up to two more; among sets of one size the one that loses least.
    That fewer channels also shrink the next layer is left out, so a proposal may do more than it must.
    """
    sizes = {stage.name: sizes_of(stage) for stage in stages}
    if placeable(sizes, profile):
        return ()
    limit = profile.limit("destinations")
    fed = [source.layer for stage in stages for source in stage.sources if source.layer != INPUT]
    full = {name for name in fed if not limit.allows(fed.count(name) + 1)}
    options = {
        s.name: changes(s.name, sizes[s.name], profile, not full & {source.layer for source in s.sources})
        for s in stages
    }
    alone = [name for name in sizes if not sizes[name].fits(profile)]
    others = [name for name in sizes if name not in alone]
    for extra in range(not alone, MORE_CHANGES + 1):
        sets = (s for more in combinations(others, extra) for s in product(*(options[n] for n in (*alone, *more))))
        tried = [chosen for chosen, _ in zip(sets, range(TRIES), strict=False)]
        for chosen in sorted(tried, key=lambda chosen: sum(change.cost for change in chosen)):
            if enough(sizes, chosen, profile):
                return chosen
    return ()


def _largest(now: int, change: Callable[[int], Sizes], core: Core) -> int:
    """Largest value below `now` that the core holds, 0 for none; memory grows with the value."""

    def held(value: int) -> bool:
        return all(used <= core.memory[kind] for kind, used in change(value).words().items())

    return bisect_left(range(1, now), 1, key=lambda value: not held(value))


def enough(sizes: Mapping[str, Sizes], chosen: Sequence[Change], profile: Profile) -> bool:
    """Whether every layer finds a core of its own once these changes are made."""
    changed = {change.layer: change.after() for change in chosen}
    after: dict[str, Sizes] = {}
    for name, old in sizes.items():
        after |= changed.get(name, {name: old})
    return placeable(after, profile)


def placeable(sizes: Mapping[str, Sizes], profile: Profile) -> bool:
    """Whether every layer finds a core of its own."""
    options = {name: [core.index for core in holding(each.words(), profile)] for name, each in sizes.items()}
    return not match(options)[1]
