"""I2E for CPUs: uint8 images to uint8 frames or packed bits in one pass, 32 pixels an instruction.

With V = max(R, G, B) and the integer threshold s of an image (`threshold.grey_threshold`),

    V[plus] - V[minus] > s     is the same as     V[plus] > min(V[minus] + s, 255)

in 8 bits without overflow. So two byte planes are made per image, V and min(V + s, 255), padded by
one pixel, and each of the 16 output planes is one comparison of the two at two offsets. Both planes
are stored minus 128, since CPUs compare signed bytes. Rows are worked on in bands that stay in the
L1 cache for all 16 output planes.

numba does not vectorise "compare and collect bits", hence the four intrinsics below; they are plain
LLVM vectors, which every target (AVX2, AVX-512, NEON) lowers to its own instructions.
"""

# The compiled functions take what the compiler infers.
# mypy: disable-error-code="no-untyped-def, no-untyped-call, call-arg, var-annotated"

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

#: Pixels per vector. Rows of the padded planes end with as many bytes of slack.
LANES = 32
#: Bytes of the two planes that a band of rows may take: half of a 32 KiB L1 cache.
BAND_BYTES = 16_384

_BYTES = ir.VectorType(ir.IntType(8), LANES)
_WORD = ir.IntType(LANES)
#: Lane order of `np.packbits`: the first pixel is the highest bit of its byte.
_PACKBITS_ORDER = [lane // 8 * 8 + 7 - lane % 8 for lane in range(LANES)]


def _compare(builder: Any, upper: Any, lower: Any) -> Any:
    """<32 x i1>: the 32 signed bytes at address `upper` > those at `lower`."""
    pointers = (builder.inttoptr(address, _BYTES.as_pointer()) for address in (upper, lower))
    return builder.icmp_signed(">", *(builder.load(pointer, align=1) for pointer in pointers))


def _store(builder: Any, mask: Any, target: Any, align: int) -> Any:
    """Write a mask as 32 bytes 0/1."""
    pointer = builder.inttoptr(target, _BYTES.as_pointer())
    return builder.store(builder.zext(mask, _BYTES), pointer, align=align)


@intrinsic
def _fire_bytes(_context: Any, upper: Any, lower: Any, target: Any) -> Any:
    """32 pixels -> 32 bytes 0/1 at `target`."""

    def generate(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        _store(builder, _compare(builder, args[0], args[1]), args[2], align=1)
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, types.intp), generate


@intrinsic
def _stream_bytes(_context: Any, upper: Any, lower: Any, target: Any) -> Any:
    """As `_fire_bytes`, past the cache; `target` must be a multiple of 32."""

    def generate(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        store = _store(builder, _compare(builder, args[0], args[1]), args[2], align=LANES)
        store.set_metadata("nontemporal", builder.module.add_metadata([ir.Constant(ir.IntType(32), 1)]))
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, types.intp), generate


@intrinsic
def _fire_bits(_context: Any, upper: Any, lower: Any) -> Any:
    """32 pixels -> 32 bits; stored in memory order they are what `np.packbits` gives."""

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        mask = _compare(builder, args[0], args[1])
        order = ir.Constant(ir.VectorType(ir.IntType(32), LANES), _PACKBITS_ORDER)
        mask = builder.shuffle_vector(mask, ir.Constant(mask.type, ir.Undefined), order)
        return builder.bitcast(mask, _WORD)

    return types.uint32(types.intp, types.intp), generate


@intrinsic
def _store_word(_context: Any, target: Any, word: Any) -> Any:
    """4 bytes at any address."""

    def generate(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        builder.store(args[1], builder.inttoptr(args[0], _WORD.as_pointer()), align=1)
        return context.get_dummy_value()

    return types.void(types.intp, types.uint32), generate


@njit(nogil=True, cache=True)
def _value_plane(image, interleaved, plane):
    """V = max(R, G, B) into the inside of `plane`; returns max V - min V."""
    lowest, highest = np.uint8(255), np.uint8(0)
    height, width = plane.shape[0] - 2, plane.shape[1] - 2 - LANES
    channels = image.shape[2] if interleaved else image.shape[0]
    for y in range(height):
        row = plane[y + 1, 1 : width + 1]
        if interleaved and channels >= 3:
            pixels = image[y].reshape(-1)
            for x in range(width):
                start = channels * x
                row[x] = max(pixels[start], pixels[start + 1], pixels[start + 2])
        elif channels >= 3:
            red, green, blue = image[0, y], image[1, y], image[2, y]
            for x in range(width):
                row[x] = max(red[x], green[x], blue[x])
        else:
            row[:] = image[y].reshape(-1) if interleaved else image[0, y]
        for x in range(width):
            lowest, highest = min(lowest, row[x]), max(highest, row[x])
    return int(highest) - int(lowest)


@njit(nogil=True, cache=True)
def _replicate_border(plane):
    """Copy the outermost pixels one further out, rows first, then columns."""
    height, width = plane.shape[0] - 2, plane.shape[1] - 2 - LANES
    plane[0] = plane[1]
    plane[height + 1] = plane[height]
    for y in range(height + 2):
        plane[y, 0] = plane[y, 1]
        plane[y, width + 1] = plane[y, width]


@njit(nogil=True, cache=True)
def _add_threshold(plane, raised, threshold):
    """raised = min(V + s, 255); then both planes minus 128, as signed bytes."""
    step, limit, flip = np.uint8(threshold), np.uint8(255 - threshold), np.uint8(128)
    source, target = plane.reshape(-1), raised.reshape(-1)
    for i in range(source.size):
        value = source[i]
        target[i] = np.uint8(min(value, limit) + step) ^ flip
        source[i] = value ^ flip


@njit(nogil=True, cache=True)
def _fire_row(minus, plus, raised, off, on, width, stream):
    """One row of OFF and ON as bytes; `width` >= 32, the last vector may overlap the one before.

    `minus` and `plus` are addresses in the plane V, `raised` is the distance from there to min(V + s, 255).
    """
    if stream:
        for x in range(0, width, LANES):
            _stream_bytes(minus + x, plus + raised + x, off + x)
            _stream_bytes(plus + x, minus + raised + x, on + x)
        return
    for x in range(0, width - LANES + 1, LANES):
        _fire_bytes(minus + x, plus + raised + x, off + x)
        _fire_bytes(plus + x, minus + raised + x, on + x)
    if width % LANES:
        last = width - LANES
        _fire_bytes(minus + last, plus + raised + last, off + last)
        _fire_bytes(plus + last, minus + raised + last, on + last)


@njit(nogil=True, cache=True)
def _pack_row(minus, plus, raised, off, on, width):
    """As `_fire_row` to bits; `width` >= 32 and a multiple of 8."""
    for x in range(0, width - LANES + 1, LANES):
        _store_word(off + x // 8, _fire_bits(minus + x, plus + raised + x))
        _store_word(on + x // 8, _fire_bits(plus + x, minus + raised + x))
    if width % LANES:
        last = width - LANES
        _store_word(off + last // 8, _fire_bits(minus + last, plus + raised + last))
        _store_word(on + last // 8, _fire_bits(plus + last, minus + raised + last))


@njit(nogil=True, cache=True)
def _fire_bands(plane, raised, cells, on_channel, out, packed, stream):
    """All output planes of an image, band by band. `out` is uint8 [T * 2, bytes a plane]."""
    stride, height, width = plane.shape[1], plane.shape[0] - 2, plane.shape[1] - 2 - LANES
    row_bytes = width // 8 if packed else width
    base, distance = np.intp(plane.ctypes.data), np.intp(raised.ctypes.data) - np.intp(plane.ctypes.data)
    rows = max(1, BAND_BYTES // (2 * stride))
    for top in range(0, height, rows):
        for step in range(cells.shape[0]):
            minus = base + (cells[step, 0] // 3 + top) * stride + cells[step, 0] % 3
            plus = base + (cells[step, 1] // 3 + top) * stride + cells[step, 1] % 3
            on = np.intp(out[2 * step + on_channel].ctypes.data) + top * row_bytes
            off = np.intp(out[2 * step + 1 - on_channel].ctypes.data) + top * row_bytes
            for _ in range(min(rows, height - top)):
                if packed:
                    _pack_row(minus, plus, distance, off, on, width)
                else:
                    _fire_row(minus, plus, distance, off, on, width, stream)
                minus, plus, off, on = minus + stride, plus + stride, off + row_bytes, on + row_bytes


@njit(nogil=True, cache=True)
def _fire_pixels(plane, raised, cells, on_channel, out):
    """As `_fire_bands` to bytes, for images narrower than a vector."""
    height, width = plane.shape[0] - 2, plane.shape[1] - 2 - LANES
    for step in range(cells.shape[0]):
        for polarity in range(2):
            high, low = cells[step, polarity], cells[step, 1 - polarity]
            target = out[2 * step + (on_channel if polarity else 1 - on_channel)]
            for y in range(height):
                upper, lower = plane[y + high // 3, high % 3 :], raised[y + low // 3, low % 3 :]
                for x in range(width):
                    # Both are stored minus 128 modulo 256: compare what they stand for.
                    target[y * width + x] = (upper[x] ^ 128) > (lower[x] ^ 128)


@njit(nogil=True, cache=True)
def _pack_stream(plane, raised, cells, on_channel, out):
    """As `_fire_bands` to bits for any width: rows are appended to one stream of bits. `out` is uint8 [bytes]."""
    stride, height, width = plane.shape[1], plane.shape[0] - 2, plane.shape[1] - 2 - LANES
    base, raised_base = np.intp(plane.ctypes.data), np.intp(raised.ctypes.data)
    waiting, count, position = np.uint64(0), 0, 0
    for output in range(2 * cells.shape[0]):
        step, polarity = output // 2, int(output % 2 == on_channel)
        high, low = cells[step, polarity], cells[step, 1 - polarity]
        for y in range(height):
            upper = base + (high // 3 + y) * stride + high % 3
            lower = raised_base + (low // 3 + y) * stride + low % 3
            for x in range(0, width, LANES):
                word = _fire_bits(upper + x, lower + x)
                # First pixel into the highest bit: memory order of bytes, read as a big-endian number.
                word = (word & 255) << 24 | (word >> 8 & 255) << 16 | (word >> 16 & 255) << 8 | word >> 24
                bits = min(LANES, width - x)
                waiting = waiting << np.uint64(bits) | np.uint64(np.uint32(word)) >> np.uint64(LANES - bits)
                count += bits
                while count >= 8:
                    count -= 8
                    out[position] = np.uint8(waiting >> np.uint64(count) & np.uint64(255))
                    position += 1
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
    plane = np.empty((height + 2, width + 2 + LANES), np.uint8)
    raised = np.empty_like(plane)
    for b in range(start, stop):
        cells = tables[b if tables.shape[0] > 1 else 0]
        spread = _value_plane(images[b], interleaved, plane)
        _replicate_border(plane)
        _add_threshold(plane, raised, numerator * spread // denominator)
        if packed and (width < LANES or width % 8):
            _pack_stream(plane, raised, cells, on_channel, out[b])
        elif width < LANES:
            _fire_pixels(plane, raised, cells, on_channel, out[b].reshape(2 * cells.shape[0], -1))
        else:
            _fire_bands(plane, raised, cells, on_channel, out[b].reshape(2 * cells.shape[0], -1), packed, stream)
