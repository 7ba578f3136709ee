"""A trained SpikingJelly network as float layers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from i2e_deploy.errors import InputError, UnsupportedError
from i2e_deploy.network.graph import Network
from i2e_deploy.network.modules.framework import Framework, Layout
from i2e_deploy.network.modules.norms import affine
from i2e_deploy.network.modules.read import read_module
from i2e_deploy.network.op import Shape
from i2e_deploy.network.spikingjelly.layers import CONTAINERS, IGNORED, NORMS, READERS, check_classes
from i2e_deploy.network.spikingjelly.layers import LEAVES as LAYERS
from i2e_deploy.network.spikingjelly.neurons import LEAVES, NEURONS, check_fires, read_neurons, takes
from i2e_deploy.text import one_line

if TYPE_CHECKING:
    from torch import nn


def from_spikingjelly(
    module: nn.Module, input_shape: Shape, example: Any = None, layout: Layout | None = None
) -> Network:
    """Read a SpikingJelly network as it computes in evaluation mode, whatever mode it is in.

    Its forward is run once, on the example or on drawn frames, from the states that `functional.reset_net` sets, and
    what each layer gave is compared with the network that was read (`network.judge`); the module is left as it was,
    its states too. `docs/bring_your_network.md` has the neurons and layers, with their options.

    Args:
        module: layers of torch and of `spikingjelly.activation_based`, in containers or in any `forward`; networks of
            its `model` package as they are.
        input_shape: of one step, (C, H, W) or (N,).
        example: frames [B, T, ...] or of one sample [T, ...]; as many steps as the module's loop runs. None: drawn.
        layout: what the module's forward takes: `"TB"`, a sequence [T, B, ...]; `"BT"`, [B, T, ...]; `"step"`, one step
            [B, ...] a call; `"static"`, one picture [B, ...] that it shows in every step. None: `"TB"` where a module
            has step mode "m" or is a container over time, else `"step"`; a note says which.

    Raises:
        UnsupportedError: something without exact counterpart, or that the layers do not say; it names the layer.
        InputError: shapes or values that do not fit.
    """
    import torch

    if not isinstance(module, torch.nn.Module):
        raise InputError(f"{type(module).__name__} is no torch module: give the trained network")
    named = list(module.named_modules())
    check_classes(named)
    check_fires(named)
    with _memories_as_they_were(module):
        return read_module(module, input_shape, example, layout, SPIKINGJELLY)


@contextmanager
def _memories_as_they_were(module: nn.Module) -> Iterator[None]:
    """Put back the states, which SpikingJelly keeps in dicts that a run changes."""
    import torch

    kept = []
    for part in module.modules():
        if isinstance(memories := vars(part).get("_memories"), dict):
            held = {n: v.detach().clone() if isinstance(v, torch.Tensor) else v for n, v in memories.items()}
            held |= {n: list(v) for n, v in held.items() if isinstance(v, list)}
            kept.append((memories, held))
    try:
        yield
    finally:
        for memories, held in kept:
            memories.clear()
            memories.update(held)


def _start(module: nn.Module) -> None:
    """`functional.reset_net`: every part that has a `reset`."""
    for part in module.modules():
        if callable(reset := getattr(part, "reset", None)):
            try:
                reset()
            except Exception as error:  # whatever a user's reset raises
                said = one_line(error)
                raise UnsupportedError(
                    f"{type(part).__name__}.reset(), as reset_net calls it, fails: {said}"
                ) from error


def _default(module: nn.Module) -> Layout:
    over_time = ("MultiStepContainer", "SeqToANNContainer", *NORMS)
    parts = list(module.modules())
    whole = any(getattr(part, "step_mode", "s") == "m" or type(part).__name__ in over_time for part in parts)
    return "TB" if whole else "step"


SPIKINGJELLY = Framework(
    name="SpikingJelly",
    package="spikingjelly",
    leaves=(*LEAVES, *LAYERS),
    start=_start,
    readers=READERS,
    wide=dict.fromkeys(NEURONS, read_neurons),
    takes=dict.fromkeys((*NEURONS, "Delay"), takes),
    norms=dict.fromkeys(NORMS, affine),
    ignored=IGNORED,
    containers=CONTAINERS,
    default=_default,
)
