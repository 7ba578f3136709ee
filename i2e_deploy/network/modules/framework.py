"""What an importer says of its framework: the classes that it reads, and how their neurons take time and states."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from i2e_deploy.network.modules.layers import BATCH_NORMS, IGNORED, QUANTISING, READERS, TORCH, Reader, WideReader
from i2e_deploy.network.modules.norms import Affine, affine

if TYPE_CHECKING:
    from torch import Tensor, nn

#: What a user's module takes: a whole sequence [T, B, ...] or [B, T, ...], one step [B, ...] a call, or one picture
#: [B, ...] that its loop shows in every step.
Layout = Literal["TB", "BT", "step", "static"]
#: What a neuron's own forward takes.
Takes = Literal["step", "TB", "BT"]


@dataclass(frozen=True)
class Framework:
    """See the head of this file.

    Args:
        name: for errors and notes, e.g. "snnTorch".
        package: its modules are not looked into, known or not, but for `containers`.
        leaves: classes that are read, with their package, beside torch's own.
        readers: how, by class name; a module is one layer.
        wide: the same where it may be several, or needs a word.
        takes: by class name of the neurons: what their forward takes of a module.
        states: which outputs a neuron's forward takes back, in the order of its arguments after the first, by class
            name; not there: 1, 2, ...
        norms: class names of batch norms, and what they do at inference.
        ignored: class names of modules without effect at inference.
        containers: class names whose forward is looked into.
        start: sets all states of a module to those before the first step.
        default: the layout where the user says none.
        run: what the module gives for each of its inputs in turn, without states that are handed back to it.
        fresh: for neurons that start anew wherever they are given no state: whether they start from zeros; None: they
            keep their states inside.
    """

    name: str
    package: str
    leaves: tuple[str, ...]
    start: Callable[[nn.Module], None]
    readers: Mapping[str, Reader] = field(default_factory=dict)
    wide: Mapping[str, WideReader] = field(default_factory=dict)
    takes: Mapping[str, Callable[[Any], Takes]] = field(default_factory=dict)
    states: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    norms: Mapping[str, Callable[[str, Any], Affine]] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()
    containers: tuple[str, ...] = ()
    default: Callable[[nn.Module], Layout] = lambda _: "TB"
    run: Callable[[nn.Module, Sequence[Tensor]], list[Any]] = lambda module, given: [module(x) for x in given]
    fresh: Callable[[Any], bool] | None = None

    def all_leaves(self) -> tuple[str, ...]:
        """Every class that is read, with its package; those that only move values are looked into."""
        moving = ("torch.nn.Flatten", "torch.nn.Unflatten")
        return (*(leaf for leaf in TORCH if leaf not in moving), *QUANTISING, *self.leaves)

    def all_readers(self) -> Mapping[str, Reader]:
        """torch's own and the framework's."""
        return {**READERS, **self.readers}

    def all_norms(self) -> Mapping[str, Callable[[str, Any], Affine]]:
        """The same of batch norms."""
        return {**dict.fromkeys(BATCH_NORMS, affine), **self.norms}

    def all_ignored(self) -> tuple[str, ...]:
        """The same of what has no effect."""
        return (*IGNORED, *self.ignored)
