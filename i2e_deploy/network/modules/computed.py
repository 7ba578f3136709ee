"""The functions of torch between the layers of a recorded run: they move values, are layers, or make a readout."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from i2e_deploy.errors import UnsupportedError
from i2e_deploy.network.modules.arrangement import ALWAYS, Made, lead, place_of
from i2e_deploy.network.modules.functions import (
    ARITHMETIC,
    MOVES,
    OF_SHAPES,
    REDUCTIONS,
    SAME,
    Stated,
    as_layer,
)
from i2e_deploy.network.modules.rows import Derived, Ledger, tensors_of

if TYPE_CHECKING:
    from torch import Tensor


class Functions:
    """See the head of this file."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger

    def function(
        self, name: str, func: Any, args: Any, kwargs: Any, result: Any, known: dict[int, Made | Derived]
    ) -> None:
        """A call of a function that gave `result`; `known`: what is known of its arguments, by `id`.

        Raises:
            UnsupportedError: it gives no tensor, or writes or takes arguments as no layer does.
        """
        given = list(tensors_of((args, kwargs)))
        if not known or name in OF_SHAPES:
            for tensor in tensors_of(result):
                self.ledger.known.pop(id(tensor), None)  # a new constant, or one written into in place
            return
        outputs = list(tensors_of(result))
        if name == "__setitem__":
            self._write(args, kwargs, known)
            return
        if not outputs:
            raise UnsupportedError(
                f"{self.ledger.title}.forward uses {name}, which gives no tensor: write it with layers"
            )
        makes = [found for found in known.values() if isinstance(found, Made)]
        derived = len(makes) < len(known)
        if not derived and name in SAME and self._same(given[0], outputs[0], known):
            return
        if not derived and name in MOVES and self._move(func, args, kwargs, outputs, known):
            return
        try:
            stated = None if derived else as_layer(name, args, kwargs)
        except UnsupportedError as error:
            raise UnsupportedError(f"{self.ledger.title}.forward {error}") from error
        if stated is not None:
            kind, made = stated
            if any(self.ledger.made(value) is not None for value in vars(made).values() if hasattr(value, "_version")):
                raise UnsupportedError(f"{self.ledger.title}.forward uses {name} with weights that depend on the input")
            if kind == "Dropout":
                self.pass_through(name, given[0], outputs[0])
                return
            self.ledger.layer(made, kind, [given[0]], outputs, name)
            return
        if name in ARITHMETIC and self._arithmetic(ARITHMETIC[name], args, kwargs, outputs[0], known):
            return
        if not derived and name in ("cat", "concat", "concatenate") and self._concat(args, kwargs, outputs[0]):
            return
        self._derive(name, kwargs, known, outputs)

    def pass_through(self, name: str, given: Tensor, made: Tensor) -> None:
        """What has no effect at inference gives its input.

        Raises:
            UnsupportedError: it does not.
        """
        import torch

        if given.shape != made.shape or not torch.equal(given, made):
            raise UnsupportedError(
                f"layer {name!r} was left out, as it has no effect at inference, but changes its input in "
                f"{self.ledger.title}.forward: put what it does into layers of its own"
            )
        found = self.ledger.made(given)
        if isinstance(found, Made):
            self.ledger.know(made, Made(found.source, found.parts, found.shape, found.codes, made._version))
        elif found is not None:
            self.ledger.know(made, found)

    def _same(self, given: Tensor, made: Tensor, known: dict[int, Made | Derived]) -> bool:
        import torch

        found = known.get(id(given))
        if not isinstance(found, Made) or not torch.equal(given.to(made.dtype), made) or (
            not torch.equal(given.double(), made.double())
        ):  # fmt: skip
            return False
        self.ledger.know(made, Made(found.source, found.parts, found.shape, found.codes, made._version))
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
            self.ledger.know(tensor, Made(first.source, parts, first.shape, code, tensor._version))
        return True

    def _write(self, args: Any, kwargs: Any, known: dict[int, Made | Derived]) -> None:
        """`rec[t] = spikes` into a tensor made before: its codes are written too."""
        import torch

        target, place, value = args
        made, there = known.get(id(value)), known.get(id(target))
        sources = {m.source for m in (made, there) if isinstance(m, Made)}
        if not isinstance(made, Made) or isinstance(there, Derived) or len(sources) > 1:
            raise UnsupportedError(
                f"{self.ledger.title}.forward writes into a tensor by index: write what one layer gave, or use "
                "torch.stack"
            )
        codes = torch.full(target.shape, -1) if there is None else there.codes.clone()
        codes[place] = made.codes
        self.ledger.know(target, Made(made.source, made.parts, made.shape, codes, target._version))

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
            self.ledger.layer(Stated(), "Add", [a, b], [result], "add")
            if not all(ours):
                held = known[id(a if ours[0] else b)]
                assert isinstance(held, Made)
                spot = place_of(held, self.ledger.batch)
                if spot is not None and spot.form == "step":
                    steps = frozenset({spot.step})
                    self.ledger.sums[id(result)] = Derived(_sources(held), ("sum over time",), steps)
            return True
        if all(ours):
            if word != "sub":
                return False
            minus = torch.neg(b)
            self.ledger.kept.append(minus)
            self.ledger.layer(Stated(weight=-1.0, bias=None), "Scale", [b], [minus], "scale")
            self.ledger.layer(Stated(), "Add", [a, minus], [result], "add")
            return True
        return self._scaled(word, a, b, ours[0], result)

    def _scaled(self, word: str, a: Any, b: Any, first: bool, result: Tensor) -> bool:
        """A tensor and a constant."""
        import torch

        given, constant = (a, b) if first else (b, a)
        if word == "add" and isinstance(constant, int | float) and constant == 0:
            return self._same(given, result, {id(given): self.ledger.known[id(given)]})
        value = constant if isinstance(constant, torch.Tensor) else torch.tensor(float(constant))
        found = self.ledger.made(given)
        assert isinstance(found, Made)
        place = place_of(found, self.ledger.batch)
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
        self.ledger.layer(stated, "Scale", [given], [result], "scale")
        return True

    def _adds_up(self, a: Any, b: Any, result: Tensor, known: dict[int, Made | Derived]) -> bool:
        """What one layer gave in several steps, added up: a readout."""
        found = []
        for tensor in (a, b):
            held = self.ledger.sums.get(id(tensor)) or known.get(id(tensor))
            if isinstance(held, Made):
                place = place_of(held, self.ledger.batch)
                if place is None or place.form != "step" or place.step == ALWAYS:
                    return False
                held = Derived(_sources(held), ("sum over time",), frozenset({place.step}))
            if not isinstance(held, Derived) or not held.steps:
                return False
            found.append(held)
        one, other = found
        if not one.sources & other.sources or one.steps & other.steps:
            return False
        self.ledger.know(result, Derived(one.sources & other.sources, ("sum over time",), one.steps | other.steps))
        return True

    def _concat(self, args: Any, kwargs: Any, result: Tensor) -> bool:
        """Channels side by side."""
        parts = list(args[0])
        axis = kwargs.get("dim", kwargs.get("axis", args[1] if len(args) > 1 else 0))
        places = [place_of(m, self.ledger.batch) if isinstance(m := self.ledger.made(t), Made) else None for t in parts]
        form = next((place.form for place in places if place is not None), None)
        if form is None or axis % result.ndim != lead(form):
            return False
        self.ledger.layer(Stated(), "Concat", parts, [result], "concat")
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
            self.ledger.know(tensor, Derived(sources, (*dict.fromkeys(words), *said)))

    def _over_time(self, known: dict[int, Made | Derived], result: Tensor) -> bool:
        """Whether a reduction of a sequence left its batch and values."""
        found = next(iter(known.values()))
        place = place_of(found, self.ledger.batch) if isinstance(found, Made) else None
        return place is not None and place.form in ("TB", "BT") and result.shape == (self.ledger.batch, *place.shape)


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


def _sources(found: Made | Derived) -> frozenset[tuple[str, int]]:
    return found.sources if isinstance(found, Derived) else frozenset({(found.source, min(found.parts))})
