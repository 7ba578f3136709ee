"""The steps of a recorded run as one step: what every step does, with a delay where a step takes of the one before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import TYPE_CHECKING, NamedTuple

from i2e_deploy.errors import UnsupportedError
from i2e_deploy.network.graph import INPUT
from i2e_deploy.network.modules.arrangement import ALWAYS
from i2e_deploy.network.modules.functions import Stated
from i2e_deploy.network.modules.graph import Call
from i2e_deploy.network.modules.rows import Ref, Row
from i2e_deploy.network.op import Shape

if TYPE_CHECKING:
    from torch import Tensor


class Folded(NamedTuple):
    """One step of a module.

    Args:
        calls: in order; kind `Before` for what comes from the step before.
        values: [B, T, ...] of the calls that the module made, by name.
        unused: layers that lead to no output.
    """

    calls: list[Call]
    values: Mapping[str, Tensor]
    unused: tuple[str, ...]


class _Edge(NamedTuple):
    source: str
    part: int
    late: bool
    shape: Shape


def fold(rows: Mapping[str, Row], outputs: Sequence[tuple[str, int]], shape: Shape, steps: int, title: str) -> Folded:
    """Fold; see the head of this file.

    Args:
        rows: of the recorder.
        outputs: layers and parts that leave the module.
        shape: of its input.
        steps: of the example.
        title: of the module, for errors.

    Raises:
        UnsupportedError: a step does something else than the others, or takes what is older than one step.
    """
    edges: dict[str, tuple[_Edge, ...]] = {}
    waiting = [name for name, _ in outputs if name != INPUT]
    while waiting:
        name = waiting.pop()
        if name not in edges:
            edges[name] = _edges(rows[name], steps, title)
            waiting += [edge.source for edge in edges[name] if edge.source not in ("", INPUT)]
    parts = _parts(edges, outputs)
    shapes = {INPUT: shape, **{name: _shape(rows[name], parts.get(name, 0)) for name in edges}}
    calls: list[Call] = []
    made: dict[tuple[str, bool, Shape], str] = {}
    delays: list[Call] = []
    for name in _order(rows, edges, title):
        row = rows[name]
        inputs = tuple([_given(edge, shapes, made, calls, delays, rows) for edge in edges[name]])
        calls.append(Call(name, row.module, row.kind, inputs, row.turn, parts.get(name, 0)))
    values = {name: _values(rows[name], parts.get(name, 0), steps) for name in edges}
    unused = tuple(name for name, row in rows.items() if name not in edges and not isinstance(row.module, Stated))
    return Folded([*delays, *calls], values, unused)


def _edges(row: Row, steps: int, title: str) -> tuple[_Edge, ...]:
    """What a layer is given, the same in every step."""
    missing = [step for step in range(steps) if step not in row.inputs]
    if ALWAYS in row.inputs:
        return tuple(_edge(row.name, ref, ALWAYS, title) for ref in row.inputs[ALWAYS])
    if missing:
        raise UnsupportedError(
            f"{title}.forward runs layer {row.name!r} in steps {sorted(row.inputs)} of {steps}: every step must do the "
            "same; give an example with as many steps as its loop runs, or run the layer in each"
        )
    last = tuple(_edge(row.name, ref, steps - 1, title) for ref in row.inputs[steps - 1])
    for step in range(steps):
        if len(row.inputs[step]) != len(last):
            raise UnsupportedError(
                f"{title}.forward gives layer {row.name!r} {len(row.inputs[step])} inputs in step {step}, not "
                f"{len(last)} as later: states of a layer that is no neuron of the framework's are not read"
            )
        for ref, edge in zip(row.inputs[step], last, strict=True):
            starts = step == 0 and ref.source == "" and edge.late
            if not starts and _edge(row.name, ref, step, title) != edge:
                raise UnsupportedError(
                    f"{title}.forward gives layer {row.name!r} {_said(ref, step)} in step {step} and "
                    f"{_said(row.inputs[steps - 1][last.index(edge)], steps - 1)} in step {steps - 1}: every step must "
                    "do the same"
                )
    return last


def _said(ref: Ref, step: int) -> str:
    if not ref.source:
        return "zeros"
    before = {0: "", 1: " of the step before"}.get(step - ref.step, f" of step {ref.step}")
    return f"{ref.source!r}{'' if ref.step == ALWAYS else before}"


def _edge(name: str, ref: Ref, step: int, title: str) -> _Edge:
    if not ref.source:
        return _Edge("", 0, True, ref.shape)
    late = 0 if ref.step == ALWAYS else step - ref.step
    if late not in (0, 1):
        raise UnsupportedError(
            f"{title}.forward gives layer {name!r} in step {step} what {ref.source!r} gave in step {ref.step}: take it "
            "from the same step or from the one before"
        )
    return _Edge(ref.source, ref.part, late == 1, ref.shape)


def _parts(edges: Mapping[str, Sequence[_Edge]], outputs: Sequence[tuple[str, int]]) -> dict[str, int]:
    """Which part of what a layer gives is used, where that is not its output."""
    used: dict[str, set[int]] = {}
    for name, part in [*outputs, *((edge.source, edge.part) for row in edges.values() for edge in row)]:
        used.setdefault(name, set()).add(part)
    feeding = {name: {e.part for row in edges.values() for e in row if e.source == name} for name in used}
    found = {}
    for name, parts in used.items():
        if 0 not in parts:
            found[name] = min(parts)
        elif feeding[name] - {0}:
            raise UnsupportedError(
                f"layer {name!r} hands on its spikes and a state, which feeds a layer: one layer gives one thing; use "
                "neurons of their own for the state"
            )
    return found


def _order(rows: Mapping[str, Row], edges: Mapping[str, Sequence[_Edge]], title: str) -> list[str]:
    """In which each comes after what feeds it in the same step; as they ran, where that is so."""
    left, done = [name for name in rows if name in edges], {INPUT, ""}
    found: list[str] = []
    while left:
        ready = next((n for n in left if all(edge.late or edge.source in done for edge in edges[n])), None)
        if ready is None:
            raise UnsupportedError(f"{title}.forward has a circle of {left} within one step: no network does that")
        found.append(ready)
        done.add(ready)
        left.remove(ready)
    return found


def _given(
    edge: _Edge, shapes: dict[str, Shape], made: dict[tuple[str, bool, Shape], str],
    calls: list[Call], delays: list[Call], rows: Mapping[str, Row],
) -> str:  # fmt: skip
    """The name of what an edge brings; a delay and a change of shape get calls of their own."""
    if not edge.source:
        raise UnsupportedError("a layer is given zeros in every step: leave it out")
    name = edge.source
    if edge.late:
        key = (name, True, shapes[name])
        if key not in made:
            made[key] = _free(f"{name}.before", rows, made)
            shapes[made[key]] = shapes[name]
            delays.append(Call(made[key], Stated(shape=shapes[name]), "Before", (name,)))
        name = made[key]
    if edge.shape != shapes[name] and edge.shape:
        if prod(edge.shape) != prod(shapes[name]):
            raise UnsupportedError(f"layer {name!r} gives {list(shapes[name])}, taken as {list(edge.shape)}")
        key = (name, False, edge.shape)
        if key not in made:
            flat = len(edge.shape) == 1
            made[key] = _free(f"{name}.{'flat' if flat else 'shaped'}", rows, made)
            shapes[made[key]] = edge.shape
            calls.append(Call(made[key], Stated(shape=edge.shape), "Flat" if flat else "Reshape", (name,)))
        name = made[key]
    return name


def _free(name: str, rows: Mapping[str, Row], made: Mapping[tuple[str, bool, Shape], str]) -> str:
    while name in rows or name in made.values():
        name += "_"
    return name


def _shape(row: Row, part: int) -> Shape:
    return tuple(next(iter(row.values.values()))[part].shape[1:])


def _values(row: Row, part: int, steps: int) -> Tensor:
    import torch

    if ALWAYS in row.values:
        return row.values[ALWAYS][part][:, None].expand(-1, steps, *row.values[ALWAYS][part].shape[1:])
    return torch.stack([row.values[step][part] for step in range(steps)], dim=1)
