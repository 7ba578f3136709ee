"""Batches of images to event frames or packed bits on the CPU, with threads over images."""

from __future__ import annotations

import threading
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.conversion.reference import ON, check_images
from i2e_deploy.conversion.threshold import as_ratio, to_uint8
from i2e_deploy.conversion.vectors import Kernels, as_table
from i2e_deploy.errors import InputError
from i2e_deploy.threads import usable_cores

#: Pixels that are worth a thread of their own: starting one takes as long as converting about so many.
PIXELS_PER_THREAD = 200_000
#: Outputs above this size (bytes) are written past the cache: the caller could not find them there anyway.
STREAM_BYTES = 8 << 20


def convert(
    images: NDArray[np.uint8] | NDArray[np.floating[Any]],
    ratio: Fraction | float | str,
    kernels: Kernels | None = None,
    *,
    packed: bool = False,
    on_first: bool = False,
    threads: int | None = None,
    out: NDArray[np.uint8] | None = None,
) -> NDArray[np.uint8]:
    """Convert images to event frames: `i2e_reference`, bit for bit, at the speed of memory.

    Planar arrays [B, C, H, W] and views of interleaved ones (`rgb.transpose(0, 3, 1, 2)`) are read in
    place; any other memory order is copied first.

    Args:
        images: uint8 [B, C, H, W], C = 1, 3 or 4 (alpha is ignored); or float in [0, 1], rounded to 8 bits
            first (`threshold.to_uint8`).
        ratio: S_th0, see `threshold.as_ratio`.
        kernels: saccades in time order (default the canonical eight), or cells int64 [1 or B, T, 2].
        packed: return bits, eight a byte, each sample as `np.packbits(frames.reshape(-1))`.
        on_first: put the ON plane at channel 0, as the authors' release does; default OFF, ON.
        threads: at most so many; default all cores this process may use.
        out: C-contiguous array of the result's shape to write into. Use it in a loop: the first touch
            of fresh memory costs more than the conversion.

    Returns:
        uint8 0/1 [B, T, 2, H, W]; with `packed` uint8 [B, ceil(T * 2 * H * W / 8)].

    Raises:
        InputError: wrong shape, dtype, range of values, ratio, kernels or `out`.

    Source: arXiv 2511.08065, section 3; the rule for ties in `threshold`.
    """
    from i2e_deploy.conversion.kernel import convert_images  # numba: on first use
    from i2e_deploy.conversion.simd import LANES

    levels: NDArray[np.uint8] = images if images.dtype == np.uint8 else to_uint8(images)  # type: ignore[assignment, arg-type]
    check_images(levels.shape, levels.dtype)
    fraction, tables = as_ratio(ratio), as_table(kernels, len(levels))
    batch, _, height, width = levels.shape
    bits = tables.shape[1] * 2 * height * width
    shape = (batch, (bits + 7) // 8) if packed else (batch, tables.shape[1], 2, height, width)
    out = _aligned_empty(shape) if out is None else _checked_out(out, shape)
    if not batch:
        return out
    source, interleaved = _in_memory_order(levels)
    flat = out.reshape(batch, -1)
    stream = not packed and width % LANES == 0 and flat.ctypes.data % LANES == 0 and out.nbytes > STREAM_BYTES

    def work(start: int, stop: int) -> None:
        convert_images(
            source, interleaved, start, stop, fraction.numerator, fraction.denominator,
            tables, ON ^ int(on_first), flat, packed, stream,
        )  # fmt: skip

    workers = usable_cores() if threads is None else threads
    run_chunks(work, batch, max(1, min(workers, batch * height * width // PIXELS_PER_THREAD)))
    return out


def run_chunks(work: Callable[[int, int], None], count: int, threads: int) -> None:
    """Call `work(start, stop)` over 0..count on `threads` threads, this one included; re-raises errors.

    Threads live for one call: a pool kept between calls would not survive the fork of a data loader.
    """
    if threads <= 1:
        work(0, count)
        return
    size = max(1, count // (8 * threads))
    starts = iter(range(0, count, size))
    lock = threading.Lock()
    errors: list[BaseException] = []

    def drain() -> None:
        while True:
            with lock:
                start = next(starts, None)
            if start is None:
                return
            try:
                work(start, min(start + size, count))
            except BaseException as error:  # handed to the caller below
                errors.append(error)
                return

    helpers = [threading.Thread(target=drain, daemon=True) for _ in range(threads - 1)]
    for helper in helpers:
        helper.start()
    drain()
    for helper in helpers:
        helper.join()
    if errors:
        raise errors[0]


def _in_memory_order(images: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], bool]:
    """A C-contiguous array of the same pixels, and whether its channels are interleaved [B, H, W, C]."""
    interleaved = images.transpose(0, 2, 3, 1)
    if not images.flags.c_contiguous and interleaved.flags.c_contiguous:
        return interleaved, True
    return np.ascontiguousarray(images), False


def _aligned_empty(shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Uninitialised uint8 array whose data start at a multiple of 64."""
    size = int(np.prod(shape))
    raw = np.empty(size + 63, np.uint8)
    skip = -raw.ctypes.data % 64
    return raw[skip : skip + size].reshape(shape)


def _checked_out(out: NDArray[np.uint8], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    writable = out.flags.c_contiguous and out.flags.writeable
    if out.shape != shape or out.dtype != np.uint8 or not writable:
        raise InputError(
            f"out is {out.dtype} {list(out.shape)}{'' if writable else ', not contiguous or read-only'}: "
            f"give a C-contiguous uint8 array {list(shape)}"
        )
    return out
