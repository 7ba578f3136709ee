"""Figures of a board: work of a core and of the interface in a second, delay through a core, losses, energy.

Each is measured from outside: events go in at one time, and the board's own time stamps say how long their spikes take
to come out. What is slower than what was to be measured makes the figure a lower bound, and its name says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import median

import numpy as np

from i2e_deploy.chips.answers import Measured
from i2e_deploy.chips.dynapcnn.engine.event.engine import EventEngine
from i2e_deploy.chips.dynapcnn.estimates.power import Coefficients, Reading, calibrate_power, reading
from i2e_deploy.chips.dynapcnn.probing.arithmetic import FIRST, LEAVES_1, PARALLEL, SECOND
from i2e_deploy.chips.dynapcnn.probing.ask import Asker, inputs_of, to_send
from i2e_deploy.chips.dynapcnn.probing.question import core, network
from i2e_deploy.chips.dynapcnn.program import CoreNetwork, Source
from i2e_deploy.chips.dynapcnn.reference.event_options import EventOptions
from i2e_deploy.chips.dynapcnn.reference.spikes import STIMULUS, Stimuli
from i2e_deploy.chips.dynapcnn.targets.board.arrivals import CoreEvents, mean_power
from i2e_deploy.chips.dynapcnn.targets.board.sample_stream import SampleStream
from i2e_deploy.errors import InputError
from i2e_deploy.network import INPUT

#: Events of a burst, and those of a slow train with a pause between any two.
BURST, TRAIN, PAUSE_US = 400, 100, 500
#: Cores of the chain whose delay is measured, and length of a reading of power.
CHAIN, READING_US = (2, 3, 4, 5, 6, 7), 2_000_000
#: Resolution of the board's time stamps.
STAMP_US = 1.0
#: A burst that takes so much longer with more work was held up by the work.
LONGER = 1.5
SYNOPS = "synaptic operations / s"
FIGURES = (
    "synops_rate",
    "synops_rate_parallel",
    "interface_rate",
    "monitor_rate",
    "monitor_loss",
    "core_delay",
    "power",
)


@dataclass(frozen=True)
class Burst:
    """What came of events: their number, and when spikes left, microseconds from the first event on."""

    events: int
    times: tuple[int, ...]

    @property
    def span_us(self) -> float:
        """From the first event to the last spike; 0 where nothing came."""
        return float(max(self.times, default=0))


def measure(asker: Asker, repeats: int, only: Sequence[str] = ()) -> Iterator[Measured]:
    """Figures of the board, those of these names or all."""
    wanted = set(only or FIGURES)
    if "synops_rate" in wanted:
        yield _synops_rate(asker, repeats, FIRST, "synops_rate", "synaptic operations that a core does in a second")
    if "synops_rate_parallel" in wanted:
        asks = "synaptic operations that a parallel core does in a second"
        yield _synops_rate(asker, repeats, PARALLEL, "synops_rate_parallel", asks)
    if "interface_rate" in wanted:
        yield from _interface_rate(asker, repeats)
    if wanted & {"monitor_rate", "monitor_loss"}:
        yield from (each for each in _monitor(asker, repeats) if each.name.removesuffix("_at_least") in wanted)
    if "core_delay" in wanted:
        yield from _core_delay(asker, repeats)
    if "power" in wanted:
        yield from _power(asker)


def working(features: int) -> CoreNetwork:
    """A core of which one event at (8, 8) reaches 15 x 15 pixels of so many features; one neuron fires."""
    weight = np.full((features, 1, 16, 16), -1, np.int8)
    weight[0] = 0
    weight[0, 0, 8, 8] = 100
    return network(core("works", weight, 100, shape=(1, 16, 16), padding=7, min_v=-1))


def operations(program: CoreNetwork, event: tuple[int, int, int] = (0, 8, 8)) -> int:
    """Synaptic operations of one event at the first core, as the simulator counts them."""
    stimuli = _stimuli([event], [0])
    counts = EventEngine(program, EventOptions()).run(stimuli).counts
    return counts[program.layers[0].name].synops


def _synops_rate(asker: Asker, repeats: int, on: int, name: str, asks: str) -> Measured:
    """The slope of the time over the work, of bursts with little and with much work an event."""
    few, many = working(2), working(32)
    slow, fast = (_bursts(asker, program, {"works": on}, (0, 8, 8), repeats) for program in (many, few))
    most, least = operations(many), operations(few)
    rates = [1e6 * one.events * (most - least) / max(one.span_us - other.span_us, 1.0)
             for one, other in zip(slow, fast, strict=True)]  # fmt: skip
    if median(one.span_us for one in slow) > LONGER * max(median(other.span_us for other in fast), 1.0):
        return _ends(name, asks, rates, SYNOPS)
    bounds = [1e6 * one.events * most / max(one.span_us, 1.0) for one in slow]
    note = "more work an event did not take longer: something else, such as the interface, is slower"
    return _ends(f"{name}_at_least", asks, bounds, SYNOPS, note)


def _interface_rate(asker: Asker, repeats: int) -> Iterator[Measured]:
    """One spike for each event of a burst, with next to no work between them."""
    program = network(core("passes", [[100]], LEAVES_1))
    bursts = _bursts(asker, program, {"passes": FIRST}, (0, 0, 0), repeats, events=4 * BURST)
    rates = [1e6 * len(each.times) / each.span_us for each in bursts if each.span_us > 0]
    asks = "events a second that go in and come out again, one spike each"
    if rates:
        yield _ends("interface_rate", asks, rates, "events / s")
    else:
        yield Measured("interface_rate_at_least", asks, 4e6 * BURST, 4e6 * BURST, "events / s", repeats,
                       "all came within a microsecond")  # fmt: skip


def _monitor(asker: Asker, repeats: int) -> Iterator[Measured]:
    """One event makes 15 x 15 pixels of 16 features fire."""
    weight = np.full((16, 1, 16, 16), 100, np.int8)
    program = network(core("bursts", weight, LEAVES_1, shape=(1, 16, 16), padding=7))
    expected = operations(program)
    bursts = _bursts(asker, program, {"bursts": FIRST}, (0, 8, 8), repeats, events=1)
    shares = [100.0 * (1 - len(each.times) / expected) for each in bursts]
    yield _ends("monitor_loss", f"spikes lost on the way to the host, of {expected:,} at once", shares, "%")
    rates = [1e6 * len(each.times) / (max(each.times) - min(each.times)) for each in bursts
             if len(set(each.times)) > 1]  # fmt: skip
    if rates:
        yield _ends("monitor_rate", "spikes a second of one core that reach the host", rates, "spikes / s")


def _core_delay(asker: Asker, repeats: int) -> Iterator[Measured]:
    """Time between the same spike at the first and at the last core of a chain, over the cores between."""
    names = [f"core{i}" for i in range(len(CHAIN))]
    sources = [Source(INPUT), *(Source(name) for name in names[:-1])]
    layers = [core(name, [[100]], 100, sources=(source,)) for name, source in zip(names, sources, strict=True)]
    program, cores = network(*layers), dict(zip(names, CHAIN, strict=True))
    stream = asker.prepared(program, cores, (names[0], names[-1]))
    delays: list[float] = []
    for _ in range(repeats):
        stimuli = _stimuli([(0, 0, 0)] * TRAIN, [i * PAUSE_US for i in range(TRAIN)])
        received = _run(asker, stream, program, cores, stimuli, TRAIN * PAUSE_US)
        first, last = (np.sort(received["t"][received["core"] == cores[n]]) for n in (names[0], names[-1]))
        if len(first) == len(last) and len(first):
            delays.append(float(np.mean(last - first)) / (len(CHAIN) - 1))
    if delays:
        found = _ends("core_delay", "time that a core adds to a spike", delays, "us")
        off = STAMP_US / (len(CHAIN) - 1)
        note = f"{TRAIN} events through {len(CHAIN) - 1} cores; the range has the time stamps' {STAMP_US:g} us in it"
        yield replace(found, low=max(0.0, found.low - off), high=found.high + off, note=note)


def _power(asker: Asker) -> Iterator[Measured]:
    """Watts of the power monitor at rest, with much work a spike, and with little; the simulator counts operations."""
    readings = [found for found in (_reading(asker, features, pause)
                for features, pause in ((1, 0), (32, 1000), (32, 500), (1, 200), (1, 100))) if found]  # fmt: skip
    try:
        fitted = calibrate_power(readings, "probe")
    except InputError:
        return
    for name, asks, value, unit in (
        ("idle_w", "power at rest, rails io, ram and logic", fitted.idle_w, "W"),
        ("synop_j", "energy of a synaptic operation above rest", fitted.synop_j, "J"),
        ("spike_j", "energy of a spike above rest", fitted.spike_j, "J"),
        ("power_residual_w", "what the fit of power leaves, root mean square", fitted.residual_w, "W"),
    ):
        yield Measured(name, asks, value, value, unit, len(readings))


def coefficients(figures: Sequence[Measured], source: str) -> Coefficients | None:
    """The power that was measured, for estimates; None where it was not."""
    by_name = {figure.name: figure for figure in figures}
    names = ("idle_w", "synop_j", "spike_j", "power_residual_w")
    if any(name not in by_name for name in names):
        return None
    idle, synop, spike, residual = (by_name[name].low for name in names)
    return Coefficients(idle, synop, spike, source, by_name["idle_w"].readings, residual)


def _reading(asker: Asker, features: int, pause_us: int) -> Reading | None:
    """One second of steady events, `pause_us` apart (0: none), and what the power monitor read; None: nothing."""
    program = working(features) if features > 1 else network(core("works", [[100]] * 16, 100))
    event = (0, 8, 8) if features > 1 else (0, 0, 0)
    times = list(range(0, READING_US, pause_us)) if pause_us else []
    cores, stimuli = {"works": SECOND}, _stimuli([event] * len(times), times)
    stream = asker.prepared(program, cores, (), power_hz=100.0)
    events = to_send(stimuli, inputs_of(program, cores), asker.options.lead_us)
    _, rails = asker.run(stream, events, READING_US, "while power was measured")
    counts, power = EventEngine(program, EventOptions()).run(stimuli).counts, mean_power(rails)
    if power is None:
        return None
    try:
        return reading(counts, READING_US * 1e-6, power)
    except InputError:
        return None


def _bursts(
    asker: Asker, program: CoreNetwork, cores: dict[str, int], event: tuple[int, int, int], repeats: int,
    events: int = BURST,
) -> list[Burst]:  # fmt: skip
    """The same burst, so many times."""
    stream = asker.prepared(program, cores, program.layer_names)
    stimuli = _stimuli([event] * events, [0] * events)
    bursts = []
    for _ in range(repeats):
        received = _run(asker, stream, program, cores, stimuli, 1000)
        bursts.append(Burst(events, tuple(int(t) for t in received["t"])))
    return bursts


def _run(
    asker: Asker, stream: SampleStream, program: CoreNetwork, cores: dict[str, int], stimuli: Stimuli, end_us: int
) -> CoreEvents:
    events = to_send(stimuli, inputs_of(program, cores), asker.options.lead_us)
    received, _ = asker.run(stream, events, end_us, "while it was measured")
    received = received.copy()
    received["t"] -= asker.options.lead_us
    return received


def _stimuli(events: Sequence[tuple[int, int, int]], times: Sequence[int]) -> Stimuli:
    rows = [(t, *event) for t, event in zip(times, events, strict=True)]
    return np.array(rows, STIMULUS).reshape(len(rows))


def _ends(name: str, asks: str, values: Sequence[float], unit: str, note: str = "") -> Measured:
    """A figure of repeats: the least and the largest of them without the outer tenths."""
    ordered = sorted(values)
    cut = len(ordered) // 10
    kept = ordered[cut : len(ordered) - cut]
    return Measured(name, asks, kept[0], kept[-1], unit, len(values), note)
