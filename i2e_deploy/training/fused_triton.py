"""The passes of `fused_iaf` for a GPU, in Triton: the same arithmetic, a program for every sample and block of neurons.

Equal to the CPU's in Triton's interpreter (`tests/training/test_fused_triton.py`). On a GPU two things could round
otherwise, and are ruled out: `div_rn` is IEEE's division where `/` is an approximation, and products are not fused with
the sums behind them. No GPU was at hand where this was written: its speed is unmeasured.
"""

# The compiled functions take what the compiler infers.
# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

#: Neurons of a program.
BLOCK = 256


def forward(
    current: Tensor, charged: Tensor, spikes: Tensor, state: Tensor, batch: int, threshold: float, min_v: float
) -> None:
    """Fill `charged` and `spikes`, and move `state` on.

    Args:
        current, charged, spikes: float32 [B * T, ...], dense, batch outermost, in the same order of memory.
        state: float32 [B, ...] in that order.
    """
    steps, neurons = _sizes(current, batch)
    grid = (batch, triton.cdiv(neurons, BLOCK))
    _charge[grid](
        current, charged, spikes, state, threshold, min_v, steps, neurons, BLOCK, enable_fp_fusion=False
    )  # fmt: skip


def backward(
    charged: Tensor, grad: Tensor, out: Tensor, batch: int, threshold: float, min_v: float, lowest: float
) -> None:
    """Fill `out` with the gradient of the current; tensors as in `forward`."""
    steps, neurons = _sizes(charged, batch)
    grid = (batch, triton.cdiv(neurons, BLOCK))
    _differentiate[grid](
        charged, grad, out, threshold, min_v, lowest, steps, neurons, BLOCK, enable_fp_fusion=False
    )  # fmt: skip


def _sizes(tensor: Tensor, batch: int) -> tuple[int, int]:
    """Steps, and neurons of a sample."""
    steps = len(tensor) // batch
    return steps, tensor.numel() // (batch * steps)


@triton.jit
def _charge(current, charged, spikes, state, threshold, min_v, steps, neurons, block: tl.constexpr):
    """Charge, fire as often as the threshold fits, reset, clamp: see `fused_iaf._forward`."""
    sample = tl.program_id(0).to(tl.int64)
    place = tl.program_id(1) * block + tl.arange(0, block)
    inside = place < neurons
    v = tl.load(state + sample * neurons + place, mask=inside, other=0.0)
    for step in range(steps):
        at = (sample * steps + step) * neurons + place
        v = v + tl.load(current + at, mask=inside, other=0.0)
        tl.store(charged + at, v, mask=inside)
        sent = tl.where(v > 0, tl.floor(tl.div_rn(v, tl.full(v.shape, threshold, tl.float32))), 0.0)
        tl.store(spikes + at, sent, mask=inside)
        v = tl.maximum(v - sent * threshold - min_v, 0.0) + min_v
    tl.store(state + sample * neurons + place, v, mask=inside)


@triton.jit
def _differentiate(charged, grad, out, threshold, min_v, lowest, steps, neurons, block: tl.constexpr):
    """Backwards in time: see `fused_iaf._backward`."""
    sample = tl.program_id(0).to(tl.int64)
    place = tl.program_id(1) * block + tl.arange(0, block)
    inside = place < neurons
    carry = tl.zeros((block,), tl.float32)
    for back in range(steps):
        at = (sample * steps + steps - 1 - back) * neurons + place
        v = tl.load(charged + at, mask=inside, other=0.0)
        through = tl.where(v > min_v, carry, 0.0)
        rest = tl.load(grad + at, mask=inside, other=0.0) - through * threshold
        surrogate = tl.div_rn(rest, tl.full(rest.shape, threshold, tl.float32))
        carry = tl.where(v >= lowest, through + surrogate, through)
        tl.store(out + at, carry, mask=inside)
