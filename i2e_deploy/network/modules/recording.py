"""Run a user's torch module on an example and write down what each of its layers gave; it is left as it was."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from i2e_deploy.errors import UnsupportedError
from i2e_deploy.network.modules.graph import Call
from i2e_deploy.text import one_line

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True, eq=False)
class Recording:
    """What a module gave.

    Args:
        calls: outputs by the name of the call, as its own forward had them (hooks of the user included).
        returned: what `forward` returned, in its order.
    """

    calls: Mapping[str, Tensor]
    returned: tuple[Tensor, ...]


def record(module: nn.Module, calls: Sequence[Call], given: Tensor, start: Callable[[], None]) -> Recording:
    """Run `module` once, in evaluation mode and without gradients.

    Args:
        module: whatever it changes in itself (states, modes, statistics) is put back; random numbers too.
        calls: what it is made of, see `graph.calls`.
        given: its input.
        start: called before the run, e.g. to set states to zero.

    Raises:
        UnsupportedError: it fails on the input, or runs other layers than `calls` says.
    """
    import torch

    names: dict[int, list[str]] = {}
    for call in sorted((call for call in calls if call.module is not None), key=lambda call: call.turn):
        names.setdefault(id(call.module), []).append(call.name)
    found: dict[str, Tensor] = {}
    runs: Counter[int] = Counter()

    def keep(child: nn.Module, _: Any, output: Any) -> None:
        runs[id(child)] += 1
        if runs[id(child)] <= len(names[id(child)]) and isinstance(output, torch.Tensor):
            found[names[id(child)][runs[id(child)] - 1]] = output.detach().clone()

    title = type(module).__name__
    with as_it_was(module), torch.no_grad(), torch.random.fork_rng(devices=[]):
        module.eval()
        start()
        with ExitStack() as hooks:
            for child in {id(call.module): call.module for call in calls if call.module is not None}.values():
                hooks.callback(child.register_forward_hook(keep).remove)
            try:
                returned = module(given)
            except Exception as error:  # whatever a user's forward raises
                raise UnsupportedError(f"{title}.forward fails on the example: {one_line(error)}") from error
    for number, expected in ((runs[key], called) for key, called in names.items()):
        if number != len(expected):
            raise UnsupportedError(
                f"{title}.forward runs layer {expected[0]!r} {number} times where {len(expected)} were read: "
                "call each layer as a module, once for each use"
            )
    tensors = returned if isinstance(returned, tuple | list) else (returned,)
    if not all(isinstance(tensor, torch.Tensor) for tensor in tensors):
        raise UnsupportedError(f"{title}.forward returns {type(returned).__name__}: return tensors")
    return Recording(found, tuple(tensor.detach() for tensor in tensors))


@contextmanager
def as_it_was(module: nn.Module) -> Iterator[None]:
    """Put back all that a run changes in a module: attributes, buffers and their values, modes."""
    parts = list(module.modules())
    kept = [(part, dict(vars(part)), dict(part._buffers)) for part in parts]
    held = [buffer for part in parts for buffer in part._buffers.values() if buffer is not None]
    values = [(buffer, buffer.detach().clone()) for buffer in held if not buffer.is_inference()]
    for part in parts:  # those made in torch.inference_mode may not be changed, so the run gets others
        part._buffers.update({n: b.clone() for n, b in part._buffers.items() if b is not None and b.is_inference()})
    try:
        yield
    finally:
        for part, attributes, buffers in kept:
            vars(part).clear()
            vars(part).update(attributes)
            part._buffers.clear()
            part._buffers.update(buffers)
        for buffer, value in values:
            if not buffer.is_meta:
                buffer.data.copy_(value)
