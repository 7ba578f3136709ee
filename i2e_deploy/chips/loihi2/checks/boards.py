"""A network over the chips of a board: chips needed, what fills their cores, what crosses between, what would fit.

Layers are laid on cores in network order and cores are numbered through all chips, as `partition` places them. All of
it is an estimate: how Intel's compiler spreads a network over chips is not public.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import ceil

from i2e_deploy.chips.check import Finding, Severity
from i2e_deploy.chips.loihi2.checks.partition import Cut, Demand, cut, demand_of
from i2e_deploy.chips.loihi2.reference.layers import Layer
from i2e_deploy.chips.profile import Board, Profile
from i2e_deploy.errors import InputError
from i2e_deploy.text import listed

#: Sizes of images, and numbers of channels, that are tried in place of the network's: shares of them.
SHARES = (7 / 8, 3 / 4, 5 / 8, 1 / 2, 3 / 8, 1 / 4)
#: Layers that are named with what fills their cores.
LARGEST = 5


def board_of(profile: Profile, name: str) -> Board:
    """The board of that name, in any case.

    Raises:
        InputError: the profile has none of that name.
    """
    for board in profile.boards:
        if board.name.lower() == name.strip().lower():
            return board
    known = ", ".join(board.name for board in profile.boards) or "none"
    raise InputError(f"board {name!r} is not in the profile of {profile.name}: known are {known}")


def board_findings(layers: Sequence[Layer], profile: Profile, name: str) -> list[Finding]:
    """What `check --board NAME` adds.

    Raises:
        InputError: see `board_of`.
    """
    board, demands = board_of(profile, name), [demand_of(layer) for layer in layers]
    cuts = [found for demand in demands if (found := cut(demand, profile)) is not None]
    if len(cuts) < len(demands):
        return []  # the check has said which layer fits no core
    per_chip = len(profile.cores)
    cores = sum(found.cores for found in cuts)
    chips, room = ceil(cores / per_chip), board.chips * per_chip
    severity: Severity = "ok" if chips <= board.chips else "error"
    fix = "" if chips <= board.chips else f"{cores - room:,} cores too many: {_ways_out(demands, profile, room)}"
    value = f"{chips:,} chips, {cores:,} of {room:,} cores"
    return [
        Finding("chips of the board", "", value, board.chips, f"chips of {board.name} (estimate)", severity, fix,
                board.source),
        *_bounds(cuts, profile),
        *_crossings(layers, cuts, per_chip),
    ]  # fmt: skip


def filled_by(found: Cut, profile: Profile) -> tuple[str, float]:
    """The kind of memory that fills a core of a layer most, and its share."""
    memory = profile.cores[0].memory
    used = {"neurons": found.neurons, "synapse_memory": found.synapse_memory, "input_axons": found.input_axons}
    shares = {kind: words / memory[kind] for kind, words in used.items()}
    kind = max(shares, key=lambda key: shares[key])
    return kind, shares[kind]


def _bounds(cuts: Sequence[Cut], profile: Profile) -> Iterator[Finding]:
    """What fills the cores, of all layers and of the largest."""
    by_kind: dict[str, int] = {}
    least = 0.0
    for found in cuts:
        kind, share = filled_by(found, profile)
        by_kind[kind] = by_kind.get(kind, 0) + found.cores
        least += found.cores * share
    total = sum(by_kind.values())
    parts = [f"{kind.replace('_', ' ')} {cores:,}" for kind, cores in sorted(by_kind.items(), key=lambda x: -x[1])]
    text = (
        f"full to the brim they would be {ceil(least):,}: patches are halved until they fit, as in the mappings that "
        "Intel's compiler printed"
    )
    yield Finding("what fills the cores", "", f"of {total:,}: {', '.join(parts)}", "", "cores (estimate)", "info", text)
    for found in sorted(cuts, key=lambda each: -each.cores)[:LARGEST]:
        kind, share = filled_by(found, profile)
        value = f"{found.cores:,} cores, each {share:.0%} full of {kind.replace('_', ' ')}"
        yield Finding("what fills the cores", found.name, value, "", "", "info", "")


def _crossings(layers: Sequence[Layer], cuts: Sequence[Cut], per_chip: int) -> Iterator[Finding]:
    """Layers that lie on several chips, and connections between layers that do not lie on one and the same chip."""
    first, spans = 0, []
    for found in cuts:
        spans.append((first // per_chip, (first + found.cores - 1) // per_chip))
        first += found.cores
    if spans[-1][1] == 0:
        return
    split = sum(low < high for low, high in spans)
    wires = [(w.source, i) for i, layer in enumerate(layers) for w in layer.wires if w.source >= 0]
    between = sum(spans[i] != spans[j] or spans[i][0] < spans[i][1] for i, j in wires)
    text = (
        "their messages leave a chip: what that costs in time and energy no public figure says, and no estimate here "
        "has it"
    )
    value = f"{between} of {len(wires)} connections, {split} of {len(layers)} layers on several chips"
    yield Finding("between chips", "", value, "", "(estimate)", "info", text)


def _ways_out(demands: Sequence[Demand], profile: Profile, room: int) -> str:
    """The smallest of some changes after which it fits."""
    found = []
    if (share := _first(demands, profile, room, _smaller)) is not None:
        sides = [d.shape[2] for d in demands if len(d.shape) == 3]
        found.append(f"images of {share:.0%} of the side ({max(sides)} places become {ceil(max(sides) * share)})")
    if (share := _first(demands, profile, room, _narrower)) is not None:
        found.append(f"{share:.0%} of the channels in every layer")
    maxima = {d.name for d in demands if " column " in d.name or " row " in d.name}
    if maxima and (cores := _cores([d for d in demands if d.name not in maxima], profile)) is not None:
        fits = "fits" if cores <= room else f"{cores:,} cores"
        found.append(f"average pooling in place of the maximum of values ({fits})")
    boards = [board for board in profile.boards if board.chips * len(profile.cores) > room]
    if boards:
        found.append(f"or a {listed([board.name for board in boards])}")
    return "; ".join(found) or "no share of its size that was tried fits"


def _first(demands: Sequence[Demand], profile: Profile, room: int, change: object) -> float | None:
    assert callable(change)
    for share in SHARES:
        cores = _cores([change(demand, share) for demand in demands], profile)
        if cores is not None and cores <= room:
            return share
    return None


def _cores(demands: Sequence[Demand], profile: Profile) -> int | None:
    cuts = [cut(demand, profile) for demand in demands]
    return None if any(found is None for found in cuts) else sum(found.cores for found in cuts if found is not None)


def _smaller(demand: Demand, share: float) -> Demand:
    """Of an image with sides of this share; layers without images stay."""
    if len(demand.shape) < 3:
        return demand
    channels, *sides = demand.shape
    return replace(demand, shape=(channels, *(ceil(side * share) for side in sides)))


def _narrower(demand: Demand, share: float) -> Demand:
    """With this share of its channels, and of those before it (the input's channels, which stay, are few)."""
    size, *sides = demand.shape
    inputs = tuple(n if n < 64 else ceil(n * share) for n in demand.inputs)
    return replace(demand, shape=(max(1, round(size * share)), *sides), inputs=inputs)
