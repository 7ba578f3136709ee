"""Latency, sustained rate and memory of the live loop with the demo network, over loopback TCP.

    python benchmarks/live.py [--seconds 10] [--model BUNDLE_OR_NETWORK] [--file RECORDING ...]
    python benchmarks/live.py --loihi [--seconds 10] [--file RECORDING ...]  # Speck and Loihi 2 in turns, and steps
    python benchmarks/live.py --minutes 10 [--model ...]        # memory alone: resident size at every minute

A child process sends events whose time stamps are the moments at which they are due on the machine's monotonic clock,
in packets of 1 ms, so a decision's age is measured against the end of its window itself: the packet's own millisecond,
sending, the socket, counting, waiting and running are all in it. Streams are the fake camera's disc at constant rates,
and recordings, looped, with their bursts, at their own pace and at 1 M events/s on average. Without a model the
demo's network is made, untrained. `--loihi` runs it beside a Loihi 2 network of the same layers and integer weights.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rows import Row

from i2e_deploy.chips import Program, get
from i2e_deploy.events import Events
from i2e_deploy.events.files import read_events
from i2e_deploy.events.frames import FrameSpec
from i2e_deploy.events.sources import open_source
from i2e_deploy.events.sources.tcp import EventServer
from i2e_deploy.events.stream import StreamSpec, Windower
from i2e_deploy.runtime.decider import LiveSpec
from i2e_deploy.runtime.histogram import LatencyHistogram
from i2e_deploy.runtime.live import Live

SIZE, WINDOW_US, STEPS = (128, 128), 20_000, 8
COUNTED = 5  # decisions before this one are not
ANEW = "anew    "  # has one row


@dataclass(frozen=True)
class Stream:
    """What the child sends: `rate` events/s on average, 0 = as fast as they are taken, None = the recording's pace."""

    rate: float | None
    file: Path | None = None

    def load(self) -> tuple[Events, tuple[int, int]]:
        """Events, sorted, from 0 us on, and the sensor's (width, height)."""
        from event_maker import disc

        if self.file is None:
            events, size = disc(SIZE, 2**20), SIZE
        else:
            recording = read_events(self.file)
            events = recording.events
            size = recording.sensor_size or (int(events["x"].max()) + 1, int(events["y"].max()) + 1)
        events["t"] -= events["t"][0]
        if self.rate is not None:  # the disc's rate is constant, so only the mean is to be set
            mean = len(events) / (int(events["t"][-1]) + 1) * 1e6
            events["t"] = (events["t"] * (mean / (self.rate or 20e6))).astype(np.int64)
        return events, size

    def name(self) -> str:
        return "disc" if self.file is None else self.file.name


def sender(stream: Stream, seconds: float) -> None:
    """The child: packets of 1 ms on time; rate 0 = as fast as the receiver takes them."""
    events, size = stream.load()
    times, length = np.ascontiguousarray(events["t"]), int(events["t"][-1]) + 1
    with EventServer(size) as server:
        print(server.port, *size, flush=True)

        def packets() -> Iterator[Events]:
            now = start = time.monotonic_ns() // 1000
            place, base = 0, start
            while now < start + int(seconds * 1e6):
                stop = int(np.searchsorted(times, now + 1000 - base))
                packet = events[place:stop].copy()
                packet["t"] += base
                place = stop
                if now + 1000 - base >= length:
                    place, base = 0, base + length
                now += 1000
                late = now / 1e6 - time.monotonic_ns() / 1e9
                if stream.rate != 0 and late > 0:
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


def loihi_programs(speck: Program) -> tuple[Program, Program]:
    """The same layers and integer weights on Loihi 2: neurons whose current decays at once and whose voltage does not.

    Binary spikes, and a voltage that a spike sets to zero: what fires is not the same. The second is the first with a
    session that calls `run` for every step.
    """
    from i2e_deploy.chips.dynapcnn import DynapcnnProgram
    from i2e_deploy.chips.loihi2 import BlockNetwork, LoihiProgram
    from i2e_deploy.chips.loihi2.program import SOURCE, Block, Connection, ConvSynapse, CubaLif
    from i2e_deploy.chips.session import RunSession, Session

    class Anew(LoihiProgram):
        def session(self, semantics: str = "timestep") -> Session:
            return RunSession(self.run, semantics)

    assert isinstance(speck, DynapcnnProgram)
    blocks, source = [], SOURCE
    for layer in speck.layers:
        neuron = CubaLif(np.array([4096]), np.array([0]), 2 * layer.threshold)
        synapse = ConvSynapse(2 * layer.weight.astype(np.int64), layer.stride, layer.padding)  # weights are even
        blocks.append(Block(layer.name, neuron, layer.output_shape, (Connection(source, synapse),)))
        source = layer.name
    network = BlockNetwork(speck.input_shape, tuple(blocks))
    return get("loihi2").lower(network), Anew(network)


