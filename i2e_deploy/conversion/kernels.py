"""I2E for CPUs: uint8 images to uint8 frames or packed bits in one pass, 32 pixels an instruction.

With V = max(R, G, B) and the integer threshold s of an image (`threshold.grey_threshold`),

    V[plus] - V[minus] > s     is the same as     V[plus] > min(V[minus] + s, 255)

in 8 bits without overflow, so each output plane is one comparison of V with min(V + s, 255), each
shifted by a cell of the 3x3 window. Both are stored minus 128, since CPUs compare signed bytes.

An image is worked on in bands of rows. Of every row a band holds six: V one pixel to the left, in place
and one to the right, and min(V + s, 255) likewise, each from a multiple of 32 bytes on: a load that
crosses a cache line costs a second one (measured: the comparisons take 1.6 times as long), and a band
stays in the L1 cache while it is read for all 16 output planes.
"""

# The compiled functions take what the compiler infers.
# mypy: disable-error-code="no-untyped-def, no-untyped-call, call-arg, var-annotated"

from __future__ import annotations

import numpy as np
from numba import njit, types

from i2e_deploy.conversion.simd import LANES, fire_bits, fire_bytes, raise_by, store_word, stream_bytes

#: Rows that a band holds of one row of pixels: V and min(V + s, 255), each at three shifts.
COPIES = 6
#: Bytes that a band may take: of a 32 KiB L1 cache, the outputs need the rest.
BAND_BYTES = 20_480


@njit(nogil=True, cache=True)
def _value_plane(image, interleaved, value):
    """V = max(R, G, B) into `value`, uint8 [H * W]; returns max V - min V."""
    lowest, highest = np.uint8(255), np.uint8(0)
    channels = image.shape[2] if interleaved else image.shape[0]
    samples = image.reshape(-1)
    if channels < 3:
        value[:] = samples
    elif interleaved:
        for i in range(value.size):
            value[i] = max(samples[channels * i], samples[channels * i + 1], samples[channels * i + 2])
    else:
        red, green, blue = image[0].reshape(-1), image[1].reshape(-1), image[2].reshape(-1)
        for i in range(value.size):
            value[i] = max(red[i], green[i], blue[i])
    for i in range(value.size):
        lowest, highest = min(lowest, value[i]), max(highest, value[i])
    return int(highest) - int(lowest)


@njit(nogil=True, cache=True)
def _fill_band(value, top, threshold, band):
    """The rows top - 1 and after of V, uint8 [H, W], into `band`, uint8 [rows + 2, COPIES, stride].

    Outside the image its outermost pixels are repeated. Lanes beyond W are left undefined; `value` is
    readable one vector beyond both of its ends.
    """
    height, width = value.shape
    stride, step = band.shape[2], np.uint8(threshold)
    for k in range(band.shape[0]):
        y = min(max(top + k - 1, 0), height - 1)
        source = np.intp(value.ctypes.data) + y * width
        left = np.intp(band.ctypes.data) + k * COPIES * stride
        for x in range(0, width, LANES):
            raise_by(source + x - 1, left + x, left + 3 * stride + x, step)
            raise_by(source + x, left + stride + x, left + 4 * stride + x, step)
            raise_by(source + x + 1, left + 2 * stride + x, left + 5 * stride + x, step)
        for x, copy in ((0, 0), (width - 1, 2)):
            band[k, copy, x] = value[y, x] ^ np.uint8(128)
            band[k, copy + 3, x] = np.uint8(min(int(value[y, x]) + threshold, 255)) ^ np.uint8(128)


