"""A step of a Loihi 2 session beside the engine's own single step, and beside a whole `run` for every step.

    python benchmarks/loihi_steps.py

All three take the same frames, in turns within one process, and give the same outputs. Times are the best of many
turns.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from loihi2 import _conv as drawn_conv
from rows import machine

from i2e_deploy.chips.loihi2 import BlockNetwork
from i2e_deploy.chips.loihi2.engine.simulator import Stream
from i2e_deploy.chips.loihi2.neuron import Neuron
from i2e_deploy.chips.loihi2.program import (
    SOURCE,
    Block,
    Connection,
    CubaLif,
    Delta,
    DenseSynapse,
    Sigma,
    SigmaDelta,
)
from i2e_deploy.chips.loihi2.runnable import LoihiProgram
from i2e_deploy.chips.session import RunSession

SIZES = (200, 256, 200)


def chain(neurons: list[Neuron], bits: int) -> BlockNetwork:
    """Two dense layers of drawn weights; Sigma-Delta networks have an input layer before them."""
    rng, source, blocks = np.random.default_rng(0), SOURCE, []
    if len(neurons) == len(SIZES):
        source, neuron = "input layer", neurons.pop(0)
        blocks.append(Block(source, neuron, SIZES[:1], (Connection(SOURCE, None),), None, bits))
    for neuron, (given, out) in zip(neurons, pairwise(SIZES), strict=True):
        synapse = DenseSynapse(2 * np.round(rng.normal(0, 8, (out, given))).astype(np.int64))
        name = f"{given}-{out}"
        sends = bits if isinstance(neuron, SigmaDelta) else 0
        blocks.append(Block(name, neuron, (out,), (Connection(source, synapse),), None, sends))
        source = name
    return BlockNetwork(SIZES[:1], tuple(blocks), bits)


def networks() -> dict[str, BlockNetwork]:
    lif = CubaLif(np.array([1024]), np.array([128]), 150)
    return {
        "dense CUBA 200-256-200": chain([lif, lif], 0),
        "Sigma-Delta 200-256-200": chain([Delta(1), SigmaDelta(10), Sigma()], 16),
        "convolutions 1x28x28": drawn_conv(np.random.default_rng(0)),
    }


def step_row(name: str, network: BlockNetwork, turns: int = 1000, steps: int = 20) -> str:
    """One line of the table."""
    program, rng = LoihiProgram(network), np.random.default_rng(1)
    frames = (rng.random((steps, *network.input_shape)) < 0.1).astype(np.int32)
    flat = frames.reshape(steps, 1, 1, -1)
    stream, session, generic = Stream(network), program.session(), RunSession(program.run, "timestep")

    def restarted() -> None:
        for frame in frames:
            session.start()
            session.step(frame)

    ways: dict[str, Callable[[], Any]] = {
        "advance": lambda: [stream.advance(frame)[0, 0] for frame in flat],
        "step": lambda: [session.step(frame) for frame in frames],
        "started": restarted,
        "generic": lambda: generic.step(frames[0]),
    }
    outputs = ways["advance"](), ways["step"](), [generic.step(frame) for frame in frames]
    assert all(np.array_equal(outputs[0], other) for other in outputs), name
    best = dict.fromkeys(ways, np.inf)
    for _ in range(turns):
        for key, way in ways.items():
            start = time.perf_counter()
            way()
            each = (time.perf_counter() - start) * 1e6 / (1 if key == "generic" else steps)
            best[key] = min(best[key], each)
    return (
        f"{name:24s}{best['advance']:10.1f}{best['step']:10.1f}{best['step'] / best['advance']:7.2f}"
        f"{best['started']:14.1f}{best['generic']:12.0f}{best['generic'] / best['step']:7.0f}"
    )


def table() -> None:
    print("Loihi 2, us a step, batch 1, a tenth of the inputs on; the best of many turns, in one process:")
    print("advance = the engine's own single step; step = a session's; x = over advance; start, step = every step")
    print("from a fresh state; run = a whole Program.run for every step, as sessions had it before; x = over step")
    print(f"{'network':24s}{'advance':>10s}{'step':>10s}{'x':>7s}{'start, step':>14s}{'run':>12s}{'x':>7s}")
    for name, network in networks().items():
        print(step_row(name, network), flush=True)


if __name__ == "__main__":
    print(machine())
    table()
