"""The chip itself as a target: frames through a Speck board, by the documented names of samna; unverified on silicon.

A board reports the spikes of the cores whose monitor is on, by default those that leave the network. It reports no
states, no synaptic operations and no saturations, and not which input caused a spike: a trace of a board holds none of
these. Spikes are sorted into steps by the board's own time stamps.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from i2e_deploy.chips.dynapcnn.engine.event.run import core_inputs
from i2e_deploy.chips.dynapcnn.program import CoreNetwork
from i2e_deploy.chips.dynapcnn.reference.event import as_spikes, route
from i2e_deploy.chips.dynapcnn.reference.spikes import Stimuli
from i2e_deploy.chips.dynapcnn.targets.board.arrivals import CORE_EVENT, CoreEvents
from i2e_deploy.chips.dynapcnn.targets.board.link import open_board
from i2e_deploy.chips.dynapcnn.targets.board.options import BoardOptions
from i2e_deploy.chips.dynapcnn.targets.board.results import trace_of
from i2e_deploy.chips.dynapcnn.targets.board.sample_stream import SampleStream
from i2e_deploy.chips.dynapcnn.targets.board.setup import configure, monitored, place_on, slow_clock_hz
from i2e_deploy.chips.trace import Integers, Trace
from i2e_deploy.events import Events
from i2e_deploy.network import INPUT


def run_board(program: CoreNetwork, given: Integers | Events, options: BoardOptions) -> Trace:
    """Run on the first free board or on `options.name`, each sample from the initial states of the program.

    Pre-processing and event filter follow the chip's own pixels: for what the host sends the host does them and
    it counts the spikes of the classes, too: the chip's readout block is left off.

    Args:
        given: frames [B, T, C, H, W], or a recording, which is one sample at its own times.

    Raises:
        MissingDependency: samna is not installed.
        BoardNotFound: no such board, or it is in use.
        SourceLost: the board went away, or stopped answering.
        CheckFailed: the program does not fit the board's chip, or samna refuses its configuration.
        UnsupportedError: a layer that the chip has no configuration for, or a step that its slow clock cannot follow.
        InputError: a layer to monitor that the program does not have.
    """
    watched, step_us = monitored(program, options), options.events.step_us
    clock_hz = slow_clock_hz(step_us, "the biases") if program.has_bias else None
    board = open_board("the board target", options.name, options.call_s)
    try:
        cores = place_on(board, program)
        configure(board, bare_of(program), cores, watched)
        board.clock.sleep(options.settle_s)
        layers = {cores[layer.name]: layer for layer in program.layers}
        inputs = tuple(cores[name] for name in input_layers(program))
        stream = SampleStream(board, layers, inputs, options, clock_hz)
        received, rails, steps = [], [], 0
        for sample, (stimuli, steps) in enumerate(core_inputs(program, given, options.events, ticks=False)):
            events, end_us = to_send(program, stimuli, cores, options), options.lead_us + steps * step_us
            spikes, readings = stream.run(events, end_us, f"in sample {sample}")
            received.append(spikes)
            rails += readings
        seen = {name: cores[name] for name in watched}
        return trace_of(program, received, rails, steps, seen, stream.incidents, options, options.lead_us)
    finally:
        board.close()


def bare_of(program: CoreNetwork) -> CoreNetwork:
    """The program without what the host does for what it sends: pre-processing, event filter, readout."""
    return replace(program, input_shape=program.shapes()[INPUT], sensor=None, event_filter=None, readout=None)


def input_layers(program: CoreNetwork) -> list[str]:
    """Names of the layers that take input."""
    return [layer.name for layer in program.layers if any(source.layer == INPUT for source in layer.sources)]


def to_send(program: CoreNetwork, stimuli: Stimuli, cores: dict[str, int], options: BoardOptions) -> CoreEvents:
    """Events of one sample, one for each core that takes input."""
    caused = as_spikes(stimuli)
    parts = []
    for layer in program.layers:
        for source in (source for source in layer.sources if source.layer == INPUT):
            routed = route(source, caused, program.shapes()[INPUT], options.events)
            part = np.empty(len(routed), [*CORE_EVENT.descr, ("cause", "<i4")])
            for name in ("t", "c", "y", "x", "cause"):
                part[name] = routed[name]
            part["core"] = cores[layer.name]
            parts.append(part)
    joined = np.concatenate(parts)
    joined = joined[np.argsort(joined["cause"], kind="stable")]
    events = joined[list(CORE_EVENT.names or ())].astype(CORE_EVENT)
    events["t"] += options.lead_us
    return np.asarray(events)
