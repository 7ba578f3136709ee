"""Latency, sustained rate and memory of the live loop with the demo network, over loopback TCP.

    python benchmarks/live.py [--seconds 10] [--minutes 0] [--model BUNDLE_OR_NETWORK]

A child process sends events whose time stamps are the moments at which they are due on the machine's monotonic clock,
so a decision's age is measured against the end of its window itself: sending, the socket, counting, waiting and
running are all in it. `--minutes` adds a run for memory. Without a model the demo's network is made, untrained.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from i2e_deploy.chips import Program, get
from i2e_deploy.events.frames import FrameSpec
from i2e_deploy.events.sources import open_source
from i2e_deploy.events.sources.tcp import EventServer
from i2e_deploy.events.stream import StreamSpec
from i2e_deploy.runtime.live import Live, LiveSpec

SIZE, WINDOW_US, STEPS = (128, 128), 20_000, 8


def sender(rate: float, seconds: float) -> None:
    """The child: packets of 1 ms on time; rate 0 = as fast as the receiver takes them."""
    from event_maker import disc

    pool = disc(SIZE, 2**20)
    with EventServer(SIZE) as server:
        print(server.port, flush=True)

        def packets():  # type: ignore[no-untyped-def]
            now = start = time.monotonic_ns() // 1000
            end, place = start + int(seconds * 1e6), 0
            while now < end:
                count = int(rate / 1000) if rate else 50_000
                place = place if place + count <= len(pool) else 0
                packet = pool[place : place + count].copy()
                place += count
                packet["t"] = now + np.arange(count) * 1000 // count
                now += 1000
                late = now / 1e6 - time.monotonic_ns() / 1e9
                if rate and late > 0:
                    time.sleep(late)
                yield packet

        print(server.send(packets(), timeout=60), flush=True)


def demo_program(model: Path | None) -> tuple[Program, str]:
    if model is not None:
        from i2e_deploy.cli.common import read_program_of

        return read_program_of(model, "speck2f"), str(model.name)
    import torch

    from i2e_deploy.network import from_sinabs
    from i2e_deploy.training.digits import build_digit_network

    network = from_sinabs(build_digit_network(STEPS, torch.Generator().manual_seed(0)), (2, 32, 32))
    return get("speck2f").lower(network), "the demo's network, untrained"


def run(program: Program, rate: float, seconds: float, policy: str) -> None:
    spec = LiveSpec(StreamSpec(STEPS, WINDOW_US // STEPS), FrameSpec(SIZE, (2, 32, 32)), policy=policy)  # type: ignore[arg-type]
    child = subprocess.Popen(  # noqa: S603  # this file
        [sys.executable, str(Path(__file__).resolve()), "--send", str(rate), "--seconds", str(seconds)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    port = int(child.stdout.readline())
    ages, spikes, memory = [], 0, []
    live = Live(open_source(f"tcp://127.0.0.1:{port}"), program, spec)
    start, all_before, own_before = time.perf_counter(), time.process_time(), time.thread_time()
    with live:
        for decision in live:
            ages.append(time.monotonic_ns() / 1e6 - decision.end / 1e3)
            spikes += sum(decision.spikes.values())
            if len(ages) % 500 == 1:
                memory.append(rss())
    elapsed = time.perf_counter() - start
    own = time.thread_time() - own_before
    reading = time.process_time() - all_before - own
    sent = int(child.stdout.readline())
    child.wait()
    stats = live.stats()
    latency = stats["latency"]
    ages = ages[5:]
    age = [float("nan")] * 3 if not rate else [float(np.percentile(ages, q)) for q in (50, 99, 100)]
    print(
        f"{rate / 1e6 if rate else float('inf'):7.1f} {policy:6s} {stats['events'] / elapsed / 1e6:8.2f} "
        f"{'yes' if stats['events'] == sent else 'NO':>4s} {stats['decisions']:7d} {stats['dropped_windows']:6d} "
        f"{age[0]:8.2f} {age[1]:8.2f} {age[2]:8.2f}   {latency['p50_ms']:8.2f} {latency['p99_ms']:8.2f} "
        f"{1e3 * own / max(1, stats['decisions']):9.2f} {1e9 * reading / stats['events']:9.1f} "
        f"{spikes / max(1, stats['decisions']):10.0f}   {memory[0]:.0f} {memory[-1]:.0f}",
        flush=True,
    )


def warm_up(program: Program) -> None:
    """Compile everything before a sender counts on us."""
    spec = LiveSpec(StreamSpec(STEPS, WINDOW_US // STEPS), FrameSpec(SIZE, (2, 32, 32)))
    source = open_source(f"fake://{SIZE[0]}x{SIZE[1]}?rate=1e6&seconds=0.5&realtime=0")
    with Live(source, program, spec) as live:
        for _ in live:
            pass


def rss() -> float:
    """Memory of this process now, MiB (Linux; elsewhere the highest so far)."""
    status = Path("/proc/self/statm")
    if status.exists():
        return int(status.read_text().split()[1]) * resource.getpagesize() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--minutes", type=float, default=0)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--send", type=float, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.send is not None:
        sender(arguments.send, arguments.seconds)
        return
    import torch

    torch.set_num_threads(1)  # one core for reading, one for running
    program, name = demo_program(arguments.model)
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
          f"torch {torch.__version__}, 1 thread; load {os.getloadavg()[0]:.1f} at the start")  # fmt: skip
    print(f"{name}; sensor {SIZE[0]}x{SIZE[1]}, windows of {WINDOW_US / 1000:g} ms in {STEPS} steps, TCP on loopback")
    print(
        "age = decision minus end of its window, ms; latency = decision minus arrival of the packet that closed it, ms"
    )
    print(
        "CPU/win = ms of processor time of the deciding thread a window, CPU/event = ns of the reading thread an event"
    )
    print(
        "M ev/s policy  M ev/s  all decisions drop  age p50  age p99  age max   "
        "lat. p50 lat. p99   CPU/win  CPU/event spikes/win   MiB at start, end"
    )
    warm_up(program)
    for rate in (0.1e6, 1e6, 5e6):
        run(program, rate, arguments.seconds, "drop")
    run(program, 0, arguments.seconds, "block")
    if arguments.minutes:
        run(program, 0.1e6, 60 * arguments.minutes, "drop")


if __name__ == "__main__":
    main()
