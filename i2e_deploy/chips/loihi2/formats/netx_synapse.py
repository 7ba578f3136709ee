"""Shapes, weights, delays and biases of a layer in a netx `.net` file, as netx takes them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from math import prod

import numpy as np

from i2e_deploy.chips.loihi2 import program as b
from i2e_deploy.chips.loihi2.neuron import Ints
from i2e_deploy.errors import UnsupportedError
from i2e_deploy.hdf5_guard import Guarded
from i2e_deploy.network.op import Pair, Shape

MAX_SIDE = 2**20
MAX_NEURONS = 2**24
#: Weights are integers on the grid of 1/64; the chip takes 8 bits and a sign, the check says which do not fit.
WEIGHT = 2**20


def shape_of(group: Guarded) -> Shape:
    """(C, H, W) or (N,), within limits."""
    shape = tuple(map(int, group.integers("shape", 1, MAX_SIDE).reshape(-1)))
    if not 1 <= len(shape) <= 3 or prod(shape) > MAX_NEURONS:
        raise group.error(f"is {list(shape)}: one to three sizes, at most {MAX_NEURONS} neurons", "shape")
    return shape


def weight_keys(group: Guarded) -> list[tuple[str, str]]:
    """Data sets of the weights, and which input of the neurons each reaches."""
    if "weight" in group and group.is_group("weight"):
        return [("real", "real"), ("imag", "imag")]
    return [("weight", "real")]


def matrix_of(group: Guarded, key: str, rows: int, columns: int | None) -> Ints:
    """Dense weights [rows, columns]; old files have them in one row."""
    place = group.group("weight") if key in ("real", "imag") else group
    weight = place.integers(key, -WEIGHT, WEIGHT)
    if weight.size % rows or (columns is not None and weight.size != rows * columns):
        raise place.error(f"has shape {list(weight.shape)}, expected [{rows}, {columns or 'any'}]", key)
    if weight.ndim not in (1, 2) or (weight.ndim == 2 and weight.shape[0] != rows):
        raise place.error(f"has shape {list(weight.shape)}, expected [{rows}, {columns or 'any'}]", key)
    return weight.reshape(rows, -1)


def kernel_of(group: Guarded, outputs: int, inputs: int) -> Ints:
    """Weights of a convolution [outputs, inputs, kH, kW]; the first SLAYER left out all sizes of one (`squeeze`)."""
    weight = group.integers("weight", -WEIGHT, WEIGHT)
    sizes = [n for n in weight.shape if n > 1]
    size = pair_of(group, "kernelSize", 0)
    kernel = tuple(weight.shape[2:4]) if weight.ndim >= 4 else size
    wanted = (outputs, inputs, *kernel)
    if weight.ndim > 5 or weight.shape[4:] not in ((), (1,)) or [n for n in wanted if n > 1] != sizes or 0 in wanted:
        names = f"[{outputs}, {inputs}, kH, kW]"
        raise group.error(f"has shape {list(weight.shape)}, expected {names}", "weight")
    return weight.reshape(wanted)


def delays_of(group: Guarded, weight: Ints, notes: list[str]) -> Ints | None:
    """netx/hdf5.py:425-448: clipped to 62; one a neuron of this layer, else one an input."""
    if "delay" not in group:
        return None
    delay = group.integers("delay", 0, 2**31)
    if delay.max() > 62:
        notes.append(f"delays up to {delay.max()} are clipped to 62, as netx does")
        delay = delay.clip(0, 62)
    rows, columns = weight.shape
    if delay.shape == weight.shape or delay.ndim == 0:
        return np.broadcast_to(delay, weight.shape)
    if delay.shape == (rows,):
        return np.broadcast_to(delay[:, None], weight.shape)
    if delay.shape == (columns,):
        return np.broadcast_to(delay[None, :], weight.shape)
    raise group.error(f"has shape {list(delay.shape)}, expected [{rows}], [{columns}] or [{rows}, {columns}]", "delay")


def pair_of(group: Guarded, key: str, default: int) -> Pair:
    """(vertical, horizontal)."""
    if key not in group:
        return default, default
    values = group.integers(key, 0, MAX_SIDE).reshape(-1)
    if values.size not in (1, 2):
        raise group.error(f"has {values.size} values, expected (vertical, horizontal)", key)
    return int(values[0]), int(values[-1])


def bias_and_norm(
    group: Guarded, shape: Shape, connections: list[b.Connection]
) -> tuple[Ints | None, list[b.Connection]]:
    """The bias a channel, and the connections with a norm's exponent folded in."""
    bias = None
    if "bias" in group:
        bias = group.integers("bias", -(2**31), 2**31).reshape(-1)
        if bias.size not in (1, shape[0]):
            raise group.error(f"has {bias.size} values, expected 1 or {shape[0]}", "bias")
        bias = np.broadcast_to(bias, (shape[0],)) if bias.size == 1 else bias
    if "neuron" in group and "weight_exp" in group.group("neuron"):
        neuron = group.group("neuron")
        exponent = int(neuron.integers("weight_exp", -64, 64).reshape(-1)[0])
        if abs(exponent) > MOST_EXPONENT:
            raise UnsupportedError(
                f"WgtScaleBatchNorm's exponent is {exponent} in the file, which SLAYER limits ({MOST_EXPONENT} if not "
                "told otherwise), and the file does not say to what: read the module with from_slayer"
            )
        check_exponent(
            exponent, set(neuron.integers("iDecay", 0, 4096).reshape(-1).tolist()) if "iDecay" in neuron else {0}
        )
        connections = [
            c
            if c.synapse is None
            else replace(c, synapse=replace(c.synapse, weight=divided(c.synapse.weight, exponent)))
            for c in connections
        ]
        bias = None if bias is None else divided(bias, exponent)
    return bias, connections


#: Most that WgtScaleBatchNorm's exponent is in `forward` (slayer/neuron/norm.py:158), where files have it unlimited.
MOST_EXPONENT = 3


def check_exponent(exponent: int, decays: Collection[int]) -> None:
    """UnsupportedError where WgtScaleBatchNorm's division by 2^exponent cannot be folded into the weights.

    It divides a current that has decayed, and SLAYER rounds both: exact only where the current keeps all or nothing.
    """
    if exponent and not set(decays) <= {0, 4096}:
        raise UnsupportedError(
            f"WgtScaleBatchNorm divides the current by 2^{exponent}: the chip can only divide the weights, which "
            "rounds a current that decays by parts otherwise; netx ignores it: use MeanOnlyBatchNorm or current_decay=1"
        )


def divided(numbers: Ints, exponent: int) -> Ints:
    """Weights or biases divided by 2^exponent; UnsupportedError where they leave the integers or pass 256."""
    result: Ints = np.rint(numbers * 2.0**-exponent).astype(np.int64)
    if (result * 2.0**exponent != numbers).any() or (exponent and np.abs(result).max() > 256):
        raise UnsupportedError(
            f"WgtScaleBatchNorm divides weights and bias by 2^{exponent}, and they leave the integers or pass 256; "
            "netx ignores it: train with MeanOnlyBatchNorm"
        )
    return result
