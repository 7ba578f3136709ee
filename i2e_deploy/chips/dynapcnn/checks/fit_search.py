"""Sets of changes after which, by their shapes, all layers of a network find cores: the smallest first.

`fit` says what smallest means. The search is over shapes alone; pooling moves through the graph in many ways, so
there the changed network itself is made and looked at.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, product

from i2e_deploy.chips.dynapcnn.checks.placement import unplaced
from i2e_deploy.chips.dynapcnn.checks.shapes_only import (
    Room,
    Stages,
    connections,
    fewer_channels,
    shapes_of,
    smaller_kernel,
)
from i2e_deploy.chips.dynapcnn.lowering.reshape.change import Kind
from i2e_deploy.chips.dynapcnn.lowering.reshape.channels import fed, tied
from i2e_deploy.chips.dynapcnn.lowering.reshape.kernel_size import sides
from i2e_deploy.chips.dynapcnn.lowering.reshape.pooling import pool_earlier
from i2e_deploy.chips.dynapcnn.program import Source
from i2e_deploy.chips.profile import Profile
from i2e_deploy.errors import InputError, UnsupportedError
from i2e_deploy.network import Network

#: Up to so many changed layers all sets are looked at; beyond, one change after the other is chosen.
EXACT = 2
FACTORS = (2, 4)

#: (layer, kind, value).
Pick = tuple[str, Kind, int]


@dataclass(frozen=True)
class Found:
    """A set of changes, and what is lost by it."""

    picks: tuple[Pick, ...]
    splits: tuple[str, ...]
    lost: float

    @property
    def order(self) -> tuple[float, int]:
        """Of sets that change equally many layers, the smaller is better."""
        return round(self.lost, 9), len(self.splits)


@dataclass(frozen=True)
class _Option:
    """A kind of change of one layer; `values` lose the least first.

    Args:
        members: the layer and those that change with it.
        later: layers after them that change shape too.
    """

    layer: str
    kind: Kind
    members: tuple[str, ...]
    later: tuple[str, ...]
    values: Sequence[int]


@dataclass(frozen=True, eq=False)
class _Base:
    """The network with some layers pooled earlier: what the other changes start from."""

    pools: tuple[Pick, ...]
    stages: Stages
    outputs: tuple[Source, ...]
    options: tuple[_Option, ...]

    def without_pooled(self) -> list[_Option]:
        """Changes of layers that are not pooled earlier."""
        pooled = {layer for layer, _, _ in self.pools}
        return [option for option in self.options if not pooled & set(option.members)]


Combo = tuple[_Option, ...]
#: The network pooled, and values for other changes.
Way = tuple[_Base, Combo, tuple[int, ...]]


class Search:
    """A network on a chip, and what was looked up about it.

    Raises:
        UnsupportedError: see `arrange`.
    """

    def __init__(self, network: Network, profile: Profile) -> None:
        self.network, self.room = network, Room(profile)
        stages, outputs = shapes_of(network)
        self.before = {stage.name: connections(stage) for stage in stages}
        self.bases: dict[tuple[Pick, ...], _Base | None] = {}
        self.turns: dict[tuple[object, ...], Sequence[int]] = {}
        self.bases[()] = self.plain = _Base((), stages, outputs, self._options(network, stages))
        wrong = {(stage.name, rule) for stage in stages for rule in self.room.errors(stage)}
        self.endured = self._unmendable(wrong)
        self.goal = wrong - self.endured

    def sets(self) -> Iterator[Found]:
        """Sets of changes that suffice, the smallest first."""
        for count in range(EXACT + 1):
            yield from sorted(self._sets(count), key=lambda found: found.order)
        yield from self._one_by_one()

    def of_one_layer(self) -> list[Found]:
        """Changes of one layer (and those tied to it) that suffice without any split, the smallest loss first."""
        found = []
        for base in (self.plain, *self._pooled_once()):
            for combo in [()] if base.pools else [(option,) for option in base.options]:
                found += [each for each in self._best(base, combo) if not each.splits]
        return sorted(found, key=lambda each: each.order)

    def _sets(self, count: int) -> Iterator[Found]:
        """The best set of each combination of kinds and layers that changes `count` layers."""
        for pooled in range(count + 1):
            for names in combinations([stage.name for stage in self.plain.stages], pooled):
                for factors in product(FACTORS, repeat=pooled):
                    base = self._base(tuple((n, "pool", f) for n, f in zip(names, factors, strict=True)))
                    if base is not None:
                        for combo in _combinations(base.without_pooled(), count - pooled):
                            yield from self._best(base, combo)

    def _pooled_once(self) -> Iterator[_Base]:
        for stage in self.plain.stages:
            for factor in FACTORS:
                base = self._base(((stage.name, "pool", factor),))
                if base is not None:
                    yield base

    def _base(self, pools: tuple[Pick, ...]) -> _Base | None:
        """None where the pooling cannot be moved so."""
        if pools not in self.bases:
            try:
                network = self.network
                for name, _, factor in pools:
                    network, _ = pool_earlier(network, name, factor)
                stages, outputs = shapes_of(network)
                self.bases[pools] = _Base(pools, stages, outputs, self._options(network, stages))
            except (UnsupportedError, InputError):
                self.bases[pools] = None
        return self.bases[pools]

    def _options(self, network: Network, stages: Stages) -> tuple[_Option, ...]:
        found = []
        for stage in stages:
            smaller = tuple(reversed(sides(network, stage.name)))
            if smaller:
                found.append(_Option(stage.name, "kernel", (stage.name,), (), smaller))
            try:
                members = tied(network, stage.name)
            except UnsupportedError:
                continue
            if members[0] == stage.name and stage.weight.shape[0] > 1:
                counts = range(stage.weight.shape[0] - 1, 0, -1)
                found.append(_Option(stage.name, "channels", members, fed(network, members), counts))
        return tuple(found)

    def _some(self, base: _Base, option: _Option) -> Sequence[int]:
        """Values at which a layer that changes comes to fit more cores than before."""
        key = (base.pools, option.layer, option.kind)
        if key not in self.turns:
            concerned = {*option.members, *option.later}
            stages = tuple(stage for stage in base.stages if stage.name in concerned)
            held = [self._fitting(_changed(stages, option, value)) for value in option.values]
            now = [self._fitting(stages), *held]
            self.turns[key] = [v for v, here, was in zip(option.values, held, now, strict=False) if here != was]
        return self.turns[key]

    def _fitting(self, stages: Stages) -> list[object]:
        room = self.room
        return [(room.cores(stage, room.profile), room.hopeless(stage), room.errors(stage)) for stage in stages]

    def _unmendable(self, wrong: set[tuple[str, str]]) -> set[tuple[str, str]]:
        """(layer, rule) of what is wrong with shapes and no change of one layer helps: it does not stop the search."""
        if not wrong:
            return wrong
        tried = [_changed(self.plain.stages, option, option.values[-1]) for option in self.plain.options]
        tried += [base.stages for base in self._pooled_once()]
        return wrong.intersection(
            *({(s.name, rule) for s in stages for rule in self.room.errors(s)} for stages in tried)
        )

    def _works(self, base: _Base, stages: Stages) -> tuple[str, ...] | None:
        """The layers to split so that all have cores; None: that does not help, or a shape exceeds a limit."""
        if any((stage.name, rule) not in self.endured for stage in stages for rule in self.room.errors(stage)):
            return None
        return self.room.splits(stages, base.outputs)

    def _best(self, base: _Base, combo: Combo) -> Iterator[Found]:
        """The set with these kinds of changes that loses the least, if there is one."""
        least = base.stages
        for option in combo:
            least = _changed(least, option, option.values[-1])
        if self._works(base, least) is None:
            return
        if not combo:
            yield self._found(base, base.stages, ())
            return
        *others, last = combo
        sets = [
            found
            for values in product(*(self._some(base, option) for option in others))
            if (found := self._milder(base, combo, [*values, last.values[-1]])) is not None
        ]
        yield from sorted(sets, key=lambda found: found.order)[:1]

    def _milder(self, base: _Base, combo: Combo, values: Sequence[int]) -> Found | None:
        """The set with each change, the last one first, as mild as the others allow."""
        chosen = list(values)
        for i in reversed(range(len(combo))):
            better = self._mildest(base, combo, chosen, i)
            if better is None:
                return None
            chosen[i] = better
        picks = tuple((option.layer, option.kind, value) for option, value in zip(combo, chosen, strict=True))
        return self._found(base, _all_changed(base.stages, combo, chosen), picks)

    def _mildest(self, base: _Base, combo: Combo, chosen: list[int], i: int) -> int | None:
        """The value of change `i` that loses the least where the others stay; memory falls with what is lost."""

        def does(at: int) -> bool:
            values = [*chosen[:i], combo[i].values[at], *chosen[i + 1 :]]
            return self._works(base, _all_changed(base.stages, combo, values)) is not None

        at = bisect_left(range(len(combo[i].values)), True, key=does)
        return combo[i].values[at] if at < len(combo[i].values) else None

    def _found(self, base: _Base, stages: Stages, picks: tuple[Pick, ...]) -> Found:
        return Found((*base.pools, *picks), self._works(base, stages) or (), self._lost(stages))

    def _lost(self, stages: Stages) -> float:
        return sum(max(0.0, 1 - connections(stage) / self.before[stage.name]) for stage in stages)

    def _one_by_one(self) -> Iterator[Found]:
        """More than `EXACT` layers: in each turn the change after which the fewest problems remain."""
        way: Way = (self.plain, (), ())
        left = self._left(self.plain.stages)
        while True:
            tries = [(self._judged(each), each) for each in self._ways(*way)]
            (now, _), way = min(tries, key=lambda each: each[0], default=((left, 0.0), way))
            if now >= left:
                return
            left = now
            if self._works(way[0], _all_changed(way[0].stages, *way[1:])) is not None:
                found = self._milder(*way)
                if found is not None:
                    yield found
                return

    def _judged(self, way: Way) -> tuple[tuple[int, int], float]:
        stages = _all_changed(way[0].stages, *way[1:])
        return self._left(stages), self._lost(stages)

    def _ways(self, base: _Base, combo: Combo, values: tuple[int, ...]) -> Iterator[Way]:
        """One more change, of a layer that has none yet."""
        taken = {name for option in combo for name in option.members} | {layer for layer, _, _ in base.pools}
        for option in base.options:
            if not taken & set(option.members):
                for value in self._some(base, option):
                    yield base, (*combo, option), (*values, value)
        for stage in base.stages:
            for factor in FACTORS:
                pooled = self._base((*base.pools, (stage.name, "pool", factor))) if stage.name not in taken else None
                if pooled is not None:
                    same = tuple(o for o in pooled.options if (o.layer, o.kind) in {(c.layer, c.kind) for c in combo})
                    if len(same) == len(combo):
                        yield pooled, same, values

    def _left(self, stages: Stages) -> tuple[int, int]:
        """Remaining problems: layers that fit nowhere or exceed a limit, and layers without a core."""
        room = self.room
        bad = sum(room.hopeless(s) or any((s.name, r) not in self.endured for r in room.errors(s)) for s in stages)
        return bad, unplaced({stage.name: room.cores(stage, room.profile) for stage in stages})


def _combinations(options: Sequence[_Option], count: int) -> Iterator[tuple[_Option, ...]]:
    """Options of different layers that change `count` layers in all."""
    for length in range(bool(count), count + 1):
        for combo in combinations(options, length):
            members = [name for option in combo for name in option.members]
            if len(members) == len(set(members)) == count:
                yield combo


def _changed(stages: Stages, option: _Option, value: int) -> Stages:
    if option.kind == "kernel":
        return smaller_kernel(stages, option.layer, value)
    return fewer_channels(stages, option.members, value)


def _all_changed(stages: Stages, combo: Combo, values: Sequence[int]) -> Stages:
    for option, value in zip(combo, values, strict=True):
        stages = _changed(stages, option, value)
    return stages
