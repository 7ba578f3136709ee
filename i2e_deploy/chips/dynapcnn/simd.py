"""Explicit vectors for numba: add weights to neuron states, a fixed number of lanes at once.

LLVM does not reliably vectorise such short loops by itself (runs are often 8 to 48 lanes), so these build its
vector instructions directly. They are portable: LLVM lowers them for any processor. Flat arrays, indices in elements,
no bounds checks: the caller guarantees that the lanes lie inside.
"""
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

BIT = ir.IntType(1)


def _load(context, builder, array_type, array, index, lanes):
    """Pointer to `lanes` elements of a 1-d array, and their value."""
    data = context.make_array(array_type)(context, builder, array).data
    vector = ir.VectorType(data.type.pointee, lanes)
    pointer = builder.bitcast(builder.gep(data, [index]), vector.as_pointer())
    value = builder.load(pointer)
    value.align = 1 if data.type.pointee.width == 8 else 2
    return pointer, value


def _splat(builder, value, vector):
    """One value in all lanes."""
    one = builder.insert_element(ir.Constant(vector, ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), vector.count), [0] * vector.count)
    return builder.shuffle_vector(one, ir.Constant(vector, ir.Undefined), zeros)


def _call(builder, name, left, right):
    """An LLVM intrinsic of two vectors, e.g. `llvm.smax`."""
    vector = left.type
    full = f"{name}.v{vector.count}i{vector.element.width}"
    function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(vector, [vector, vector]), full)
    return builder.call(function, [left, right])


def _store(builder, value, pointer):
    builder.store(value, pointer).align = 2


def _mask(builder, lanes):
    """Vector of bits to an int of 32 bits or more, lane 0 lowest."""
    bits = ir.IntType(lanes.type.count)
    return builder.zext(builder.bitcast(lanes, bits), ir.IntType(max(32, bits.width)))


def _bit(builder, flag):
    return flag if flag.type == BIT else builder.trunc(flag, BIT)


def _make_add_fire(lanes: int) -> Any:
    def add_fire(typingctx, v, i, w, k, low, threshold):
        """`v[i:] = max(v[i:] + w[k:], low)`; mask of lanes at or above threshold. The sum must fit the type."""

        def generate(context, builder, signature, args):
            pointer, state = _load(context, builder, signature.args[0], args[0], args[1], lanes)
            _, weight = _load(context, builder, signature.args[2], args[2], args[3], lanes)
            total = _call(builder, "llvm.smax", builder.add(state, weight), _splat(builder, args[4], state.type))
            _store(builder, total, pointer)
            return _mask(builder, builder.icmp_signed(">=", total, _splat(builder, args[5], state.type)))

        return types.int32(v, types.int64, w, types.int64, v.dtype, v.dtype), generate

    return intrinsic(add_fire)


def _make_add_fire_16bit(lanes: int) -> Any:
    def add_fire_16bit(typingctx, v, i, w, k, low, threshold, saturate, skip_zero):
        """`add_fire` for int16 that may overflow: saturates or wraps; can leave lanes of zero weight alone.

        Returns the mask of lanes that fire in the low 16 bits, of those that overflowed in the high 16.
        """

        def generate(context, builder, signature, args):
            pointer, state = _load(context, builder, signature.args[0], args[0], args[1], lanes)
            _, weight = _load(context, builder, signature.args[2], args[2], args[3], lanes)
            wrapped, held = builder.add(state, weight), _call(builder, "llvm.sadd.sat", state, weight)
            over = _mask(builder, builder.icmp_signed("!=", wrapped, held))
            total = builder.select(_bit(builder, args[6]), held, wrapped)
            total = _call(builder, "llvm.smax", total, _splat(builder, args[4], state.type))
            touched = builder.icmp_signed("!=", weight, ir.Constant(state.type, None))
            always = _splat(builder, builder.not_(_bit(builder, args[7])), touched.type)
            touched = builder.or_(touched, always)
            _store(builder, builder.select(touched, total, state), pointer)
            fire = builder.and_(builder.icmp_signed(">=", total, _splat(builder, args[5], state.type)), touched)
            return builder.or_(_mask(builder, fire), builder.shl(over, ir.Constant(ir.IntType(32), 16)))

        flags = (types.boolean, types.boolean)
        return types.int32(v, types.int64, w, types.int64, v.dtype, v.dtype, *flags), generate

    return intrinsic(add_fire_16bit)


@intrinsic
def add_run(typingctx, v, i, w, k, lanes):
    """`v[i:] += w[k:]`, wrapping, for a constant number of lanes; weights may be narrower than states."""
    if not isinstance(lanes, types.IntegerLiteral):
        return None
    number = lanes.literal_value
    piece = next(piece for piece in (16, 8) if number % piece == 0)

    def generate(context, builder, signature, args):
        for done in range(0, number, piece):
            ahead = ir.Constant(ir.IntType(64), done)
            pointer, state = _load(context, builder, signature.args[0], args[0], builder.add(args[1], ahead), piece)
            _, weight = _load(context, builder, signature.args[2], args[2], builder.add(args[3], ahead), piece)
            weight = weight if weight.type == state.type else builder.sext(weight, state.type)
            _store(builder, builder.add(state, weight), pointer)
        return context.get_dummy_value()

    return types.void(v, types.int64, w, types.int64, lanes), generate


@intrinsic
def fire_64(typingctx, v, i, low, threshold, taken):
    """`v[i:] = max(v[i:], low)`, less `taken` where that is at or above threshold: the mask of these lanes."""

    def generate(context, builder, signature, args):
        pointer, state = _load(context, builder, signature.args[0], args[0], args[1], 64)
        held = _call(builder, "llvm.smax", state, _splat(builder, args[2], state.type))
        fires = builder.icmp_signed(">=", held, _splat(builder, args[3], state.type))
        loss = builder.and_(builder.sext(fires, state.type), _splat(builder, args[4], state.type))
        _store(builder, builder.sub(held, loss), pointer)
        return _mask(builder, fires)

    return types.int64(v, types.int64, v.dtype, v.dtype, v.dtype), generate


@intrinsic
def nonzero_64(typingctx, values, i):
    """Mask of the 64 bytes at `values[i:]` that are not zero."""

    def generate(context, builder, signature, args):
        _, found = _load(context, builder, signature.args[0], args[0], args[1], 64)
        return builder.bitcast(builder.icmp_unsigned("!=", found, ir.Constant(found.type, None)), ir.IntType(64))

    return types.int64(values, types.int64), generate


@intrinsic
def lowest_bit(typingctx, mask):
    """Number of the lowest bit that is set, 0 for the first; any number if there is none."""

    def generate(context, builder, signature, args):
        return context.cast(builder, builder.cttz(args[0], ir.Constant(BIT, 0)), mask, types.int64)

    return types.int64(mask), generate


@intrinsic
def count_bits(typingctx, mask):
    """How many bits are set."""

    def generate(context, builder, signature, args):
        return context.cast(builder, builder.ctpop(args[0]), mask, types.int64)

    return types.int64(mask), generate


add_fire_8, add_fire_16 = _make_add_fire(8), _make_add_fire(16)
add_fire_16bit_8 = _make_add_fire_16bit(8)
