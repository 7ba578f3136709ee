"""The vector instructions of the conversion, 32 bytes wide. Addresses are integers. See `llvm_vectors`."""
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from i2e_deploy.llvm_vectors import bits_of, pick, splat

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
        return bits_of(builder, pick(builder, mask, _PACKBITS_ORDER))

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
        flip, step = ir.Constant(_BYTES, [128] * LANES), splat(builder, args[3], _BYTES)
        limit = builder.not_(step)  # 255 - threshold
        value = builder.load(builder.inttoptr(args[0], _BYTES.as_pointer()), align=1)
        low = builder.select(builder.icmp_unsigned("<", value, limit), value, limit)
        for address, vector in ((args[1], value), (args[2], builder.add(low, step))):
            pointer = builder.inttoptr(address, _BYTES.as_pointer())
            builder.store(builder.xor(vector, flip), pointer, align=LANES)
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, types.intp, types.uint8), generate
