"""Networks after Sinabs' DVSLayer, and frames for them."""

from __future__ import annotations

from typing import Any

import numpy as np
import samna_standin
import torch
from numpy.typing import NDArray
from sinabs.layers import SumPool2d
from sinabs_networks import conv, neurons
from torch import nn

from i2e_deploy.chips import get
from i2e_deploy.chips.dynapcnn import DynapcnnProgram
from i2e_deploy.network import from_sinabs

G = torch.Generator


def dvs_layer(**options: Any) -> Any:
    """Sinabs' own."""
    samna_standin.install()
    from sinabs.backend.dynapcnn.dvs_layer import DVSLayer

    return DVSLayer(**options)


SENSORS = [
    {"input_shape": (12, 16)},
    {"input_shape": (12, 16), "pool": (2, 2), "merge_polarities": True},
    {"input_shape": (13, 17), "pool": (2, 4)},
    {"input_shape": (12, 16), "crop": ((2, 11), (3, 15)), "flip_x": True},
    {"input_shape": (16, 14), "pool": (1, 2), "crop": ((1, 13), (1, 6)), "flip_y": True, "flip_x": True},
    {"input_shape": (12, 18), "swap_xy": True, "flip_y": True},
    {"input_shape": (12, 16), "crop": ((0, 12), (4, 16)), "swap_xy": True, "disable_pixel_array": False},
    {"input_shape": (32, 32), "pool": (4, 2), "crop": ((0, 8), (4, 14)), "flip_x": True, "swap_xy": True},
]


def module(seed: int, options: dict[str, Any], *between: nn.Module) -> nn.Sequential:
    """A DVSLayer before a small network."""
    g, channels = G().manual_seed(seed), 1 if options.get("merge_polarities") else 2
    return nn.Sequential(
        dvs_layer(**options), *between, conv(g, channels, 5, 3, padding=1), neurons(), SumPool2d(2),
        conv(g, 5, 4, 2), neurons(),
    )  # fmt: skip


def pixels(options: dict[str, Any]) -> tuple[int, int, int]:
    return (1 if options.get("merge_polarities") else 2, *options["input_shape"])


def counts(seed: int, shape: tuple[int, int, int]) -> NDArray[np.int64]:
    generator = np.random.default_rng(seed)
    lead = (2, 4, *shape)
    return generator.integers(1, 3, lead) * (generator.random(lead) < 0.3)


def lowered(made: nn.Module, shape: tuple[int, int, int]) -> DynapcnnProgram:
    program = get("speck2f").lower(from_sinabs(made, shape))
    assert isinstance(program, DynapcnnProgram)
    return program