@njit(nogil=True, cache=True)
def _cell_address(band, cell):
    """Where V shifted by a cell (0 to 8) of the 3x3 window begins; min(V + s, 255) lies 3 * stride further."""
    return np.intp(band.ctypes.data) + (cell // 3 * COPIES + cell % 3) * band.shape[2]


@njit(nogil=True, cache=True)
def _fire_row(minus, plus, raised, off, on, width, stream):
    """One row of OFF and ON as bytes; `width` >= 32, the last vector may overlap the one before.

    `minus` and `plus` are addresses in the plane V, `raised` is the distance from there to min(V + s, 255).
    """
    if stream:
        for x in range(0, width, LANES):
            stream_bytes(minus + x, plus + raised + x, off + x)
            stream_bytes(plus + x, minus + raised + x, on + x)
        return
    for x in range(0, width - LANES + 1, LANES):
        fire_bytes(minus + x, plus + raised + x, off + x)
        fire_bytes(plus + x, minus + raised + x, on + x)
    if width % LANES:
        last = width - LANES
        fire_bytes(minus + last, plus + raised + last, off + last)
        fire_bytes(plus + last, minus + raised + last, on + last)


@njit(nogil=True, cache=True)
def _pack_row(minus, plus, raised, off, on, width):
    """As `_fire_row` to bits; `width` >= 32 and a multiple of 8."""
    for x in range(0, width - LANES + 1, LANES):
        store_word(off + (x >> 3), fire_bits(minus + x, plus + raised + x))
        store_word(on + (x >> 3), fire_bits(plus + x, minus + raised + x))
    if width % LANES:
        last = width - LANES
        store_word(off + (last >> 3), fire_bits(minus + last, plus + raised + last))
        store_word(on + (last >> 3), fire_bits(plus + last, minus + raised + last))


@njit(nogil=True, cache=True)
def _fire_band(band, cells, on_channel, out, first, width, packed, stream):
    """The rows of a band in all output planes. `out` is uint8 [T * 2, bytes a plane], `first` its first byte."""
    row_bytes, row_stride, distance = width >> 3 if packed else width, COPIES * band.shape[2], 3 * band.shape[2]
    for step in range(cells.shape[0]):
        minus, plus = _cell_address(band, cells[step, 0]), _cell_address(band, cells[step, 1])
        on = np.intp(out[2 * step + on_channel].ctypes.data) + first
        off = np.intp(out[2 * step + 1 - on_channel].ctypes.data) + first
        for _ in range(band.shape[0] - 2):
            if packed:
                _pack_row(minus, plus, distance, off, on, width)
            else:
                _fire_row(minus, plus, distance, off, on, width, stream)
            minus, plus, off, on = minus + row_stride, plus + row_stride, off + row_bytes, on + row_bytes


@njit(nogil=True, cache=True)
def _fire_pixels(band, cells, on_channel, out, width):
    """As `_fire_band` to bytes, for images narrower than a vector; the band is the whole image."""
    for step in range(cells.shape[0]):
        for polarity in range(2):
            high, low = cells[step, polarity], cells[step, 1 - polarity]
            target = out[2 * step + (on_channel if polarity else 1 - on_channel)]
            for y in range(band.shape[0] - 2):
                upper, lower = band[y + high // 3, high % 3], band[y + low // 3, 3 + low % 3]
                for x in range(width):
                    # Both are stored minus 128 modulo 256: compare what they stand for.
                    target[y * width + x] = (upper[x] ^ 128) > (lower[x] ^ 128)


@njit(nogil=True, cache=True)
def _pack_stream(band, cells, on_channel, out, width):
    """To bits for any width: rows are appended to one stream of bits. `out` is uint8 [bytes], the band all rows."""
    row_stride = COPIES * band.shape[2]
    waiting, count, position = np.uint64(0), 0, 0
    for output in range(2 * cells.shape[0]):
        step, polarity = output // 2, int(output % 2 == on_channel)
        upper = _cell_address(band, cells[step, polarity])
        lower = _cell_address(band, cells[step, 1 - polarity]) + 3 * band.shape[2]
        for _ in range(band.shape[0] - 2):
            for x in range(0, width, LANES):
                word = fire_bits(upper + x, lower + x)
                # First pixel into the highest bit: memory order of bytes, read as a big-endian number.
                word = (word & 255) << 24 | (word >> 8 & 255) << 16 | (word >> 16 & 255) << 8 | word >> 24
                bits = min(LANES, width - x)
                waiting = waiting << np.uint64(bits) | np.uint64(np.uint32(word)) >> np.uint64(LANES - bits)
                count += bits
                while count >= 8:
                    count -= 8
                    out[position] = np.uint8(waiting >> np.uint64(count) & np.uint64(255))
                    position += 1
            upper, lower = upper + row_stride, lower + row_stride
    if count:
        out[position] = np.uint8(waiting << np.uint64(8 - count) & np.uint64(255))


#: One compiled version for writable and read-only images alike.
_SIGNATURE = types.void(
    types.Array(types.uint8, 4, "C", readonly=True), types.boolean, types.intp, types.intp, types.intp, types.intp,
    types.Array(types.int64, 3, "C"), types.intp, types.Array(types.uint8, 2, "C"), types.boolean, types.boolean,
)  # fmt: skip


@njit(_SIGNATURE, nogil=True, cache=True)
def convert_images(images, interleaved, start, stop, numerator, denominator, tables, on_channel, out, packed, stream):
    """Convert images `start` to `stop` of a batch into `out`; releases the GIL.

    Args:
        images: uint8, C-contiguous, [B, H, W, C] if `interleaved`, else [B, C, H, W].
        interleaved: see `images`.
        start: first image.
        stop: one past the last.
        numerator: of S_th0.
        denominator: of S_th0.
        tables: int64 [1 or B, T, 2], cells as `vectors.kernel_table`.
        on_channel: index of the ON plane, 0 or 1.
        out: uint8 [B, T * 2 * H * W], or [B, ceil(T * 2 * H * W / 8)] if `packed`.
        packed: write bits in `np.packbits` order instead of bytes 0/1.
        stream: write past the cache; `out` and W must be multiples of 32.
    """
    height = images.shape[1] if interleaved else images.shape[2]
    width = images.shape[2] if interleaved else images.shape[3]
    samples = np.empty(height * width + 2 * LANES, np.uint8)
    value = samples[LANES : LANES + height * width]
    stride = -(-width // LANES) * LANES
    whole = width < LANES or (packed and width % 8 != 0)
    rows = height if whole else min(height, max(1, BAND_BYTES // (COPIES * stride) - 2))
    room = np.empty((rows + 2, COPIES, stride), np.uint8)
    row_bytes = width >> 3 if packed else width
    for b in range(start, stop):
        cells = tables[b if tables.shape[0] > 1 else 0]
        threshold = numerator * _value_plane(images[b], interleaved, value) // denominator
        for top in range(0, height, rows):
            band = room[: min(rows, height - top) + 2]
            _fill_band(value.reshape(height, width), top, threshold, band)
            if packed and whole:
                _pack_stream(band, cells, on_channel, out[b], width)
            elif whole:
                _fire_pixels(band, cells, on_channel, out[b].reshape(2 * cells.shape[0], -1), width)
            else:
                planes = out[b].reshape(2 * cells.shape[0], -1)
                _fire_band(band, cells, on_channel, planes, top * row_bytes, width, packed, stream)
