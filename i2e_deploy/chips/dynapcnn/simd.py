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


def _store_bits(context, builder, array_type, array, byte, lanes):
    """Write a vector of bits into a flat array of words, lane 0 lowest, from that byte on."""
    data = context.make_array(array_type)(context, builder, array).data
    bytes_ = builder.bitcast(data, ir.IntType(8).as_pointer())
    bits = ir.IntType(lanes.type.count)
    pointer = builder.bitcast(builder.gep(bytes_, [byte]), bits.as_pointer())
    builder.store(builder.bitcast(lanes, bits), pointer).align = 1


def _part(builder, vector, first, count):
    """Lanes `first` to `first + count` of a vector."""
    lanes = ir.Constant(ir.VectorType(ir.IntType(32), count), list(range(first, first + count)))
    return builder.shuffle_vector(vector, ir.Constant(vector.type, ir.Undefined), lanes)


def _join(builder, left, right):
    """Two vectors of the same type as one."""
    lanes = ir.Constant(ir.VectorType(ir.IntType(32), 2 * left.type.count), list(range(2 * left.type.count)))
    return builder.shuffle_vector(left, right, lanes)


def _fire(builder, total, touched, below, most):
    """Lanes that are touched and above `below`; all lanes after those have lost what they hold, `most` at most."""
    fire = builder.and_(touched, builder.icmp_signed(">", total, _splat(builder, below, total.type)))
    due = _call(builder, "llvm.smin", total, _splat(builder, most, total.type))
    return fire, builder.sub(total, builder.select(fire, due, ir.Constant(total.type, None)))


def _any_above(builder, total, limit):
    """Not 0 if a lane is above the limit: two bits a lane, which is an instruction less than one."""
    above = builder.sext(builder.icmp_signed(">", total, _splat(builder, limit, total.type)), total.type)
    halves = builder.bitcast(above, ir.VectorType(ir.IntType(8), 2 * total.type.count))
    bits = builder.bitcast(
        builder.icmp_signed("<", halves, ir.Constant(halves.type, None)), ir.IntType(halves.type.count)
    )
    return bits if halves.type.count == 64 else builder.zext(bits, ir.IntType(64))


def _nonzero(builder, vector):
    return builder.icmp_signed("!=", vector, ir.Constant(vector.type, None))


def _make_add_fire(lanes: int) -> Any:
    def add_fire(typingctx, v, i, w, k, low, below, most, high, masks, byte):
        """`v[i:] = max(v[i:] + w[k:], low)`; then lanes above `below` fire: they lose `min(v, most)`.

        Lanes of weight 0 do not fire. Those that do set their bit in the words `masks`, from that byte on, others clear
        it. Sums must fit the type.
        Returns what is not 0 if one was above `high`.
        """

        def generate(context, builder, signature, args):
            pointer, state = _load(context, builder, signature.args[0], args[0], args[1], lanes)
            _, weight = _load(context, builder, signature.args[2], args[2], args[3], lanes)
            total = _call(builder, "llvm.smax", builder.add(state, weight), _splat(builder, args[4], state.type))
            fire, after = _fire(builder, total, _nonzero(builder, weight), args[5], args[6])
            _store(builder, after, pointer)
            _store_bits(context, builder, signature.args[8], args[8], args[9], fire)
            return _any_above(builder, total, args[7])

        levels = (v.dtype,) * 4
        return types.int64(v, types.int64, w, types.int64, *levels, masks, types.int64), generate

    return intrinsic(add_fire)


@intrinsic
def add_fire_2x16(typingctx, v, i, next_i, w, k, next_k, low, below, most, high, masks, byte):
    """`add_fire` of 16 lanes in each of two rows, at `i` and `i + next_i`; the second row's bits behind the first's."""

    def generate(context, builder, signature, args):
        v_type, w_type = signature.args[0], signature.args[3]
        pointer, state = _load(context, builder, v_type, args[0], args[1], 16)
        next_pointer, next_state = _load(context, builder, v_type, args[0], builder.add(args[1], args[2]), 16)
        _, weight = _load(context, builder, w_type, args[3], args[4], 16)
        _, next_weight = _load(context, builder, w_type, args[3], builder.add(args[4], args[5]), 16)
        state, weight = _join(builder, state, next_state), _join(builder, weight, next_weight)
        total = _call(builder, "llvm.smax", builder.add(state, weight), _splat(builder, args[6], state.type))
        fire, after = _fire(builder, total, _nonzero(builder, weight), args[7], args[8])
        _store(builder, _part(builder, after, 0, 16), pointer)
        _store(builder, _part(builder, after, 16, 16), next_pointer)
        _store_bits(context, builder, signature.args[10], args[10], args[11], fire)
        return _any_above(builder, total, args[9])

    place, levels = (types.int64, types.int64), (v.dtype,) * 4
    return types.int64(v, *place, w, *place, *levels, masks, types.int64), generate


@intrinsic
def add_fire_16bit_8(typingctx, v, i, w, k, low, below, most, saturate, skip_zero):
    """`add_fire` for 8 lanes of int16 that may overflow: saturates or wraps; can leave lanes of zero weight alone.

    Returns the mask of lanes that fire in the low 16 bits, of those that overflowed in the high 16.
    """

    def generate(context, builder, signature, args):
        pointer, state = _load(context, builder, signature.args[0], args[0], args[1], 8)
        _, weight = _load(context, builder, signature.args[2], args[2], args[3], 8)
        wrapped, held = builder.add(state, weight), _call(builder, "llvm.sadd.sat", state, weight)
        over = _mask(builder, builder.icmp_signed("!=", wrapped, held))
        total = builder.select(_bit(builder, args[7]), held, wrapped)
        total = _call(builder, "llvm.smax", total, _splat(builder, args[4], state.type))
        touched = _nonzero(builder, weight)
        touched = builder.or_(touched, _splat(builder, builder.not_(_bit(builder, args[8])), touched.type))
        fire, after = _fire(builder, total, touched, args[5], args[6])
        _store(builder, builder.select(touched, after, state), pointer)
        return builder.or_(_mask(builder, fire), builder.shl(over, ir.Constant(ir.IntType(32), 16)))

    levels, flags = (v.dtype,) * 3, (types.boolean, types.boolean)
    return types.int32(v, types.int64, w, types.int64, *levels, *flags), generate


def add_lanes(context, builder, types_, args, number):
    """Generate `add_run`: `args` are v, i, w, k; `types_` those of v and w."""
    v, i, w, k = args[:4]
    piece = next(piece for piece in (16, 8) if number % piece == 0)
    for done in range(0, number, piece):
        ahead = ir.Constant(ir.IntType(64), done)
        pointer, state = _load(context, builder, types_[0], v, builder.add(i, ahead), piece)
        _, weight = _load(context, builder, types_[1], w, builder.add(k, ahead), piece)
        weight = weight if weight.type == state.type else builder.sext(weight, state.type)
        _store(builder, builder.add(state, weight), pointer)


@intrinsic
def add_run(typingctx, v, i, w, k, lanes):
    """`v[i:] += w[k:]`, wrapping, for a constant number of lanes; weights may be narrower than states."""
    if not isinstance(lanes, types.IntegerLiteral):
        return None
    number = lanes.literal_value

    def generate(context, builder, signature, args):
        add_lanes(context, builder, (signature.args[0], signature.args[2]), args, number)
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


add_fire_8, add_fire_16, add_fire_24 = _make_add_fire(8), _make_add_fire(16), _make_add_fire(24)
