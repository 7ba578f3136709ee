"""A trained snnTorch network as float layers."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from i2e_deploy.errors import UnsupportedError
from i2e_deploy.network.graph import Network
from i2e_deploy.network.modules.framework import Framework, Layout
from i2e_deploy.network.modules.read import read_module
from i2e_deploy.network.op import Shape
from i2e_deploy.network.snntorch.neurons import NEURONS, READERS, SEQUENCES, STATES

if TYPE_CHECKING:
    from torch import Tensor, nn


def from_snntorch(module: nn.Module, input_shape: Shape, example: Any = None, layout: Layout | None = None) -> Network:
    """Read a snnTorch network as it computes in evaluation mode, whatever mode it is in.

    Its forward is run once, on the example or on drawn frames, and what each layer gave is compared with the network
    that was read (`network.judge`); the module is left as it was. Neurons: Leaky, Synaptic, Alpha without reset,
    Lapicque, RLeaky, RSynaptic, LeakyParallel, StateLeaky, LinearLeaky; `docs/bring_your_network.md` has their options.

    Args:
        module: layers of torch and neurons of snnTorch, in a `forward` that loops over time, or in one that takes one
            step and keeps the states inside (`init_hidden=True`).
        input_shape: of one step, (C, H, W) or (N,).
        example: frames [B, T, ...] or of one sample [T, ...]; as many steps as the module's loop runs. None: drawn.
        layout: what the module's forward takes: `"TB"`, a sequence [T, B, ...]; `"BT"`, [B, T, ...]; `"step"`, one step
            [B, ...] a call; `"static"`, one picture [B, ...] that its loop shows in every step. None: `"step"` where
            all neurons keep their states inside, else `"TB"`, as in snnTorch's tutorials; a note says which.

    Raises:
        UnsupportedError: something without exact counterpart, or that the layers do not say; it names the layer.
        InputError: shapes or values that do not fit.
    """
    return read_module(module, input_shape, example, layout, SNNTORCH)


def _start(module: nn.Module) -> None:
    """All states zero, and of no shape yet."""
    for part in module.modules():
        if callable(reset := getattr(part, "reset_mem", None)):
            reset()


def _run(module: nn.Module, given: Sequence[Tensor]) -> list[Any]:
    """Nobody but the user knows which output is which state of the next step."""
    takes = list(inspect.signature(type(module).forward).parameters.values())[2:]
    more = [p.name for p in takes if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if more:
        raise UnsupportedError(
            f"{type(module).__name__}.forward takes {', '.join(more)} beside its input: put the loop over time and the "
            "states into a forward of their own, or keep the states inside (init_hidden=True)"
        )
    return [module(tensor) for tensor in given]


def _default(module: nn.Module) -> Layout:
    """Neurons that keep their states inside are mostly called a step at a time."""
    kept = [bool(part.init_hidden) for part in module.modules() if hasattr(part, "init_hidden")]
    loops = any(type(part).__name__ in SEQUENCES for part in module.modules())
    return "step" if kept and all(kept) and not loops else "TB"


SNNTORCH = Framework(
    name="snnTorch",
    package="snntorch",
    leaves=tuple(f"snntorch.{name}" for name in READERS),
    start=_start,
    wide=READERS,
    takes={**dict.fromkeys(NEURONS, lambda _: "step"), **dict.fromkeys(SEQUENCES, lambda _: "TB")},
    states=STATES,
    default=_default,
    run=_run,
)
