"""An eye in front of a network: which pictures it takes, and how it moves (I2E, arXiv 2511.08065)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.checked import checked_array, checked_integer
from i2e_deploy.conversion.threshold import as_ratio
from i2e_deploy.conversion.vectors import Kernels, as_table, draw_kernels, saccades
from i2e_deploy.errors import InputError
from i2e_deploy.text import record_repr

#: Longest side of a picture of a file.
MAX_SIDE = 2**15


@dataclass(frozen=True, eq=False)
class Eye:
    """I2E as a chip computes it: pictures in, event frames [T, 2, H, W] out, equal to `conversion.convert`.

    Args:
        shape: of a picture: (C, H, W). C = 3: red, green, blue. C = 1: V, the largest of the three, by the host.
        ratio: S_th0, see `conversion.as_ratio`.
        kernels: cells int64 [T, 2] of the 3x3 window, 0 to 8, minus and plus; see `conversion.vectors.kernel_table`.

    Raises:
        InputError: no such picture, or no such kernels.
    """

    shape: tuple[int, int, int]
    ratio: Fraction
    kernels: NDArray[np.int64]

    __repr__ = record_repr

    def __post_init__(self) -> None:
        if self.shape[0] not in (1, 3) or min(self.shape) < 1:
            raise InputError(f"the eye takes pictures {self.shape}: give (C, H, W) with C = 1 (V) or 3 (RGB)")
        as_table(self.kernels[None], 1)

    @property
    def steps(self) -> int:
        """T, the steps of the events of a picture."""
        return len(self.kernels)

    def pack(self) -> dict[str, Any]:
        """As JSON holds it."""
        ratio = [self.ratio.numerator, self.ratio.denominator]
        return {"shape": list(self.shape), "ratio": ratio, "kernels": self.kernels.tolist()}


def eye_for(
    input_shape: tuple[int, ...], ratio: Fraction | float | str, kernels: Kernels | None = None, channels: int = 3
) -> Eye:
    """The eye of a network that takes frames (2, H, W).

    Args:
        input_shape: of one frame of the network.
        ratio: S_th0, see `conversion.as_ratio`.
        kernels: see `conversion.convert`; one row of a table, as the chip is given one set; None: the canonical eight.
        channels: of the pictures, see `Eye`.

    Raises:
        InputError: the network takes no events of two polarities, or a wrong ratio or kernels.
    """
    if len(input_shape) != 3 or input_shape[0] != 2:
        raise InputError(f"the eye gives frames (2, H, W), OFF and ON: this network takes {tuple(input_shape)}")
    table = as_table(kernels, 1)
    return Eye((channels, input_shape[1], input_shape[2]), as_ratio(ratio), table[0])


def looks(times: int, seed: int) -> NDArray[np.int64]:
    """Kernels of so many looks at one picture, each with placements of its own: int64 [1, 8 * times, 2].

    The first look is the canonical one, which I2E uses at inference; the others are drawn as its augmentation draws
    them (`conversion.vectors.draw_kernels`).

    Raises:
        InputError: no look.
    """
    if times < 1:
        raise InputError(f"the eye looks {times} times: give at least 1")
    drawn = draw_kernels(saccades(), times - 1, np.random.default_rng(seed)).reshape(1, -1, 2)
    return np.concatenate([as_table(None, 1), drawn], axis=1)


def unpack_eye(data: Mapping[str, Any] | None) -> Eye | None:
    """The inverse of `Eye.pack`, of what a file holds; None, as in files of earlier versions: no eye.

    Raises:
        InputError, KeyError, TypeError, ValueError: it is none.
    """
    if data is None:
        return None
    channels, height, width = (checked_integer(n, 1, MAX_SIDE) for n in data["shape"])
    numerator, denominator = (checked_integer(n, 0, 10_000) for n in data["ratio"])
    if not denominator:
        raise ValueError("the ratio of the eye has the denominator 0")
    kernels = checked_array(np.asarray(data["kernels"]), 0, 8)
    if kernels.ndim != 2:
        raise ValueError(f"kernels of the eye have shape {list(kernels.shape)}, expected [T, 2]")
    return Eye((channels, height, width), as_ratio(Fraction(numerator, denominator)), kernels)
