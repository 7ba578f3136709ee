"""One change of one layer, and the network with a set of changes made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import prod
from typing import Any, Literal

from i2e_deploy.chips.dynapcnn.lowering.reshape.channels import Spikes, keep_channels, tied
from i2e_deploy.chips.dynapcnn.lowering.reshape.edit import leave_out, weights_of
from i2e_deploy.chips.dynapcnn.lowering.reshape.kernel_size import crop_kernel
from i2e_deploy.chips.dynapcnn.lowering.reshape.pooling import pool_earlier
from i2e_deploy.network import Conv2d, IntegrateAndFire, Linear, Network
from i2e_deploy.text import record_repr

Kind = Literal["split", "channels", "kernel", "pool", "remove"]
#: Pooling and leaving out come first: they change which pixels a kernel meets.
ORDER: tuple[Kind, ...] = ("remove", "pool", "kernel", "channels", "split")


@dataclass(frozen=True)
class Change:
    """One change of one layer.

    Args:
        layer: name of the convolution or linear layer.
        kind: `split` puts it on two cores and leaves the network as it is; the others need the network trained again.
        value: features of each half, output channels, side of the kernel, factor of the pooling; 0 for `remove`.
        was: what it is now, for people.
        becomes: what it will be, for people.
    """

    layer: str
    kind: Kind
    value: int
    was: str = ""
    becomes: str = ""

    __repr__ = record_repr

    @property
    def retrain(self) -> bool:
        """Whether the network must be trained again."""
        return self.kind != "split"

    def __str__(self) -> str:
        if self.kind == "split":
            return f"split it over two cores of {self.value} features each (no retraining: export --split)"
        need = "(needs retraining: check --apply)"
        if self.kind == "remove":
            return f"leave it out {need}"
        return f"{self.becomes} instead of {self.was} {need}" if self.was else f"{self.becomes} {need}"


@dataclass(frozen=True)
class Step:
    """What one change did to the network: weights and neurons in all before and after it.

    Args:
        how: what was done in detail, for people.
    """

    change: Change
    how: str
    weights: tuple[int, int]
    neurons: tuple[int, int]

    __repr__ = record_repr

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        row = asdict(self)
        return {**row.pop("change"), "retrain": self.change.retrain, **row}


def described(network: Network, layer: str, kind: Kind, value: int) -> Change:
    """The change with what it is from and to in words."""
    op = weights_of(network, layer)
    if kind == "channels":
        more = [f"{name!r}" for name in tied(network, layer) if name != layer]
        also = f", and {', '.join(more)} alike" if more else ""
        return Change(layer, kind, value, f"{len(op.weight)}", f"use {value} output channels{also}")
    if kind == "kernel":
        was = "x".join(map(str, op.weight.shape[2:]))
        return Change(layer, kind, value, was, f"use a {value}x{value} kernel")
    if kind == "pool":
        if isinstance(op, Linear):
            return Change(layer, kind, value, "", f"pool by {value} before it")
        now = (op.stride[0] * value, op.stride[1] * value)
        was, then = ("x".join(map(str, stride)) for stride in (op.stride, now))
        return Change(layer, kind, value, was, f"pool earlier: stride {then}")
    return Change(layer, kind, value, "x".join(map(str, op.weight.shape)), "nothing")


def apply_change(network: Network, change: Change, spikes: Spikes | None = None) -> tuple[Network, str]:
    """The network with one change, and what was done; a split leaves it as it is.

    Args:
        spikes: of each output channel on frames typical of the use, to choose the channels by; see `channels`.

    Raises:
        UnsupportedError: the change cannot be made; says why.
        InputError: no such layer, or a value that is none.
    """
    if change.kind == "split":
        return network, "halves of the features on two cores; export with --split"
    if change.kind == "remove":
        return leave_out(network, change.layer), "convolution and neurons go"
    if change.kind == "pool":
        return pool_earlier(network, change.layer, change.value)
    if change.kind == "kernel":
        changed = crop_kernel(network, change.layer, change.value)
        op = weights_of(changed, change.layer)
        assert isinstance(op, Conv2d)
        return changed, f"padding becomes {op.padding[0]}x{op.padding[1]}, the output keeps its size"
    changed = keep_channels(network, change.layer, change.value, spikes)
    rule = "weights in times weights out" if spikes is None else "spikes times weights out"
    return changed, f"those with the largest {rule} are kept"


def apply_changes(
    network: Network, changes: Sequence[Change], spikes: Spikes | None = None
) -> tuple[Network, tuple[Step, ...]]:
    """The network with all changes, and what each did; see `apply_change`."""
    steps = []
    for change in sorted(changes, key=lambda change: ORDER.index(change.kind)):
        changed, how = apply_change(network, change, spikes)
        steps.append(Step(change, how, *zip(size(network), size(changed), strict=True)))
        network = changed
    return network, tuple(steps)


def size(network: Network) -> tuple[int, int]:
    """(weights, neurons) of a network."""
    shapes = network.shapes()
    weights = sum(layer.op.weight.size for layer in network.layers if isinstance(layer.op, Conv2d | Linear))
    neurons = sum(prod(shapes[layer.name]) for layer in network.layers if isinstance(layer.op, IntegrateAndFire))
    return weights, neurons
