"""I2E in torch: the same integers on any device, and a module for training."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import torch
from torch import Tensor, nn

from i2e_deploy.conversion.reference import OFF, ON, check_images
from i2e_deploy.conversion.threshold import as_ratio
from i2e_deploy.conversion.vectors import DEFAULT_ORDER, Saccade, placements, saccades
from i2e_deploy.errors import InputError


def i2e_torch(images: Tensor, ratio: Fraction | float | str, kernels: Sequence[Saccade] | None = None) -> Tensor:
    """`i2e_reference` in torch: uint8 [B, C, H, W] -> uint8 0/1 [B, T, 2, H, W], equal bit for bit.

    Raises:
        InputError: wrong shape, dtype or ratio.
    """
    check_images(images.shape, images.dtype)
    padded, threshold, denominator = _prepare(images, as_ratio(ratio))
    kernels = saccades() if kernels is None else kernels
    return _fire(_differences(padded, kernels) * denominator, threshold)


class I2E(nn.Module):
    """Images to event frames as a layer, for use in front of a spiking network.

    Shape: uint8 or float [B, C, H, W] (C = 1, 3 or 4) -> float32 0/1 [B, 8, 2, H, W]; channel 0 =
    OFF, 1 = ON. Float images must lie in [0, 1]; an image that is an 8-bit one divided by 255 gives
    exactly the bits of the 8-bit one, because floats are compared half a grey level further out:
    `den * dV - num * range > 1/510` (8-bit ties differ from the rest by at least 1/255).

    In training with `random_placement`, each image draws for each direction one of the places of the
    vector in the 3x3 window (the paper draws once per batch); evaluation uses the canonical ones.

    Args:
        ratio: S_th0; `threshold.RATIO` has the authors' value per data set.
        order: time order of the saccade lengths.
        random_placement: draw placements in training mode.
        generator: source of the draws; default torch's global generator.

    Raises:
        InputError: wrong ratio, order, shape, dtype or range of values.
    """

    def __init__(
        self,
        ratio: Fraction | float | str,
        order: tuple[str, ...] = DEFAULT_ORDER,
        random_placement: bool = True,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.ratio = as_ratio(ratio)
        self.kernels = saccades(order)
        self.random_placement = random_placement
        self.generator = generator

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Convert one batch; see the class for shapes."""
        if images.dtype == torch.uint8:
            check_images(images.shape, images.dtype)
            padded, threshold, denominator = _prepare(images, self.ratio)
        else:
            padded, threshold, denominator = _prepare_float(images, self.ratio)
        if self.training and self.random_placement:
            differences = _drawn_differences(padded, self.kernels, self.generator)
        else:
            differences = _differences(padded, self.kernels)
        return _fire(differences * denominator, threshold).float()

    def extra_repr(self) -> str:
        """What `print(module)` shows."""
        return f"ratio={self.ratio}, random_placement={self.random_placement}"


def _prepare(images: Tensor, ratio: Fraction) -> tuple[Tensor, Tensor, int]:
    """Padded value plane int32 [B, H+2, W+2], threshold int32 [B, 1, 1, 1], factor for differences."""
    value = images[:, :3].amax(1).to(torch.int32)
    spread = value.amax((1, 2)) - value.amin((1, 2))
    return _pad(value), (ratio.numerator * spread)[:, None, None, None], ratio.denominator


def _prepare_float(images: Tensor, ratio: Fraction) -> tuple[Tensor, Tensor, int]:
    """As `_prepare` in float64, with the threshold half an 8-bit level further out."""
    check_images(images.shape, torch.uint8)
    if not images.is_floating_point() or not bool(((images >= 0) & (images <= 1)).all()):
        raise InputError(f"images of dtype {images.dtype} must be uint8, or float with all values in [0, 1]")
    value = images[:, :3].amax(1).double()
    spread = value.amax((1, 2)) - value.amin((1, 2))
    return _pad(value), (ratio.numerator * spread + 1 / 510)[:, None, None, None], ratio.denominator


def _pad(value: Tensor) -> Tensor:
    """Replicate the border by one pixel: [B, H, W] -> [B, H+2, W+2] (any dtype, unlike `F.pad`)."""
    rows = torch.cat((value[:, :1], value, value[:, -1:]), 1)
    return torch.cat((rows[:, :, :1], rows, rows[:, :, -1:]), 2)


def _difference(padded: Tensor, kernel: Saccade) -> Tensor:
    """V[y + plus] - V[y + minus]: [B, H+2, W+2] -> [B, H, W]."""
    height, width = padded.shape[1] - 2, padded.shape[2] - 2
    (my, mx), (py, px) = kernel.minus, kernel.plus
    plus = padded[:, 1 + py : 1 + py + height, 1 + px : 1 + px + width]
    return plus - padded[:, 1 + my : 1 + my + height, 1 + mx : 1 + mx + width]


def _differences(padded: Tensor, kernels: Sequence[Saccade]) -> Tensor:
    """All steps: [B, T, H, W]."""
    return torch.stack([_difference(padded, kernel) for kernel in kernels], 1)


def _drawn_differences(padded: Tensor, kernels: Sequence[Saccade], generator: torch.Generator | None) -> Tensor:
    """As `_differences`, each image with its own placement of each vector."""
    batch, steps = padded.shape[0], []
    for kernel in kernels:
        choices = torch.stack([_difference(padded, placed) for placed in placements(kernel)], 1)
        drawn = torch.randint(choices.shape[1], (batch,), generator=generator)
        steps.append(choices[torch.arange(batch, device=padded.device), drawn.to(padded.device)])
    return torch.stack(steps, 1)


def _fire(difference: Tensor, threshold: Tensor) -> Tensor:
    """ON and OFF planes: [B, T, H, W] -> uint8 [B, T, 2, H, W]."""
    planes = [difference, difference]
    planes[ON], planes[OFF] = difference > threshold, -difference > threshold
    return torch.stack(planes, 2).to(torch.uint8)
