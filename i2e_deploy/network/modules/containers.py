"""Modules that hold a row of others and run it in a way of their own: read as that row."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from i2e_deploy.network.graph import INPUT
from i2e_deploy.network.modules.graph import Call, calls


def expanded(
    found: Iterable[Call], outputs: Iterable[str], containers: Mapping[str, str], leaves: Collection[str]
) -> tuple[list[Call], tuple[str, ...], dict[str, str]]:
    """The calls with what each container holds in its place.

    Args:
        found: see `graph.calls`.
        outputs: names of the calls that leave the network.
        containers: by kind, the attribute that holds the module; "" = its children, one after the other.
        leaves: classes that are not looked into.

    Returns:
        the calls, the outputs, and by the name of a call that stands in a container, the container's kind.
    """
    rows: list[Call] = []
    last: dict[str, str] = {INPUT: INPUT}
    inside: dict[str, str] = {}
    for call in found:
        inputs = tuple(last[source] for source in call.inputs)
        last[call.name] = call.name
        if call.kind not in containers:
            rows.append(call._replace(inputs=inputs))
            continue
        (last[call.name],) = inputs
        for place, child in _held(call.module, containers[call.kind]):
            parts, ends, deeper = expanded(*calls(child, leaves), containers, leaves)
            names = {INPUT: last[call.name]}
            for part in parts:
                names[part.name] = f"{call.name}.{place}" + ("" if part.name == "0" else f".{part.name}")
                sources = tuple(names[source] for source in part.inputs)
                rows.append(part._replace(name=names[part.name], inputs=sources, turn=part.turn + call.turn))
                inside[names[part.name]] = deeper.get(part.name, call.kind)
            (last[call.name],) = (names[end] for end in ends)
    return rows, tuple(last[name] for name in outputs), inside


def _held(module: Any, attribute: str) -> Iterable[tuple[str, Any]]:
    if attribute:
        return [(attribute, getattr(module, attribute))]
    return list(module._modules.items())  # `named_children` leaves out a module that stands there again
