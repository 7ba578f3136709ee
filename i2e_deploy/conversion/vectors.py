"""The eight microsaccades of I2E as pixel pairs.

A microsaccade moves the eye by one vector; a pixel then sees the difference between two pixels of
its 3x3 neighbourhood. I2E (arXiv 2511.08065) writes each as a 3x3 kernel with one -1 and one +1.
Here a kernel is the two offsets (row, column) from the centre, and nothing is multiplied.

Three lengths: alpha (1 pixel, 2 directions), beta (sqrt 2, 2 directions), gamma (sqrt 5, 4
directions). The paper's best order is gamma, alpha, beta. In training each direction is drawn from
its set: every place in the 3x3 window where the same vector fits (6, 6, 4, 4, 2, 2, 2, 2 of them).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.errors import InputError

Offset = tuple[int, int]


@dataclass(frozen=True)
class Saccade:
    """One kernel: the difference is `V[y + plus] - V[y + minus]`. Offsets are (row, column) in -1..1."""

    minus: Offset
    plus: Offset


def _cell(number: int) -> Offset:
    """Offset of a cell of the 3x3 grid numbered 1 to 9 row by row, 5 being the centre."""
    return (number - 1) // 3 - 1, (number - 1) % 3 - 1


def _saccades(*pairs: tuple[int, int]) -> tuple[Saccade, ...]:
    return tuple(Saccade(_cell(minus), _cell(plus)) for minus, plus in pairs)


#: The kernels used at inference, by length (paper, fig. 3): [-1 at, +1 at] in grid numbers.
CANONICAL: dict[str, tuple[Saccade, ...]] = {
    "alpha": _saccades((5, 6), (5, 2)),
    "beta": _saccades((5, 3), (5, 1)),
    "gamma": _saccades((9, 4), (4, 3), (3, 8), (8, 1)),
}

#: The order in which the paper reports its results (table 5: 60.68 % on CIFAR-100, the best of six).
DEFAULT_ORDER = ("gamma", "alpha", "beta")


#: What every back end takes: kernels in time order, or cells [1 or B, T, 2] (`kernel_table`, `draw_kernels`).
Kernels = Sequence[Saccade] | NDArray[np.int64]


def saccades(order: tuple[str, ...] = DEFAULT_ORDER, steps: int = 8) -> tuple[Saccade, ...]:
    """The canonical kernels in time order.

    Args:
        order: the three lengths `"alpha"`, `"beta"`, `"gamma"` in any order.
        steps: T, 1 to 8: the first T kernels of the order. (The paper trains with T below 8, its fig. 5,
            and does not say which directions it keeps; the prefix is our choice.)

    Raises:
        InputError: `order` is not a permutation of the three lengths, or `steps` is out of range.
    """
    if sorted(order) != sorted(CANONICAL):
        raise InputError(f"order of saccades is {order}: give each of {sorted(CANONICAL)} once")
    if not 1 <= steps <= 8:
        raise InputError(f"number of time steps is {steps}: I2E has 1 to 8")
    return tuple(saccade for length in order for saccade in CANONICAL[length])[:steps]


def placements(saccade: Saccade) -> tuple[Saccade, ...]:
    """Every kernel of the 3x3 window with the same displacement; the canonical one comes first."""
    (minus_y, minus_x), (plus_y, plus_x) = saccade.minus, saccade.plus
    fits = [
        Saccade((minus_y + dy, minus_x + dx), (plus_y + dy, plus_x + dx))
        for dy, dx in product(range(-2, 3), repeat=2)
        if all(-1 <= c <= 1 for c in (minus_y + dy, minus_x + dx, plus_y + dy, plus_x + dx))
    ]
    return (saccade, *(candidate for candidate in fits if candidate != saccade))


def cell_index(offset: Offset) -> int:
    """Cell of the 3x3 window, 0 to 8 row by row (4 = centre)."""
    return 3 * (offset[0] + 1) + offset[1] + 1


def kernel_table(kernels: Sequence[Saccade]) -> NDArray[np.int64]:
    """Kernels as cells: int64 [1, T, 2], values 0 to 8, `[..., 0]` = minus, `[..., 1]` = plus.

    Raises:
        InputError: no kernel, or an offset outside the window.
    """
    table = np.array([[[cell_index(kernel.minus), cell_index(kernel.plus)] for kernel in kernels]], np.int64)
    inside = all(-1 <= c <= 1 for kernel in kernels for c in (*kernel.minus, *kernel.plus))
    if not len(kernels) or not inside:
        raise InputError(f"kernels are {tuple(kernels)}: give at least one, offsets -1, 0 or 1")
    return table


def placement_tables(kernels: Sequence[Saccade]) -> list[NDArray[np.int64]]:
    """For each kernel its placements as cells, int64 [n, 2], not to be written to."""
    return _placement_tables(tuple(kernels))


@lru_cache(maxsize=16)
def _placement_tables(kernels: tuple[Saccade, ...]) -> list[NDArray[np.int64]]:
    """Made once: drawing for one image takes a twentieth of the time that making them does."""
    return [kernel_table(placements(kernel))[0] for kernel in kernels]


def draw_kernels(kernels: Sequence[Saccade], batch: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """A random placement of every kernel for every image: cells, int64 [B, T, 2], as `kernel_table`.

    The paper draws once per batch; here each image draws its own.
    """
    choices = placement_tables(kernels)
    return np.stack([table[rng.integers(len(table), size=batch)] for table in choices], axis=1)


@lru_cache(maxsize=1)
def _default_table() -> NDArray[np.int64]:
    return kernel_table(saccades())


def as_table(kernels: Kernels | None, batch: int) -> NDArray[np.int64]:
    """Kernels as cells int64 [1 or B, T, 2].

    Raises:
        InputError: a table of another shape or with a cell outside 0 to 8.
    """
    if kernels is None:
        return _default_table()
    if not isinstance(kernels, np.ndarray):
        return kernel_table(kernels)
    if kernels.ndim != 3 or kernels.shape[0] not in (1, batch) or kernels.shape[2] != 2 or not kernels.shape[1]:
        raise InputError(f"table of kernels has shape {list(kernels.shape)}: give [1 or B, T, 2] with B = {batch}")
    if kernels.size and not 0 <= kernels.min() <= kernels.max() <= 8:
        raise InputError(f"table of kernels spans {kernels.min()} to {kernels.max()}: cells are 0 to 8")
    return np.ascontiguousarray(kernels, np.int64)
