"""What the field counts of a run: zeros, operations at synapses, updates of membranes; as NeuroBench defines them.

Yik et al. 2025, "The NeuroBench framework for benchmarking neuromorphic computing algorithms and systems", and the
package `neurobench` 2.3.0, which tests run beside this. An effective operation is a value other than 0 at a weight
other than 0; biases are none. Where what reaches a layer in a step is -1, 0 or 1 throughout, its operations are
accumulates (ACs), else multiply-accumulates (MACs). The package asks that of a batch at once, this of each sample: the
sum of both is the same, and so is each at a batch size of 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.connections import Connection, Population
from i2e_deploy.chips.trace import Integers
from i2e_deploy.errors import InputError
from i2e_deploy.text import record_repr

Floats = NDArray[np.float64]
#: By layer, its membrane potentials after each step, [T] of [B, ...].
Membranes = Mapping[str, Sequence[NDArray[np.generic]]]


@dataclass(frozen=True)
class Counted:
    """Totals over all samples and steps.

    Args:
        samples: of them.
        zeros, sent: by layer, values 0 among what its neurons sent, and all of these.
        acs, macs: effective operations.
        dense: operations if no value and no weight were 0.
        updates: changes of membrane potentials; in the first step every neuron counts.
    """

    samples: int = 0
    zeros: Mapping[str, int] = field(default_factory=dict)
    sent: Mapping[str, int] = field(default_factory=dict)
    acs: int = 0
    macs: int = 0
    dense: int = 0
    updates: int = 0

    __repr__ = record_repr

    def __add__(self, other: Counted) -> Counted:
        return Counted(
            self.samples + other.samples, _sum(self.zeros, other.zeros), _sum(self.sent, other.sent),
            self.acs + other.acs, self.macs + other.macs, self.dense + other.dense, self.updates + other.updates,
        )  # fmt: skip


def _sum(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    return {name: one.get(name, 0) + other.get(name, 0) for name in {**one, **other}}


@dataclass(frozen=True, eq=False)
class Reach:
    """Of one connection, how many weights each value that reaches it meets.

    Args:
        effective: float64 [N], weights other than 0.
        dense: of all values together, weights in all.
    """

    effective: Floats
    dense: int

    __repr__ = record_repr


def reach(connection: Connection) -> Reach:
    """Weights that each value meets, borders and strides included."""
    zero = np.asarray(connection.op.weight != 0, np.float32)
    effective, every = _backwards(connection, zero), _backwards(connection, np.ones_like(zero))
    return Reach(effective.reshape(-1), int(every.sum()))


def _backwards(connection: Connection, weight: NDArray[np.float32]) -> Floats:
    """The gradient of the sum of the outputs by each input: sums of weights, exact in float64 up to 2^53."""
    import torch

    given = torch.zeros((1, *connection.shape), dtype=torch.float64, requires_grad=True)
    with torch.enable_grad():
        replace(connection.op, weight=weight, bias=None).step([given], {})[0].sum().backward()  # type: ignore[no-untyped-call]
    assert given.grad is not None
    return given.grad[0].numpy()


def count(
    populations: Sequence[Population], spikes: Mapping[str, NDArray[np.generic]], reaches: Sequence[Reach],
    given: Sequence[Integers | Floats], membranes: Membranes,
) -> Counted:  # fmt: skip
    """Count a batch.

    Args:
        spikes: by layer, what its neurons sent, [B, T, ...].
        reaches: of every connection.
        given: what reaches each of them, [B, T, ...].
        membranes: of the layers whose updates are counted.

    Raises:
        InputError: there are no neurons.
    """
    if not populations:
        raise InputError("there are no neurons to count: NeuroBench's figures are of networks with neurons")
    sent = {each.layer: spikes[each.layer] for each in populations}
    acs, macs = 0, 0
    for each, values in zip(reaches, given, strict=True):
        flat = values.reshape(*values.shape[:2], -1)
        made = (flat != 0).astype(np.float64) @ each.effective
        plain = (np.abs(flat) <= 1).all(axis=2) & (flat == np.rint(flat)).all(axis=2)
        acs, macs = acs + int(made[plain].sum()), macs + int(made[~plain].sum())
    batch, steps = next(iter(sent.values())).shape[:2]
    return Counted(
        samples=batch,
        zeros={name: int(array.size - np.count_nonzero(array)) for name, array in sent.items()},
        sent={name: array.size for name, array in sent.items()},
        acs=acs,
        macs=macs,
        dense=sum(each.dense for each in reaches) * batch * steps,
        updates=sum(map(_updates, membranes.values())),
    )


def _updates(steps: Sequence[NDArray[np.generic]]) -> int:
    """All of the first step, then those that changed."""
    return steps[0].size + sum(int(np.count_nonzero(a != b)) for a, b in zip(steps[1:], steps[:-1], strict=True))
