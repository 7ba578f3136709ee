"""The vector instructions of the engines: add weights to neuron states, a fixed number of lanes at once.

Runs are often 8 to 48 lanes, too short for a vectoriser. See `llvm_vectors`.
"""
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from i2e_deploy.llvm_vectors import BIT, bits_of, call, lanes_at, load, not_zero, pick, splat, store


def _load(context, builder, array_type, array, index, lanes):
    """Pointer to `lanes` elements of a flat array, and their value."""
    pointer = lanes_at(context, builder, array_type, array, index, lanes)
    return pointer, load(builder, pointer)


def _mask(builder, lanes):
    """Vector of bits to an int of 32 bits or more, lane 0 lowest."""
    return builder.zext(bits_of(builder, lanes), ir.IntType(max(32, lanes.type.count)))


def _bit(builder, flag):
    return flag if flag.type == BIT else builder.trunc(flag, BIT)


def _store_bits(context, builder, array_type, array, byte, lanes):
    """Write a vector of bits into a flat array of words, lane 0 lowest, from that byte on."""
    data = context.make_array(array_type)(context, builder, array).data
    bytes_ = builder.bitcast(data, ir.IntType(8).as_pointer())
    bits = bits_of(builder, lanes)
    pointer = builder.bitcast(builder.gep(bytes_, [byte]), bits.type.as_pointer())
    builder.store(bits, pointer).align = 1


def _fire(builder, total, touched, below, most):
    """Lanes that are touched and above `below`; all lanes after those have lost what they hold, `most` at most."""
    fire = builder.and_(touched, builder.icmp_signed(">", total, splat(builder, below, total.type)))
    due = call(builder, "llvm.smin", total, splat(builder, most, total.type))
    return fire, builder.sub(total, builder.select(fire, due, ir.Constant(total.type, None)))


def _any_above(builder, total, limit):
    """Not 0 if a lane is above the limit: two bits a lane, which is an instruction less than one."""
    above = builder.sext(builder.icmp_signed(">", total, splat(builder, limit, total.type)), total.type)
    halves = builder.bitcast(above, ir.VectorType(ir.IntType(8), 2 * total.type.count))
    bits = builder.bitcast(
        builder.icmp_signed("<", halves, ir.Constant(halves.type, None)), ir.IntType(halves.type.count)
    )
    return bits if halves.type.count == 64 else builder.zext(bits, ir.IntType(64))


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
            total = call(builder, "llvm.smax", builder.add(state, weight), splat(builder, args[4], state.type))
            fire, after = _fire(builder, total, not_zero(builder, weight), args[5], args[6])
            store(builder, after, pointer)
            _store_bits(context, builder, signature.args[8], args[8], args[9], fire)
            return _any_above(builder, total, args[7])

        levels = (v.dtype,) * 4
        return types.int64(v, types.int64, w, types.int64, *levels, masks, types.int64), generate

    return intrinsic(add_fire)


@intrinsic
def add_fire_2x16(typingctx, v, i, next_i, w, k, next_k, low, below, most, high, masks, byte):
    """`add_fire` of 16 lanes in each of two rows, at `i` and `i + next_i`; the second row's bits after the first's."""

    def generate(context, builder, signature, args):
        v_type, w_type = signature.args[0], signature.args[3]
        pointer, state = _load(context, builder, v_type, args[0], args[1], 16)
        next_pointer, next_state = _load(context, builder, v_type, args[0], builder.add(args[1], args[2]), 16)
        _, weight = _load(context, builder, w_type, args[3], args[4], 16)
        _, next_weight = _load(context, builder, w_type, args[3], builder.add(args[4], args[5]), 16)
        state, weight = pick(builder, state, range(32), next_state), pick(builder, weight, range(32), next_weight)
        total = call(builder, "llvm.smax", builder.add(state, weight), splat(builder, args[6], state.type))
        fire, after = _fire(builder, total, not_zero(builder, weight), args[7], args[8])
        store(builder, pick(builder, after, range(16)), pointer)
        store(builder, pick(builder, after, range(16, 32)), next_pointer)
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
        wrapped, held = builder.add(state, weight), call(builder, "llvm.sadd.sat", state, weight)
        over = _mask(builder, builder.icmp_signed("!=", wrapped, held))
        total = builder.select(_bit(builder, args[7]), held, wrapped)
        total = call(builder, "llvm.smax", total, splat(builder, args[4], state.type))
        touched = not_zero(builder, weight)
        touched = builder.or_(touched, splat(builder, builder.not_(_bit(builder, args[8])), touched.type))
        fire, after = _fire(builder, total, touched, args[5], args[6])
        store(builder, builder.select(touched, after, state), pointer)
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
        store(builder, builder.add(state, weight), pointer)


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
        held = call(builder, "llvm.smax", state, splat(builder, args[2], state.type))
        fires = builder.icmp_signed(">=", held, splat(builder, args[3], state.type))
        loss = builder.and_(builder.sext(fires, state.type), splat(builder, args[4], state.type))
        store(builder, builder.sub(held, loss), pointer)
        return _mask(builder, fires)

    return types.int64(v, types.int64, v.dtype, v.dtype, v.dtype), generate


add_fire_8, add_fire_16, add_fire_24 = _make_add_fire(8), _make_add_fire(16), _make_add_fire(24)
