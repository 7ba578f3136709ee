"""Vectors inside numba functions: rows of a crossbar counted in bytes, and both thresholds of neighbours compared.

Offsets of rows are as in `engine.tables`: the lowest bit says whether a row has a value for each neuron.
"""
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import extending, types
from numba.core import cgutils

from i2e_deploy.chips.truenorth.engine.tables import LANES, OFFSETS
from i2e_deploy.chips.truenorth.program import HIGH, LOW
from i2e_deploy.llvm_vectors import WORD, bits_of, call, lanes_at, load, splat, store

# numba's types are not mypy's.
intrinsic: Any = extending.intrinsic
#: What `compare` reads of a neuron: rows of `Plan.offsets`.
LEAK, THRESHOLD, UP, KEEP, VALUE, BOTTOM, DOWN, KEEP_LOW, VALUE_LOW, REVERSAL = range(10)
#: Where offsets of weights begin among those of a core.
WEIGHTS = 10
BYTES, PART, SHORT = ir.VectorType(ir.IntType(8), 32), ir.IntType(32), ir.VectorType(ir.IntType(16), 16)


@intrinsic
def count_rows(typing, counts, rows, active, first, last):
    """`counts[n]`, uint8 [256]: how many rows `active[first:last]` of the crossbar, at most 255, have the bit of n."""

    def generate(context, builder, signature, values):
        kinds, groups = signature.args, range(256 // 32)
        found = [cgutils.alloca_once_value(builder, ir.Constant(BYTES, None)) for _ in groups]
        with cgutils.for_range_slice(builder, values[3], values[4], WORD(1)) as (i, _):
            row = _element(context, builder, kinds[2], values[2], i)
            data = context.make_array(kinds[1])(context, builder, values[1]).data
            words = builder.bitcast(builder.gep(data, [builder.mul(row, WORD(4))]), PART.as_pointer())
            for group in groups:
                bits = builder.bitcast(
                    builder.load(builder.gep(words, [WORD(group)])), ir.VectorType(ir.IntType(1), 32)
                )
                there = builder.sext(bits, BYTES)  # -1 where a bit is set
                builder.store(builder.sub(builder.load(found[group]), there), found[group])
        for group in groups:
            into = lanes_at(context, builder, kinds[0], values[0], WORD(32 * group), 32)
            store(builder, builder.load(found[group]), into)
        return context.get_dummy_value()

    return types.void(counts, rows, active, types.int64, types.int64), generate


@intrinsic
def add_counts(typing, sums, counts, weight, offset):
    """Adds `counts` times a row of weights to int16 sums [256]; the row is at an offset in `weight`."""

    def generate(context, builder, signature, values):
        kinds = signature.args
        place, step = _place(builder, values[3], 16)
        for group in range(16):
            into = lanes_at(context, builder, kinds[0], values[0], WORD(16 * group), 16)
            count = load(builder, lanes_at(context, builder, kinds[1], values[1], WORD(16 * group), 16))
            at = builder.add(place, builder.mul(step, WORD(group)))
            each = load(builder, lanes_at(context, builder, kinds[2], values[2], at, 16))
            added = builder.mul(builder.zext(count, SHORT), each)
            store(builder, builder.add(load(builder, into), added), into)
        return context.get_dummy_value()

    return types.void(sums, counts, weight, types.int64), generate


@intrinsic
def prefetch(typing, array, index):
    """Begins to load the element of a flat array into the cache."""

    def generate(context, builder, signature, values):
        data = context.make_array(signature.args[0])(context, builder, values[0]).data
        byte, word = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte, word, word, word])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
        place = builder.bitcast(builder.gep(data, [values[1]]), byte)
        builder.call(function, [place, word(0), word(3), word(1)])  # to read, into all caches, data
        return context.get_dummy_value()

    return types.void(array, types.int64), generate


