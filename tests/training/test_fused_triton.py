"""EXACT: the passes of fused neurons for a GPU give the bits of those for the CPU."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys

import pytest
import torch

EQUAL = """
import sys
import numpy as np, torch
from i2e_deploy.training import fused_iaf, fused_triton
device, rng = "cuda" if torch.cuda.is_available() else "cpu", np.random.default_rng(0)
shapes = [(1, 1, 1), (2, 4, 3), (3, 10, 9)]  # neurons that do not fill a block, and those that fill more than one
for draw in range(24):
    torch.manual_seed(draw)
    batch, steps = (int(number) for number in rng.integers(1, 6, 2))
    threshold, min_v, window = (float(np.float32(value)) for value in rng.uniform((0.1, -3, 0.2), (3, -0.1, 2)))
    layout = torch.channels_last if draw % 2 else torch.contiguous_format
    def drawn(samples):
        return (torch.randn(samples, *shapes[draw % 3]) * 2).contiguous(memory_format=layout)
    current, grad, start = drawn(batch * steps), drawn(batch * steps), drawn(batch).clamp_min(min_v)
    lowest, found = float(np.float32(threshold) - np.float32(window)), []
    for place, (forward, backward) in (
        ("cpu", fused_iaf.passes_of("cpu")), (device, (fused_triton.forward, fused_triton.backward)),
    ):
        given, behind, state = (tensor.to(place).clone() for tensor in (current, grad, start))
        charged, spikes, out = (torch.full_like(given, float("nan")) for _ in range(3))
        forward(given, charged, spikes, state, batch, threshold, min_v)
        backward(charged, behind, out, batch, threshold, min_v, lowest)
        found.append([tensor.cpu() for tensor in (charged, spikes, state, out)])
    for ours, theirs in zip(*found, strict=True):
        assert torch.equal(ours, theirs)
    assert batch * steps < 4 or found[0][1].sum() > 0 or draw % 3 == 0
print("equal")
"""


@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="triton is not installed")
def test_they_equal_the_cpus() -> None:
    """On a GPU where there is one, else in Triton's interpreter, which must be chosen before triton is imported."""
    environment = {**os.environ, **({} if torch.cuda.is_available() else {"TRITON_INTERPRET": "1"})}
    command = [sys.executable, "-W", "ignore", "-c", EQUAL]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert run.stdout == "equal\n", run.stderr
