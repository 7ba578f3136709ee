"""Which module feeds which: a row of layers, or any feed-forward graph, read by tracing it symbolically."""

from __future__ import annotations

import operator
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from i2e_deploy.errors import UnsupportedError
from i2e_deploy.network.graph import INPUT
from i2e_deploy.network.modules.known import changes, kind_of
from i2e_deploy.text import one_line

if TYPE_CHECKING:
    from torch import nn


class Call(NamedTuple):
    """One module (or the name of a function: `Add`, `Flatten`) applied to the outputs of others.

    A module that is applied again has another name each time: `pool`, `pool:2`; `turn` counts from 0 how often it was
    applied before.
    """

    name: str
    module: Any
    kind: str
    inputs: tuple[str, ...]
    turn: int = 0


def calls(module: nn.Module, leaves: Collection[str]) -> tuple[list[Call], tuple[str, ...]]:
    """Calls in the order in which they run, those that the first output needs first; and the outputs, as returned.

    Args:
        module: an `nn.Sequential` (nested or not), one of `leaves`, or a module whose `forward` combines them.
        leaves: classes of modules that are not looked into, see `known.kind_of`.

    Raises:
        UnsupportedError: `forward` decides by data, does something else with tensors, takes several inputs, or runs
            a layer that leads to no output.
    """
    if kind_of(module, ("sinabs.network.Network",)) == "Network":  # which sinabs.from_torch.from_model returns
        module = cast("nn.Module", module.spiking_model)
    row = list(_leaves(module, ""))
    if all(_is_leaf(leaf, leaves) for _, leaf in row):
        names = [INPUT, *(name for name, _ in row)]
        turns = [sum(other is leaf for _, other in row[:i]) for i, (_, leaf) in enumerate(row)]
        rows = zip(names, row, turns, strict=False)
        return [Call(n, leaf, kind_of(leaf, leaves), (p,), turn) for p, (n, leaf), turn in rows], (names[-1],)
    found, outputs = _traced(module, leaves)
    return _in_order(found, outputs, type(module).__name__), outputs


def _in_order(found: Sequence[Call], outputs: Sequence[str], title: str) -> list[Call]:
    """The calls that each output needs, output by output, so that outputs stand in the order of `return`."""
    by_name = {call.name: call for call in found}
    ordered: dict[str, Call] = {}
    for output in outputs:
        needed, waiting = set(), [output]
        while waiting:
            name = waiting.pop()
            if name in by_name and name not in needed:
                needed.add(name)
                waiting += by_name[name].inputs
        ordered |= {call.name: call for call in found if call.name in needed and call.name not in ordered}
    dead = [call.name for call in found if call.name not in ordered]
    if dead:
        raise UnsupportedError(f"{title}: layers {dead} lead to no output: return what they give, or leave them out")
    return list(ordered.values())


def _is_row(module: nn.Module) -> bool:
    """An `nn.Sequential` that runs its modules one after the other; a subclass may do otherwise."""
    from torch import nn

    return isinstance(module, nn.Sequential) and not changes(module, nn.Sequential)


def _is_leaf(module: nn.Module, leaves: Collection[str]) -> bool:
    """Modules that are not looked into: those of `leaves`, those without children, those of torch and Sinabs."""
    from torch import fx

    combines = _is_row(module) or isinstance(module, fx.GraphModule)
    library = type(module).__module__.partition(".")[0] in ("torch", "sinabs") and not combines
    known = kind_of(module, leaves) in {leaf.rpartition(".")[2] for leaf in leaves}
    return library or known or not list(module.children())


def _leaves(module: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    if not _is_row(module):
        yield prefix or "0", module
        return
    for name, child in module._modules.items():  # `named_children` leaves out a module that stands there again
        yield from _leaves(child, f"{prefix}.{name}" if prefix else name)


def _traced(module: nn.Module, leaves: Collection[str]) -> tuple[list[Call], tuple[str, ...]]:
    from torch import fx

    class Tracer(fx.Tracer):
        def is_leaf_module(self, child: nn.Module, _name: str) -> bool:
            return _is_leaf(child, leaves)

    try:
        graph = Tracer().trace(module)
    except Exception as error:  # whatever a user's `forward` does with a symbol in place of a tensor
        raise UnsupportedError(
            f"{type(module).__name__}.forward cannot be traced ({one_line(error)}): "
            "compose it of layers, `+` and Merge alone"
        ) from error
    names: dict[str, str] = {}
    found: list[Call] = []
    taken = {str(node.target) for node in graph.nodes if node.op == "call_module"}

    def free(name: str) -> str:
        while name in taken:
            name += "_"
        taken.add(name)
        return name

    for node in graph.nodes:
        inputs = tuple(names[source.name] for source in node.all_input_nodes)
        if node.op == "placeholder":
            names[node.name] = INPUT
            if sum(other.op == "placeholder" for other in graph.nodes) > 1:
                raise UnsupportedError(f"{type(module).__name__} takes several inputs: the chip has one")
        elif node.op == "call_module":
            child = module.get_submodule(str(node.target))
            before = sum(call.module is child for call in found)
            names[node.name] = free(f"{node.target}:{before + 1}") if before else str(node.target)
            found.append(Call(names[node.name], child, kind_of(child, leaves), inputs, before))
        elif node.op == "call_function" and _function(node) is not None:
            names[node.name] = free(node.name)
            found.append(Call(names[node.name], None, str(_function(node)), inputs))
        elif node.op != "output":
            raise UnsupportedError(
                f"{type(module).__name__}.forward uses {getattr(node.target, '__name__', node.target)}"
                f"{_arguments(node)}: use layers, `+` of two layers, torch.flatten(x, 1) and Merge alone"
            )
    return found, _outputs(graph, names, type(module).__name__)


def _function(node: Any) -> str | None:
    """What a call of a function stands for, with these arguments; None: nothing that is known."""
    import torch

    plain = len(node.all_input_nodes) == len(node.args) == 2 and not node.kwargs  # no constant, no `alpha`
    if node.target in (operator.add, torch.add) and plain:
        return "Add"
    if node.target is not torch.flatten:
        return None
    given = {**dict(zip(("input", "start_dim", "end_dim"), node.args, strict=False)), **node.kwargs}
    return "Flatten" if given.get("start_dim", 0) == 1 and given.get("end_dim", -1) == -1 else None


def _arguments(node: Any) -> str:
    """Arguments of a call that are no tensors, to tell it from others of its kind."""
    from torch import fx

    plain = [*(a for a in node.args if not isinstance(a, fx.Node)), *(f"{k}={v}" for k, v in node.kwargs.items())]
    return f" with {', '.join(map(str, plain))}" if plain else ""


def _outputs(graph: Any, names: Mapping[str, str], title: str) -> tuple[str, ...]:
    """Names of what `forward` returns, in that order."""
    from torch import fx

    (output,) = (node for node in graph.nodes if node.op == "output")
    found: list[str] = []
    fx.map_arg(output.args, lambda node: found.append(names[node.name]))
    if not found or len(set(found)) < len(found):
        raise UnsupportedError(f"{title}.forward returns {found or 'nothing'}: return each output once")
    return tuple(found)
