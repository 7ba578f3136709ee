"""Vectors inside numba functions: synapses of an axon added at once, and both thresholds of neighbours compared."""
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import extending, types
from numba.core import cgutils

from i2e_deploy.chips.truenorth.program import HIGH, LOW
from i2e_deploy.llvm_vectors import bits_of, call, lanes_at, load, pick, splat, store

# numba's types are not mypy's.
intrinsic: Any = extending.intrinsic
#: Neurons that one instruction takes.
LANES = 16
INT, SHORT, LONG = (ir.VectorType(ir.IntType(bits), LANES) for bits in (32, 16, 64))
#: What `compare` reads of a neuron, int32: rows of `Plan.neuron`.
LEAK, THRESHOLD, UP, KEEP, VALUE, BOTTOM, DOWN, KEEP_LOW, VALUE_LOW, REVERSAL = range(10)


@intrinsic
def add_row(typing, sums, weight, base, rows, row):
    """Adds `weight[base + n]` to `sums[n]`, int16, for each neuron n of 256 with its bit in `rows[row:row + 16]`."""

    def generate(context, builder, signature, values):
        kinds, word = signature.args, ir.IntType(64)
        bits = load(builder, lanes_at(context, builder, kinds[3], values[3], values[4], LANES))
        each = ir.Constant(SHORT, [1 << k if k < 15 else -(1 << 15) for k in range(LANES)])
        for group in range(256 // LANES):
            first = ir.Constant(word, group * LANES)
            into = lanes_at(context, builder, kinds[0], values[0], first, LANES)
            added = load(builder, lanes_at(context, builder, kinds[1], values[1], builder.add(values[2], first), LANES))
            here = pick(builder, bits, [group] * LANES)
            there = builder.icmp_signed("==", builder.and_(here, each), each)
            added = builder.select(there, added, ir.Constant(SHORT, None))
            store(builder, builder.add(load(builder, into), added), into)
        return context.get_dummy_value()

    return types.void(sums, weight, types.int64, rows, types.int64), generate


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


def _make_compare(each: bool) -> Any:
    @intrinsic
    def compare(typing, v, at, sums, place, neuron, base):
        """A tick of 16 neurons: `v[at + k]` gets `sums[place + k]`, the leak, and meets both thresholds.

        Parameters are at `neuron[base + 256 * row + k]`, or for all alike at `neuron[base + row]`. Returns who
        fires in the low 16 bits, and saturations above.
        """

        def generate(context, builder, signature, values):
            kinds = signature.args

            def of(row):
                index = builder.add(values[5], ir.Constant(ir.IntType(64), 256 * row if each else row))
                if each:
                    return load(builder, lanes_at(context, builder, kinds[4], values[4], index, LANES))
                data = context.make_array(kinds[4])(context, builder, values[4]).data
                return splat(builder, builder.load(builder.gep(data, [index])), INT)

            into = lanes_at(context, builder, kinds[0], values[0], values[1], LANES)
            arrived = load(builder, lanes_at(context, builder, kinds[2], values[2], values[3], LANES))
            x = builder.add(load(builder, into), builder.sext(arrived, INT))
            held, first = _held(builder, x)
            leak = _turned(builder, of(LEAK), of(REVERSAL), held) if each else of(LEAK)
            held, second = _held(builder, builder.add(held, leak))
            above = builder.icmp_signed(">=", held, of(THRESHOLD))
            below = builder.icmp_signed("<", held, of(BOTTOM))
            fired = builder.add(builder.and_(builder.sub(held, of(UP)), of(KEEP)), of(VALUE))
            low = builder.add(builder.and_(builder.add(held, of(DOWN)), of(KEEP_LOW)), of(VALUE_LOW))
            store(builder, builder.select(above, fired, builder.select(below, low, held)), into)
            count = builder.add(builder.ctpop(first), builder.ctpop(second))
            word = ir.IntType(64)
            return builder.or_(
                builder.zext(bits_of(builder, above), word),
                builder.shl(builder.zext(count, word), ir.Constant(word, LANES)),
            )

        return types.int64(v, types.int64, sums, types.int64, neuron, types.int64), generate

    return compare


compare_each, compare_alike = _make_compare(True), _make_compare(False)


def _held(builder, x):
    """Within the ends of a potential, and bits of lanes that were not."""
    low, high = (ir.Constant(INT, [end] * LANES) for end in (LOW, HIGH))
    held = call(builder, "llvm.smin", call(builder, "llvm.smax", x, low), high)
    return held, bits_of(builder, builder.icmp_signed("!=", held, x))


def _turned(builder, leak, reversal, held):
    """The leak times the sign of the potential, where it is reversed."""
    zero = ir.Constant(INT, None)
    signed = builder.select(builder.icmp_signed("<", held, zero), builder.sub(zero, leak), leak)
    signed = builder.select(builder.icmp_signed("==", held, zero), zero, signed)
    return builder.select(builder.icmp_signed("!=", reversal, zero), signed, leak)
