"""Drawn modules of many forms at once, read without an example, against their own forward on other frames."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from i2e_deploy.network import from_snntorch

snn: Any = pytest.importorskip("snntorch")

STEPS, BATCH, SHAPE = 10, 3, (2, 8, 8)
Generator = np.random.Generator
#: Takes an image [B, C, H, W] and gives one.
Body = Callable[[Any], Any]


class Neurons(nn.Module):
    """A neuron of a drawn class; its states are handed on here, as a loop of a user does."""

    def __init__(self, rng: Generator, channels: int) -> None:
        super().__init__()
        threshold = float(rng.uniform(0.05, 0.3))
        reset = str(rng.choice(["subtract", "zero", "none"]))
        options = {"threshold": threshold, "reset_mechanism": reset}
        beta = torch.from_numpy(rng.uniform(0.3, 0.95, (channels, 1, 1)).astype(np.float32))
        kind = rng.integers(4)
        if kind == 0:
            self.cell = snn.Leaky(beta, **options, reset_delay=bool(rng.random() < 0.5))
        elif kind == 1:
            self.cell = snn.Synaptic(float(rng.uniform(0.2, 0.8)), beta, **options)
        elif kind == 2:
            self.cell = snn.RLeaky(beta, conv2d_channels=channels, kernel_size=3, **options)
        else:
            self.cell = snn.Lapicque(beta=float(rng.uniform(0.4, 0.9)), **options)

    def start(self) -> Any:
        states = self.cell.reset_mem()
        return states if isinstance(states, tuple) else (states,)

    def forward(self, current: Any, states: Any) -> Any:
        outputs = self.cell(current, *states)
        given = outputs if isinstance(self.cell, snn.RLeaky) else outputs[1:]
        return outputs[0], given


class Drawn(nn.Module):
    """Blocks of weights, a norm or none, an operation, neurons; branches, sums, concatenation, feedback."""

    def __init__(self, rng: Generator) -> None:
        super().__init__()
        self.choice = [int(n) for n in rng.integers(0, 4, 8)]
        self.first = nn.Conv2d(2, 4, 3, padding="same" if self.choice[0] % 2 else 1)
        self.norm = nn.BatchNorm2d(4)
        self.one, self.two = Neurons(rng, 4), Neurons(rng, 4)
        self.skip, self.back = nn.Conv2d(2, 4, 1), nn.Conv2d(4, 4, 1)
        width = 8 if self.choice[2] == 1 else 4
        self.pad, self.second = nn.ZeroPad2d((1, 0, 0, 1)), nn.Conv2d(width, 4, 2)
        side = {0: 4, 1: 4, 2: 1, 3: 3}[self.choice[3]]
        self.last, self.out = nn.Linear(4 * side * side, 5), snn.Leaky(0.8, threshold=0.1)
        with torch.no_grad():
            self.norm.running_mean.uniform_(-0.1, 0.1)  # type: ignore[union-attr]
            self.norm.running_var.uniform_(0.1, 0.5)  # type: ignore[union-attr]

    def body(self, x: Any, before: Any, states: Any) -> tuple[Any, Any]:
        current = self.first(x)
        current = self.norm(current) if self.choice[1] % 2 else current
        if self.choice[2] == 2:
            current += self.skip(x)
        if self.choice[4] == 0:
            current = current + self.back(before)
        spikes, states[0] = self.one(current, states[0])
        both = torch.cat([spikes, self.skip(x)], 1) if self.choice[2] == 1 else spikes
        more = self.second(self.pad(both)) * (2 if self.choice[5] % 2 else 1)
        second, states[1] = self.two(more - 0.05 if self.choice[6] % 2 else more, states[1])
        pooled = [
            lambda: F.max_pool2d(second, 2),
            lambda: F.avg_pool2d(F.dropout(second, 0.5, self.training), 2),
            lambda: F.adaptive_avg_pool2d(second, 1),
            lambda: F.avg_pool2d(second, 3, 2),
        ][self.choice[3]]()
        current = self.last(pooled.flatten(1) if self.choice[7] % 2 else pooled.reshape(pooled.shape[0], -1))
        out, states[2] = self.out(current, states[2])
        return (out, spikes), states

    def forward(self, x: Any) -> Any:
        states: Any = [self.one.start(), self.two.start(), self.out.reset_mem()]
        spikes, recorded = torch.zeros(x.shape[1], 4, 8, 8), []
        for frame in x:
            (out, spikes), states = self.body(frame, spikes, states)
            recorded.append(out)
        return torch.stack(recorded)


@pytest.mark.slow
def test_drawn_modules_are_what_their_forward_computes() -> None:
    total = differ = lively = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        torch.manual_seed(seed)
        module = Drawn(rng).train(bool(seed % 2))
        network = from_snntorch(module, SHAPE)
        frames = torch.from_numpy(rng.poisson(0.5, (BATCH, STEPS, *SHAPE)).astype(np.float32))
        with torch.no_grad():
            theirs = module.eval()(frames.transpose(0, 1)).transpose(0, 1).numpy()
        ours = network.run(frames).output
        lively += bool(theirs.any())
        total, differ = total + theirs.size, differ + int((ours != theirs).sum())
    assert lively > 30
    assert differ <= 0.005 * total, f"{differ} of {total} output spikes differ"