def run(program: Program, stream: Stream, seconds: float, policy: str, every: float = 0, label: str = "") -> None:
    """One row that starts with `label`; with `every` seconds also the memory then."""
    child = subprocess.Popen(  # noqa: S603  # this file
        [sys.executable, str(Path(__file__).resolve()), "--send", str(stream.rate), "--seconds", str(seconds),
         *(["--file", str(stream.file)] if stream.file else [])], stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert child.stdout is not None
    port, *size = map(int, child.stdout.readline().split())
    frame = FrameSpec((size[0], size[1]), (2, 32, 32))
    spec = LiveSpec(StreamSpec(STEPS, WINDOW_US // STEPS), frame, policy=policy)  # type: ignore[arg-type]
    ages, spikes, memory, said = LatencyHistogram(), 0, rss(), 0.0
    live = Live(open_source(f"tcp://127.0.0.1:{port}"), program, spec)
    start, all_before, own_before = time.perf_counter(), time.process_time(), time.thread_time()
    with live:
        for decision in live:
            if live.counts.decisions > COUNTED:
                ages.add(time.monotonic_ns() / 1e9 - decision.end / 1e6)
            spikes += sum(decision.spikes.values())
            if every and time.perf_counter() - start > said:
                print(f"{said / 60:6.1f} min {rss():8.1f} MiB, {live.counts.decisions:,} decisions", flush=True)
                said += every
    elapsed = time.perf_counter() - start
    own = time.thread_time() - own_before
    reading = time.process_time() - all_before - own
    sent = int(child.stdout.readline())
    child.wait()
    stats = live.stats()
    latency, age, count = stats["latency"], ages.summary(), max(1, stats["decisions"])
    ages_ms = [f"{age[key]:7.2f}" if stream.rate != 0 else "      -" for key in ("p50_ms", "p99_ms", "worst_ms")]
    print(
        f"{label}{stream.name():14s} {policy:6s} {stats['events'] / elapsed / 1e6:7.2f} "
        f"{'yes' if stats['events'] == sent else 'NO':>4s} {stats['decisions']:6d} {stats['dropped_windows']:5d}  "
        f"{' '.join(ages_ms)}   {latency['p50_ms']:7.2f} {latency['p99_ms']:7.2f} "
        f"{1e3 * own / count:9.2f} {1e9 * reading / stats['events']:9.1f} {spikes / count:10.0f}   "
        f"{memory:.0f} {rss():.0f}",
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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--minutes", type=float, default=0)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--loihi", action="store_true")
    parser.add_argument("--file", type=Path, nargs="*", default=[])
    parser.add_argument("--send", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.send is not None:
        rate = None if arguments.send == "None" else float(arguments.send)
        sender(Stream(rate, next(iter(arguments.file), None)), arguments.seconds)
        return
    import torch

    torch.set_num_threads(1)  # one core for reading, one for running
    program, name = demo_program(arguments.model)
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
          f"torch {torch.__version__}, 1 thread; load {os.getloadavg()[0]:.1f} at the start")  # fmt: skip
    print(f"{name}; windows of {WINDOW_US / 1000:g} ms in {STEPS} steps, 32x32 pixels, TCP on loopback")
    print("age = decision minus end of its window, ms: 1 ms of it is the sender's packet, which closes the window;")
    print("latency = decision minus arrival of that packet, ms; CPU/win = ms of processor time of the deciding thread")
    print("a window, CPU/ev = ns of the reading thread an event; the disc's sensor is 128x128")
    programs = {"": program}
    if arguments.loihi:
        loihi, anew = loihi_programs(program)
        programs = {"speck2f ": program, "loihi2  ": loihi, ANEW: anew}
        print("Loihi 2: the same layers and integer weights, CUBA neurons that do not leak; the rows are run in turns;")
        print("anew = Loihi 2 with a whole Program.run for every step, as its sessions had it before")
    chip = "chip    " if arguments.loihi else ""
    print(f"{chip}stream         policy  M ev/s  all  dec.  drop  age p50 age p99 age max   lat.p50 lat.p99 "
          "  CPU/win    CPU/ev spikes/win   MiB at start, end")  # fmt: skip
    for each in programs.values():
        warm_up(each)
    if arguments.minutes:
        run(program, Stream(0.1e6), 60 * arguments.minutes, "drop", every=60)
        return
    streams = [(Stream(rate), "drop") for rate in (0.1e6, 1e6, 5e6)]
    streams += [(Stream(rate, file), "drop") for file in arguments.file for rate in (None, 1e6)]
    for stream, policy in (*streams, (Stream(0), "block")):
        for label, each in programs.items():
            if label == ANEW and stream.rate != 1e6:
                continue
            run(each, stream, arguments.seconds, policy, label=label)
    if arguments.loihi:
        from loihi_steps import table

        print()
        table()


def short() -> Iterator[Row]:
    """For `check.py`: the loop on a source that is never late, without sockets, and its session alone, in turns.

    A chip more is a line of `programs`.
    """
    import torch

    torch.set_num_threads(1)
    programs = {"Speck": demo_program(None)[0]}
    spec = LiveSpec(StreamSpec(STEPS, WINDOW_US // STEPS), FrameSpec(SIZE, (2, 32, 32)), policy="block")
    url = f"fake://{SIZE[0]}x{SIZE[1]}?rate=1e6&seconds=3&realtime=0"
    packets, source = [], open_source(url)
    while (packet := source.read(1)) is not None:
        packets.append(packet)
    windows = Windower(spec.stream, spec.frame).push(np.concatenate(packets))
    for chip, program in programs.items():
        session, alone, deciding, reading = program.session(), float("inf"), float("inf"), float("inf")
        for _ in range(6):
            start = time.thread_time()
            for window in windows:
                session.start()
                for frame in window.frames:
                    session.step(frame)
            alone = min(alone, (time.thread_time() - start) / len(windows))
            with Live(open_source(url), program, spec) as live:
                every, own = time.process_time(), time.thread_time()
                decisions = sum(1 for _ in live)
                own = time.thread_time() - own
                every = time.process_time() - every
            deciding = min(deciding, own / decisions)
            reading = min(reading, (every - own) / live.stats()["events"])
        yield Row(f"{chip}, deciding thread, session alone / loop", alone / deciding)
        yield Row(f"{chip}, deciding thread", 1e3 * deciding, "ms a window", "lower")
        yield Row(f"{chip}, reading thread, with making the events", 1e9 * reading, "ns an event", "lower")


if __name__ == "__main__":
    main()
