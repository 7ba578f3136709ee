"""What an event camera's own front end does to events before the first layer: the chip's pre-processing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Literal

from i2e_deploy.errors import InputError
from i2e_deploy.network.op import Op, Pair, Shape, State, one_input

if TYPE_CHECKING:
    from torch import Tensor

#: ((top, bottom), (left, right)) in pixels, bottom and right exclusive.
Crop = tuple[Pair, Pair]


@dataclass(frozen=True)
class Sensor(Op):
    """Events on their way from the pixels to the first layer, in this order (Sinabs calls it `DVSLayer`).

    Args:
        keep: polarities that pass; the other one is dropped, its channel stays and is silent.
        merge_polarities: both polarities become one channel.
        pool: sums over windows (vertical, horizontal); a rest at the border is dropped.
        crop: ((top, bottom), (left, right)) that is kept, in pooled pixels, bottom and right exclusive; None: all.
        flip_y, flip_x: mirror upside down, left to right, what is left.
        swap_xy: then exchange rows and columns.
        pixel_array: the chip's own pixels feed the network; otherwise only events sent to it do.

    Raises:
        InputError: a value that is none of these.
    """

    pool: Pair = (1, 1)
    crop: Crop | None = None
    merge_polarities: bool = False
    flip_y: bool = False
    flip_x: bool = False
    swap_xy: bool = False
    keep: Literal["both", "off", "on"] = "both"
    pixel_array: bool = False

    def __post_init__(self) -> None:
        if not _pair(self.pool) or min(self.pool) < 1:
            raise InputError(f"pool of a sensor is {self.pool!r}: give two whole numbers from 1")
        crop = self.crop
        if crop is not None and not (
            isinstance(crop, tuple) and len(crop) == 2 and all(_pair(side) and 0 <= side[0] < side[1] for side in crop)
        ):
            raise InputError(f"crop of a sensor is {crop!r}: give ((top, bottom), (left, right)), 0 <= top < bottom")
        if self.keep not in ("both", "off", "on"):
            raise InputError(f"keep of a sensor is {self.keep!r}: choose 'both', 'off' or 'on'")
        for name in ("merge_polarities", "flip_y", "flip_x", "swap_xy", "pixel_array"):
            if not isinstance(getattr(self, name), bool):
                raise InputError(f"{name} of a sensor is {getattr(self, name)!r}: give True or False")

    def window(self, shape: tuple[int, ...]) -> Crop:
        """What is kept of an input (C, H, W), in pooled pixels.

        Raises:
            InputError: the input is no camera's, or the crop lies outside.
        """
        if len(shape) != 3 or shape[0] not in (1, 2):
            raise InputError(f"a sensor has 1 or 2 channels and is given shape {shape}: expected (C, H, W)")
        if shape[0] == 1 and self.keep != "both":
            raise InputError(f"a sensor with one channel has no polarity {self.keep!r} to keep")
        height, width = shape[1] // self.pool[0], shape[2] // self.pool[1]
        crop = ((0, height), (0, width)) if self.crop is None else self.crop
        if crop[0][1] > height or crop[1][1] > width or not height or not width:
            raise InputError(f"a sensor crops {crop} of {height}x{width} pixels (after pooling {self.pool})")
        return crop

    def describe(self) -> str:
        """See `Op.describe`: what it changes."""
        changed = (f.name for f in fields(self) if getattr(self, f.name) != f.default)
        return " ".join(
            ["Sensor", ", ".join(f"{name.replace('_', ' ')} {getattr(self, name)}" for name in changed)]
        ).strip()

    def output_shape(self, given: Sequence[Shape]) -> Shape:
        """See `Op.output_shape` and `shape`."""
        return self.shape(one_input(given))

    def step(self, given: Sequence[Tensor], state: State) -> tuple[Tensor, State]:
        """See `Op.step`."""
        import torch
        from torch.nn.functional import avg_pool2d

        (x,) = given
        (top, bottom), (left, right) = self.window(tuple(x.shape[1:]))
        if self.keep != "both":
            passing = torch.tensor([self.keep == "off", self.keep == "on"])  # channel 0 is OFF
            x = x * passing.to(x)[:, None, None]
        if self.merge_polarities:
            x = x.sum(dim=1, keepdim=True)
        x = avg_pool2d(x, self.pool, divisor_override=1)[..., top:bottom, left:right]
        x = x.flip([axis for axis, turned in ((-2, self.flip_y), (-1, self.flip_x)) if turned])
        return x.transpose(-1, -2) if self.swap_xy else x, {}

    def shape(self, shape: tuple[int, ...]) -> tuple[int, int, int]:
        """Output (C, H, W) for an input (C, H, W); see `window` for errors."""
        (top, bottom), (left, right) = self.window(shape)
        size = (bottom - top, right - left)
        channels = 1 if self.merge_polarities else shape[0]
        return (channels, *(size[::-1] if self.swap_xy else size))


def _pair(value: object) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and all(type(n) is int for n in value)
