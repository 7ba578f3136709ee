"""What a call of a module of Rockpool runs besides what its classes define, and why some classes are refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from i2e_deploy.errors import UnsupportedError

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
}


def refusal(kind: str) -> str | None:
    """Why a class of Rockpool's has no counterpart, and the way out; None: nothing is known of it.

    Args:
        kind: what `modules.known.kind_of` says of it.
    """
    if kind.endswith(" of its own"):
        return "may compute something else; use the class itself"
    if " of rockpool." not in kind:
        return None
    if ".jax." in kind or kind.partition(" ")[0].endswith("Jax"):
        return "runs on JAX; give its parameters to the class of that name for torch"
    return next((reason for name, reason in _REFUSED.items() if kind.startswith(name)), None)


def check_plain(module: Any) -> None:
    """A call of a module of torch and of all its parts runs Rockpool's evolution; see also `modules.hooks`.

    Raises:
        UnsupportedError: a call that was replaced.
    """
    from torch import nn

    for name, part in nn.Module.named_modules(module):
        where = f"layer {name!r} ({type(part).__name__})" if name else type(part).__name__
        own_call = vars(part).get("_call")
        if own_call is not None and own_call.__func__.__globals__["__name__"].partition(".")[0] != "rockpool":
            raise UnsupportedError(f"{where} has a call of its own: write what it computes with Rockpool's modules")
