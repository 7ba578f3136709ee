"""What a recorded run wrote down: each layer's inputs and values by step, and what every tensor of it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

from i2e_deploy.errors import UnsupportedError
from i2e_deploy.network.graph import INPUT
from i2e_deploy.network.modules.arrangement import ALWAYS, Made, Place, coded, lead, place_of, split
from i2e_deploy.network.modules.functions import MONOTONE, REDUCTIONS, Stated
from i2e_deploy.network.modules.layers import WAY_OUT
from i2e_deploy.network.op import Shape

if TYPE_CHECKING:
    from torch import Tensor


class Ref(NamedTuple):
    """What a layer was given: a part of what another gave in a step, in a shape; `source` "" = zeros."""

    source: str
    part: int = 0
    step: int = 0
    shape: Shape = ()


@dataclass(eq=False)
class Row:
    """A layer in all steps: what it was given and what it gave."""

    name: str
    module: Any
    kind: str
    turn: int
    inputs: dict[int, tuple[Ref, ...]] = field(default_factory=dict)
    values: dict[int, dict[int, Tensor]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Derived:
    """What no layer gives: computed on of outputs, e.g. their sum over time.

    Args:
        sources: the layers and parts.
        words: the functions, in order.
        steps: of a sum over steps: which; else empty.
    """

    sources: frozenset[tuple[str, int]]
    words: tuple[str, ...]
    steps: frozenset[int] = frozenset()


class Ledger:
    """See the head of this file.

    Args:
        title: of the module, for errors.
        batch: samples of the example.
        names: of the module's parts, by `id`.
    """

    def __init__(self, title: str, batch: int, names: Mapping[int, str]) -> None:
        self.title, self.batch, self.names = title, batch, names
        self.rows: dict[str, Row] = {}
        self.known: dict[int, Made | Derived] = {}  # by `id` of the tensor; not there: a constant
        self.sums: dict[int, Derived] = {}  # what may become a sum over steps
        self.kept: list[Any] = []  # so that no `id` comes twice
        self.turns: Counter[tuple[Any, int]] = Counter()
        self.taken = {INPUT, *names.values()}

    def start(self, tensor: Tensor, place: Place, shape: Shape) -> None:
        """The tensor is the input of the network, in that place."""
        self.know(tensor, Made(INPUT, frozenset({0}), shape, coded(place, self.batch, shape), tensor._version))

    def made(self, tensor: Any) -> Made | Derived | None:
        """What a tensor is; None: a constant.

        Raises:
            UnsupportedError: it was changed in place through a view of it.
        """
        found = self.known.get(id(tensor))
        if isinstance(found, Made) and found.version != tensor._version:
            raise UnsupportedError(
                f"{self.title}.forward changes in place, through a view, what layer {found.source!r} gave: write "
                "a = a + b in place of a += b"
            )
        return found

    def know(self, tensor: Tensor, found: Made | Derived) -> None:
        """From now on the tensor is that."""
        self.known[id(tensor)] = found
        self.sums.pop(id(tensor), None)
        self.kept.append(tensor)

    def layer(self, module: Any, kind: str, given: list[Tensor], outputs: list[Tensor], function: str = "") -> None:
        """A layer without states, or a function that is one."""
        name = function or self.names[id(module)]
        places = [self.placed(name, tensor) for tensor in given]
        known = [place for place in places if place is not None]
        if not known:
            before = self.turns[(name if function else id(module), -1)]
            self.turns[(name if function else id(module), -1)] += 1
            place = Place("step", before, 1, tuple(given[0].shape[1:]))
        else:
            if len({place.form for place in known}) > 1:
                raise UnsupportedError(f"{self.title}.forward gives {name!r} one step and a sequence: give it one kind")
            moving = [p for p in known if p.step != ALWAYS]
            place = max(moving or known, key=lambda p: p.step)
        if place.step == ALWAYS and self._again(module, given, outputs):
            return
        if not function and self._starts_late(name, place):
            place = place._replace(step=place.step + 1)
        key = name if function else id(module)
        steps = range(place.steps) if place.form != "step" else (place.step,)
        turn = max(self.turns[(key, step)] for step in steps)
        self.turns.update({(key, step): turn + 1 - self.turns[(key, step)] for step in steps})
        self.put(name, module, kind, turn, given, outputs, place)

    def _starts_late(self, name: str, place: Place) -> bool:
        """A layer that was given zeros in the first step is given what the step before made in all others."""
        row = self.rows.get(name)
        if row is None or place.form != "step" or len(row.inputs) != place.step + 1 or 0 not in row.inputs:
            return False
        return all(not ref.source for ref in row.inputs[0])

    def _again(self, module: Any, given: list[Tensor], outputs: list[Tensor]) -> bool:
        """The same of the same, in every step anew: what was written down holds."""
        for row in self.rows.values():
            same = row.module == module if isinstance(module, Stated) else row.module is module
            if same and row.inputs.get(ALWAYS) == tuple(self._ref(row.name, tensor, ALWAYS) for tensor in given):
                shape = tuple(outputs[0].shape[1:])
                codes = coded(Place("step", ALWAYS, 1, shape), self.batch, shape)
                self.know(outputs[0], Made(row.name, frozenset({0}), shape, codes, outputs[0]._version))
                return True
        return False

    def put(
        self, name: str, module: Any, kind: str, turn: int, given: list[Tensor], outputs: list[Tensor], place: Place
    ) -> None:
        """Write down a call: its inputs and values by step."""
        function = isinstance(module, Stated)
        title = f"{name}:{turn + 1}" if turn else name
        while function and title in self.taken:
            title += "_"
        row = self.rows.setdefault(title, Row(title, module, kind, turn))
        if row.kind != kind or (row.module != module if function else row.module is not module):
            raise UnsupportedError(
                f"{self.title}.forward uses {name} with other arguments in step {place.step} than before: every step "
                "must do the same"
            )
        steps = range(place.steps) if place.form != "step" else (place.step,)
        for step in steps:
            if step in row.inputs:
                raise UnsupportedError(f"layer {title!r} is used twice in step {step}: give each use its own")
            row.inputs[step] = tuple(self._ref(title, tensor, step) for tensor in given)
            row.values[step] = {}
        axes = lead(place.form)
        for part, tensor in enumerate(outputs):
            shape = tuple(tensor.shape[axes:])
            if tuple(tensor.shape[:axes]) != tuple(coded(place, self.batch, (1,)).shape[:axes]) or not prod(shape):
                if not part:
                    raise UnsupportedError(
                        f"layer {title!r} gives shape {list(tensor.shape)} for {self.batch} samples: keep batch and "
                        "time in front"
                    )
                continue  # a state of another layout
            held = self.known.get(id(tensor))
            parts = {part}
            if part and isinstance(held, Made) and held.source == title:
                parts |= held.parts  # one tensor is two of its outputs
            codes = coded(place, self.batch, shape)
            self.know(tensor, Made(title, frozenset(parts), shape, codes, tensor._version))
            for step, value in split(tensor.detach().clone(), place, self.batch).items():
                row.values[step][part] = value

    def _ref(self, name: str, tensor: Tensor, step: int) -> Ref:
        found = self.made(tensor)
        if not isinstance(found, Made):
            return Ref("")
        place = place_of(found, self.batch)
        assert place is not None
        return Ref(found.source, min(found.parts), place.step if place.form == "step" else step, place.shape)

    def placed(self, name: str, tensor: Tensor) -> Place | None:
        """Where the values of an input lie; None: zeros."""
        found = self.made(tensor)
        if found is None:
            if bool(tensor.any()):
                raise UnsupportedError(
                    f"{self.title}.forward gives {name!r} a constant that is not zero: a network starts from zeros"
                )
            return None
        if isinstance(found, Derived):
            raise UnsupportedError(
                f"{self.title}.forward gives {name!r} what {' and '.join(found.words)} made of layer "
                f"{' and '.join(sorted({s for s, _ in found.sources}))!r}: no layer does that; {_out(found.words)}"
            )
        place = place_of(found, self.batch)
        if place is None:
            raise UnsupportedError(
                f"{self.title}.forward gives {name!r} values of {found.source!r} in another order or not all of them "
                f"(shape {list(tensor.shape)}): give it one step [B, ...] or a whole sequence, values in their order"
            )
        return place


def tensors_of(value: Any) -> Iterator[Tensor]:
    """The tensors in nested tuples, lists and dicts, in order."""
    import torch

    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, dict):
        for held in value.values():
            yield from tensors_of(held)
    elif isinstance(value, tuple | list):
        for held in value:
            yield from tensors_of(held)


def _out(words: Sequence[str]) -> str:
    """The way out of functions that no layer is."""
    for kind, out in WAY_OUT.items():
        if kind.lower() in words:
            return out
    if any(word.startswith(tuple(REDUCTIONS)) for word in words):
        return "put layers after a sum over time into the loop before it, where a sum of their outputs is the same"
    return "write it with layers and neurons alone" if set(words) - MONOTONE else "leave it to what decides"
