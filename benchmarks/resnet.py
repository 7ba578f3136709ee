"""MS-ResNet18 and 34 on Loihi 2: cores and chips, a step of the engine, memory, a roofline, and what 8 bits cost.

    python benchmarks/resnet.py [--parts speed places apart] [--sizes 128 224] [--steps 12]

Weights are drawn (He), batch norms are those of an untrained network; frames are drawn events at the rates that the
paper's release measured (5.86 % of CIFAR-10 at 128 pixels, 6.66 % of ImageNet at 224). Nobody's trained weights were
tried. First the engine is compared with the definition, message for message.
"""

from __future__ import annotations

import argparse
import os
import resource
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from rows import machine

from i2e_deploy.chips import LowerOptions, get
from i2e_deploy.chips.loihi2.checks.boards import board_findings
from i2e_deploy.chips.loihi2.checks.partition import place
from i2e_deploy.chips.loihi2.engine.simulator import Stream
from i2e_deploy.chips.loihi2.lowering.lower import beside, lower
from i2e_deploy.chips.loihi2.reference.layers import layers_of
from i2e_deploy.network import Conv2d, Network
from i2e_deploy.network.ms_resnet import from_ms_resnet
from i2e_deploy.training.ms_resnet import ms_resnet

CHIP: Any = get("loihi2")
#: Share of pixels with an event, by side of the image.
RATES = {128: 0.0586, 224: 0.0666}


def network_of(depth: int, size: int, width: int = 64) -> Network:
    """With drawn weights."""
    classes = 10 if size < 224 else 1000
    module = ms_resnet(depth, classes, width=width, generator=torch.Generator().manual_seed(0)).eval()
    return from_ms_resnet(module.state_dict(), (2, size, size))


def frames_of(size: int, steps: int) -> Any:
    rate = RATES.get(size, 0.0586)
    return (np.random.default_rng(0).random((1, steps, 2, size, size)) < rate).astype(np.uint8)


def exact() -> str:
    """Every message, state and count of a small one, by both ways."""
    program, frames = CHIP.lower(network_of(18, 32, 8)), frames_of(32, 40)
    fast, slow = (program.run(frames, engine=engine) for engine in ("fast", "reference"))
    assert fast.counts == slow.counts
    for name, sent in fast.spikes.items():
        assert np.array_equal(sent, slow.spikes[name])
        assert all(np.array_equal(v, slow.states[name][k]) for k, v in fast.states[name].items())
    return (
        "engine equal to the definition: every message, state and count of MS-ResNet18 at 32 pixels, width 8, 40 steps"
    )


def places() -> Iterator[str]:
    """Cores and chips of each network."""
    yield "network            neurons    weights  populations  steps late   cores  chips of 120  fits Kapoho Point (8)"
    for depth, size in ((18, 32), (18, 128), (34, 128), (18, 224), (34, 224)):
        blocks = lower(network_of(depth, size)).network
        layers = layers_of(blocks, "chip")
        cores = sum(cut.cores for cut in place(layers, CHIP.profile)[1])
        weights = sum(c.synapse.weight.size for b in blocks.blocks for c in b.connections if c.synapse is not None)
        found = {f.rule: f for f in board_findings(layers, CHIP.profile, "Kapoho Point") if not f.layer}
        fits = found["chips of the board"]
        answer = "yes" if fits.severity == "ok" else f"no: {fits.fix}"
        yield (
            f"MS-ResNet{depth} {size:3d} px {sum(x.size for x in layers):>9,} {weights:>10,} {len(layers):>12} "
            f"{max(b.latency for b in blocks.blocks):>11} {cores:>7,} {-(-cores // 120):>13,}  {answer}"
        )
        yield f"                   {found['what fills the cores'].value}; {found['what fills the cores'].fix}"


