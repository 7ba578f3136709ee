"""How any network that can be trained runs: found by the framework of its neurons."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from i2e_deploy.chips import AnyNetwork, Chip
from i2e_deploy.errors import UnsupportedError
from i2e_deploy.network import from_snntorch, from_spikingjelly
from i2e_deploy.network.modules.framework import Framework, Layout
from i2e_deploy.network.snntorch.read import SNNTORCH
from i2e_deploy.network.spikingjelly.read import SPIKINGJELLY
from i2e_deploy.training.running import Running

Reader = Callable[..., AnyNetwork]


def running_of(network: nn.Module, layout: Layout | None = None) -> Running:
    """How a module runs.

    Args:
        network: with neurons of Sinabs, SLAYER, snnTorch or SpikingJelly.
        layout: what its forward takes, for the last two, see `from_snntorch`; None: the framework's default.

    Raises:
        UnsupportedError: neurons of none of these, or of several.
    """
    homes = {base.__module__ for part in network.modules() for base in type(part).__mro__}
    found = [name for name in _RUNNINGS if any(home == name or home.startswith(f"{name}.") for home in homes)]
    if len(found) != 1:
        what = " and ".join(found) or "no framework that is known"
        raise UnsupportedError(
            f"{type(network).__name__} has layers of {what}: give a network with neurons of one of Sinabs, SLAYER, "
            "snnTorch and SpikingJelly"
        )
    return _RUNNINGS[found[0]](network, layout)


def _sinabs(_: nn.Module, layout: Layout | None) -> Running:
    from i2e_deploy.training.bptt import SINABS

    return SINABS


def _slayer(_: nn.Module, layout: Layout | None) -> Running:
    from i2e_deploy.training.slayer import SLAYER

    return SLAYER


def _module(framework: Framework, reader: Reader, network: nn.Module, layout: Layout | None) -> Running:
    chosen = framework.default(network) if layout is None else layout
    if chosen == "static":
        raise UnsupportedError(
            'layout="static" shows one picture in every step: event frames need "TB", "BT" or "step"'
        )

    def read(trained: nn.Module, input_shape: tuple[int, ...], example: Any, chip: Chip) -> AnyNetwork:
        return reader(trained, input_shape, example, chosen)

    return Running(framework.name, partial(_outputs, framework, chosen), read, partial(_neurons, framework))


def _outputs(framework: Framework, layout: Layout, network: nn.Module, frames: Tensor) -> Tensor:
    """The first tensor that the module returns, in every step: [B, T, N]."""
    given = frames.float()
    framework.start(network)
    if layout == "step":
        returned = framework.run(network, [given[:, t].contiguous() for t in range(given.shape[1])])
        return torch.stack([_first(value) for value in returned], 1).flatten(2)
    if layout == "BT":
        return _first(framework.run(network, [given])[0]).flatten(2)
    found = _first(framework.run(network, [given.transpose(0, 1).contiguous()])[0])
    if found.shape[:2] != (frames.shape[1], frames.shape[0]):
        raise UnsupportedError(
            f"{type(network).__name__} returns {list(found.shape)} for {frames.shape[1]} steps of {frames.shape[0]} "
            "samples: let it return what its output layer gives in every step, [T, B, ...]"
        )
    return found.transpose(0, 1).flatten(2)


def _first(returned: Any) -> Tensor:
    """Of a tuple (spikes, states) the spikes; of a list its steps, stacked."""
    if isinstance(returned, tuple):
        return _first(returned[0])
    if isinstance(returned, list):
        return torch.stack(returned)
    return torch.as_tensor(returned)


def _neurons(framework: Framework, network: nn.Module) -> Sequence[nn.Module]:
    return [part for part in network.modules() if type(part).__name__ in framework.takes and _of(framework, part)]


def _of(framework: Framework, part: nn.Module) -> bool:
    return type(part).__module__.startswith(f"{framework.package}.")


_RUNNINGS: Mapping[str, Callable[[nn.Module, Layout | None], Running]] = {
    "sinabs": _sinabs,
    "lava.lib.dl.slayer": _slayer,
    "snntorch": partial(_module, SNNTORCH, from_snntorch),
    "spikingjelly": partial(_module, SPIKINGJELLY, from_spikingjelly),
}
