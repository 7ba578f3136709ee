"""I2E for GPUs: two Triton kernels, no wait for the device, the same bits as `i2e_reference`.

The first takes V = max(R, G, B) and its range per image; the second makes all 2 T output planes from V,
which stays in the GPU's cache. Bytes that must move: 3 read and 16 written a pixel for uint8 frames.

No GPU was at hand where this was written: checked with Triton's interpreter, speed unmeasured
(`benchmarks/i2e_gpu.py` is ready).
"""

# The compiled functions take what the compiler infers.
# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from i2e_deploy.conversion.reference import check_images
from i2e_deploy.conversion.threshold import as_ratio
from i2e_deploy.conversion.vectors import Saccade, as_table

BLOCK = 1024


@triton.jit
def _value_kernel(
    images,
    value,
    lowest,
    highest,
    channels,
    image_stride,
    channel_stride,
    row_stride,
    column_stride,
    width,
    pixels,
    block: tl.constexpr,
):
    """V of one block of one image, and its share of the image's minimum and maximum."""
    image = tl.program_id(1).to(tl.int64)
    index = tl.program_id(0) * block + tl.arange(0, block)
    inside = index < pixels
    source = images + image * image_stride + (index // width) * row_stride + (index % width) * column_stride
    level = tl.load(source, mask=inside, other=0).to(tl.int32)
    if channels >= 3:
        level = tl.maximum(level, tl.load(source + channel_stride, mask=inside, other=0).to(tl.int32))
        level = tl.maximum(level, tl.load(source + 2 * channel_stride, mask=inside, other=0).to(tl.int32))
    tl.store(value + image * pixels + index, level.to(tl.uint8), mask=inside)
    tl.atomic_min(lowest + image, tl.min(tl.where(inside, level, 255), 0))
    tl.atomic_max(highest + image, tl.max(tl.where(inside, level, 0), 0))


@triton.jit
def _fire_kernel(
    value, lowest, highest, tables, table_stride, out, numerator, denominator, steps, height, width, block: tl.constexpr
):
    """All output planes of one block of one image; channel 0 = OFF, 1 = ON."""
    image = tl.program_id(1).to(tl.int64)
    pixels = height * width
    index = tl.program_id(0) * block + tl.arange(0, block)
    inside = index < pixels
    y, x = index // width, index % width
    threshold = numerator * (tl.load(highest + image) - tl.load(lowest + image)) // denominator
    plane = value + image * pixels
    for step in range(steps):
        cells = tables + image * table_stride + 2 * step
        minus, plus = tl.load(cells), tl.load(cells + 1)
        minus_y = tl.minimum(tl.maximum(y + minus // 3 - 1, 0), height - 1)
        minus_x = tl.minimum(tl.maximum(x + minus % 3 - 1, 0), width - 1)
        plus_y = tl.minimum(tl.maximum(y + plus // 3 - 1, 0), height - 1)
        plus_x = tl.minimum(tl.maximum(x + plus % 3 - 1, 0), width - 1)
        brighter = tl.load(plane + plus_y * width + plus_x, mask=inside, other=0).to(tl.int32)
        difference = brighter - tl.load(plane + minus_y * width + minus_x, mask=inside, other=0).to(tl.int32)
        target = out + (image * steps + step) * 2 * pixels + index
        tl.store(target, (-difference > threshold).to(out.dtype.element_ty), mask=inside)
        tl.store(target + pixels, (difference > threshold).to(out.dtype.element_ty), mask=inside)


def i2e_triton(
    images: Tensor,
    ratio: Fraction | float | str,
    kernels: Sequence[Saccade] | Tensor | None = None,
    dtype: torch.dtype = torch.uint8,
) -> Tensor:
    """`torch_i2e.i2e_torch` on a GPU, fused; `dtype` of the frames may be any that holds 0 and 1.

    Raises:
        InputError: wrong shape, dtype or ratio.
    """
    check_images(images.shape, images.dtype)
    fraction, device = as_ratio(ratio), images.device
    batch, channels, height, width = images.shape
    if isinstance(kernels, Tensor):
        table = kernels.to(torch.int32)
    else:
        table = _device_table(tuple(as_table(kernels, batch).reshape(-1).tolist()), device)
    value = torch.empty((batch, height, width), dtype=torch.uint8, device=device)
    lowest = torch.full((batch,), 255, dtype=torch.int32, device=device)
    highest = torch.zeros((batch,), dtype=torch.int32, device=device)
    out = torch.empty((batch, table.shape[1], 2, height, width), dtype=dtype, device=device)
    grid: Any = (triton.cdiv(height * width, BLOCK), batch)
    _value_kernel[grid](images, value, lowest, highest, channels, *images.stride(), width, height * width, block=BLOCK)
    _fire_kernel[grid](
        value, lowest, highest, table, table.stride(0) if len(table) > 1 else 0, out,
        fraction.numerator, fraction.denominator, table.shape[1], height, width, block=BLOCK,
    )  # fmt: skip
    return out


_TABLES: dict[tuple[tuple[int, ...], torch.device], Tensor] = {}


def _device_table(cells: tuple[int, ...], device: torch.device) -> Tensor:
    """int32 [1, T, 2] on the device, sent there once: a copy from pageable memory waits for the device."""
    key = (cells, device)
    if key not in _TABLES:
        _TABLES[key] = torch.tensor(cells, dtype=torch.int32, device=device).reshape(1, -1, 2)
    return _TABLES[key]
