"""Modules of Norse's containers in the order in which they run, and which axis each takes for time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from i2e_deploy.errors import UnsupportedError
from i2e_deploy.network.modules.known import kind_of
from i2e_deploy.network.modules.layers import IGNORED, TORCH
from i2e_deploy.network.norse.neurons import KINDS, LEAVES, refusal

_HOME = "norse.torch.module"
_CONTAINERS = (f"{_HOME}.sequential.SequentialState", f"{_HOME}.lift.Lift", "torch.nn.Sequential")
#: Modules of torch that do to [T, B, ...] what they do to each step.
_POINTWISE = ("Flatten", "Linear", *IGNORED)


class Part(NamedTuple):
    """One module in a row.

    Args:
        name: its place, e.g. `1.0`.
        module: of torch or Norse.
        kind: which class it is, see `known.kind_of`.
        each_step: it stands in a `Lift`, which runs it a step at a time.
    """

    name: str
    module: Any
    kind: str
    each_step: bool


def parts_of(module: Any) -> tuple[Part, ...]:
    """The modules that a module of Norse runs, one after the other.

    Raises:
        UnsupportedError: a container that loses states or passes them on to another module.
    """
    return tuple(_parts(module, "", each_step=False))


def all_steps(parts: Sequence[Part]) -> bool:
    """Whether the row takes all steps at once, [T, B, ...]; else it takes one, [B, ...].

    Raises:
        UnsupportedError: it does both: one of its modules takes time for the batch.
    """
    neurons = [(part, KINDS[part.kind].over_time) for part in parts if part.kind in KINDS]
    whole = any(part.each_step for part in parts) or any(over_time for _, over_time in neurons)
    for part, over_time in neurons:
        if part.each_step and over_time:
            raise UnsupportedError(
                f"layer {part.name!r} is a {part.kind}, which takes all steps, in a Lift, which gives it one: "
                "leave out the Lift"
            )
        if whole and not part.each_step and not over_time:
            raise UnsupportedError(
                f"layer {part.name!r} is a {part.kind}, which takes one step, among layers that take all steps: it "
                "would take time for the batch; use its class without Cell, or put it into a Lift"
            )
    for part in parts:
        steps_at_once = whole and not part.each_step and f"torch.nn.{part.kind}" in TORCH
        if steps_at_once and part.kind not in _POINTWISE:
            raise UnsupportedError(
                f"layer {part.name!r} is a {part.kind} on all steps at once, which it takes for something else: "
                "put it into a Lift"
            )
    return whole


def _parts(module: Any, name: str, each_step: bool) -> Iterator[Part]:
    container = kind_of(module, _CONTAINERS)
    if container == "Lift":
        yield from _parts(module.lifted_module, name, each_step=True)
        return
    if container not in ("SequentialState", "Sequential"):
        yield _leaf(module, name or "0", each_step)
        return
    children = [(f"{name}.{child}" if name else child, part) for child, part in module._modules.items()]
    for place, (child, part) in enumerate(children):
        after = children[place + 1][1] if place + 1 < len(children) else None
        _check_state_stays(container, child, part, after)
        yield from _parts(part, child, each_step)


def _leaf(module: Any, name: str, each_step: bool) -> Part:
    kind = kind_of(module, (*LEAVES, *TORCH))
    reason = refusal(kind)
    if reason is not None:
        raise UnsupportedError(f"layer {name!r} is a {kind.partition(' ')[0]} of Norse, which {reason}")
    return Part(name, module, kind, each_step)


def _check_state_stays(container: str, name: str, part: Any, after: Any) -> None:
    """norse 1.1.0 `sequential.py`, `lift.py`: torch's Sequential keeps no state, and a Lift takes that of a tuple."""
    kind = kind_of(part, (*LEAVES, *_CONTAINERS))
    if container == "Sequential" and (kind in KINDS or kind == "SequentialState"):
        raise UnsupportedError(
            f"layer {name!r} ({kind}) stands in torch's Sequential, which drops its states: use Norse's SequentialState"
        )
    lifts_on = after is not None and kind_of(after, _CONTAINERS) == "Lift" and not _keeps_state(after.lifted_module)
    if kind == "Lift" and _keeps_state(part.lifted_module) and after is not None and not lifts_on:
        raise UnsupportedError(
            f"layer {name!r} is a Lift of a module with states, which Lift gives to the module after it: use the "
            "class that takes all steps (LIF for Lift(LIFCell()))"
        )


def _keeps_state(module: Any) -> bool:
    kind = kind_of(module, (*LEAVES, *_CONTAINERS))
    return kind in KINDS or kind == "SequentialState"
