"""EXACT: the passes for a GPU, in Triton's interpreter, give the bits of those for the CPU."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from i2e_deploy.training import fused_iaf

pytest.importorskip("triton")
floats = {"width": 32, "allow_nan": False}


@pytest.fixture(scope="module")
def passes() -> Iterator[Any]:
    """Triton reads the variable when a kernel is declared."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRITON_INTERPRET", "1")
        from i2e_deploy.training import fused_triton

        yield fused_triton


def drawn(seed: int, batch: int, steps: int, shape: tuple[int, ...], last: bool) -> Tensor:
    tensor = torch.randn(batch * steps, *shape, generator=torch.Generator().manual_seed(seed)) * 2
    return tensor.contiguous(memory_format=torch.channels_last) if last else tensor


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::RuntimeWarning")
@given(
    seed=st.integers(0, 2**31), batch=st.integers(1, 3), steps=st.integers(1, 5),
    shape=st.sampled_from([(1, 1, 1), (2, 4, 3), (3, 10, 9)]), last=st.booleans(),
    threshold=st.floats(0.125, 3, **floats), min_v=st.floats(-3, -0.125, **floats), window=st.floats(0.25, 2, **floats),
)  # fmt: skip
@settings(max_examples=25)
def test_they_equal_the_cpus(
    passes: Any, seed: int, batch: int, steps: int, shape: tuple[int, ...], last: bool,
    threshold: float, min_v: float, window: float,
) -> None:  # fmt: skip
    """Both layouts, states that go on, neurons that do not fill a block and those that fill more than one."""
    current, grad = drawn(seed, batch, steps, shape, last), drawn(seed + 1, batch, steps, shape, last)
    start = drawn(seed + 2, batch, 1, shape, last).clamp_min(min_v)
    lowest = float(np.float32(threshold) - np.float32(window))
    found = []
    for run in (fused_iaf.passes_of("cpu"), (passes.forward, passes.backward)):
        state = start.clone()
        charged, spikes, out = (torch.empty_like(current) for _ in range(3))
        run[0](current, charged, spikes, state, batch, threshold, min_v)
        run[1](charged, grad, out, batch, threshold, min_v, lowest)
        found.append([charged, spikes, state, out])
    for ours, theirs in zip(*found, strict=True):
        assert torch.equal(ours, theirs)
    assert not found[0][1].isnan().any()
