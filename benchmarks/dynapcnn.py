"""Speed of the DYNAP-CNN simulators beside Sinabs' `DynapcnnNetwork`, in one process, on the same threads.

    python benchmarks/dynapcnn.py > benchmarks/results/dynapcnn.txt

Sinabs runs on its CPU path, which needs no samna: the tests' stand-in lets its module be imported. Its forward pass
returns the output; ours returns the spikes of every layer (as lists, made dense when looked at), states and counts.
The two take turns, and the shortest time of each counts: on a shared machine both see its fast and slow spells.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))
import samna_standin

samna_standin.install()
from peers_dynapcnn import gesture, mnist, tune  # noqa: E402
from rows import Row, machine  # noqa: E402
from sinabs.backend.dynapcnn import DynapcnnNetwork  # noqa: E402

from i2e_deploy.chips import get  # noqa: E402
from i2e_deploy.chips.dynapcnn import DynapcnnProgram  # noqa: E402
from i2e_deploy.chips.dynapcnn.engine.event.engine import EventEngine  # noqa: E402
from i2e_deploy.chips.dynapcnn.reference.event_options import EventOptions  # noqa: E402
from i2e_deploy.chips.dynapcnn.reference.spikes import STIMULUS, TICK  # noqa: E402
from i2e_deploy.chips.trace import LayerCounts  # noqa: E402
from i2e_deploy.network import from_sinabs  # noqa: E402

STEPS = 100
#: Spikes per neuron and step in every layer, as trained DVS-Gesture networks have it (1 to 6 %).
ACTIVITY = 0.03


#: Wall time on a quiet machine; CPU time of the process, on one thread, where others work on it too.
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
clock = CLOCKS["wall"]


def best(function: Callable[[], object], repeats: int) -> float:
    """Shortest time in seconds; the first call is not counted."""
    function()
    times = []
    for _ in range(repeats):
        start = clock()
        function()
        times.append(clock() - start)
    return min(times)


def best_in_turns(functions: Sequence[Callable[[], object]], repeats: int) -> list[float]:
    """`best` of each, measured in turns."""
    return [min(times) for times in zip(*([best(f, 1) for f in functions] for _ in range(repeats)), strict=True)]


def timestep_case(build: Callable[..., Any], rate: float, batch: int, steps: int, repeats: int) -> tuple[float, ...]:
    """The same discretised network, frames and threads; outputs are compared first.

    Returns:
        Spikes per neuron and step, and seconds that Sinabs and ours take for all samples and steps.
    """
    network, shape = build(batch)
    tune(network, (torch.rand(20, *shape, generator=torch.Generator().manual_seed(1)) < rate).float(), ACTIVITY)
    program = get("speck2f").lower(from_sinabs(network, shape))
    frames = (np.random.default_rng(0).random((batch, steps, *shape)) < rate).astype(np.uint8)
    peer = DynapcnnNetwork(network, input_shape=shape, batch_size=batch, discretize=True)
    tensor = torch.from_numpy(frames).flatten(0, 1).float()

    def theirs() -> NDArray[np.float32]:
        with torch.no_grad():
            for layer in peer.dynapcnn_layers.values():
                if layer.spk.is_state_initialised():
                    layer.spk.v_mem = torch.zeros_like(layer.spk.v_mem)
            return np.asarray(peer(tensor).numpy())

    assert isinstance(program, DynapcnnProgram)
    trace = program.run(frames)
    assert np.array_equal(theirs().reshape(trace.output.shape), trace.output)
    neurons = sum(int(np.prod(layer.output_shape)) for layer in program.layers)
    active = sum(count.spikes for count in trace.counts.values()) / (neurons * batch * steps)
    slow, fast = best_in_turns((theirs, partial(program.run, frames)), repeats)
    return active, slow, fast


def timestep(repeats: int) -> None:
    """Beside Sinabs."""
    print(f"timestep semantics, {STEPS} steps; ms per sample and step; spikes per neuron and step over all layers")
    print("network  batch  input rate  activity   Sinabs     ours   ratio")
    for build, rate in ((gesture, 0.02), (mnist, 0.05)):
        for batch in (1, 16):
            active, slow, fast = timestep_case(build, rate, batch, STEPS, repeats)
            per = 1e3 / (batch * STEPS)
            print(
                f"{build.__name__:8s} {batch:5d} {100 * rate:9.1f} % {100 * active:7.2f} % {slow * per:8.3f} "
                f"{fast * per:8.4f} {slow / fast:7.1f}",
                flush=True,
            )


#: Input channels and size, kernel, stride and features of one layer; the second list is measured with a bias too.
EVENT_SHAPES = (
    (2, 128, 3, 2, 8), (2, 128, 2, 2, 16), (8, 64, 3, 1, 8), (16, 32, 3, 1, 16), (16, 16, 3, 1, 32),
    (32, 16, 3, 1, 64), (512, 4, 4, 1, 64),
)  # fmt: skip
BIASED_SHAPES = (EVENT_SHAPES[0], EVENT_SHAPES[3], EVENT_SHAPES[5])


def event_case(
    shape: tuple[int, int, int, int, int], bias: bool, repeats: int, rng: np.random.Generator
) -> tuple[float, LayerCounts]:
    """Seconds for 300,000 random events into one layer, with a bias also a tick a millisecond; and what it counted."""
    program = one_layer(*shape, rng)
    stimuli = random_stimuli(rng, 300_000, program.input_shape, 300_000)
    if bias:
        core = replace(program.layers[0], bias=np.full(shape[-1], -1, np.int16))
        program, stimuli = replace(program, layers=(core,)), with_ticks(stimuli)
    engine = EventEngine(program, EventOptions())
    return best(partial(engine.run, stimuli), repeats), engine.run(stimuli).counts["core"]


def event_rates(repeats: int) -> None:
    """Synaptic operations a second of one core's work, and of whole networks, on one thread."""
    print("\nevent semantics, one thread; 300,000 random events into one layer")
    print("input        kernel  features  bias   ns/event   spikes/event   G synaptic operations/s")
    rng = np.random.default_rng(0)
    for shape, bias in [*((s, False) for s in EVENT_SHAPES), *((s, True) for s in BIASED_SHAPES)]:
        c, size, kernel, _, features = shape
        seconds, count = event_case(shape, bias, 4 * repeats, rng)
        print(
            f"{c:4d}x{size:3d}x{size:3d} {kernel:4d}x{kernel} {features:8d} {'yes' if bias else 'no':>6s} "
            f"{seconds / 3e5 * 1e9:10.1f} {count.spikes / 3e5:12.2f} {count.synops / seconds / 1e9:18.2f}",
            flush=True,
        )


