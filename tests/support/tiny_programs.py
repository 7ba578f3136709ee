"""Small DYNAP-CNN programs with random integers, for tests that need something that runs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.dynapcnn.program import CoreLayer, Source
from i2e_deploy.chips.dynapcnn.runnable import DynapcnnProgram


def tiny_program(
    shape: tuple[int, int, int] = (2, 8, 8), classes: int = 4, seed: int = 0, channels: int = 3, bias: bool = True
) -> DynapcnnProgram:
    """Convolution 3x3, pooling, linear: [B, T, *shape] -> [B, T, classes]."""
    random = np.random.default_rng(seed)
    c, h, w = shape

    def weights(*size: int) -> NDArray[np.int8]:
        return random.integers(-20, 60, size).astype(np.int8)

    first = CoreLayer(
        "conv", (Source("input"),), weights(channels, c, 3, 3), weights(channels) if bias else None, (1, 1), (1, 1),
        100, -200, None, "subtract", shape, (channels, h, w),
    )  # fmt: skip
    second = CoreLayer(
        "readout", (Source("conv", (2, 2)),), weights(classes, channels, h // 2, w // 2), None, (1, 1), (0, 0),
        300, -500, 3, "subtract", (channels, h // 2, w // 2), (classes, 1, 1),
    )  # fmt: skip
    return DynapcnnProgram(shape, (first, second), (Source("readout"),))
