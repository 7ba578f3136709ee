"""The loops of `sparse_convolutions.py`: from spike to spike, with explicit vectors."""
# mypy: disable-error-code="no-untyped-def,no-untyped-call,untyped-decorator,call-arg,var-annotated"

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import int64, njit, types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from i2e_deploy.llvm_vectors import lanes_at, lowest_bit, nonzero_64, splat


def _adder(lanes: int) -> Callable[..., Any]:
    """`target[i : i + lanes] += value * source[j : j + lanes]`, rounded once."""

    @intrinsic
    def add(typingctx, target, i, source, j, value):
        def generate(context, builder, signature, args):
            to = lanes_at(context, builder, signature.args[0], args[0], args[1], lanes)
            at = lanes_at(context, builder, signature.args[2], args[2], args[3], lanes)
            before, more = builder.load(to), builder.load(at)
            before.align = more.align = 4
            kind = ir.FunctionType(more.type, [more.type] * 3)
            fused = cgutils.get_or_insert_function(builder.module, kind, f"llvm.fma.v{lanes}f32")
            sums = builder.call(fused, [more, splat(builder, args[4], more.type), before])
            builder.store(sums, to).align = 4
            return context.get_dummy_value()

        return types.void(target, types.int64, source, types.int64, types.float32), generate

    return add


_add8, _add32 = _adder(8), _adder(32)


def spikes_of(rows: NDArray[np.float32]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """What is not 0 in [N, L]: index in its row, value, and the first of each row."""
    index, value = np.empty(rows.size, np.int32), np.empty(rows.size, np.float32)
    first = np.empty(len(rows) + 1, np.int64)
    _list(rows, rows.reshape(-1).view(np.int32), index, value, first)
    return index, value, first


@njit(cache=True, nogil=True)
def _list(rows, words, index, value, first):
    flat, found = rows.reshape(-1), 0
    for n in range(rows.shape[0]):
        first[n] = found
        start, i = n * rows.shape[1], 0
        while i + 64 <= rows.shape[1]:
            mask = nonzero_64(words, start + i)
            while mask != 0:
                at = i + lowest_bit(mask)
                index[found], value[found] = at, flat[start + at]
                found += 1
                mask &= mask - 1
            i += 64
        for at in range(i, rows.shape[1]):
            if flat[start + at] != 0:
                index[found], value[found] = at, flat[start + at]
                found += 1
    first[rows.shape[0]] = found


@njit(cache=True)
def columns_of(length, width, inputs, outputs, stride, padding, kernel, taps, line):
    """For each input [L]: first weight, first sum, weights of a row, and rows."""
    found, starts, at = np.empty((length, 4), np.int32), np.empty((stride, stride), np.int64), 0
    for y in range(stride):
        for x in range(stride):
            starts[y, x] = at
            at += ((kernel - y + stride - 1) // stride) * ((kernel - x + stride - 1) // stride) * inputs * outputs
    for i in range(length):
        y, x = i // inputs // width + padding, i // inputs % width + padding
        rows = (kernel - y % stride + stride - 1) // stride
        columns = (kernel - x % stride + stride - 1) // stride
        found[i, 0] = starts[y % stride, x % stride] + i % inputs * rows * columns * outputs
        found[i, 1] = ((y // stride + taps - 1) * line + x // stride + taps - columns) * outputs
        found[i, 2], found[i, 3] = columns * outputs, rows
    return found


@njit(cache=True, nogil=True, inline="always")
def _add(out, o, given, g, length, times):
    """Add so many times `length` values of `given` from g on to `out` from o on; a multiple of 8."""
    c = 0
    while c + 32 <= length:
        _add32(out, o + c, given, g + c, times)
        c += 32
    while c + 8 <= length:
        _add8(out, o + c, given, g + c, times)
        c += 8


@njit(cache=True, nogil=True)
def scatter(index, value, first, weights, columns, out, margin, line, whole):
    """Output [N, H, W, O]: the sum of a margin's positions is dropped."""
    sums, flat, outputs, at = np.empty(whole, np.float32), out.reshape(-1), out.shape[3], 0
    for n in range(out.shape[0]):
        for k in range(whole):
            sums[k] = 0
        for e in range(first[n], first[n + 1]):
            w, a = int64(columns[index[e], 0]), int64(columns[index[e], 1])
            length = int64(columns[index[e], 2])
            for _ in range(columns[index[e], 3]):
                _add(sums, a, weights, w, length, value[e])
                w, a = w + length, a - line * outputs
        for y in range(out.shape[1]):
            for k in range(out.shape[2] * outputs):
                flat[at] = sums[((y + margin) * line + margin) * outputs + k]
                at += 1


@njit(cache=True, nogil=True)
def weight_gradient(index, value, first, weights, columns, gradient, margin, line, whole):
    """Gradient of the weights from that of the output [N, H, W, O], added to `weights`."""
    near, flat, outputs, at = np.zeros(whole, np.float32), gradient.reshape(-1), gradient.shape[3], 0
    for n in range(gradient.shape[0]):
        for y in range(gradient.shape[1]):
            for k in range(gradient.shape[2] * outputs):
                near[((y + margin) * line + margin) * outputs + k] = flat[at]
                at += 1
        for e in range(first[n], first[n + 1]):
            w, a = int64(columns[index[e], 0]), int64(columns[index[e], 1])
            length = int64(columns[index[e], 2])
            for _ in range(columns[index[e], 3]):
                _add(weights, w, near, a, length, value[e])
                w, a = w + length, a - line * outputs