def speed(size: int, steps: int) -> Iterator[str]:
    """A step of a session once the pipeline is full, on one thread and on all; memory; a roofline."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    blocks = lower(network_of(18, size)).network
    lowered = time.perf_counter() - start
    late = max(block.latency for block in blocks.blocks)
    frames = frames_of(size, late + steps).reshape(1, late + steps, -1)
    outputs = []
    for threads in (1, os.cpu_count()):
        stream = Stream(blocks, 1, threads=threads)
        for t in range(late):
            stream.advance(frames[:, t : t + 1])
        filled = sum(c.synops for c in stream.counts().values())
        times = []
        for t in range(late, late + steps):
            start = time.perf_counter()
            out = stream.advance(frames[:, t : t + 1])
            times.append(1e3 * (time.perf_counter() - start))
        outputs.append((out, stream.counts()))
        synops = (sum(c.synops for c in stream.counts().values()) - filled) / steps
        best, middle = min(times), float(np.median(times))
        yield (
            f"MS-ResNet18 {size} px, {threads} threads: {best:.1f} ms a step (median {middle:.1f}, {steps} steps), "
            f"{synops / 1e6:.1f} M synaptic operations a step, {synops / best / 1e6:.2f} G a second"
        )
    assert np.array_equal(outputs[0][0], outputs[1][0])
    assert outputs[0][1] == outputs[1][1]
    peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**10
    arrays = sum(a.nbytes for plan in stream.plans for wire in plan.wires for a in wire.arrays)
    state = sum(
        sum(v.nbytes for v in p.state.values()) + p.sent.nbytes + sum(c.nbytes for c in p._current)
        for p in stream.populations
    )
    neurons = sum(plan.layer.size for plan in stream.plans)
    yield (
        f"    memory: weights {arrays / 2**20:.0f} MB, states, messages and currents {state / 2**20:.0f} MB "
        f"({state / neurons:.0f} bytes a neuron of {neurons:,}); lowering took {lowered:.0f} s, and the peak of this "
        f"process rose by {peak:,.0f} MB"
    )
    yield f"    roofline: {roofline(state, arrays, synops)}; measured {best:.1f} ms"


def roofline(state: float, weights: float, synops: float) -> str:
    """What memory and the adders of this machine allow at the least."""
    block = np.ones(2**25, np.int32)
    copies = []
    for _ in range(5):
        start = time.perf_counter()
        np.add(block, 1, out=block)
        copies.append(time.perf_counter() - start)
    bandwidth = 2 * block.nbytes / min(copies)
    small, other = np.ones(2**12, np.int16), np.ones(2**12, np.int16)
    start = time.perf_counter()
    for _ in range(20000):
        np.add(small, other, out=small)
    adds = 20000 * small.size / (time.perf_counter() - start)
    moved = state + min(weights, synops * 2)
    return (
        f"{moved / bandwidth * 1e3:.1f} ms to move states once and weights that are used ({bandwidth / 1e9:.1f} GB/s), "
        f"{synops / adds * 1e3:.1f} ms to add up ({adds / 1e9:.1f} G 16-bit additions a second from the cache, one "
        "thread)"
    )


def perturbed(network: Network, errors: dict[str, float]) -> Network:
    """Float weights moved at random, each layer's as much as rounding moved them."""
    rng, layers = np.random.default_rng(1), []
    for layer in network.layers:
        if isinstance(layer.op, Conv2d):
            weight = layer.op.weight
            size = errors.get(layer.name, 1.0) / 100 * float(np.sqrt(np.square(weight).mean()))
            moved = weight + (size * rng.normal(size=weight.shape)).astype(np.float32)
            layers.append(replace(layer, op=replace(layer.op, weight=moved)))
        else:
            layers.append(layer)
    return replace(network, layers=tuple(layers))


def apart(size: int = 48) -> Iterator[str]:
    """Spikes that differ from the float run, beside a float run whose weights were moved as much at random."""
    network, frames = network_of(18, size), frames_of(size, 8)
    found = beside(network, frames)
    chosen = CHIP.lower(network, LowerOptions(calibration=frames))
    calibrated = {loss.layer: loss for loss in beside(network, frames, integers=chosen.network).losses}
    errors = {loss.layer: loss.weight_error for loss in found.losses}
    one, other = network.run(frames, dtype="float64"), perturbed(network, errors).run(frames, dtype="float64")
    consumers = network.consumers()
    yield f"MS-ResNet18 {size} px, 8 steps: spikes that differ from float, of those in float"
    yield "layer              weights moved   chip 8 bit   chip calibrated   float, weights moved as much at random"
    for loss in found.losses:
        if loss.spikes is None or loss.spikes.wanted < 500:
            continue
        name = consumers[loss.layer][0].name if loss.layer.endswith("conv1") else loss.layer
        moved = (one.layers[name] != other.layers[name]).sum() / one.layers[name].sum()
        again = calibrated[loss.layer].spikes
        shares = [100 * s.differing / s.wanted if s else float("nan") for s in (loss.spikes, again)]
        own = f"{shares[0]:10.1f} % {shares[1]:15.1f} %"
        yield f"{loss.layer:18s} {loss.weight_error:11.2f} % {own} {100 * moved:15.1f} %"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[128, 224])
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--parts", nargs="+", default=["speed", "places", "apart"])
    given = parser.parse_args()
    print(f"{machine()} | load {' '.join(f'{x:.1f}' for x in os.getloadavg())}")
    print(exact(), end="\n\n", flush=True)
    for size in given.sizes if "speed" in given.parts else ():
        print("\n".join(speed(size, given.steps)), flush=True)
    for name, lines in (("places", places), ("apart", apart)):
        for line in ("", *lines()) if name in given.parts else ():
            print(line, flush=True)


if __name__ == "__main__":
    main()
