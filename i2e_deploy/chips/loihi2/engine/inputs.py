"""What a run takes, checked: the name of its semantics, and its frames."""

from __future__ import annotations

from math import prod

import numpy as np

from i2e_deploy.chips.frames import check_array
from i2e_deploy.chips.loihi2.program import BlockNetwork
from i2e_deploy.chips.loihi2.reference.layers import SEMANTICS
from i2e_deploy.chips.trace import Integers
from i2e_deploy.errors import InputError


def semantics_named(name: str) -> str:
    """`"chip"` or `"lava"`; `"timestep"`, which every chip knows, is `"chip"`.

    Raises:
        InputError: neither of them.
    """
    semantics = "chip" if name == "timestep" else name
    if semantics not in SEMANTICS:
        raise InputError(f"semantics {semantics!r}: choose one of {', '.join(SEMANTICS)}")
    return semantics


def flat_frames(frames: Integers, network: BlockNetwork) -> Integers:
    """[B, T, ...] to [B, T, N], checked.

    Raises:
        InputError: shape, dtype or range.
    """
    check_array(frames)
    if frames.ndim < 3 or prod(frames.shape[2:]) != prod(network.input_shape):
        wanted = f"[B, T, {', '.join(map(str, network.input_shape))}]"
        raise InputError(f"frames have shape {list(frames.shape)}: this program takes {wanted}")
    if 0 in frames.shape:
        raise InputError(f"frames have shape {list(frames.shape)}: give at least one sample and one step")
    kind, size, signed = frames.dtype.kind, frames.dtype.itemsize, network.input_message_bits > 0
    if kind not in "bui":
        raise InputError(f"frames have dtype {frames.dtype}: the chip takes integers; cast them first")
    wide = size > 4 or (kind == "u" and size == 4)  # only what the dtype does not say is looked up: a step pays for it
    low = int(frames.min()) if kind == "i" and (wide or not signed) else 0
    if wide and (low < -(2**31) or int(frames.max()) >= 2**31):
        raise InputError(f"frames hold {frames.min()}..{frames.max()}: the chip takes signed 32 bits")
    if low < 0 and not signed:
        raise InputError(
            f"frames hold {frames.min()}: event counts are not negative; set input_message_bits for values"
        )
    return np.ascontiguousarray(frames.reshape(*frames.shape[:2], -1))
