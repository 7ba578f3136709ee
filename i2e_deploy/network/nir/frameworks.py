"""A framework that reads NIR itself, as the judge of a network that was read from the same file."""

from __future__ import annotations

import keyword
from collections.abc import Callable, Mapping
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from i2e_deploy.errors import FileFormatError, InputError, MissingDependency, UnsupportedError
from i2e_deploy.hdf5_child import open_guarded
from i2e_deploy.network.graph import Network
from i2e_deploy.network.layers import Add
from i2e_deploy.network.nir.judge import compared
from i2e_deploy.network.op import Shape
from i2e_deploy.network.run import as_frames
from i2e_deploy.requirements import install_command
from i2e_deploy.text import one_line

if TYPE_CHECKING:
    from torch import Tensor

#: Why a framework's result says nothing, for people.
_WAY_OUT = "judge by recorded data, or by another framework"


def judge_nir_with(framework: str, network: Network, path: str | Path, frames: Any, dt: float | None = None) -> Network:
    """The network with a note of what was compared with a framework's own module of the same file.

    Args:
        framework: "sinabs" or "spikingjelly".
        network: of `read_nir`.
        path: the NIR file.
        frames: [B, T, C, H, W].
        dt: length of a step in seconds, for SpikingJelly, as `read_nir` had it.

    Raises:
        UnsupportedError: the first layer that differs, with the step and both values; or the framework cannot run
            the file.
        InputError: no such framework, or frames that are none of the network's.
        MissingDependency: it is not installed.
    """
    if framework not in _RUNNERS:
        raise InputError(f"framework is {framework!r}: choose one of {', '.join(_RUNNERS)}")
    path, given = Path(path), as_frames(frames, network.input_shape)
    _check(path)
    try:
        recorded = _RUNNERS[framework](path, given, dt, sum(not isinstance(row.op, Add) for row in network.layers))
    except (UnsupportedError, MissingDependency):
        raise
    except ImportError as error:
        name = error.name or framework
        raise MissingDependency(name, f"{framework} as the judge of a NIR file", install_command(name)) from error
    except Exception as error:  # whatever a framework raises on a graph
        text = f"{type(error).__name__} {one_line(error)}"
        raise UnsupportedError(f"{framework} fails on {path.name}: {text}: {_WAY_OUT}") from error
    names = {layer.name: _torch_name(layer.name) for layer in network.layers}
    shapes = network.shapes()
    found = {
        name: _as_layer(recorded[torch_name], shapes[name])
        for name, torch_name in names.items()
        if torch_name in recorded
    }
    if not found or len(set(names.values())) < len(names):
        raise UnsupportedError(f"{framework} gives nothing that has the name of a layer of {path.name}: {_WAY_OUT}")
    return compared(network, given, found, framework)


def _as_layer(values: Tensor, shape: Shape) -> Tensor:
    """[B, T, ...] in the shape of the layer: a copy that leaves the network is flat here."""
    return values.reshape(*values.shape[:2], *shape) if prod(values.shape[2:]) == prod(shape) else values


def _check(path: Path) -> None:
    """nir's own reader follows links and believes any size: it may read what passed the guard, whole."""
    try:
        with open_guarded(path) as file:
            file.check_all()
    except (OSError, RuntimeError) as error:
        raise FileFormatError(f"{path.name}: damaged HDF5: {one_line(error)}") from error


def _sinabs(path: Path, frames: Tensor, dt: float | None, nodes: int) -> Mapping[str, Tensor]:
    """Outputs of the nodes by name, [B, T, ...], of `sinabs.from_nir`."""
    del dt, nodes
    import nir
    import torch
    from sinabs.nir import from_nir

    batch, steps = frames.shape[:2]
    module = from_nir(nir.read(path), batch_size=batch)
    before: set[str] = set()
    missing = [name for part, name in module.graph.module_names.items() if part is None]
    if missing:  # nirtorch passes over them, and what follows gets another input
        raise UnsupportedError(f"sinabs.from_nir has no module for node {missing[0]!r}: {_WAY_OUT}")
    for node in module.execution_order:  # nirtorch 2.0 and 2.6 go depth first: a sum may come before its terms
        late = [source.name for source in module.graph.find_source_nodes_of(node) if source.name not in before]
        if late:
            raise UnsupportedError(
                f"nirtorch runs node {node.name!r} before {late[0]!r}, which feeds it, and leaves that out: {_WAY_OUT}"
            )
        before.add(node.name)
    with torch.no_grad():
        _, state = module(frames.flatten(0, 1))
    return {name: out.detach().unflatten(0, (batch, steps)) for name, out in state.cache.items()}


def _spikingjelly(path: Path, frames: Tensor, dt: float | None, nodes: int) -> Mapping[str, Tensor]:
    """Outputs of the nodes by name, [B, T, ...], of SpikingJelly's `import_from_nir`, a step at a time.

    Args:
        nodes: how many nodes the network has layers for.
    """
    import nir
    import torch
    from spikingjelly.activation_based.nir_exchange import import_from_nir

    graph = nir.read(path)
    ends = [name for name, node in graph.nodes.items() if isinstance(node, nir.Input | nir.Output)]
    if len(ends) != 2 or len(graph.nodes) != len(ends) + nodes:  # nirtorch 2.6 then goes round its queue for ever
        raise UnsupportedError(f"nirtorch takes one Input, one Output and no dead ends: {_WAY_OUT}")
    module = import_from_nir(graph, dt=1.0 if dt is None else dt)
    found: dict[str, list[Tensor]] = {}

    def keep(name: str) -> Callable[[Any, Any, Any], None]:
        def hook(_: Any, __: Any, output: Any) -> None:
            found.setdefault(name, []).append((output[0] if isinstance(output, tuple) else output).detach().clone())

        return hook

    for name, child in module.named_children():
        child.register_forward_hook(keep(name))
    state = None
    with torch.no_grad():
        for t in range(frames.shape[1]):
            *_, state = module(frames[:, t], state)
    return {name: torch.stack(rows, dim=1) for name, rows in found.items() if len(rows) == frames.shape[1]}


def _torch_name(name: str) -> str:
    """Name of a node as a name of a torch module, as nirtorch makes it."""
    plain = name.replace(".", "_")
    return f"nir_node_{plain}" if keyword.iskeyword(plain) else plain


_RUNNERS: dict[str, Callable[[Path, Tensor, float | None, int], Mapping[str, Tensor]]] = {
    "sinabs": _sinabs,
    "spikingjelly": _spikingjelly,
}
