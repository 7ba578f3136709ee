"""I2E in torch: the same integers on any device, and a module for training."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from fractions import Fraction

import torch
from torch import Tensor, nn

from i2e_deploy.conversion.engine import convert
from i2e_deploy.conversion.reference import OFF, ON, check_images
from i2e_deploy.conversion.threshold import as_ratio
from i2e_deploy.conversion.vectors import DEFAULT_ORDER, Saccade, as_table, placement_tables, saccades
from i2e_deploy.errors import InputError


def i2e_torch(
    images: Tensor, ratio: Fraction | float | str, kernels: Sequence[Saccade] | Tensor | None = None
) -> Tensor:
    """`i2e_reference` in torch operations, equal bit for bit; runs on any device, without waiting for it.

    Args:
        images: uint8 [B, C, H, W], C = 1, 3 or 4 (alpha is ignored).
        ratio: S_th0, see `threshold.as_ratio`.
        kernels: saccades in time order (default the canonical eight), or cells int64 [B, T, 2] on the
            device of the images (`draw_placements`).

    Returns:
        uint8 0/1 [B, T, 2, H, W]; channel 0 = OFF, 1 = ON.

    Raises:
        InputError: wrong shape, dtype or ratio.
    """
    check_images(images.shape, images.dtype)
    fraction = as_ratio(ratio)
    value = images[:, :3].amax(1).to(torch.int32)
    spread = value.amax((1, 2)) - value.amin((1, 2))
    threshold = torch.div(fraction.numerator * spread, fraction.denominator, rounding_mode="floor")
    windows = _windows(value)
    if isinstance(kernels, Tensor):
        every = torch.arange(len(images), device=images.device)[:, None]
        stacked = torch.stack(windows, 1)
        difference = stacked[every, kernels[..., 1]] - stacked[every, kernels[..., 0]]
    else:
        table = as_table(kernels, len(images))[0]
        difference = torch.stack([windows[plus] - windows[minus] for minus, plus in table.tolist()], 1)
    return _fire(difference, threshold[:, None, None, None])


def draw_placements(
    kernels: Sequence[Saccade], batch: int, generator: torch.Generator | None, device: torch.device
) -> Tensor:
    """`vectors.draw_kernels` from a torch generator: cells int64 [B, T, 2] on `device`.

    Drawn on the generator's own device (default: on `device`), so that nothing waits for a transfer.
    """
    where = device if generator is None else generator.device
    steps = []
    for choices in placement_tables(kernels):
        drawn = torch.randint(len(choices), (batch,), generator=generator, device=where)
        steps.append(torch.from_numpy(choices).to(where)[drawn])
    return torch.stack(steps, 1).to(device, non_blocking=True)


class I2E(nn.Module):
    """Images to event frames as a layer, for use in front of a spiking network or in a data loader.

    Shape: uint8 or float [B, C, H, W] (C = 1, 3 or 4) -> float32 0/1 [B, T, 2, H, W]; channel 0 = OFF,
    1 = ON. Float images must lie in [0, 1] and are rounded to the nearest of 256 levels first
    (`threshold.to_uint8`): there is one rule, the integer one, on every device. The range is checked
    always on a CPU, and on another device for the first batch only, since each check waits for it.

    On a CPU the fused kernel runs on `torch.get_num_threads()` threads, on a GPU the Triton kernel
    where triton is installed, else plain torch operations.

    In training with `random_placement`, each image draws for each direction one of the places of the
    vector in the 3x3 window (the paper draws once per batch); evaluation uses the canonical ones.

    Args:
        ratio: S_th0; `threshold.RATIO` has the authors' value per data set.
        order: time order of the saccade lengths.
        random_placement: draw placements in training mode.
        generator: source of the draws; default torch's global generator.
        steps: T, 1 to 8: keep the first T saccades of the order.

    Raises:
        InputError: wrong ratio, order, steps, shape, dtype or range of values.
    """

    def __init__(
        self,
        ratio: Fraction | float | str,
        order: tuple[str, ...] = DEFAULT_ORDER,
        random_placement: bool = True,
        generator: torch.Generator | None = None,
        steps: int = 8,
    ) -> None:
        super().__init__()
        self.ratio = as_ratio(ratio)
        self.kernels = saccades(order, steps)
        self.random_placement = random_placement
        self.generator = generator
        self._range_seen = False

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Convert one batch; see the class for shapes."""
        check_images(images.shape, torch.uint8)
        levels = images if images.dtype == torch.uint8 else self._levels(images)
        drawn = None
        if self.training and self.random_placement:
            drawn = draw_placements(self.kernels, len(images), self.generator, images.device)
        if images.device.type == "cpu":
            frames: Tensor = _on_cpu(levels, self.ratio, self.kernels, drawn)
            return frames
        if images.is_cuda and importlib.util.find_spec("triton"):
            from i2e_deploy.conversion.triton_i2e import i2e_triton

            return i2e_triton(levels, self.ratio, self.kernels if drawn is None else drawn, torch.float32)
        return i2e_torch(levels, self.ratio, self.kernels if drawn is None else drawn).float()

    def _levels(self, images: Tensor) -> Tensor:
        """Float images to uint8 [B, C, H, W], as `threshold.to_uint8`."""
        if not images.is_floating_point():
            raise InputError(f"images have dtype {images.dtype}: give uint8, or float with all values in [0, 1]")
        if images.device.type == "cpu" or not self._range_seen:
            self._range_seen = True
            if not bool(((images >= 0) & (images <= 1)).all()):
                raise InputError(
                    f"float images span {float(images.min())} to {float(images.max())}: all values must lie in [0, 1]"
                )
        return torch.round(images.float() * 255).to(torch.uint8)

    def extra_repr(self) -> str:
        """What `print(module)` shows."""
        return f"ratio={self.ratio}, steps={len(self.kernels)}, random_placement={self.random_placement}"


@torch.compiler.disable  # type: ignore[untyped-decorator]
def _on_cpu(images: Tensor, ratio: Fraction, kernels: Sequence[Saccade], drawn: Tensor | None) -> Tensor:
    """The fused kernel, on the pixels where they lie."""
    chosen = kernels if drawn is None else drawn.numpy()
    frames = convert(images.numpy(), ratio, chosen, threads=torch.get_num_threads())
    return torch.from_numpy(frames).float()


def _windows(value: Tensor) -> list[Tensor]:
    """The nine neighbours of every pixel, cell by cell: [B, H, W] -> 9 x [B, H, W], border replicated."""
    height, width = value.shape[1:]
    rows = torch.cat((value[:, :1], value, value[:, -1:]), 1)
    padded = torch.cat((rows[:, :, :1], rows, rows[:, :, -1:]), 2)
    return [padded[:, y : y + height, x : x + width] for y in range(3) for x in range(3)]


def _fire(difference: Tensor, threshold: Tensor) -> Tensor:
    """ON and OFF planes: [B, T, H, W] -> uint8 [B, T, 2, H, W]."""
    planes = [difference, difference]
    planes[ON], planes[OFF] = difference > threshold, -difference > threshold
    return torch.stack(planes, 2).to(torch.uint8)
