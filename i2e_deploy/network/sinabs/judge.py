"""A Sinabs module as the judge of what was read from it: its layout of time, its states, and its own forward."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from i2e_deploy.errors import UnsupportedError
from i2e_deploy.network.graph import Network, Note
from i2e_deploy.network.judge import NOT_COMPARED, judge
from i2e_deploy.network.modules.graph import Call
from i2e_deploy.network.modules.recording import record
from i2e_deploy.network.op import Shape
from i2e_deploy.network.run import as_frames

if TYPE_CHECKING:
    from torch import Tensor, nn


def judged(
    network: Network,
    module: nn.Module,
    example: Any,
    calls: Sequence[Call],
    stands_for: Mapping[str, str],
    norms: Sequence[str],
    outputs: Sequence[str],
) -> Network:
    """The network with a note of what was compared; see `judge`.

    Args:
        network: as it was read.
        example: frames [B, T, C, H, W] or of one sample [T, C, H, W]; None: nothing is compared.
        calls: all of the module's, those without effect at inference included.
        stands_for: the layer that each call became.
        norms: those of the calls that were folded into the layer before them.
        outputs: the calls that leave the network.

    Raises:
        UnsupportedError: the module's own forward gives something else.
        InputError: frames that are none of the network's.
    """
    if example is None:
        return replace(network, notes=(*network.notes, Note("", NOT_COMPARED)))
    title, frames = f"{type(module).__name__}.forward", _batched(example, network.input_shape)
    weight = next((p for p in module.parameters() if p.is_floating_point()), frames)
    frames = frames.to(weight.dtype)
    batch, steps = frames.shape[:2]
    squeezed = [part for part in module.modules() if hasattr(part, "batch_size") and hasattr(part, "num_timesteps")]

    def start() -> None:
        for part in module.modules():
            if callable(reset := getattr(part, "reset_states", None)):
                reset()
        for part in squeezed:
            part.batch_size, part.num_timesteps = batch, steps  # type: ignore[assignment]

    found = record(module, calls, (frames.flatten(0, 1) if squeezed else frames).to(weight.device), start)
    recorded = {name: _in_time(name, tensor, batch, steps) for name, tensor in found.calls.items()}
    for call in calls:
        if stands_for[call.name] != call.name and call.name not in norms:
            _check_without_effect(call, recorded, title)
    made_by = {stands_for[c.name]: c.name for c in calls if c.name in norms or stands_for[c.name] == c.name}
    layers = {layer: recorded[call] for layer, call in made_by.items() if call in recorded}
    judgement = judge(network, _wide(frames), layers, title)
    _check_returned(found.returned, outputs, recorded, title)
    return replace(network, notes=(*network.notes, judgement.note(title)))


def _batched(example: Any, shape: Shape) -> Tensor:
    """The example with B; a single sample gets it."""
    return as_frames(example[None] if getattr(example, "ndim", 0) == len(shape) + 1 else example, shape)


def _wide(tensor: Tensor) -> Tensor:
    """On the CPU, in the dtype in which layers are compared: float32, or wider where the module is."""
    return tensor.cpu() if tensor.dtype.itemsize > 4 else tensor.cpu().float()


def _in_time(name: str, tensor: Tensor, batch: int, steps: int) -> Tensor:
    """[B * T, ...] or [B, T, ...] as [B, T, ...]."""
    if len(tensor) == batch * steps and tensor.shape[:2] != (batch, steps):
        return _wide(tensor.reshape(batch, steps, *tensor.shape[1:]))
    if tensor.shape[:2] != (batch, steps):
        raise UnsupportedError(
            f"layer {name!r} gives shape {list(tensor.shape)} for {batch} samples of {steps} steps: "
            "keep batch and time in front"
        )
    return _wide(tensor)


def _check_without_effect(call: Call, recorded: Mapping[str, Tensor], title: str) -> None:
    """What is left out at inference (dropout, identity) must give its input."""
    given, made = recorded.get(call.inputs[0]), recorded.get(call.name)
    if given is None or made is None:
        return
    changed = int((given != made).sum()) if given.shape == made.shape else made.numel()
    if changed:
        raise UnsupportedError(
            f"layer {call.name!r} ({type(call.module).__name__}) was left out, as it has no effect at inference, but "
            f"changes {changed:,} of {made.numel():,} values in {title}: put what it does into layers of its own"
        )


def _check_returned(
    returned: Sequence[Tensor], outputs: Sequence[str], recorded: Mapping[str, Tensor], title: str
) -> None:
    """What `forward` returns is what its last layers gave."""
    import torch

    if len(returned) != len(outputs):
        raise UnsupportedError(f"{title} returns {len(returned)} tensors, {len(outputs)} were read: return each output")
    for tensor, name in zip(returned, outputs, strict=True):
        made = recorded.get(name)
        if made is not None and not torch.equal(_in_time(name, tensor, *made.shape[:2]), made):
            raise UnsupportedError(
                f"{title} returns something else than its layer {name!r} gives: it computes on; put that into layers"
            )
