"""What a torch module does besides its `forward`: hooks. Those that make weights are run, others are refused."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from i2e_deploy.errors import UnsupportedError
from i2e_deploy.network.modules.known import replaced_calls

if TYPE_CHECKING:
    from torch import nn

#: Sinabs' own counters of spikes and operations, as hooks; they change nothing.
_COUNTERS = ("sinabs.hooks", "sinabs.synopcounter")


def check_plain(module: nn.Module) -> None:
    """A call of the module and of all its parts runs the `forward` of their classes and nothing else.

    Raises:
        UnsupportedError: a hook that is not known to be harmless, a call or forward that was replaced, TorchScript.
    """
    import torch
    from torch.nn.modules import module as registry

    for kind in ("pre-hook", "hook"):
        for hook in getattr(registry, f"_global_forward_{kind.replace('-', '_')}s").values():
            raise UnsupportedError(
                f"torch has the forward {kind} {_title(hook)} on all modules: call its handle's remove() and read again"
            )
    for name, part in module.named_modules():
        where = f"layer {name!r} ({type(part).__name__})" if name else type(part).__name__
        if isinstance(part, torch.jit.ScriptModule) or _wraps(part):
            raise UnsupportedError(f"{where} is made from another module (compiled, averaged, parallel): give that one")
        for kind, hook in _unknown_hooks(part):
            raise UnsupportedError(
                f"{where} has the {kind} {_title(hook)}, which may change what it computes: call its handle's "
                "remove(), or put what it does into a layer (weights: torch.nn.utils.parametrize)"
            )
        replaced = replaced_calls(part)
        if replaced:
            raise UnsupportedError(
                f"{where} has {' and '.join(replaced)} of its own: "
                "write what it computes as the forward of its class, of layers"
            )


def refresh_weights(module: Any) -> None:
    """Set the weights to those that the next forward would use: run the hooks that make them.

    The module must be in evaluation mode: in training mode spectral norm would go on with its iteration.
    """
    for hook in module._forward_pre_hooks.values():
        hook(module, ())


def _wraps(part: nn.Module) -> bool:
    """torch's wrappers of a whole network: `torch.compile`, `DataParallel`, `AveragedModel`."""
    own = type(part)
    names = ("OptimizedModule", "DataParallel", "DistributedDataParallel", "AveragedModel")
    return own.__name__ in names and own.__module__.startswith("torch.")


def _unknown_hooks(part: nn.Module) -> Iterator[tuple[str, Any]]:
    for hook in part._forward_pre_hooks.values():
        if not _makes_weights(hook):
            yield "forward pre-hook", hook
    for hook in part._forward_hooks.values():
        if not _counts(hook):
            yield "forward hook", hook


def _makes_weights(hook: Any) -> bool:
    """torch's own, old and deprecated; a user's pruning method too, as long as it only computes another mask."""
    from torch.nn.utils.prune import BasePruningMethod
    from torch.nn.utils.spectral_norm import SpectralNorm
    from torch.nn.utils.weight_norm import WeightNorm

    own = type(hook)
    if own in (SpectralNorm, WeightNorm):
        return True
    methods = ("__call__", "apply_mask")
    return isinstance(hook, BasePruningMethod) and all(
        getattr(own, name) is getattr(BasePruningMethod, name) for name in methods
    )


def _counts(hook: Any) -> bool:
    made_by = hook if hasattr(hook, "__name__") else type(hook)
    home = getattr(made_by, "__module__", "")
    return home in _COUNTERS and getattr(sys.modules.get(home), made_by.__name__, None) is made_by


def _title(hook: Any) -> str:
    return str(getattr(hook, "__qualname__", type(hook).__qualname__))
