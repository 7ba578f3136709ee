"""Which module feeds which: a row of layers, or any feed-forward graph, read by tracing it symbolically."""

from __future__ import annotations

import operator
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from i2e_deploy.errors import UnsupportedError
from i2e_deploy.network.graph import INPUT

if TYPE_CHECKING:
    from torch import nn


class Call(NamedTuple):
    """One module (or the name of a function: `Add`, `Flatten`) applied to the outputs of others."""

    name: str
    module: Any
    kind: str
    inputs: tuple[str, ...]


def calls(module: nn.Module, leaves: Collection[str]) -> list[Call]:
    """Calls in the order in which they run.

    Args:
        module: an `nn.Sequential` (nested or not), one of `leaves`, or a module whose `forward` combines them.
        leaves: class names of modules that are not looked into.

    Raises:
        UnsupportedError: `forward` decides by data, does something else with tensors, or takes several inputs.
    """
    from torch import nn

    spiking = getattr(module, "spiking_model", None)  # sinabs.network.Network, which `from_model` returns
    if isinstance(spiking, nn.Module):
        module = spiking
    if isinstance(module, nn.Sequential) or kind_of(module, leaves) in leaves or not list(module.children()):
        row, last = [], INPUT
        for name, leaf in _leaves(module, ""):
            row.append(Call(name, leaf, kind_of(leaf, leaves), (last,)))
            last = name
        return row
    return _traced(module, leaves)


def kind_of(module: Any, leaves: Collection[str]) -> str:
    """The first of `leaves` among the classes of a module whose `forward` it has, or its own class.

    A subclass with a `forward` of its own may compute anything; one that does not says so: `stands_for = "IAFSqueeze"`.
    """
    own = type(module)
    known = [c.__name__ for c in own.__mro__ if getattr(c, "forward", None) is own.forward and c.__name__ in leaves]
    return str(getattr(own, "stands_for", known[0] if known else own.__name__))


def _leaves(module: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    from torch import nn

    if not isinstance(module, nn.Sequential):
        yield prefix or "0", module
        return
    for name, child in module.named_children():
        yield from _leaves(child, f"{prefix}.{name}" if prefix else name)


def _traced(module: nn.Module, leaves: Collection[str]) -> list[Call]:
    import torch
    from torch import fx

    class Tracer(fx.Tracer):
        def is_leaf_module(self, child: nn.Module, _name: str) -> bool:
            return kind_of(child, leaves) in leaves or not list(child.children())

    try:
        graph = Tracer().trace(module)
    except Exception as error:  # whatever a user's `forward` does with a symbol in place of a tensor
        raise UnsupportedError(
            f"{type(module).__name__}.forward cannot be traced ({error}): compose it of layers, `+` and Merge alone"
        ) from error
    functions = {operator.add: "Add", torch.add: "Add", torch.flatten: "Flatten"}
    names: dict[str, str] = {}
    found = []
    for node in graph.nodes:
        inputs = tuple(names[source.name] for source in node.all_input_nodes)
        if node.op == "placeholder":
            names[node.name] = INPUT
            if sum(other.op == "placeholder" for other in graph.nodes) > 1:
                raise UnsupportedError(f"{type(module).__name__} takes several inputs: the chip has one")
        elif node.op == "call_module":
            names[node.name] = str(node.target)
            child = module.get_submodule(str(node.target))
            found.append(Call(str(node.target), child, kind_of(child, leaves), inputs))
        elif node.op == "call_function" and node.target in functions:
            names[node.name] = node.name
            found.append(Call(node.name, None, functions[node.target], inputs))
        elif node.op != "output":
            raise UnsupportedError(
                f"{type(module).__name__}.forward uses {node.target}: use layers, `+` and Merge alone"
            )
    _check_outputs(graph, module)
    return found


def _check_outputs(graph: Any, module: nn.Module) -> None:
    """What leaves the network must feed nothing else, because a layer without consumers is what an output is here."""
    (output,) = (node for node in graph.nodes if node.op == "output")
    for node in output.all_input_nodes:
        if len(node.users) > 1:
            raise UnsupportedError(
                f"{type(module).__name__}: {node.target} leaves the network and feeds a layer too; "
                "give the output a layer of its own"
            )
