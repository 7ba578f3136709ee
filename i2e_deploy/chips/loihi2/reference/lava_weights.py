"""What netx and Lava make of a file's numbers before the first step, defects included.

Equal to lava-dl 0.6.0 `netx/utils.py:80-158` followed by lava-nc 0.10.0 `proc/dense/models.py:82-91` and
`utils/weightutils.py:204-295`, restated. Even weights of both signs in [-256, 254], which is what SLAYER exports,
come out unchanged; the tests sweep where they do not.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.loihi2.neuron import Ints
from i2e_deploy.errors import UnsupportedError


def lava_dense(*parts: Ints) -> tuple[tuple[Ints, ...], int]:
    """Effective weights of one layer, and by how many bits the summed current is shifted right.

    Args:
        parts: int64 [out, in]; a recurrent layer has two, scaled together and truncated apart.

    Raises:
        UnsupportedError: all weights are zero, which Lava cannot load.
    """
    weight = np.hstack(parts)
    low, high = int(weight.min()), int(weight.max())
    if (high > 254 and low < 0) or (low < -256 and high > 0):
        weight = weight.clip(-256, 254)
        low, high = int(weight.min()), int(weight.max())
    if low == high == 0:
        raise UnsupportedError("all weights are 0: netx raises OverflowError on such a layer; set one to 2")
    mixed = low < 0 <= high
    one_sign = 255 / high if high > 0 else -256 / low
    scale = min(127 / high if high else np.inf, -128 / low) if mixed else one_sign
    up = int(np.floor(np.log2(scale))) + mixed
    common = min(8, zeros_at_the_end(weight)) - mixed
    scaled = np.left_shift(weight.astype(np.int32), up)  # numpy: shifting by a negative count gives 0
    edges = np.cumsum([part.shape[1] for part in parts])[:-1]
    bits = 8 - up - common
    return tuple(_synapse(part, bits).astype(np.int64) for part in np.split(scaled, edges, axis=1)), up


def zeros_at_the_end(values: Ints) -> int:
    """How many bits at the low end are 0 in all values: the largest n for which 2^n divides them; 64 for all 0."""
    together = int(np.bitwise_or.reduce(values, axis=None))
    return (together & -together).bit_length() - 1 if together else 64


def _synapse(weight: NDArray[Any], bits: int) -> NDArray[Any]:
    """What the synapse process keeps. It guesses the sign mode anew: netx does not tell it (blocks/process.py:157)."""
    mixed = weight.min() < 0 < weight.max()
    sign = -1 if weight.min() < 0 and not mixed else 1
    kept = np.clip(sign * weight, -256 if mixed else 0, 255).astype(np.int32)
    cut = 8 - bits + mixed
    signed: NDArray[Any] = sign * np.left_shift(np.right_shift(kept, cut), cut)
    return signed


def lava_bias(bias: Ints) -> Ints:
    """A 16-bit variable, cast in silence (lif/models.py `bias_mant: np.int16`): 40000 becomes -25536."""
    return bias.astype(np.int32).astype(np.int16).astype(np.int64)


def lava_decay(sin: int, cos: int) -> tuple[int, int]:
    """Resonators go through (period, decay) floats and back (netx/hdf5.py:190, rf/process.py:57): often one less."""
    sine, cosine = np.float64(sin) / 4096, np.float64(cos) / 4096
    alpha = 1 - np.sqrt(sine**2 + cosine**2)
    with np.errstate(divide="ignore"):
        period = 1 / (np.arctan2(sine, cosine) / 2 / np.pi)
    angle = np.pi * 2 * 1 / period
    return int(np.int32((1 - alpha) * np.sin(angle) * 4096)), int(np.int32((1 - alpha) * np.cos(angle) * 4096))
