"""Run a user's `forward` on an example and write down, step by step, which layer was given what of which.

A loop over time cannot be traced with symbols: how often it runs is up to the data. So it is run, under hooks on the
layers and a mode that sees every function of torch in between; what a tensor is, is known by its identity.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from torch.overrides import TorchFunctionMode

from i2e_deploy.errors import UnsupportedError
from i2e_deploy.network.modules.arrangement import ALWAYS, Made, Place, place_of
from i2e_deploy.network.modules.computed import Functions
from i2e_deploy.network.modules.framework import Framework
from i2e_deploy.network.modules.functions import READS, name_of
from i2e_deploy.network.modules.known import kind_of
from i2e_deploy.network.modules.rows import Ledger, tensors_of

if TYPE_CHECKING:
    from torch import Tensor, nn


class Recorder(TorchFunctionMode):
    """See the head of this file.

    Args:
        module: the user's, in evaluation mode.
        framework: of the importer.
        batch: samples of the example.
    """

    def __init__(self, module: nn.Module, framework: Framework, batch: int) -> None:
        super().__init__()
        self.module, self.framework = module, framework
        names = {id(part): name or "0" for name, part in module.named_modules()}
        self.ledger = Ledger(type(module).__name__, batch, names)
        self.functions = Functions(self.ledger)
        self.inside, self.running = 0, ""
        self.left: dict[int, dict[str, Tensor]] = {}  # what neurons held after their last step, by `id`

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
        import torch

        if not self.inside:
            self.running = f" in layer {self.ledger.names[id(part)]!r} ({type(part).__name__})"
            with torch._C.DisableTorchFunction():  # our own functions are not of interest
                self._check_left(part, args, kwargs)
        self.inside += 1

    def _leave(self, part: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        import torch

        if self.inside == 1:
            with torch._C.DisableTorchFunction():
                self._module(part, args, kwargs, output)
            self.running = ""
        self.inside -= 1

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if self.inside:
            return func(*args, **(kwargs or {}))
        name = name_of(func)
        if name in READS and any(self.ledger.made(t) is not None for t in tensors_of((args, kwargs))):
            raise UnsupportedError(
                f"{self.ledger.title}.forward decides by the data, or takes it out of torch ({name}): a network does "
                "the same for every input; write it with layers alone"
            )
        kwargs = kwargs or {}
        changes = name != "__setitem__" and _in_place(name, kwargs) and bool(args)
        given = (self._copy(args[0]), *args[1:]) if changes else args
        known = {id(t): found for t in tensors_of((given, kwargs)) if (found := self.ledger.made(t)) is not None}
        result = func(*args, **kwargs)
        self.functions.function(name, func, given, kwargs, result, known)
        return result

    def _copy(self, tensor: Any) -> Any:
        """What a tensor was before it is changed in place."""
        found, copy = self.ledger.made(tensor), tensor.clone()
        if isinstance(found, Made):
            found = replace(found, version=copy._version)
        if found is not None:
            self.ledger.know(copy, found)
            if id(tensor) in self.ledger.sums:
                self.ledger.sums[id(copy)] = self.ledger.sums[id(tensor)]
        return copy

    def _module(self, part: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        name, kind = self.ledger.names[id(part)], kind_of(part, self.framework.all_leaves())
        outputs = list(tensors_of(output))
        if not outputs:
            raise UnsupportedError(f"layer {name!r} gives {type(output).__name__}: no tensor")
        if kind in self.framework.all_ignored():
            self.functions.pass_through(name, next(tensors_of((args, kwargs))), outputs[0])
            return
        if kind in self.framework.takes:
            self._neuron(name, kind, part, args, kwargs, outputs)
            return
        self.ledger.layer(part, kind, list(tensors_of((args, kwargs))), outputs)

    def _neuron(self, name: str, kind: str, part: Any, args: Any, kwargs: Any, outputs: list[Tensor]) -> None:
        """A call of neurons: what they take for input, and that their states are their own of the step before."""
        bound = inspect.signature(type(part).forward).bind(part, *args, **kwargs)
        given, *others = (list(tensors_of(value)) for value in list(bound.arguments.values())[1:])
        if len(given) != 1:
            raise UnsupportedError(f"layer {name!r} is given {len(given)} inputs: neurons take one")
        states = [tensor for found in others for tensor in found]
        place = self.ledger.placed(name, given[0])
        takes = self.framework.takes[kind](part)
        form = "step" if place is None else place.form
        if form != takes:
            said = {"step": "one step [B, ...]", "TB": "[T, B, ...]", "BT": "[B, T, ...]"}
            raise UnsupportedError(
                f"layer {name!r} ({kind}) takes {said[takes]} and is given {said.get(form, form)}: say how the module "
                'takes time, layout="step", "TB", "BT" or "static"'
            )
        row = self.ledger.rows.get(name)
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
        fresh = self.framework.fresh
        if fresh is not None and ((place.step and not states) or (states and not place.step and not fresh(part))):
            what = "without the states that it gave before" if place.step else "with states of zeros"
            raise UnsupportedError(
                f"layer {name!r} ({kind}) is run {what} in step {place.step}, so it starts otherwise than its class: "
                "start with None, and give back what it returns (torch's Sequential drops it)"
            )
        wanted = self.framework.states.get(kind, tuple(range(1, len(states) + 1)))
        for number, state in enumerate(states):
            self._check_state(name, state, place.step, wanted[number] if number < len(wanted) else -1)
        self.ledger.put(name, part, kind, 0, [given[0]], outputs, place)
        if place.form == "step":
            self.left[id(part)] = {word: tensor.clone() for word, tensor in _held(part).items()}

    def _check_left(self, part: nn.Module, args: Any, kwargs: Any) -> None:
        """Neurons that keep their states inside go on with those that they were left with."""
        left = self.left.get(id(part), {})
        if len(list(tensors_of((args, kwargs)))) > 1:
            return  # states are handed over, and checked there
        now = _held(part)
        changed = sorted(name for name, old in left.items() if name not in now or not _equal(old, now[name]))
        if changed:
            raise UnsupportedError(
                f"layer {self.ledger.names[id(part)]!r} has other states than it was left with in the step before "
                f"({', '.join(changed)}): {self.ledger.title}.forward resets or sets them on the way; a network goes on"
            )

    def _check_state(self, name: str, state: Tensor, step: int, part: int) -> None:
        found = self.ledger.made(state)
        if found is None:
            if step == 0 and not bool(state.any()):
                return
            what = "other values than zeros" if step == 0 else "a constant"
            raise UnsupportedError(
                f"layer {name!r} starts from {what} in step {step}: a network starts from zero states, and goes on "
                "with them"
            )
        if isinstance(found, Made) and found.source == name and part in found.parts:
            place = place_of(found, self.ledger.batch)
            if place is not None and (place.form, place.step, place.shape) == ("step", step - 1, found.shape):
                return
        source = found.source if isinstance(found, Made) else " and ".join(sorted(s for s, _ in found.sources))
        raise UnsupportedError(
            f"layer {name!r} takes for its state in step {step} something else than it gave in the step before (of "
            f"{source!r}): hand each neuron its own states, unchanged"
        )


def _held(part: nn.Module) -> dict[str, Tensor]:
    """The tensors that a module keeps itself, parameters left out."""
    import torch

    held = {**vars(part), **part._buffers, **vars(part).get("_memories", {})}
    return {name: value for name, value in held.items() if isinstance(value, torch.Tensor)}


def _equal(one: Tensor, other: Tensor) -> bool:
    """In every value, what is no number included."""
    if one.shape != other.shape:
        return False
    return bool(((one == other) | (one.isnan() & other.isnan())).all())


def _in_place(name: str, kwargs: Any) -> bool:
    plain = name.endswith("_") and not name.endswith("__")
    return plain or (name.startswith("__i") and name not in ("__int__", "__index__")) or bool(kwargs.get("inplace"))