def gesture_stream(duration_us: int) -> tuple[EventEngine, NDArray[np.void]]:
    """The gesture network, and 1 M random events a second on its 128x128 pixels."""
    network, shape = gesture(1)
    tune(network, (torch.rand(20, *shape, generator=torch.Generator().manual_seed(1)) < 0.03).float(), ACTIVITY)
    program = get("speck2f").lower(from_sinabs(network, shape))
    assert isinstance(program, DynapcnnProgram)
    stimuli = random_stimuli(np.random.default_rng(0), duration_us, shape, duration_us)
    return EventEngine(program, EventOptions()), stimuli


def real_time(repeats: int) -> None:
    """One second of that stream."""
    engine, stimuli = gesture_stream(1_000_000)
    seconds = best(partial(engine.run, stimuli), repeats)
    counts = engine.run(stimuli).counts.values()
    synops = sum(count.synops for count in counts)
    print(
        f"\n1 s of a 128x128 sensor at 1 M events/s, 9-layer gesture network, one thread: {seconds:.2f} s "
        f"({1 / seconds:.1f}x real time), {synops / 1e9:.2f} G synaptic operations, {synops / seconds / 1e9:.2f} G/s"
    )
    print("spikes by layer:", ", ".join(f"{count.spikes:,}" for count in counts))
    events = len(stimuli) + sum(count.spikes for count in counts)
    print(f"{1e9 * seconds / events:.0f} ns an event and core")


