"""A float network as a Sinabs module, to be trained again; `read` reads it back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from i2e_deploy.errors import InputError, MissingDependency, UnsupportedError
from i2e_deploy.network.convolution import Conv2d
from i2e_deploy.network.graph import INPUT, Layer, Network
from i2e_deploy.network.layers import Add, Flatten, Linear
from i2e_deploy.network.modules.values import whole
from i2e_deploy.network.neurons import IntegrateAndFire
from i2e_deploy.network.op import Array
from i2e_deploy.network.pooling import Pool2d
from i2e_deploy.requirements import install_command

if TYPE_CHECKING:
    from torch import nn


def to_sinabs(network: Network, steps: int, neurons: Any = None, **options: Any) -> nn.Module:
    """The network with its weights, for frames float32 [B * T, C, H, W], batch outermost.

    Args:
        network: a float network, as of `read_network` or `read_nir`.
        steps: T of the frames that it will be trained on, from 1.
        neurons: class of the neurons; None: Sinabs' `IAFSqueeze`. Any class with its arguments will do, e.g.
            `training.fused_iaf.FusedIAF`, which trains faster.
        options: for every neuron layer, e.g. `surrogate_grad_fn=`.

    Returns:
        An `nn.Sequential` where each layer feeds the next, as `training.fit` takes it; else a module
        that gives what leaves the network, a tuple where that is several tensors. Layers keep their names where a
        module may have them: dots become underscores, and what torch or another layer has gets one more at its end.

    Raises:
        UnsupportedError: integer blocks, or a sensor (Sinabs' DVSLayer needs the vendor's samna).
        InputError: no whole number of steps.
        MissingDependency: Sinabs is not installed.
    """
    if not isinstance(network, Network):
        raise UnsupportedError(f"{type(network).__name__} is no float network: Sinabs has float layers")
    try:
        from sinabs.layers import IAFSqueeze
    except ImportError:
        raise MissingDependency("sinabs", "a Sinabs module", install_command("sinabs")) from None
    from torch import nn

    if whole(steps, "number of steps") < 1:
        raise InputError(f"the number of steps is {steps}: give 1 or more")
    kind = IAFSqueeze if neurons is None else neurons
    made = {
        layer.name: _module(layer, kind, {"num_timesteps": int(steps), **options})
        for layer in network.layers
        if not isinstance(layer.op, Add)
    }
    attributes = _attributes(list(made))
    names = [INPUT, *(layer.name for layer in network.layers)]
    if all(layer.inputs == (before,) for layer, before in zip(network.layers, names, strict=False)):
        row = nn.Sequential()
        for name, module in made.items():
            row.add_module(attributes[name], module)
        return row
    return _graph(network, made, attributes)


def _graph(network: Network, made: Mapping[str, Any], attributes: Mapping[str, str]) -> nn.Module:
    from torch import Tensor, nn

    consumers = network.consumers()
    outputs = [layer.name for layer in network.layers if not consumers[layer.name]]

    class Graph(nn.Module):
        """Layers that feed each other as in the network."""

        def __init__(self) -> None:
            super().__init__()
            for name, module in made.items():
                self.add_module(attributes[name], module)

        def forward(self, frames: Tensor) -> Tensor | tuple[Tensor, ...]:
            found: dict[str, Tensor] = {INPUT: frames}
            for layer in network.layers:
                total, *rest = (found[name] for name in layer.inputs)
                for other in rest:
                    total = total + other
                if not isinstance(layer.op, Add):
                    total = getattr(self, attributes[layer.name])(total)
                found[layer.name] = total
            leaving = tuple(found[name] for name in outputs)
            return leaving if len(leaving) > 1 else leaving[0]

    return Graph()


def _module(layer: Layer, neurons: Any, options: dict[str, Any]) -> Any:
    from sinabs.layers import SumPool2d
    from torch import nn

    op = layer.op
    if isinstance(op, Conv2d):
        out, inside, height, width = op.weight.shape
        module = nn.Conv2d(
            inside * op.groups, out, (height, width), op.stride, op.padding, op.dilation, op.groups, op.bias is not None
        )
        return _with_weights(module, op.weight, op.bias)
    if isinstance(op, Linear):
        out, inside = op.weight.shape
        return _with_weights(nn.Linear(inside, out, bias=op.bias is not None), op.weight, op.bias)
    if isinstance(op, Pool2d):
        return SumPool2d(op.kernel) if op.kind == "sum" else nn.AvgPool2d(op.kernel)
    if isinstance(op, Flatten):
        return nn.Flatten()
    if isinstance(op, IntegrateAndFire):
        if op.start is not None:
            raise UnsupportedError(
                f"layer {layer.name!r} starts from membrane states, which are not exported: read the network with "
                "states='zero', or take the start off (dataclasses.replace(op, start=None))"
            )
        return _neurons(op, neurons, options)
    raise UnsupportedError(
        f"layer {layer.name!r} is a {type(op).__name__}: pre-process the frames before, and leave it out"
    )


def _neurons(op: IntegrateAndFire, neurons: Any, options: dict[str, Any]) -> Any:
    import torch
    from sinabs.activation import MaxSpike, MembraneReset, MembraneSubtract, MultiSpike, SingleSpike

    spikes = {None: MultiSpike, 1: SingleSpike}
    return neurons(
        spike_threshold=torch.tensor(op.threshold),
        min_v_mem=op.min_v,
        spike_fn=spikes[op.max_spikes] if op.max_spikes in spikes else MaxSpike(op.max_spikes),
        reset_fn=MembraneReset() if op.reset == "zero" else MembraneSubtract(),
        **options,
    )


def _with_weights(module: Any, weight: Array, bias: Array | None) -> Any:
    import torch

    with torch.no_grad():
        module.weight.copy_(torch.from_numpy(weight))
        if bias is not None:
            module.bias.copy_(torch.from_numpy(bias))
    return module


def _attributes(names: Sequence[str]) -> dict[str, str]:
    """A name for each layer that a module may have; a name that is free already stays."""
    from torch import nn

    taken = nn.Sequential()  # `add_module` takes no name that its module has: "type", "forward", "training"
    found = {name: name for name in names if name and "." not in name and not hasattr(taken, name)}
    for name in names:
        if name not in found:
            attribute = name.replace(".", "_") or "_"
            while hasattr(taken, attribute) or attribute in found.values():
                attribute += "_"
            found[name] = attribute
    return found
