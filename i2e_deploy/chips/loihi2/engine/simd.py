"""Vectors as values inside numba functions: a row of sums stays in registers while many rows of weights are added.

numba's own loops give no control over that, and LLVM cannot keep an array element in a register across a loop of
unknown length. See `llvm_vectors`.
"""
# mypy: disable-error-code="no-untyped-def,no-untyped-call,untyped-decorator"

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import extending, types
from numba.extending import models, register_model

from i2e_deploy.llvm_vectors import WORD, lanes_at, load, splat, store

# numba's types are not mypy's.
intrinsic: Any = extending.intrinsic
LANES = 16


class Sums(types.Type):
    """The type of `16 * vectors` sums."""

    def __init__(self, dtype: Any, vectors: int) -> None:
        self.dtype, self.vectors = dtype, vectors
        super().__init__(name=f"Sums({dtype}, {vectors})")


@register_model(Sums)
class _SumsModel(models.PrimitiveModel):
    def __init__(self, manager, kind):
        vector = ir.VectorType(manager.lookup(kind.dtype).get_value_type(), LANES)
        super().__init__(manager, kind, ir.ArrayType(vector, kind.vectors))


def _make_zeros(vectors: int) -> Any:
    @intrinsic
    def zeros(typing, like):
        """Sums of the dtype of an array."""

        def generate(context, builder, signature, values):
            return ir.Constant(context.get_value_type(signature.return_type), None)

        return Sums(like.dtype, vectors)(like), generate

    return zeros


zeros_2, zeros_3, zeros_4 = (_make_zeros(vectors) for vectors in (2, 3, 4))


@intrinsic
def plus_rows(typing, sums, rows, base, entries, start, end, factors):
    """Sums plus the rows at `base + entries[start:end]`, times `factors[start:end]` if not None; start < end.

    Wraps as the dtype of the sums. Not unrolled: most ranges are short, and an unrolled loop mispredicts two ends.
    """

    def generate(context, builder, signature, values):
        kind = context.get_value_type(sums).element
        names = ("sums", "rows", "base", "entries", "start", "end", "factors")
        given = dict(zip(names, values, strict=True))
        before, loop, after = builder.block, builder.append_basic_block(), builder.append_basic_block()
        element = context.get_value_type(rows.dtype)
        builder.branch(loop)
        builder.position_at_end(loop)
        j = builder.phi(WORD)
        totals = [builder.phi(kind) for _ in range(sums.vectors)]
        data = context.make_array(entries)(context, builder, given["entries"]).data
        entry = builder.sext(builder.load(builder.gep(data, [j])), WORD)
        pointer = lanes_at(context, builder, rows, given["rows"], builder.add(given["base"], entry), LANES)
        added = []
        for k, total in enumerate(totals):
            row = load(builder, builder.gep(pointer, [ir.Constant(WORD, k)]))
            row = row if kind.element == element else builder.sext(row, kind)
            if not isinstance(factors, types.NoneType):
                data = context.make_array(factors)(context, builder, given["factors"]).data
                row = builder.mul(row, splat(builder, builder.load(builder.gep(data, [j])), kind))
            added.append(builder.add(total, row))
        following = builder.add(j, ir.Constant(WORD, 1))
        back = builder.cbranch(builder.icmp_unsigned("<", following, given["end"]), loop, after)
        back.set_metadata("llvm.loop", _as_it_is(builder.module))
        j.add_incoming(given["start"], before)
        j.add_incoming(following, loop)
        builder.position_at_end(before)
        builder.position_before(before.terminator)
        for k, (total, value) in enumerate(zip(totals, added, strict=True)):
            total.add_incoming(builder.extract_value(given["sums"], k), before)
            total.add_incoming(value, loop)
        builder.position_at_end(after)
        result = ir.Constant(given["sums"].type, ir.Undefined)
        for k, value in enumerate(added):
            result = builder.insert_value(result, value, k)
        return result

    return sums(sums, rows, types.int64, entries, types.uint64, types.uint64, factors), generate


def _as_it_is(module):
    """Tells LLVM not to unroll a loop; such a node must hold itself first."""
    word = module.add_metadata([ir.MetaDataString(module, "llvm.loop.unroll.disable")])
    node = module.add_metadata([word])
    node.operands = (node, word)
    return node


@intrinsic
def put(typing, array, index, sums):
    """`array[index : index + 16 * vectors] = sums`."""

    def generate(context, builder, signature, values):
        pointer = lanes_at(context, builder, array, values[0], values[1], LANES)
        for k in range(sums.vectors):
            store(builder, builder.extract_value(values[2], k), builder.gep(pointer, [ir.Constant(WORD, k)]))
        return context.get_dummy_value()

    return types.void(array, types.int64, sums), generate
