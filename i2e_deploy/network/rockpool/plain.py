"""Which class of torch's a module of Rockpool was, what else a call of it runs, and why some classes are refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from i2e_deploy.errors import UnsupportedError
from i2e_deploy.network.modules.known import CALLED, class_at

#: torch's classes that are read within a Sequential of Rockpool.
TORCH = ("torch.nn.Linear", "torch.nn.Dropout", "torch.nn.Identity")
_PATCH = "TorchModule.from_torch.<locals>.TorchModulePatch"

_REFUSED: Mapping[str, str] = {
    "Rate": "gives rates and no spikes; train with LIFTorch",
    "LIFExodus": "runs on a GPU library; give the same parameters to LIFTorch",
    "LIFMembraneExodus": "runs on a GPU library; give the same parameters to LIFTorch or ExpSynTorch",
    "LIFSlayer": "runs on a GPU library; give the same parameters to LIFTorch",
    "ExpSynExodus": "runs on a GPU library; give the same parameters to ExpSynTorch",
    "LIFSinabs": "runs another library's neurons; give its parameters to LIFTorch",
    "UpDownTorch": "makes spikes of values; run it yourself and give its spikes as frames",
    "BooleanState": "keeps a switch that its inputs set, which no neuron has; leave it to what reads the output",
    "LowPass": "takes time for the first axis; use ExpSynTorch",
    "Instant": "applies a function of yours; put what it computes into LinearTorch",
    "Butter": "filters the input; run it yourself and give what it gives as frames",
    "FFwdStack": "has weights between its modules; build it of Sequential and LinearTorch",
    "WaveSense": "sums its dilated layers in an evolution of its own; build it of Sequential and Residual",
    "TorchModule": "has a forward of its own; build it of Sequential and Residual",
}


def refusal(kind: str) -> str:
    """Why a class that is not read has no counterpart, and the way out.

    Args:
        kind: what `modules.known.kind_of` says of it.
    """
    if ".jax." in kind or kind.partition(" ")[0].endswith("Jax"):
        return "runs on JAX; give its parameters to the class of that name for torch"
    if kind.endswith(" of its own"):
        return "may compute something else; use the class itself"
    known = next((reason for name, reason in _REFUSED.items() if kind.startswith(name)), None)
    own = "evolves in a way of its own; build it of Sequential and Residual"
    return known if known is not None and " of rockpool." in kind else own


def torch_class(module: Any) -> str | None:
    """The class of torch's that Rockpool made a module of its own of (`TorchModule.from_torch`); None: it is none."""
    own = type(module)
    if own.__qualname__ != _PATCH or own.__module__ != "rockpool.nn.modules.torch.torch_module":
        return None
    base = own.__mro__[1]
    known = {class_at(path): path.rpartition(".")[2] for path in TORCH}
    if base not in known:
        return f"{base.__name__} of {base.__module__}"
    changed = [name for name in CALLED if name in vars(module)]
    return known[base] if not changed else f"{base.__name__} with {' and '.join(changed)} of its own"


def check_plain(module: Any) -> None:
    """A call of the module and of all its parts runs what their classes define and nothing else.

    Raises:
        UnsupportedError: a hook, or a call that was replaced.
    """
    from torch import nn
    from torch.nn.modules import module as registry

    if registry._global_forward_hooks or registry._global_forward_pre_hooks:
        raise UnsupportedError("torch has a forward hook on all modules: call its handle's remove() and read again")
    if not isinstance(module, nn.Module):
        return
    for name, part in nn.Module.named_modules(module):
        where = f"layer {name!r} ({type(part).__name__})" if name else type(part).__name__
        if part._forward_hooks or part._forward_pre_hooks:
            raise UnsupportedError(f"{where} has a forward hook, which may change what it computes: remove it")
        own_call = vars(part).get("_call")
        if own_call is not None and own_call.__func__.__globals__["__name__"].partition(".")[0] != "rockpool":
            raise UnsupportedError(f"{where} has a call of its own: write what it computes with Rockpool's modules")
