"""Explicit vectors for numba: what every engine's own instructions are made of, and bits of what is not zero.

LLVM does not reliably vectorise short loops by itself, and numba does not vectorise "compare and collect bits". So
engines build LLVM's vector instructions directly. They are portable: LLVM lowers them for any processor (AVX2, AVX-512,
NEON). Arrays are flat, indices count elements, and nothing is checked: the caller guarantees that the lanes lie inside.
"""
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

BIT, LANE, WORD = ir.IntType(1), ir.IntType(32), ir.IntType(64)


def lanes_at(context, builder, array_type, array, index, lanes):
    """Pointer to `lanes` elements of a flat array, as one vector."""
    data = context.make_array(array_type)(context, builder, array).data
    vector = ir.VectorType(data.type.pointee, lanes)
    return builder.bitcast(builder.gep(data, [index]), vector.as_pointer())


def load(builder, pointer):
    """The vector at a pointer, which is a multiple of an element's size."""
    value = builder.load(pointer)
    value.align = pointer.type.pointee.element.width // 8
    return value


def store(builder, value, pointer):
    """Write a vector to a pointer, which is a multiple of an element's size."""
    builder.store(value, pointer).align = value.type.element.width // 8


def splat(builder, value, vector):
    """One value in all lanes of a vector of that type."""
    undefined = ir.Constant(vector, ir.Undefined)
    one = builder.insert_element(undefined, value, ir.Constant(LANE, 0))
    return builder.shuffle_vector(one, undefined, ir.Constant(ir.VectorType(LANE, vector.count), [0] * vector.count))


def pick(builder, vector, lanes, more=None):
    """The lanes of those numbers, of one vector or of two in a row."""
    more = ir.Constant(vector.type, ir.Undefined) if more is None else more
    return builder.shuffle_vector(vector, more, ir.Constant(ir.VectorType(LANE, len(lanes)), list(lanes)))


def call(builder, name, left, right):
    """An LLVM intrinsic of two vectors, e.g. `llvm.smax`."""
    vector = left.type
    full = f"{name}.v{vector.count}i{vector.element.width}"
    function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(vector, [vector, vector]), full)
    return builder.call(function, [left, right])


def not_zero(builder, vector):
    """Vector of bits: lanes that are not 0."""
    return builder.icmp_signed("!=", vector, ir.Constant(vector.type, None))


def bits_of(builder, lanes):
    """Vector of bits as an integer of as many bits, lane 0 lowest."""
    return builder.bitcast(lanes, ir.IntType(lanes.type.count))


@intrinsic
def nonzero_64(typingctx, values, i):
    """Bit k of an int64: whether `values[i + k]` is not 0."""

    def generate(context, builder, signature, args):
        found = load(builder, lanes_at(context, builder, signature.args[0], args[0], args[1], 64))
        return bits_of(builder, not_zero(builder, found))

    return types.int64(values, types.int64), generate


def _word(mask):
    """64 bits, with a sign where the mask has one: numba makes floats of mixed ones."""
    return types.int64 if mask.signed else types.uint64


@intrinsic
def lowest_bit(typingctx, mask):
    """Number of the lowest bit that is set, 0 for the first; any number if there is none."""

    def generate(context, builder, signature, args):
        return context.cast(builder, builder.cttz(args[0], ir.Constant(BIT, 0)), mask, _word(mask))

    return _word(mask)(mask), generate


@intrinsic
def count_bits(typingctx, mask):
    """How many bits are set."""

    def generate(context, builder, signature, args):
        return context.cast(builder, builder.ctpop(args[0]), mask, _word(mask))

    return _word(mask)(mask), generate
