"""Which SLAYER block feeds which: seen while a copy of the module runs its own `forward`.

Names and orders of attributes say nothing; what runs does. Between blocks the tensors of `forward` are followed: they
know whose outputs they are the sum of, and which operation lost that. Inside a block everything is SLAYER's own.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from i2e_deploy.errors import I2EDeployError, InputError, UnsupportedError
from i2e_deploy.text import one_line

#: Package of SLAYER's blocks.
_BLOCKS = "lava.lib.dl.slayer.block"
_CHANGED = ("add_", "__iadd__")
_ADD = ("add", "__add__", "__radd__", "add_", "__iadd__")
_RESHAPE = ("reshape", "flatten", "view")
_SAME = ("detach", "clone", "contiguous")
_READ = ("item", "tolist", "numpy", "__float__", "__int__")


@dataclass(frozen=True, eq=False)
class Run:
    """What ran.

    Args:
        blocks: of the copy, in the order in which they ran; the last gave what `forward` returned.
        sources: for each block, the blocks whose sum fed it (-1: the frames).
        given: what each gave, [B, ..., T].
        notes: what else `forward` did.
        doubts: what it did by which it may compute something else for other frames.
    """

    blocks: tuple[Any, ...]
    sources: tuple[tuple[int, ...], ...]
    given: tuple[Tensor, ...]
    notes: tuple[str, ...]
    doubts: tuple[str, ...]


class Followed(Tensor):
    """A tensor between blocks.

    Args:
        sources: the blocks whose sum it is (-1: the frames); None: something else.
        made: the operation that gave it.
        reads: operations that read values of tensors, of the whole run.
        version: of its values; another one now: something changed them in place.
    """

    sources: tuple[int, ...] | None
    made: str
    reads: list[str]
    version: int

    @classmethod
    def __torch_function__(
        cls, func: Any, types: Iterable[Any], args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:  # fmt: skip
        """Run it on plain tensors, and remember what the result stands for."""
        name = getattr(func, "__name__", str(func))
        if name == "__bool__":
            raise UnsupportedError("`forward` decides by the values of tensors: other frames may take another way")
        with torch._C.DisableTorchFunctionSubclass():
            found = func(*args, **(kwargs or {}))
        reads = next((tensor.reads for tensor in _tensors(args) if isinstance(tensor, Followed)), [])
        if name in _READ or getattr(func, "__self__", None) is Tensor.data:
            reads.append(name)
        if isinstance(found, Tensor):
            return _follow(found, reads, _sources(name, found, args, kwargs), name)
        if isinstance(found, tuple | list) and any(isinstance(part, Tensor) for part in found):
            return tuple(_follow(part, reads, None, name) if isinstance(part, Tensor) else part for part in found)
        return found


def _follow(tensor: Tensor, reads: list[str], sources: tuple[int, ...] | None, made: str = "") -> Followed:
    with torch._C.DisableTorchFunctionSubclass():
        followed = tensor if isinstance(tensor, Followed) else tensor.as_subclass(Followed)
        followed.version = followed._version
    followed.sources, followed.made, followed.reads = sources, made, reads
    return followed


def _known(tensor: Followed) -> tuple[int, ...] | None:
    """Its `sources`, unless its values, or those of a view of it, were changed since."""
    with torch._C.DisableTorchFunctionSubclass():
        if tensor._version != tensor.version:
            tensor.sources, tensor.made = None, "a change in place"
    return tensor.sources


def _plain(tensor: Tensor) -> Tensor:
    with torch._C.DisableTorchFunctionSubclass():
        return tensor.as_subclass(Tensor)


def _sources(name: str, found: Tensor, args: tuple[Any, ...], kwargs: Any) -> tuple[int, ...] | None:
    """Whose sum the result of an operation is; None: it is none."""
    tensors = [arg for arg in args if isinstance(arg, Followed)]
    known = [tensor.sources if name in _CHANGED else _known(tensor) for tensor in tensors]
    if not tensors or None in known:
        return None
    first = tensors[0]
    if name in _ADD and not kwargs and len(args) == 2:
        if len(tensors) == 2:
            same = first.shape == tensors[1].shape
            return tuple(s for sources in known if sources is not None for s in sources) if same else None
        return first.sources if type(args[0] if args[1] is first else args[1]) is int and 0 in args[:2] else None
    if name in _RESHAPE:  # (C, H, W) to N, as blocks of SLAYER's Flatten do
        kept = found.shape in (first.shape, (first.shape[0], first.shape[1:-1].numel(), first.shape[-1]))
        return first.sources if kept else None
    if name == "dropout":
        return first.sources if {**dict(enumerate(args)), **(kwargs or {})}.get("training", True) is False else None
    return first.sources if name in _SAME and len(tensors) == 1 else None


def is_block(module: Any) -> bool:
    """A block of SLAYER, or of a class derived from one."""
    return any(kind.__module__.startswith(_BLOCKS) for kind in type(module).__mro__)


def blocks_of(module: nn.Module) -> list[tuple[str, Any]]:
    """Name and block, for every block in a module."""
    if is_block(module):
        return [("", module)]
    found = []
    for name, child in module.named_children():
        found += [(f"{name}.{inner}".rstrip("."), block) for inner, block in blocks_of(child)]
    return found


def ran(module: Any, frames: Tensor) -> Run:
    """Run a copy of the module from a fresh state in evaluation mode; the module and random numbers stay as they are.

    Args:
        module: see `from_slayer`.
        frames: [B, ..., T].

    Raises:
        InputError: it cannot be copied, or fails on these frames.
        UnsupportedError: what it returns is not what one block gives, or blocks are fed by something else than frames
            and sums of blocks.
    """
    network, forward = _copied(module)
    names = {id(block): name for name, block in blocks_of(network)}
    watch = _Watch(names)
    for _, block in blocks_of(network):
        block.register_forward_pre_hook(watch.enters)
        block.register_forward_hook(watch.leaves, prepend=True)
    title = type(module).__name__
    with torch.no_grad(), _same_random_numbers():
        try:
            returned = forward(_follow(frames.clone(), watch.reads, (-1,)))
        except I2EDeployError:
            raise
        except Exception as error:  # whatever a user's `forward` raises
            raise InputError(
                f"{title} fails on frames {list(frames.shape)} ([B, ..., T]): {one_line(error)}; "
                "give example=frames that it takes"
            ) from error
    notes = watch.check(returned, title)
    read = (
        ("its `forward` reads values of tensors: should it decide by them, that was not seen",) if watch.reads else ()
    )
    unused = [name or "0" for name, block in blocks_of(network) if not any(block is b for b in watch.blocks)]
    if unused:
        notes.append(f"blocks that its `forward` does not use are left out: {', '.join(unused)}")
    return Run(tuple(watch.blocks), tuple(watch.sources), tuple(watch.given), tuple(notes), read)


class _Watch:
    """Hooks of all blocks of a copy, and what they saw."""

    def __init__(self, names: dict[int, str]) -> None:
        self.names = names
        self.blocks: list[Any] = []
        self.sources: list[tuple[int, ...]] = []
        self.given: list[Tensor] = []
        self.reads: list[str] = []

    def enters(self, block: Any, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """What feeds a block; inside it everything is plain."""
        name = self.names[id(block)] or type(block).__name__
        if any(block is b for b in self.blocks):
            raise UnsupportedError(f"block {name!r} is used twice: give each use a block of its own")
        given = args[0] if args else None
        sources = _known(given) if isinstance(given, Followed) else None
        if not isinstance(given, Followed) or sources is None:
            made = getattr(given, "made", "") or "a tensor from elsewhere"
            raise UnsupportedError(
                f"block {name!r} takes what {made} gives: only the frames, blocks and their sums (`+`) can feed a block"
            )
        self.blocks.append(block)
        self.sources.append(sources)
        return (_plain(given), *args[1:])

    def leaves(self, _block: Any, _args: Any, output: Any) -> Any:
        """What it gives; with `count_log` a rate stands beside it."""
        first = output[0] if isinstance(output, tuple) else output
        self.given.append(first.detach().clone())
        followed = _follow(first, self.reads, (len(self.given) - 1,))
        return (followed, *output[1:]) if isinstance(output, tuple) else followed

    def check(self, returned: Any, title: str) -> list[str]:
        """Notes; UnsupportedError where what is returned is not what the last block gives."""
        tensors = list(_tensors(returned))
        first = tensors[0] if tensors else None
        if not isinstance(first, Followed):
            raise UnsupportedError(f"{title}.forward returns no output of a block: return that of the last one")
        if _known(first) is None or first.sources is None or first.sources == (-1,):
            made = first.made or "nothing but the frames"
            raise UnsupportedError(
                f"{title}.forward returns what {made!r} makes of its blocks, which the chip does not compute: "
                "return what the last block gives, and do the rest outside"
            )
        if len(first.sources) > 1:
            raise UnsupportedError(
                f"{title}.forward returns a sum of blocks {list(first.sources)}: no neurons of the chip send it; "
                "add a block after the sum, or return them from two networks"
            )
        needed, waiting = set(), list(first.sources)
        while waiting:
            index = waiting.pop()
            if index >= 0 and index not in needed:
                needed.add(index)
                waiting += self.sources[index]
        dead = [self.names[id(block)] for i, block in enumerate(self.blocks) if i not in needed]
        if dead:
            raise UnsupportedError(
                f"{title}.forward: blocks {dead} lead to no output, which is the first value that it returns: a "
                "program has one output; read each head from a module of its own"
            )
        return ["of what its `forward` returns the first value is the output"] if len(tensors) > 1 else []


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        yield from _tensors(list(value.values()))
    elif isinstance(value, tuple | list):
        for part in value:
            yield from _tensors(part)


def _copied(module: Any) -> tuple[nn.Module, Callable[[Any], Any]]:
    """A copy in a fresh state and in evaluation mode, and what runs it."""
    own = isinstance(module, nn.Module) and getattr(module.forward, "__func__", None) is not nn.Module.forward
    row = module if own else list(getattr(module, "blocks", module))
    if not own and not all(isinstance(block, nn.Module) for block in row):
        raise InputError(f"{type(module).__name__} holds things that are no modules: give its blocks in order")
    parts = list(module.modules()) if own else [part for block in row for part in block.modules()]
    memo: dict[int, Any] = {}
    for part in parts:  # weight norm leaves tensors that only their graph may copy
        for value in (*vars(part).values(), *part._buffers.values()):
            if isinstance(value, Tensor) and not value.is_leaf:
                memo[id(value)] = value.detach().clone()
    try:
        copied: Any = copy.deepcopy(row, memo)
    except Exception as error:  # whatever an attribute of the user's refuses
        raise InputError(
            f"{type(module).__name__} cannot be copied, and is not run itself: {one_line(error)}"
        ) from error
    network: nn.Module = copied if own else nn.ModuleList(copied)
    for part in network.eval().cpu().modules():
        _freshen(part)
    return network, (network if own else lambda x: _in_a_row(network, x))


def _in_a_row(blocks: Any, x: Any) -> Any:
    for block in blocks:
        x = block(x)
        x = x[0] if isinstance(x, tuple) else x
    return x


def _freshen(part: Any) -> None:
    """The state that SLAYER keeps between batches; all of it in buffers that no checkpoint holds, and two others."""
    if type(part).__module__.startswith("lava.") or is_block(part):
        for name in (*part._non_persistent_buffers_set, "spike_state"):
            if isinstance(state := part._buffers.get(name), Tensor):
                part._buffers[name] = torch.zeros_like(state)
        if hasattr(part, "delay_buffer"):
            part.delay_buffer = None


@contextmanager
def _same_random_numbers() -> Iterator[None]:
    states = np.random.get_state(), random.getstate()
    with torch.random.fork_rng(devices=[]):
        try:
            yield
        finally:
            np.random.set_state(states[0])
            random.setstate(states[1])
