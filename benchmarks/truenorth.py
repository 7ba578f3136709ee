"""TrueNorth: what a tick of a full chip costs on this machine, against the mean rate of its neurons.

    python benchmarks/truenorth.py [--cores 4096] [--ticks 100] [--threads 1 2] > benchmarks/results/truenorth.txt

All neurons fire at the same mean rate, each to an axon of its own anywhere on the chip; half of all synapses are there,
so that an active axon reaches 128 neurons (the network of the published power figures). In the first table neurons are
alike; in the second each has a weight, a leak and a threshold of its own. A chip's tick lasts 1 ms. The run is compared
with the reference first, on a few cores.

"MB" is what a tick has to move between memory and processor where nothing stays in a cache, a spike's random places as
whole cache lines; "memory" is the time for that at the speed of a copy, measured here before. At 0 Hz potentials start
up to 2^17, so that they are computed in 32 bits.
"""

from __future__ import annotations

import argparse
import os
import time

import numpy as np
import torch
from rows import machine

from i2e_deploy.chips.truenorth import CoreNetwork, Layer, TrueNorthProgram
from i2e_deploy.chips.truenorth.program import SUBTRACT, empty_cores

RATES = (0, 2, 5, 10, 20, 50, 100, 200)
LINE = 64
#: Ticks before the clock runs.
WARM = 20


def full_chip(count: int, rate: float, seed: int = 0, drawn: bool = False) -> CoreNetwork:
    """So many cores whose neurons fire `rate` times a second by their leak, and 256 input lines into the first core.

    Args:
        drawn: each neuron has weights, a leak and a threshold of its own.
    """
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
    if drawn and rate:
        cores.weight[..., :2] *= rng.integers(1, 4, (count, 256, 2), dtype=np.int16)
        cores.leak[:] *= rng.integers(1, 5, cores.leak.shape, dtype=np.int16)
        cores.threshold[:] = np.round(1000 / rate * cores.leak)
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
    frames = (np.random.default_rng(0).random((1, 20, 256)) < 0.02).astype(np.uint8)
    for drawn in (False, True):
        program = TrueNorthProgram(full_chip(3, 50, drawn=drawn))
        fast, slow = program.run(frames), program.run(frames, engine="reference")
        assert slow.output.any()
        assert np.array_equal(fast.output, slow.output)
        assert fast.counts == slow.counts
    print("3 cores, 20 ticks: engine and reference equal")


def copy_speed(threads: int) -> float:
    """Bytes a second that a copy of 64 MB reads and writes, the best of 10."""
    torch.set_num_threads(threads)
    given, into, best = torch.ones(2**26, dtype=torch.uint8), torch.empty(2**26, dtype=torch.uint8), float("inf")
    for _ in range(10):
        start = time.perf_counter()
        into.copy_(given)
        best = min(best, time.perf_counter() - start)
    return 2 * given.numel() / best


def moved(count: int, spikes: float, wide: bool, drawn: bool) -> float:
    """Bytes of a tick: potentials there and back, bits by core, then rows, ways and arrivals by spike."""
    potentials = count * 256 * (4 if wide else 2) * 2
    parameters = count * 256 * 2 * 5 if drawn else 0  # leak, two rows of the threshold, two of weights
    of_core = count * (2 * 32 + 64 + 32 + 2 * 32 + 2 * 32)  # arrivals, types, owned, fired, counts
    return potentials + parameters + of_core + spikes * (LINE + LINE + 2 * LINE + 2 * 4)


def measure(program: TrueNorthProgram, rate: float, ticks: int, threads: int, speed: float, drawn: bool) -> str:
    """A row: what a tick took, and what was in it."""
    torch.set_num_threads(threads)
    count = len(program.network.cores)
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
    size = moved(count, spikes / ticks, not rate, drawn)
    return (
        f"{rate:5d} {hertz:7.1f} {threads:4d} {middle:9.2f} {fastest:9.2f} {middle:7.2f}x "
        f"{synops / ticks / 1e6:9.2f} {synops / sum(took) / 1e9:9.2f} {size / 1e6:6.1f} {size / speed * 1e3:9.2f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cores", type=int, default=4096)
    parser.add_argument("--ticks", type=int, default=100)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rates", type=int, nargs="+", default=list(RATES))
    given = parser.parse_args()
    print(machine())
    check()
    load = os.getloadavg()[0]
    print(
        f"{given.cores} cores, {given.ticks} ticks after {WARM}; {os.cpu_count()} processors, load {load:.1f} at first"
    )
    speed = {threads: copy_speed(threads) for threads in given.threads}
    print("copies: " + ", ".join(f"{best / 1e9:.1f} GB/s on {threads}" for threads, best in speed.items()))
    for drawn in (False, True):
        print("each neuron has its own weights, leak and threshold" if drawn else "neurons alike")
        print("   Hz  really  thr ms median   fastest  of 1 ms  M syn/tick  G syn/s     MB memory ms")
        for rate in given.rates:
            program = TrueNorthProgram(full_chip(given.cores, rate, drawn=drawn))
            for threads in given.threads:
                print(measure(program, rate, given.ticks, threads, speed[threads], drawn), flush=True)


if __name__ == "__main__":
    main()
