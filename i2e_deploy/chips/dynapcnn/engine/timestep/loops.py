"""Two loops of the time-stepped engine in LLVM's own terms: blocks of weights, and lists of bits.

The same code, but numba's front end, which took half of the time of compiling the engine for their variants, does not
see them. Flat arrays, indices in elements, no bounds checks, as in `simd`.
"""
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from i2e_deploy.chips.dynapcnn.engine.simd import add_lanes

#: A word of the table of pixels, from the lowest bit: where the block lies in states, and in the weights of a channel;
#: its rows; its bucket: 0 if nothing is reached, its width in pixels, or one more than all widths if it is a whole one.
STATE_BITS, WEIGHT_BITS, ROW_BITS, BUCKET_BITS = 24, 28, 6, 6
ROWS_AT = STATE_BITS + WEIGHT_BITS
BUCKET_AT = ROWS_AT + ROW_BITS
#: Whole blocks of three rows of so many lanes are added without a loop; other rows so many lanes at once.
WHOLE, ROW_LANES = (24, 48, 96), (64, 32, 16, 8)
INT = ir.IntType(64)


@intrinsic
def add_blocks(typingctx, v, w, words, first, last, next_v, next_w, length, whole):
    """`v[i:] += w[k:]`, wrapping, for every row of the blocks `words[first:last]`; rows added.

    Args:
        next_v, next_w: from one row of a block to the next.
        length: lanes of a row, a multiple of 8.
        whole: whether each block has three rows.
    """

    def generate(context, builder, signature, args):
        total, done = cgutils.alloca_once_value(builder, INT(0)), builder.append_basic_block("done")
        length, whole = args[7], args[8]
        for lanes in WHOLE:
            with builder.if_then(builder.and_(whole, builder.icmp_signed("==", length, INT(lanes)))):
                _add(context, builder, signature, args, total, lanes, whole=True)
                builder.branch(done)
        for lanes in ROW_LANES:
            with builder.if_then(builder.icmp_signed("==", builder.and_(length, INT(lanes - 1)), INT(0))):
                _add(context, builder, signature, args, total, lanes, whole=False)
                builder.branch(done)
        builder.branch(done)
        builder.position_at_end(done)
        return builder.load(total)

    return types.int64(v, w, words, *(types.int64,) * 5, types.boolean), generate


def _add(context, builder, signature, args, total, lanes, whole):
    """All blocks with `lanes` at once; the number of their rows is added to what `total` points at."""
    v, w, words, first, last, next_v, next_w, length = args[:8]
    table = context.make_array(signature.args[2])(context, builder, words).data
    pieces = builder.udiv(length, INT(lanes))

    def add(i, k):
        add_lanes(context, builder, signature.args[:2], (v, i, w, k), lanes)

    with cgutils.for_range(builder, last, first) as block:
        word = builder.load(builder.gep(table, [block.index]))
        i = builder.and_(word, INT((1 << STATE_BITS) - 1))
        k = builder.and_(builder.lshr(word, INT(STATE_BITS)), INT((1 << WEIGHT_BITS) - 1))
        if whole:
            for _ in range(3):
                add(i, k)
                i, k = builder.add(i, next_v), builder.add(k, next_w)
            rows = INT(3)
        else:
            rows = builder.and_(builder.lshr(word, INT(ROWS_AT)), INT((1 << ROW_BITS) - 1))
            with cgutils.for_range(builder, rows) as row:
                ahead_v, ahead_w = builder.mul(row.index, next_v), builder.mul(row.index, next_w)
                here, there = builder.add(i, ahead_v), builder.add(k, ahead_w)
                with cgutils.for_range(builder, pieces) as piece:
                    done = builder.mul(piece.index, INT(lanes))
                    add(builder.add(here, done), builder.add(there, done))
        builder.store(builder.add(builder.load(total), rows), total)


@intrinsic
def list_bits(typingctx, mask, base, out, count):
    """Write `base` + the number of every bit of `mask` that is set, lowest first, to `out[count:]`; the new count.

    Four entries are written, wanted or not: fewer branches to predict.
    """

    def generate(context, builder, signature, args):
        mask, base, _, count = args
        data = context.make_array(signature.args[2])(context, builder, args[2]).data
        left = cgutils.alloca_once_value(builder, mask)

        def write(at):
            bits = builder.load(left)
            value = builder.add(base, builder.cttz(bits, ir.Constant(ir.IntType(1), 0)))
            builder.store(builder.trunc(value, data.type.pointee), builder.gep(data, [at]))
            builder.store(builder.and_(bits, builder.sub(bits, INT(1))), left)

        end = builder.add(count, builder.ctpop(mask))
        for ahead in range(4):
            write(builder.add(count, INT(ahead)))
        with cgutils.for_range(builder, end, builder.add(count, INT(4))) as further:
            write(further.index)
        return end

    return types.int64(types.int64, types.int64, out, types.int64), generate
