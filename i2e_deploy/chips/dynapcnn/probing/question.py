"""What a question is: a network of a few neurons, a few events, and what each alternative makes of them.

Nothing here is written down by hand: what an alternative predicts is what the slow reference computes under it. A
question is good if the predictions of its alternatives differ in more than one spike, so that a lost spike or event
looks like no alternative at all; the tests hold every question to that.

Events stand in slots of `gap_us`, one a slot, so that a core is idle again before the next comes and nothing depends on
its speed. Cores are named, because two kinds of core (the parallel ones) may differ.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from i2e_deploy.chips.answers import Observation
from i2e_deploy.chips.dynapcnn.engine.event.run import front_end
from i2e_deploy.chips.dynapcnn.peripherals import CLASSES, SPACING
from i2e_deploy.chips.dynapcnn.program import CoreLayer, CoreNetwork, Source
from i2e_deploy.chips.dynapcnn.reference.event import CoreState, fresh_states, run_event_reference
from i2e_deploy.chips.dynapcnn.reference.event_options import EventOptions
from i2e_deploy.chips.dynapcnn.reference.injection import phase_us
from i2e_deploy.chips.dynapcnn.reference.readout import read_out
from i2e_deploy.chips.dynapcnn.reference.spikes import SPIKE, STIMULUS, TICK, Spikes, Stimuli
from i2e_deploy.chips.dynapcnn.reference.timestep import run_reference
from i2e_deploy.network import INPUT

#: Time of a slot without a slow clock, microseconds: long for a chip that takes microseconds for an event.
GAP_US = 1000
#: Spikes of the layers that are looked at, by layer, in order of their arrival; `t` from the first slot on.
Sent = Mapping[str, Spikes]


@dataclass(frozen=True, eq=False)
class Way:
    """How the reference runs a question under one alternative.

    Args:
        options: of the event semantics.
        program: stands for the question's own, where the alternative is no option; None: the same.
        fired: a layer, and the spikes that its decimator had counted before the first one.
        chained: the run starts from the states in which an equal one ended, and not from fresh ones.
        steps: in time steps, one event a step, and not as events.
        lost: layers, fed by the input alone, that the first event does not reach.
    """

    options: EventOptions = field(default_factory=EventOptions)
    program: CoreNetwork | None = None
    fired: tuple[str, int] = ("", 0)
    chained: bool = False
    steps: bool = False
    lost: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Question:
    """One question.

    Args:
        name: of the point; of an option of `EventOptions` where it settles one.
        asks: what is not known, in a sentence.
        ways: by alternative how the reference runs it, several where another open point moves what is seen. Of a
            question that settles no option the first is what the simulation does.
        program: what runs on the board.
        cores: of every layer in network order.
        events: (channel, row, column) of the event in each slot, or None for none.
        watched: layers whose spikes are looked at.
        gap_us: duration of a slot.
        ticks: (slots a tick, ticks): the slow clock, where the program has a bias; None: it stays off.
        look: makes an observation of spikes; default the neurons that fired in each slot, `by_slot`.
        settles: option of `EventOptions` that the answer sets; empty: none.
        pins: what the pins of the readout show is seen too, as spikes of a layer `pins` whose feature is the class.
        sends_again: the board's stream may send a first event twice, see `SampleStream`.
        fresh: the board is configured again before every repeat.
        beside: option that must have the same value as the answer, where the question settles none, e.g. of a parallel
            core what its core of the other kind says.
    """

    name: str
    asks: str
    ways: Mapping[str, tuple[Way, ...]]
    program: CoreNetwork
    cores: tuple[int, ...]
    events: tuple[tuple[int, int, int] | None, ...]
    watched: tuple[str, ...]
    gap_us: int = GAP_US
    ticks: tuple[int, int] | None = None
    look: Callable[[Question, Sent], Observation] | None = None
    settles: str = ""
    pins: bool = False
    sends_again: bool = True
    fresh: bool = False
    beside: str = ""

    @property
    def alternatives(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(self.ways)

    @property
    def placement(self) -> dict[str, int]:
        """The core of every layer."""
        return dict(zip(self.program.layer_names, self.cores, strict=True))

    @property
    def clock_us(self) -> int | None:
        """Period of the slow clock."""
        return None if self.ticks is None else self.ticks[0] * self.gap_us

    @property
    def end_us(self) -> int:
        """When the last slot, or the last period of the slow clock, is over."""
        slots = len(self.events) if self.ticks is None else max(len(self.events), self.ticks[0] * self.ticks[1])
        return slots * self.gap_us

    def stimuli(self, options: EventOptions | None = None) -> Stimuli:
        """The events, each in the middle of its slot; with options also the ticks of the slow clock."""
        rows = [(self._at(i), *event) for i, event in enumerate(self.events) if event is not None]
        stimuli = np.array(rows, STIMULUS).reshape(len(rows))
        if options is None or self.ticks is None:
            return stimuli
        clock = np.zeros(self.ticks[1], STIMULUS)
        first = phase_us(replace(options, step_us=self.clock_us or 1))
        clock["t"], clock["c"] = first + np.arange(self.ticks[1]) * (self.clock_us or 1), TICK
        joined = np.concatenate([clock, stimuli])
        return np.asarray(joined[np.argsort(joined["t"], kind="stable")])

    @cached_property
    def predicted(self) -> Mapping[str, tuple[Observation, ...]]:
        """By alternative what is seen under it."""
        return {
            name: tuple(dict.fromkeys(self.observe(sent(self, way)) for way in ways))
            for name, ways in self.ways.items()
        }

    def observe(self, spikes: Sent) -> Observation:
        """What the question sees of spikes."""
        return (self.look or by_slot)(self, spikes)

    def _at(self, slot: int) -> int:
        return slot * self.gap_us + self.gap_us // 2


def sent(question: Question, way: Way) -> dict[str, Spikes]:
    """Spikes of the watched layers under one alternative, by the slow reference."""
    program = question.program if way.program is None else way.program
    if way.steps:
        return _in_steps(question, program)
    layer, fired = way.fired
    states = {name: CoreState(s.v_mem, fired if name == layer else 0) for name, s in fresh_states(program).items()}
    options = replace(way.options, step_us=question.clock_us or way.options.step_us)
    given = question.stimuli(options if program.has_bias else None)
    stimuli, _ = front_end(program, given, options, "reference")
    if way.chained:
        states = dict(run_event_reference(program, stimuli, options, states).states)
    spikes = dict(run_event_reference(program, stimuli, options, states).spikes)
    for name in way.lost:
        only = tuple(each for each in program.layers if each.name == name)
        alone = replace(program, layers=only, outputs=(Source(name),))
        spikes[name] = run_event_reference(alone, stimuli[1:], options).spikes[name]
    found = {name: spikes[name] for name in question.watched}
    return found | ({"pins": pins_of(question, program, found)} if question.pins else {})


def pins_of(question: Question, program: CoreNetwork, spikes: Sent) -> Spikes:
    """What the pins show at every tick, by the reference of the readout: SPIKE with the class as feature."""
    assert program.readout is not None
    assert question.ticks is not None
    sent_by_core, period = spikes[question.watched[0]], question.clock_us or 1
    counts = np.zeros((question.ticks[1], CLASSES), np.int64)
    for t, c in sent_by_core[["t", "c"]].tolist():
        counts[t // period, c // SPACING] += 1
    trace = read_out(program.readout, counts[None])
    rows = [(tick * period, -1, int(trace.winner[0, tick]), 0, 0) for tick in np.flatnonzero(trace.interrupt[0])]
    return np.array(rows, SPIKE).reshape(len(rows))


def _in_steps(question: Question, program: CoreNetwork) -> dict[str, Spikes]:
    """One event a step in the time-stepped reference: a neuron may fire more than once."""
    frames = np.zeros((1, len(question.events), *program.input_shape), np.int64)
    for step, event in enumerate(question.events):
        if event is not None:
            frames[(0, step, *event)] += 1
    trace = run_reference(program, frames)
    found = {}
    for name in question.watched:
        places = np.argwhere(trace.spikes[name][0])
        places = np.repeat(places, trace.spikes[name][0][tuple(places.T)], axis=0)
        rows = [(step * question.gap_us + question.gap_us // 2, step, c, y, x) for step, c, y, x in places.tolist()]
        found[name] = np.array(rows, SPIKE).reshape(len(rows))
    return found


def by_slot(question: Question, spikes: Sent) -> Observation:
    """Rows (slot, layer, feature, y, x), sorted: which neurons fired in which slot, each as often as it did."""
    rows = [
        (int(t) // question.gap_us, i, int(c), int(y), int(x))
        for i, name in enumerate(question.watched)
        for t, c, y, x in spikes[name][["t", "c", "y", "x"]].tolist()
    ]
    return tuple(sorted(rows))


def core(
    name: str,
    weight: Sequence[Sequence[float]] | np.ndarray[tuple[int, ...], np.dtype[np.int8]],
    threshold: int,
    *,
    sources: tuple[Source, ...] = (Source(INPUT),),
    shape: tuple[int, int, int] = (1, 1, 1),
    min_v: int = -100,
    padding: int = 0,
    bias: Sequence[int] | None = None,
    decimation: int = 1,
    initial: Sequence[int] | None = None,
    to_zero: bool = False,
) -> CoreLayer:
    """A core of a question: weights int8 [C_out, C_in] (one pixel) or [C_out, C_in, k, k]; `shape` is its input's."""
    array = np.asarray(weight, np.int8)
    kernel = array.reshape(*array.shape, 1, 1) if array.ndim == 2 else array
    side = kernel.shape[2]
    out = (kernel.shape[0], *(n + 2 * padding - side + 1 for n in shape[1:]))
    start = None if initial is None else np.asarray(initial, np.int16).reshape(-1, 1, 1) + np.zeros(out, np.int16)
    return CoreLayer(
        name, sources, kernel, None if bias is None else np.asarray(bias, np.int16), (1, 1), (padding, padding),
        threshold, min_v, None, "zero" if to_zero else "subtract", shape, (out[0], out[1], out[2]), decimation, start,
    )  # fmt: skip


def network(*layers: CoreLayer) -> CoreNetwork:
    """The cores as a program: the input is that of the first, the output the last."""
    return CoreNetwork(layers[0].input_shape, layers, (Source(layers[-1].name),))