def _make_compare(bits: int, each: bool) -> Any:
    """Of potentials of 32 bits, or of 16 where none can leave them (`Plan.limit`) and no leak turns."""
    lanes = 512 // bits
    vector, groups = ir.VectorType(ir.IntType(bits), lanes), 64 * bits // 512

    @intrinsic
    def compare(typing, v, sums, table, offsets, core, fired, limit):
        """A tick of a core: `v[core * 256 + n]` gets `sums[n]`, the leak, and meets both thresholds.

        Who fires goes to `fired[core * 4:]`. Returns saturations times 2, and 1 where a potential is now further than
        `limit` from 0.
        """

        def generate(context, builder, signature, values):
            kinds = signature.args
            rows = _rows(context, builder, (kinds[3], values[3], values[4]), lanes)
            same = [_alike(context, builder, (kinds[2], values[2]), place, vector) for place, _ in rows]
            far = cgutils.alloca_once_value(builder, ir.Constant(vector, None))
            stopped = cgutils.alloca_once_value(builder, WORD(0))
            with cgutils.for_range(builder, WORD(4)) as part:
                word = WORD(0)
                for i in range(groups):
                    group = builder.add(builder.mul(part.index, WORD(groups)), WORD(i))

                    def of(row, group=group):
                        if not each:
                            return same[row]
                        place = builder.add(rows[row][0], builder.mul(rows[row][1], group))
                        return load(builder, lanes_at(context, builder, kinds[2], values[2], place, lanes))

                    at = builder.mul(group, WORD(lanes))
                    base = builder.add(builder.mul(values[4], WORD(256)), at)
                    into = lanes_at(context, builder, kinds[0], values[0], base, lanes)
                    arrived = load(builder, lanes_at(context, builder, kinds[1], values[1], at, lanes))
                    after, above, held = _tick(builder, load(builder, into), arrived, of, each)
                    store(builder, after, into)
                    size = call(builder, "llvm.smax", after, builder.sub(ir.Constant(vector, None), after))
                    builder.store(call(builder, "llvm.smax", builder.load(far), size), far)
                    builder.store(builder.add(builder.load(stopped), held), stopped)
                    here = builder.zext(bits_of(builder, above), WORD)
                    word = builder.or_(word, builder.shl(here, WORD(i * lanes)))
                _put(
                    context,
                    builder,
                    (kinds[5], values[5]),
                    builder.add(builder.mul(values[4], WORD(4)), part.index),
                    word,
                )
            ends = splat(builder, builder.trunc(values[6], vector.element), vector)
            beyond = bits_of(builder, builder.icmp_signed(">", builder.load(far), ends))
            beyond = builder.zext(builder.icmp_unsigned("!=", beyond, ir.Constant(beyond.type, 0)), WORD)
            return builder.or_(builder.shl(builder.load(stopped), WORD(1)), beyond)

        return types.int64(v, sums, table, offsets, types.int64, fired, types.int64), generate

    return compare


compare_alike, compare_each = _make_compare(32, False), _make_compare(32, True)
compare_alike_16, compare_each_16 = _make_compare(16, False), _make_compare(16, True)


def _tick(builder, v, arrived, of, each):
    """Potentials after, who fires, and how often sums stopped, of neighbours."""
    wide, stopped = v.type.element.width == 32, WORD(0)
    x = builder.add(v, builder.sext(arrived, v.type) if wide else arrived)
    if wide:
        x, first = _held(builder, x)
        x, second = _held(builder, builder.add(x, _turned(builder, of(LEAK), of(REVERSAL), x) if each else of(LEAK)))
        stopped = builder.zext(builder.add(builder.ctpop(first), builder.ctpop(second)), WORD)
    else:
        x = builder.add(x, of(LEAK))
    above = builder.icmp_signed(">=", x, of(THRESHOLD))
    below = builder.icmp_signed("<", x, of(BOTTOM))
    fired = builder.add(builder.and_(builder.sub(x, of(UP)), of(KEEP)), of(VALUE))
    low = builder.add(builder.and_(builder.add(x, of(DOWN)), of(KEEP_LOW)), of(VALUE_LOW))
    return builder.select(above, fired, builder.select(below, low, x)), above, stopped


def _held(builder, x):
    """Within the ends of a potential, and bits of lanes that were not."""
    low, high = (ir.Constant(x.type, [end] * x.type.count) for end in (LOW, HIGH))
    held = call(builder, "llvm.smin", call(builder, "llvm.smax", x, low), high)
    return held, bits_of(builder, builder.icmp_signed("!=", held, x))


def _turned(builder, leak, reversal, held):
    """The leak times the sign of the potential, where it is reversed."""
    zero = ir.Constant(held.type, None)
    signed = builder.select(builder.icmp_signed("<", held, zero), builder.sub(zero, leak), leak)
    signed = builder.select(builder.icmp_signed("==", held, zero), zero, signed)
    return builder.select(builder.icmp_signed("!=", reversal, zero), signed, leak)


def _element(context, builder, kind, array, index):
    """One integer of a flat array, as 64 bits."""
    data = context.make_array(kind)(context, builder, array).data
    return builder.sext(builder.load(builder.gep(data, [index])), WORD)


def _put(context, builder, array, index, value):
    data = context.make_array(array[0])(context, builder, array[1]).data
    builder.store(value, builder.gep(data, [index]))


def _place(builder, offset, lanes):
    """Where a row begins, and how far its next lanes are: nowhere if they are the same ones."""
    step = builder.mul(builder.and_(offset, WORD(1)), WORD(lanes))
    return builder.and_(offset, WORD(-LANES)), step


def _rows(context, builder, offsets, lanes):
    """Place and step of each row of parameters."""
    kind, array, core = offsets
    first = builder.mul(core, WORD(OFFSETS))
    each = (_element(context, builder, kind, array, builder.add(first, WORD(row))) for row in range(REVERSAL + 1))
    return [_place(builder, offset, lanes) for offset in each]


def _alike(context, builder, table, place, vector):
    """The first value of a row in all lanes."""
    data = context.make_array(table[0])(context, builder, table[1]).data
    return splat(builder, builder.load(builder.gep(data, [place])), vector)