def one_layer(c: int, size: int, kernel: int, stride: int, features: int, rng: np.random.Generator) -> DynapcnnProgram:
    """One core with weights from -127 to 127 and a threshold of 1000."""
    from i2e_deploy.chips.dynapcnn import CoreLayer, Source

    padding = 1 if kernel == 3 else 0
    out = (size + 2 * padding - kernel) // stride + 1
    weight = rng.integers(-127, 128, (features, c, kernel, kernel)).astype(np.int8)
    core = CoreLayer(
        "core", (Source("input"),), weight, None, (stride, stride), (padding, padding), 1000, -1000, None, "subtract",
        (c, size, size), (features, out, out),
    )  # fmt: skip
    return DynapcnnProgram((c, size, size), (core,), (Source("core"),))


def random_stimuli(rng: np.random.Generator, number: int, shape: tuple[int, ...], duration: int) -> NDArray[np.void]:
    """Events at random addresses, evenly in time (microseconds)."""
    stimuli = np.zeros(number, STIMULUS)
    stimuli["t"] = np.arange(number) * duration // number
    for name, high in zip("cyx", shape, strict=True):
        stimuli[name] = rng.integers(0, high, number)
    return stimuli


def with_ticks(stimuli: NDArray[np.void]) -> NDArray[np.void]:
    """A tick of the slow clock each millisecond, before the events of that time."""
    ticks = np.zeros(int(stimuli["t"][-1]) // 1000 + 1, STIMULUS)
    ticks["t"], ticks["c"] = 1000 * np.arange(len(ticks)), TICK
    both = np.concatenate([ticks, stimuli])
    return np.asarray(both[np.argsort(both["t"], kind="stable")])


def short() -> Iterator[Row]:
    """For `check.py`: Sinabs' time over ours, and the event engine's nanoseconds, by processor time on one thread."""
    global clock  # noqa: PLW0603
    clock = CLOCKS["cpu"]
    torch.set_num_threads(1)
    for build, rate, batch, steps, repeats in (
        (gesture, 0.02, 1, 100, 6), (gesture, 0.02, 16, 20, 3), (mnist, 0.05, 1, 100, 12), (mnist, 0.05, 16, 50, 6),
    ):  # fmt: skip
        _, slow, fast = timestep_case(build, rate, batch, steps, repeats)
        yield Row(f"time steps, {build.__name__}, batch {batch}, Sinabs / ours", slow / fast)
    rng = np.random.default_rng(0)
    for shape, bias in [*((s, False) for s in BIASED_SHAPES), *((s, True) for s in BIASED_SHAPES)]:
        seconds, _ = event_case(shape, bias, 40, rng)
        c, size, kernel, _, features = shape
        name = f"events, {c}x{size}x{size}, {kernel}x{kernel}, {features} features{', bias' if bias else ''}"
        yield Row(name, seconds / 3e5 * 1e9, "ns an event", "lower")
    engine, stimuli = gesture_stream(300_000)
    yield Row("events, gesture, 1 M events/s, one thread", 0.3 / best(partial(engine.run, stimuli), 12), "of real time")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=12)
    parser.add_argument("parts", nargs="*", default=["timestep", "event", "stream"])
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    clock = CLOCKS[arguments.clock]
    torch.set_num_threads(arguments.threads)
    print(f"{machine()}; {arguments.threads} threads, {arguments.clock} time")
    for part in arguments.parts:
        {"timestep": timestep, "event": event_rates, "stream": real_time}[part](arguments.repeats)
