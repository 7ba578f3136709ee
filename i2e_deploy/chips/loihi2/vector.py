"""Machine instructions that numba does not give: add 32 or 16 bytes of one array to another, and count zeros.

A numba loop over two arrays starts with tests that they do not overlap and ends with single elements; a run of 24
channels is over before that pays. Arrays here are one-dimensional, contiguous, of one dtype, and do not overlap.
"""

from __future__ import annotations

from typing import Any

import numba
from llvmlite import ir
from numba import extending, types

# numba's types are not mypy's.
nb: Any = numba
intrinsic: Any = extending.intrinsic


def _adder(size: int) -> Any:
    @intrinsic  # type: ignore[untyped-decorator]
    def add(typing: Any, target: Any, at: Any, source: Any, offset: Any, factor: Any) -> Any:
        width = target.dtype.bitwidth // 8

        def pointer(context: Any, builder: Any, kind: Any, array: Any, index: Any) -> Any:
            lanes = ir.VectorType(context.get_value_type(kind.dtype), size // width)
            data = context.make_array(kind)(context, builder, array).data
            return builder.bitcast(builder.gep(data, [index]), lanes.as_pointer())

        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            to = pointer(context, builder, target, values[0], values[1])
            of = pointer(context, builder, source, values[2], values[3])
            first, second = builder.load(to), builder.load(of)
            first.align = second.align = width
            if not isinstance(factor, types.NoneType):
                kind, lanes = second.type, size // width
                one = builder.insert_element(ir.Constant(kind, ir.Undefined), values[4], ir.Constant(ir.IntType(32), 0))
                zeros = ir.Constant(ir.VectorType(ir.IntType(32), lanes), [0] * lanes)
                second = builder.mul(second, builder.shuffle_vector(one, ir.Constant(kind, ir.Undefined), zeros))
            builder.store(builder.add(first, second), to).align = width
            return context.get_dummy_value()

        scale = factor if isinstance(factor, types.NoneType) else target.dtype
        return types.void(target, types.uint64, source, types.uint64, scale), generate

    return add


_add32, _add16 = _adder(32), _adder(16)


@intrinsic  # type: ignore[untyped-decorator]
def trailing_zeros(typing: Any, value: Any) -> Any:
    """Position of the lowest bit of a uint64 that is not 0."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.cttz(values[0], ir.Constant(ir.IntType(1), 1))

    return types.uint64(types.uint64), generate


@nb.njit(nogil=True, cache=True, inline="always")  # type: ignore[untyped-decorator]
def add_run(target: Any, at: Any, source: Any, offset: Any, length: Any, factor: Any) -> None:
    """target[at : at + length] += source[offset : offset + length], times `factor` or as it is; indices are uint64."""
    end = at + length
    wide, half = nb.uint64(32 // source.itemsize), nb.uint64(16 // source.itemsize)
    while at + wide <= end:
        _add32(target, at, source, offset, factor)
        at += wide
        offset += wide
    if at + half <= end:
        _add16(target, at, source, offset, factor)
        at += half
        offset += half
    while at < end:
        if factor is None:
            target[at] += source[offset]
        else:
            target[at] += factor * source[offset]
        at += nb.uint64(1)
        offset += nb.uint64(1)
