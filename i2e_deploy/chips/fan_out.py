"""How many outputs of a convolution an event reaches: what synaptic operations are counted by, on every chip."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def fan_out_by_pixel(
    size: Sequence[int],
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    out: Sequence[int],
    dilation: Sequence[int] = (1, 1),
) -> NDArray[np.int64]:
    """Windows of a convolution that cover each pixel of one input channel, weights of zero included: int64 [H, W].

    Args:
        size: height and width of the input; all arguments are (vertical, horizontal).
        out: height and width of the output.
    """
    axes = zip(size, kernel, stride, padding, out, dilation, strict=True)
    vertical, horizontal = (_windows(*axis) for axis in axes)
    return vertical[:, None] * horizontal[None, :]


def _windows(size: int, kernel: int, stride: int, padding: int, out: int, dilation: int) -> NDArray[np.int64]:
    """For one axis: how many pairs of an output and a tap of the kernel meet each input position."""
    at = np.arange(out)[:, None] * stride - padding + np.arange(kernel)[None, :] * dilation
    return np.bincount(at[(at >= 0) & (at < size)].reshape(-1), minlength=size).astype(np.int64)
