"""One converted image as bytes, in the layout of the authors' release.

A column `data` of their Parquet files holds, per image, the bytes of a `.npy` file (format 1.0) with a
one-dimensional uint8 array: 8 bytes of header, T, C, H, W as little-endian uint16, then
`np.packbits` of the frames [T, C, H, W] with C = 2 and **channel 0 = ON**. In this package channel 0 is
OFF; the swap is made here and nowhere else.

Source: the data set card and viewer of `UESTC-BICS/I2E` on Hugging Face (columns `file_path`, `label`,
`data`; a 128 px item is an array of 32,776 bytes).
"""

from __future__ import annotations

import io
import re
import struct

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.errors import FileFormatError, InputError

_NPY_MAGIC = b"\x93NUMPY\x01\x00"
_NPY_HEADER = re.compile(rb"\{'descr': '\|u1', 'fortran_order': False, 'shape': \((\d{1,12}),\), \} *\n")
#: T, C, H, W.
HEADER = struct.Struct("<4H")
#: More pixels than this in one item is not an image data set but an attack on memory (64 MiB unpacked).
MAX_BITS = 1 << 26


def encode_item(packed: NDArray[np.uint8], shape: tuple[int, int, int, int]) -> bytes:
    """Bits of one image as an item.

    Args:
        packed: uint8 [ceil(T * 2 * H * W / 8)], from `convert(..., packed=True, on_first=True)`.
        shape: (T, 2, H, W).

    Raises:
        InputError: more bits than `MAX_BITS`, or another number of bytes than `shape` needs.
    """
    bits = int(np.prod(shape))
    if bits > MAX_BITS or len(packed) != (bits + 7) // 8:
        raise InputError(f"item {list(shape)} of {len(packed)} bytes: at most {MAX_BITS} bits, 8 a byte")
    file = io.BytesIO()
    np.save(file, np.concatenate([np.frombuffer(HEADER.pack(*shape), np.uint8), packed]), allow_pickle=False)
    return file.getvalue()


def decode_item(data: bytes, where: str = "item") -> NDArray[np.uint8]:
    """Item to frames uint8 0/1 [T, 2, H, W], channel 0 = OFF.

    Nothing is allocated before the three sizes (bytes present, `.npy` header, T C H W) agree.

    Raises:
        FileFormatError: not such an item, truncated, or larger than `MAX_BITS`.
    """
    body = _npy_body(data, where)
    if len(body) < HEADER.size:
        raise FileFormatError(f"{where}: {len(body)} bytes, too short for the header of {HEADER.size}")
    steps, channels, height, width = HEADER.unpack_from(body)
    bits = steps * channels * height * width
    if channels != 2 or not bits or bits > MAX_BITS:
        raise FileFormatError(
            f"{where}: header says T, C, H, W = {steps}, {channels}, {height}, {width}: C must be 2, "
            f"none 0, and the product at most {MAX_BITS}"
        )
    expected = HEADER.size + (bits + 7) // 8
    if len(body) != expected:
        raise FileFormatError(f"{where}: {len(body)} bytes, its header needs {expected}")
    packed = np.frombuffer(body, np.uint8, offset=HEADER.size)
    on_first = np.unpackbits(packed, count=bits).reshape(steps, channels, height, width)
    return np.ascontiguousarray(on_first[:, ::-1])


def _npy_body(data: bytes, where: str) -> memoryview:
    """The array bytes of a `.npy` file that must hold a flat uint8 array and nothing after it.

    NumPy's own reader evaluates the header as Python source and falls back to Python's tokenizer; the one
    header that is allowed here is matched instead.
    """
    size = int.from_bytes(data[8:10], "little")
    match = _NPY_HEADER.fullmatch(data[10 : 10 + size]) if data[:8] == _NPY_MAGIC else None
    if match is None:
        raise FileFormatError(f"{where}: not a .npy 1.0 file of a flat uint8 array")
    body = memoryview(data)[10 + size :]
    if int(match[1]) != len(body):
        raise FileFormatError(f"{where}: its .npy header says {int(match[1])} bytes, it holds {len(body)}")
    return body
