"""Run a user's `forward` on an example and write down, step by step, which layer was given what of which.

A loop over time cannot be traced with symbols: how often it runs is up to the data. So it is run, under hooks on the
layers and a mode that sees every function of torch in between; what a tensor is, is known by its identity.
"""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

from torch.overrides import TorchFunctionMode

from i2e_deploy.errors import UnsupportedError
from i2e_deploy.network.graph import INPUT
from i2e_deploy.network.modules.arrangement import ALWAYS, Made, Place, coded, lead, place_of, split
from i2e_deploy.network.modules.framework import Framework
from i2e_deploy.network.modules.functions import (
    ARITHMETIC,
    MONOTONE,
    MOVES,
    OF_SHAPES,
    READS,
    REDUCTIONS,
    SAME,
    Stated,
    as_layer,
    name_of,
)
from i2e_deploy.network.modules.known import kind_of
from i2e_deploy.network.modules.layers import WAY_OUT
from i2e_deploy.network.op import Shape

if TYPE_CHECKING:
    from torch import Tensor, nn


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


class Recorder(TorchFunctionMode):
    """See the head of this file.

    Args:
        module: the user's, in evaluation mode.
        framework: of the importer.
        batch: samples of the example.
    """

    def __init__(self, module: nn.Module, framework: Framework, batch: int) -> None:
        super().__init__()
        self.module, self.framework, self.batch = module, framework, batch
        self.title = type(module).__name__
        self.rows: dict[str, Row] = {}
        self.known: dict[int, Made | Derived] = {}
        self.sums: dict[int, Derived] = {}
        self.kept: list[Any] = []
        self.inside = 0
        self.turns: Counter[tuple[Any, int]] = Counter()
        self.names = {id(part): name or "0" for name, part in module.named_modules()}
        self.taken = {INPUT, *self.names.values()}

    # What the program is given, and what it gives.

    def start(self, tensor: Tensor, place: Place, shape: Shape) -> None:
        """The tensor is the input of the network, in that place."""
        self._know(tensor, Made(INPUT, frozenset({0}), shape, coded(place, self.batch, shape), tensor._version))

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

    def hooks(self) -> ExitStack:
        """Hooks on all layers, until it is closed."""
        stack, leaves = ExitStack(), self.framework.all_leaves()
        seen: set[int] = set()
        for _, part in self.module.named_modules():
            if id(part) in seen or not self._is_leaf(part, leaves):
                continue
            seen.add(id(part))
            stack.callback(part.register_forward_pre_hook(self._enter, with_kwargs=True).remove)
            stack.callback(part.register_forward_hook(self._leave, with_kwargs=True).remove)
        return stack

    def _is_leaf(self, part: nn.Module, leaves: Sequence[str]) -> bool:
        own = type(part)
        kind = kind_of(part, leaves)
        if kind in {leaf.rpartition(".")[2] for leaf in leaves} or " of its own" in kind or "stands for" in kind:
            return True
        containers = ("Sequential", "ModuleList", "ModuleDict", "Flatten", "Unflatten", *self.framework.containers)
        return own.__module__.partition(".")[0] in ("torch", self.framework.package) and own.__name__ not in containers

    def _enter(self, part: nn.Module, args: Any, kwargs: Any) -> None:
        self.inside += 1

    def _leave(self, part: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        if self.inside == 1:  # what is called from here is ours, and not written down
            self._module(part, args, kwargs, output)
        self.inside -= 1

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if self.inside:
            return func(*args, **(kwargs or {}))
        name = name_of(func)
        if name in READS and any(self.made(t) is not None for t in tensors_of((args, kwargs))):
            raise UnsupportedError(
                f"{self.title}.forward decides by the data, or takes it out of torch ({name}): a network does the same "
                "for every input; write it with layers alone"
            )
        kwargs = kwargs or {}
        changes = name != "__setitem__" and _in_place(name, kwargs) and bool(args)
        given = (self._copy(args[0]), *args[1:]) if changes else args
        known = {id(t): found for t in tensors_of((given, kwargs)) if (found := self.made(t)) is not None}
        result = func(*args, **kwargs)
        self._function(name, func, given, kwargs, result, known)
        return result

    def _copy(self, tensor: Any) -> Any:
        """What a tensor was before it is changed in place."""
        found, copy = self.made(tensor), tensor.clone()
        if isinstance(found, Made):
            found = replace(found, version=copy._version)
        if found is not None:
            self._know(copy, found)
            if id(tensor) in self.sums:
                self.sums[id(copy)] = self.sums[id(tensor)]
        return copy

    # Modules.

    def _module(self, part: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        name, kind = self.names[id(part)], kind_of(part, self.framework.all_leaves())
        outputs = list(tensors_of(output))
        if not outputs:
            raise UnsupportedError(f"layer {name!r} gives {type(output).__name__}: no tensor")
        if kind in self.framework.all_ignored():
            self._pass_through(name, next(tensors_of((args, kwargs))), outputs[0])
            return
        if kind in self.framework.takes:
            self._neuron(name, kind, part, args, kwargs, outputs)
            return
        self._layer(part, kind, list(tensors_of((args, kwargs))), outputs)

    def _pass_through(self, name: str, given: Tensor, made: Tensor) -> None:
        import torch

        if given.shape != made.shape or not torch.equal(given, made):
            raise UnsupportedError(
                f"layer {name!r} was left out, as it has no effect at inference, but changes its input in "
                f"{self.title}.forward: put what it does into layers of its own"
            )
        found = self.made(given)
        if isinstance(found, Made):
            self._know(made, Made(found.source, found.parts, found.shape, found.codes, made._version))
        elif found is not None:
            self._know(made, found)

    def _neuron(self, name: str, kind: str, part: Any, args: Any, kwargs: Any, outputs: list[Tensor]) -> None:
        """A call of neurons: what they take for input, and that their states are their own of the step before."""
        bound = inspect.signature(type(part).forward).bind(part, *args, **kwargs)
        given, *others = (list(tensors_of(value)) for value in list(bound.arguments.values())[1:])
        if len(given) != 1:
            raise UnsupportedError(f"layer {name!r} is given {len(given)} inputs: neurons take one")
        states = [tensor for found in others for tensor in found]
        place = self._placed(name, given[0])
        takes = self.framework.takes[kind](part)
        form = "step" if place is None else place.form
        if form != takes:
            said = {"step": "one step [B, ...]", "TB": "[T, B, ...]", "BT": "[B, T, ...]"}
            raise UnsupportedError(
                f"layer {name!r} ({kind}) takes {said[takes]} and is given {said.get(form, form)}: say how the module "
                'takes time, layout="step", "TB", "BT" or "static"'
            )
        row = self.rows.get(name)
        before = len(row.values) if row is not None else 0
        if place is None:
            place = Place("step", before, 1, tuple(given[0].shape[1:]))
        elif place.form == "step" and place.step == ALWAYS:
            place = place._replace(step=before)
        if place.form == "step" and place.step != before:
            raise UnsupportedError(
                f"layer {name!r} is used twice in a step, or left out in one: it was run {before} times before step "
                f"{place.step}; its states are one, give each use its own"
            )
        wanted = self.framework.states.get(kind, tuple(range(1, len(states) + 1)))
        for number, state in enumerate(states):
            self._check_state(name, state, place.step, wanted[number] if number < len(wanted) else -1)
        self._put(name, part, kind, 0, [given[0]], outputs, place)

    def _check_state(self, name: str, state: Tensor, step: int, part: int) -> None:
        found = self.made(state)
        if found is None:
            if step == 0 and not bool(state.any()):
                return
            what = "other values than zeros" if step == 0 else "a constant"
            raise UnsupportedError(
                f"layer {name!r} starts from {what} in step {step}: a network starts from zero states, and goes on "
                "with them"
            )
        if isinstance(found, Made) and found.source == name and part in found.parts:
            place = place_of(found, self.batch)
            if place is not None and (place.form, place.step, place.shape) == ("step", step - 1, found.shape):
                return
        source = found.source if isinstance(found, Made) else " and ".join(sorted(s for s, _ in found.sources))
        raise UnsupportedError(
            f"layer {name!r} takes for its state in step {step} something else than it gave in the step before (of "
            f"{source!r}): hand each neuron its own states, unchanged"
        )

    # Functions.

    def _function(
        self, name: str, func: Any, args: Any, kwargs: Any, result: Any, known: dict[int, Made | Derived]
    ) -> None:
        given = list(tensors_of((args, kwargs)))
        if not known or name in OF_SHAPES:
            for tensor in tensors_of(result):
                self.known.pop(id(tensor), None)  # a new constant, or one written into in place
            return
        outputs = list(tensors_of(result))
        if name == "__setitem__":
            self._write(args, kwargs, known)
            return
        if not outputs:
            raise UnsupportedError(f"{self.title}.forward uses {name}, which gives no tensor: write it with layers")
        makes = [found for found in known.values() if isinstance(found, Made)]
        derived = len(makes) < len(known)
        if not derived and name in SAME and self._same(given[0], outputs[0], known):
            return
        if not derived and name in MOVES and self._move(func, args, kwargs, outputs, known):
            return
        try:
            stated = None if derived else as_layer(name, args, kwargs)
        except UnsupportedError as error:
            raise UnsupportedError(f"{self.title}.forward {error}") from error
        if stated is not None:
            kind, made = stated
            if any(self.made(value) is not None for value in vars(made).values() if hasattr(value, "_version")):
                raise UnsupportedError(f"{self.title}.forward uses {name} with weights that depend on the input")
            if kind == "Dropout":
                self._pass_through(name, given[0], outputs[0])
                return
            self._layer(made, kind, [given[0]], outputs, name)
            return
        if name in ARITHMETIC and self._arithmetic(ARITHMETIC[name], args, kwargs, outputs[0], known):
            return
        if not derived and name in ("cat", "concat", "concatenate") and self._concat(args, kwargs, outputs[0]):
            return
        self._derive(name, kwargs, known, outputs)

    def _same(self, given: Tensor, made: Tensor, known: dict[int, Made | Derived]) -> bool:
        import torch

        found = known.get(id(given))
        if not isinstance(found, Made) or not torch.equal(given.to(made.dtype), made) or (
            not torch.equal(given.double(), made.double())
        ):  # fmt: skip
            return False
        self._know(made, Made(found.source, found.parts, found.shape, found.codes, made._version))
        return True

    def _move(self, func: Any, args: Any, kwargs: Any, outputs: list[Tensor], known: dict[int, Made | Derived]) -> bool:
        """The same on the codes, where all is of one layer."""
        import torch

        makes = [found for found in known.values() if isinstance(found, Made)]
        first = makes[0]
        if len({(m.source, m.shape) for m in makes}) > 1 or not frozenset.intersection(*(m.parts for m in makes)):
            return False
        if any(isinstance(t, torch.Tensor) and id(t) not in known and t.is_floating_point() for t in tensors_of(args)):
            return False  # joined with constants
        codes = func(*_replaced(args, known), **_replaced(kwargs, known))
        parts = frozenset.intersection(*(m.parts for m in makes))
        for tensor, code in zip(outputs, tensors_of(codes), strict=True):
            self._know(tensor, Made(first.source, parts, first.shape, code, tensor._version))
        return True

    def _write(self, args: Any, kwargs: Any, known: dict[int, Made | Derived]) -> None:
        """`rec[t] = spikes` into a tensor made before: its codes are written too."""
        import torch

        target, place, value = args
        made, there = known.get(id(value)), known.get(id(target))
        sources = {m.source for m in (made, there) if isinstance(m, Made)}
        if not isinstance(made, Made) or isinstance(there, Derived) or len(sources) > 1:
            raise UnsupportedError(
                f"{self.title}.forward writes into a tensor by index: write what one layer gave, or use torch.stack"
            )
        codes = torch.full(target.shape, -1) if there is None else there.codes.clone()
        codes[place] = made.codes
        self._know(target, Made(made.source, made.parts, made.shape, codes, target._version))

    def _arithmetic(self, word: str, args: Any, kwargs: Any, result: Tensor, known: dict[int, Made | Derived]) -> bool:
        import torch

        if kwargs or not 1 <= len(args) <= 2:
            return False
        a: Any = args[0]
        b: Any = args[1] if len(args) == 2 else -1.0
        if word == "rsub":
            word, a, b = "sub", b, a
        word = "mul" if word == "neg" else word
        ours = [isinstance(known.get(id(t)), Made) for t in (a, b)]
        if word == "add" and self._adds_up(a, b, result, known):
            return True
        if any(isinstance(known.get(id(t)), Derived) for t in (a, b)) or not any(ours):
            return False
        zeros = [isinstance(t, torch.Tensor) and id(t) not in known and not bool(t.any()) for t in (a, b)]
        if word == "add" and (all(ours) or (any(ours) and any(zeros))):
            self._layer(Stated(), "Add", [a, b], [result], "add")
            if not all(ours):
                held = known[id(a if ours[0] else b)]
                assert isinstance(held, Made)
                spot = place_of(held, self.batch)
                if spot is not None and spot.form == "step":
                    steps = frozenset({spot.step})
                    self.sums[id(result)] = Derived(_sources(held), ("sum over time",), steps)
            return True
        if all(ours):
            if word != "sub":
                return False
            minus = torch.neg(b)
            self.kept.append(minus)
            self._layer(Stated(weight=-1.0, bias=None), "Scale", [b], [minus], "scale")
            self._layer(Stated(), "Add", [a, minus], [result], "add")
            return True
        return self._scaled(word, a, b, ours[0], result)

    def _scaled(self, word: str, a: Any, b: Any, first: bool, result: Tensor) -> bool:
        """A tensor and a constant."""
        import torch

        given, constant = (a, b) if first else (b, a)
        if word == "add" and isinstance(constant, int | float) and constant == 0:
            return self._same(given, result, {id(given): self.known[id(given)]})
        value = constant if isinstance(constant, torch.Tensor) else torch.tensor(float(constant))
        found = self.made(given)
        assert isinstance(found, Made)
        place = place_of(found, self.batch)
        axes = lead(place.form) if place is not None else 0
        many = value.ndim - (given.ndim - axes)
        if value.ndim > given.ndim or (many > 0 and any(n != 1 for n in value.shape[:many])):
            return False
        value = value.reshape(value.shape[max(many, 0) :])
        if word == "div" and not first:
            return False
        if word == "mul":
            stated = Stated(weight=value, bias=None)
        elif word == "div":
            stated = Stated(weight=1 / value, bias=None)
        else:
            sign = -1.0 if word == "sub" and not first else 1.0
            stated = Stated(weight=sign, bias=-value if word == "sub" and first else value)
        self._layer(stated, "Scale", [given], [result], "scale")
        return True

    def _adds_up(self, a: Any, b: Any, result: Tensor, known: dict[int, Made | Derived]) -> bool:
        """What one layer gave in several steps, added up: a readout."""
        found = []
        for tensor in (a, b):
            held = self.sums.get(id(tensor)) or known.get(id(tensor))
            if isinstance(held, Made):
                place = place_of(held, self.batch)
                if place is None or place.form != "step" or place.step == ALWAYS:
                    return False
                held = Derived(_sources(held), ("sum over time",), frozenset({place.step}))
            if not isinstance(held, Derived) or not held.steps:
                return False
            found.append(held)
        one, other = found
        if not one.sources & other.sources or one.steps & other.steps:
            return False
        self._know(result, Derived(one.sources & other.sources, ("sum over time",), one.steps | other.steps))
        return True

    def _concat(self, args: Any, kwargs: Any, result: Tensor) -> bool:
        """Channels side by side."""
        parts = list(args[0])
        axis = kwargs.get("dim", kwargs.get("axis", args[1] if len(args) > 1 else 0))
        places = [place_of(m, self.batch) if isinstance(m := self.made(t), Made) else None for t in parts]
        form = next((place.form for place in places if place is not None), None)
        if form is None or axis % result.ndim != lead(form):
            return False
        self._layer(Stated(), "Concat", parts, [result], "concat")
        return True

    def _derive(self, name: str, kwargs: Any, known: dict[int, Made | Derived], outputs: list[Tensor]) -> None:
        sources = frozenset(source for found in known.values() for source in _sources(found))
        words = tuple(word for found in known.values() if isinstance(found, Derived) for word in found.words)
        if name in MOVES | SAME | {"__getitem__"} and words:
            said: tuple[str, ...] = ()
        elif name in REDUCTIONS:
            said = (f"{name} over time" if self._over_time(known, outputs[0]) else name,)
        else:
            said = (name,)
        for tensor in outputs:
            self._know(tensor, Derived(sources, (*dict.fromkeys(words), *said)))

    def _over_time(self, known: dict[int, Made | Derived], result: Tensor) -> bool:
        """Whether a reduction of a sequence left its batch and values."""
        found = next(iter(known.values()))
        place = place_of(found, self.batch) if isinstance(found, Made) else None
        return place is not None and place.form in ("TB", "BT") and result.shape == (self.batch, *place.shape)

    # Rows.

    def _layer(self, module: Any, kind: str, given: list[Tensor], outputs: list[Tensor], function: str = "") -> None:
        """A layer without states, or a function that is one."""
        name = function or self.names[id(module)]
        places = [self._placed(name, tensor) for tensor in given]
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
        key = name if function else id(module)
        turn = self.turns[(key, place.step)]
        self.turns[(key, place.step)] += 1
        self._put(name, module, kind, turn, given, outputs, place)

    def _again(self, module: Any, given: list[Tensor], outputs: list[Tensor]) -> bool:
        """The same of the same, in every step anew: what was written down holds."""
        for row in self.rows.values():
            same = row.module == module if isinstance(module, Stated) else row.module is module
            if same and row.inputs.get(ALWAYS) == tuple(self._ref(row.name, tensor, ALWAYS) for tensor in given):
                shape = tuple(outputs[0].shape[1:])
                codes = coded(Place("step", ALWAYS, 1, shape), self.batch, shape)
                self._know(outputs[0], Made(row.name, frozenset({0}), shape, codes, outputs[0]._version))
                return True
        return False

    def _put(
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
            self._know(tensor, Made(title, frozenset(parts), shape, codes, tensor._version))
            for step, value in split(tensor.detach().clone(), place, self.batch).items():
                row.values[step][part] = value

    def _ref(self, name: str, tensor: Tensor, step: int) -> Ref:
        found = self.made(tensor)
        if not isinstance(found, Made):
            return Ref("")
        place = place_of(found, self.batch)
        assert place is not None
        return Ref(found.source, min(found.parts), place.step if place.form == "step" else step, place.shape)

    def _placed(self, name: str, tensor: Tensor) -> Place | None:
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

    def _know(self, tensor: Tensor, found: Made | Derived) -> None:
        self.known[id(tensor)] = found
        self.sums.pop(id(tensor), None)
        self.kept.append(tensor)


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


def _replaced(value: Any, known: dict[int, Made | Derived]) -> Any:
    """The arguments of a function with codes in place of the tensors."""
    found = known.get(id(value))
    if isinstance(found, Made):
        return found.codes
    if isinstance(value, dict):
        return {name: _replaced(held, known) for name, held in value.items()}
    if type(value) in (tuple, list):
        return type(value)(_replaced(held, known) for held in value)
    return value


def _in_place(name: str, kwargs: Any) -> bool:
    plain = name.endswith("_") and not name.endswith("__")
    return plain or (name.startswith("__i") and name not in ("__int__", "__index__")) or bool(kwargs.get("inplace"))


def _sources(found: Made | Derived) -> frozenset[tuple[str, int]]:
    return found.sources if isinstance(found, Derived) else frozenset({(found.source, min(found.parts))})


def _out(words: Sequence[str]) -> str:
    """The way out of functions that no layer is."""
    for kind, out in WAY_OUT.items():
        if kind.lower() in words:
            return out
    if any(word.startswith(tuple(REDUCTIONS)) for word in words):
        return "put layers after a sum over time into the loop before it, where a sum of their outputs is the same"
    return "write it with layers and neurons alone" if set(words) - MONOTONE else "leave it to what decides"
