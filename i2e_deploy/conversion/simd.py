"""Vectors of 32 bytes for numba: what its own vectoriser does not find.

numba does not vectorise "compare and collect bits"; these intrinsics are plain LLVM vectors, which every
target (AVX2, AVX-512, NEON) lowers to its own instructions. Addresses are integers; nothing is checked.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

#: Pixels per vector.
LANES = 32

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
def fire_bytes(_context: Any, upper: Any, lower: Any, target: Any) -> Any:
    """32 pixels -> 32 bytes 0/1 at `target`."""

    def generate(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        _store(builder, _compare(builder, args[0], args[1]), args[2], align=1)
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, types.intp), generate


@intrinsic
def stream_bytes(_context: Any, upper: Any, lower: Any, target: Any) -> Any:
    """As `fire_bytes`, past the cache; `target` must be a multiple of 32."""

    def generate(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        store = _store(builder, _compare(builder, args[0], args[1]), args[2], align=LANES)
        store.set_metadata("nontemporal", builder.module.add_metadata([ir.Constant(ir.IntType(32), 1)]))
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, types.intp), generate


@intrinsic
def fire_bits(_context: Any, upper: Any, lower: Any) -> Any:
    """32 pixels -> 32 bits; stored in memory order they are what `np.packbits` gives."""

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        mask = _compare(builder, args[0], args[1])
        order = ir.Constant(ir.VectorType(ir.IntType(32), LANES), _PACKBITS_ORDER)
        mask = builder.shuffle_vector(mask, ir.Constant(mask.type, ir.Undefined), order)
        return builder.bitcast(mask, _WORD)

    return types.uint32(types.intp, types.intp), generate


@intrinsic
def store_word(_context: Any, target: Any, word: Any) -> Any:
    """4 bytes at any address."""

    def generate(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        builder.store(args[1], builder.inttoptr(args[0], _WORD.as_pointer()), align=1)
        return context.get_dummy_value()

    return types.void(types.intp, types.uint32), generate


@intrinsic
def raise_by(_context: Any, source: Any, target: Any, raised: Any, threshold: Any) -> Any:
    """32 pixels V at `source`: V to `target` and min(V + threshold, 255) to `raised`, both minus 128."""

    def generate(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        def splat(value: Any) -> Any:
            vector = builder.insert_element(ir.Constant(_BYTES, ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
            zeros = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
            return builder.shuffle_vector(vector, ir.Constant(_BYTES, ir.Undefined), zeros)

        flip, step = splat(ir.Constant(ir.IntType(8), 128)), splat(args[3])
        limit = builder.not_(step)  # 255 - threshold
        value = builder.load(builder.inttoptr(args[0], _BYTES.as_pointer()), align=1)
        low = builder.select(builder.icmp_unsigned("<", value, limit), value, limit)
        for address, vector in ((args[1], value), (args[2], builder.add(low, step))):
            pointer = builder.inttoptr(address, _BYTES.as_pointer())
            builder.store(builder.xor(vector, flip), pointer, align=LANES)
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, types.intp, types.uint8), generate
