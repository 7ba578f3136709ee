"""The one rule that decides whether a pixel fires, shared by every implementation.

The paper (arXiv 2511.08065, eq. 5 to 7): with V = max(R, G, B) and dV the difference along a saccade,

    S_th = S_th0 * (max V - min V)        per image
    ON  where  dV > S_th                  OFF where -dV > S_th

Here S_th0 is a fraction num/den, so that for 8-bit images the comparison is between integers,

    ON  where  den * dV > num * (max V - min V)

and no back end can round a tie its own way. As dV is a whole number this is the same as

    ON  where  dV > (num * (max V - min V)) // den                          `grey_threshold`

which is what the fast kernels compute, in 8 bits. Float images in [0, 1] are first rounded to the
nearest of the 256 levels (`to_uint8`), so there is no second rule for them.

The comparison is strict, as the paper writes it: a flat image (dV = 0, range 0) gives no events. The
authors' code compares with `>=`, which on a flat image fires every ON and every OFF pixel; on 8.4 M
comparisons of random 8-bit images it differs from the strict rule on 0.03 %.
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.errors import InputError

#: Largest denominator: num * 255 then stays far inside 32 bits.
MAX_DENOMINATOR = 10_000

#: S_th0 that the authors publish for each data set.
RATIO = {
    "cifar10": Fraction(7, 100),
    "cifar100": Fraction(7, 100),
    "imagenet": Fraction(12, 100),
    "mini-imagenet": Fraction(12, 100),
    "caltech101": Fraction(12, 100),
    "caltech256": Fraction(12, 100),
    "mnist": Fraction(10, 100),
    "fashion-mnist": Fraction(15, 100),
}


@lru_cache(typed=True)
def as_ratio(value: Fraction | float | str) -> Fraction:
    """S_th0 as a fraction: `0.07` and `"0.07"` give 7/100, `"1/12"` gives 1/12.

    Raises:
        InputError: not a number in [0, 1], or a denominator above 10,000.
    """
    if len(str(value)) > 32 or re.search(r"e[+]?\d{2}", str(value), re.IGNORECASE):  # 10 ** 999999999 takes for ever
        raise InputError(f"S_th0 is {str(value)[:32]}: give a number in [0, 1], e.g. 0.12 or 3/25")
    try:
        ratio = value if isinstance(value, Fraction) else Fraction(str(value))
    except (ValueError, ZeroDivisionError):
        raise InputError(f"S_th0 is {value!r}: give a number in [0, 1], e.g. 0.12 or 3/25") from None
    if not 0 <= ratio <= 1 or ratio.denominator > MAX_DENOMINATOR:
        raise InputError(
            f"S_th0 is {value}: it must lie in [0, 1] with at most four decimals "
            f"(denominator at most {MAX_DENOMINATOR})"
        )
    return ratio


def grey_threshold(ratio: Fraction, spread: int) -> int:
    """Largest difference of grey levels (0 to 255) that does not fire, for max V - min V = `spread`."""
    return ratio.numerator * spread // ratio.denominator


def to_uint8(images: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    """Float images in [0, 1] to the nearest of 256 levels: `round(float32(x) * 255)`, ties to even.

    Exact for any 8-bit image divided by 255 in float16, float32 or float64 (bfloat16 cannot hold 256 levels).

    Raises:
        InputError: another dtype, or a value outside [0, 1] (NaN included).
    """
    if not np.issubdtype(images.dtype, np.floating):
        raise InputError(f"images have dtype {images.dtype}: give uint8, or float with all values in [0, 1]")
    if images.size and not (images.min() >= 0 and images.max() <= 1):
        raise InputError(f"float images span {images.min()} to {images.max()}: all values must lie in [0, 1]")
    levels: NDArray[np.uint8] = np.rint(images.astype(np.float32) * np.float32(255)).astype(np.uint8)
    return levels
