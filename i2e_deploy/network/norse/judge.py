"""A Norse module as the judge of what was read from it: its own forward, step by step or all steps at once."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from i2e_deploy.errors import UnsupportedError
from i2e_deploy.network.graph import Network, Note
from i2e_deploy.network.judge import NOT_COMPARED, judge
from i2e_deploy.network.modules.layers import BATCH_NORMS
from i2e_deploy.network.modules.recording import as_it_was
from i2e_deploy.network.norse.rows import Part
from i2e_deploy.network.run import as_frames
from i2e_deploy.text import one_line

if TYPE_CHECKING:
    from torch import Tensor, nn


def judged(
    network: Network, module: nn.Module, example: Any, parts: Sequence[Part], stands_for: Mapping[str, str], whole: bool
) -> Network:
    """The network with a note of what was compared; see `judge`.

    Args:
        network: as it was read.
        example: frames [B, T, ...] or of one sample [T, ...]; None: nothing is compared.
        parts: the modules that it was read from.
        stands_for: the layer that each part became.
        whole: the module takes all steps at once.

    Raises:
        UnsupportedError: the module's own forward fails or gives something else.
        InputError: frames that are none of the network's.
    """
    import torch

    if example is None:
        return replace(network, notes=(*network.notes, Note("", NOT_COMPARED)))
    single = getattr(example, "ndim", 0) == len(network.input_shape) + 1
    frames = as_frames(example[None] if single else example, network.input_shape)
    title = f"{type(module).__name__}.forward"
    found, returned = _recorded(module, frames, parts, whole, title)
    layers = {}
    for part in parts:  # a batch norm that was folded is what its layer gives; what has no effect gives its input
        if part.name in found and (stands_for[part.name] == part.name or part.kind in BATCH_NORMS):
            layers[stands_for[part.name]] = _as_ours(found[part.name], frames, f"layer {part.name!r}")
    judgement = judge(network, frames, layers, title)
    last = layers.get(network.outputs[-1])
    if last is not None and not torch.equal(_as_ours(returned, frames, title), last):
        raise UnsupportedError(f"{title} returns something else than its last layer gives: put that into layers")
    return replace(network, notes=(*network.notes, judgement.note(title)))


def _recorded(
    module: nn.Module, frames: Tensor, parts: Sequence[Part], whole: bool, title: str
) -> tuple[dict[str, Tensor], Tensor]:
    """What each part gave, and what the module returned, [T, B, ...]. Modules in several places are left out.

    The module is left as it was, random numbers too.
    """
    import torch

    uses = Counter(id(part.module) for part in parts)
    kept: dict[str, list[Tensor]] = {part.name: [] for part in parts if uses[id(part.module)] == 1}
    weight = next((p for p in module.parameters() if p.is_floating_point()), frames)
    steps = frames.transpose(0, 1).to(weight)

    def keep(name: str) -> Callable[[Any, Any, Any], None]:
        return lambda _, __, output: kept[name].append(_first(output).detach().clone())

    with as_it_was(module), torch.no_grad(), torch.random.fork_rng(devices=[]), ExitStack() as hooks:
        module.eval()
        for part in parts:
            if part.name in kept:
                hooks.callback(part.module.register_forward_hook(keep(part.name)).remove)
        try:
            returned = _first(module(steps)) if whole else _in_steps(module, steps)
        except Exception as error:  # whatever a forward raises
            raise UnsupportedError(f"{title} fails on the example: {one_line(error)}") from error
    found = {}
    for part in parts:
        if part.name in kept:
            rows = kept[part.name]
            expected = 1 if whole and not part.each_step else len(steps)
            if len(rows) != expected:
                raise UnsupportedError(f"{title} runs layer {part.name!r} {len(rows)} times where {expected} were read")
            found[part.name] = rows[0] if whole and not part.each_step else torch.stack(rows)
    return found, returned


def _in_steps(module: nn.Module, steps: Tensor) -> Tensor:
    """The module's own forward on one step after the other, with the state that it returned."""
    import torch

    keeps_state = "state" in inspect.signature(module.forward).parameters
    state, rows = None, []
    for x in steps:
        if keeps_state:
            out, state = module(x, state)
        else:
            out = module(x)
        rows.append(_first(out))
    return torch.stack(rows)


def _first(output: Any) -> Tensor:
    """The output without the states beside it; of all layers' outputs (`return_hidden`) the last."""
    while isinstance(output, tuple | list):
        output = output[0] if isinstance(output, tuple) else output[-1]
    tensor: Tensor = output
    return tensor


def _as_ours(tensor: Tensor, frames: Tensor, what: str) -> Tensor:
    """[T, B, ...] as [B, T, ...] on the CPU, in float32 or wider."""
    batch, steps = frames.shape[:2]
    if tuple(tensor.shape[:2]) != (steps, batch):
        raise UnsupportedError(
            f"{what} gives shape {list(tensor.shape)} for {steps} steps of {batch} samples: keep both in front"
        )
    swapped = tensor.transpose(0, 1).cpu()
    return swapped if swapped.dtype.itemsize > 4 else swapped.float()
