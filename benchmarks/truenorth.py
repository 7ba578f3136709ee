"""TrueNorth: what a tick of a full chip costs on this machine, against the mean rate of its neurons.

    python benchmarks/truenorth.py [--cores 4096] [--ticks 100] [--threads 1 2]

All neurons fire at the same mean rate, each to an axon of its own anywhere on the chip; half of all synapses are there,
so that an active axon reaches 128 neurons (the network of the published power figures). A chip's tick lasts 1 ms. The
run is compared with the reference first, on a few cores.
"""

from __future__ import annotations

import argparse
import os
import time

import numpy as np
import torch

from i2e_deploy.chips.truenorth import CoreNetwork, Layer, TrueNorthProgram
from i2e_deploy.chips.truenorth.program import SUBTRACT, empty_cores

RATES = (0, 2, 5, 10, 20, 50, 100, 200)
#: Ticks before the clock runs.
WARM = 20


def full_chip(count: int, rate: float, seed: int = 0) -> CoreNetwork:
    """So many cores whose neurons fire `rate` times a second by their leak, and 256 input lines into the first core."""
    rng = np.random.default_rng(seed)
    cores = empty_cores(count)
    cores.sizes[:] = 256
    for core in range(count):
        cores.crossbar[core] = rng.integers(0, 256, cores.crossbar[core].shape, dtype=np.uint8)
    cores.axon_type[:] = rng.integers(0, 2, cores.axon_type.shape)
    cores.weight[..., 0], cores.weight[..., 1] = 1, -1
    cores.leak[:] = round(rate / 10 * 3) or int(rate > 0)
    cores.threshold[:] = 1 if not rate else round(1000 / rate * int(cores.leak[0, 0]))
    cores.threshold[:] = np.maximum(cores.threshold, 1) if rate else 2**17
    cores.floor[:] = 2**17
    cores.reset[:] = SUBTRACT
    cores.start[:] = rng.integers(0, cores.threshold)
    cores.target[:] = rng.permutation(count * 256).reshape(count, 256)
    cores.delay[:] = rng.integers(1, 16, cores.delay.shape)
    each = np.arange(count * 256, dtype=np.int32)
    last = (count - 1) * 256
    layers = (Layer("chip", (last,), 0, count - 1, each[:last]), Layer("out", (256,), count - 1, count, each[last:]))
    lines = np.arange(256, dtype=np.int32)
    return CoreNetwork((256,), cores, layers, lines, lines, np.zeros(256, np.uint8))


def check() -> None:
    """The engine's ticks are the reference's."""
    network = full_chip(3, 50)
    frames = (np.random.default_rng(0).random((1, 20, 256)) < 0.02).astype(np.uint8)
    program = TrueNorthProgram(network)
    fast, slow = program.run(frames), program.run(frames, engine="reference")
    assert slow.output.any()
    assert np.array_equal(fast.output, slow.output)
    assert fast.counts == slow.counts
    print("3 cores, 20 ticks: engine and reference equal")


def measure(count: int, rate: float, ticks: int, threads: int) -> str:
    """A row: what a tick took, and what was in it."""
    torch.set_num_threads(threads)
    program = TrueNorthProgram(full_chip(count, rate))
    session, none = program.session(), np.zeros(256, np.uint8)
    for _ in range(WARM):
        session.step(none)
    before = session.counts().values()
    took = []
    for _ in range(ticks):
        start = time.perf_counter()
        session.step(none)
        took.append(time.perf_counter() - start)
    after = session.counts().values()
    spikes = sum(count.spikes for count in after) - sum(count.spikes for count in before)
    synops = sum(count.synops for count in after) - sum(count.synops for count in before)
    hertz = spikes / (count * 256) / (ticks / 1000)
    middle, fastest = float(np.median(took)) * 1e3, min(took) * 1e3
    return (
        f"{rate:5d} {hertz:7.1f} {threads:4d} {middle:9.2f} {fastest:9.2f} {middle:7.2f}x "
        f"{synops / ticks / 1e6:9.2f} {synops / sum(took) / 1e9:9.2f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cores", type=int, default=4096)
    parser.add_argument("--ticks", type=int, default=100)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rates", type=int, nargs="+", default=list(RATES))
    given = parser.parse_args()
    check()
    load = os.getloadavg()[0]
    print(
        f"{given.cores} cores, {given.ticks} ticks after {WARM}; {os.cpu_count()} processors, load {load:.1f} at first"
    )
    print("   Hz  really  thr ms median   fastest  of 1 ms  M syn/tick  G syn/s")
    for rate in given.rates:
        for threads in given.threads:
            print(measure(given.cores, rate, given.ticks, threads), flush=True)


if __name__ == "__main__":
    main()
