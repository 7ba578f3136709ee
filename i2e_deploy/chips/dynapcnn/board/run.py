"""The chip itself as a target: frames through a Speck board, by the documented names of samna; unverified on silicon.

A board reports the spikes of the cores whose monitor is on, by default those that leave the network. It reports no
states, no synaptic operations and no saturations, and not which input caused a spike: a trace of a board holds none of
these. Spikes are sorted into steps by the board's own time stamps.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import cast

import numpy as np

from i2e_deploy.chips.dynapcnn import samna_link
from i2e_deploy.chips.dynapcnn.board.link import Board, open_board, usb
from i2e_deploy.chips.dynapcnn.board.options import BoardOptions
from i2e_deploy.chips.dynapcnn.board.power import Rail, mean_power
from i2e_deploy.chips.dynapcnn.board.session import SENT, BoardSession, CoreEvents
from i2e_deploy.chips.dynapcnn.config import build_config
from i2e_deploy.chips.dynapcnn.event_reference import as_spikes, route
from i2e_deploy.chips.dynapcnn.event_run import count_output, front_end
from i2e_deploy.chips.dynapcnn.injection import check_recording, from_start, inject, recorded
from i2e_deploy.chips.dynapcnn.placement import place
from i2e_deploy.chips.dynapcnn.program import DynapcnnProgram
from i2e_deploy.chips.dynapcnn.spikes import SPIKE, Binned, Spikes, Stimuli, join_samples
from i2e_deploy.chips.profile import load_profile
from i2e_deploy.chips.trace import Integers, Trace
from i2e_deploy.errors import CheckFailed, InputError, UnsupportedError
from i2e_deploy.events import Events
from i2e_deploy.network import INPUT

#: The slow clock of the board, Hz (Datasheet).
SLOW_CLOCK_HZ = (10, 10_000)
OUTSIDE = "spikes with an address that their layer does not have"
BEYOND = "spikes after the last step, counted in it"


def run_board(program: DynapcnnProgram, given: Integers | Events, options: BoardOptions) -> Trace:
    """Run on the first free board or on `options.name`, each sample from zero states.

    Pre-processing and event filter stand behind the chip's own pixels: for what the host sends the host does them and
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
    watched = _watched(program, options)
    tick_us, step_us = _tick(program, options), options.events.step_us
    board = open_board("the board target", options.name)
    try:
        cores = _configure(board, program, watched, options)
        layers = {cores[layer.name]: layer for layer in program.layers}
        inputs = tuple(cores[name] for name in _input_layers(program))
        with usb("while it was set up"):
            if tick_us is not None:
                board.device.get_io_module().set_slow_clk_rate(1_000_000 // tick_us)
                board.device.get_io_module().set_slow_clk(False)
            session = BoardSession(board, layers, inputs, options, tick_us)
        received, rails, steps = [], [], 0
        for sample, (stimuli, steps) in enumerate(_samples(program, given, options)):
            events, end_us = _to_send(program, stimuli, cores, options), options.lead_us + steps * step_us
            spikes, readings = session.run(events, end_us, f"in sample {sample}")
            received.append(spikes)
            rails += readings
        return _trace(program, received, rails, (len(received), steps), watched, cores, session, options)
    finally:
        board.close()


def _watched(program: DynapcnnProgram, options: BoardOptions) -> tuple[str, ...]:
    """Layers to monitor, in network order: those that were asked for, and those that leave the network."""
    outputs = {source.layer for source in program.outputs}
    wanted = outputs | set(options.monitor or ())
    strangers = sorted(wanted - set(program.layer_names))
    if strangers:
        raise InputError(f"no layer {strangers[0]!r} to monitor: choose of {', '.join(program.layer_names)}")
    return tuple(name for name in program.layer_names if name in wanted)


def _tick(program: DynapcnnProgram, options: BoardOptions) -> int | None:
    """Period of the slow clock, which adds the bias once a step; None without a bias."""
    if not program.has_bias:
        return None
    low, high = SLOW_CLOCK_HZ
    if not low <= 1e6 / options.events.step_us <= high:
        raise UnsupportedError(
            f"steps of {options.events.step_us} us need a slow clock of {1e6 / options.events.step_us:g} Hz for the "
            f"biases: the board has {low} to {high} Hz; choose steps of {1_000_000 // high} to {1_000_000 // low} us"
        )
    return options.events.step_us


def _configure(board: Board, program: DynapcnnProgram, watched: Sequence[str], options: BoardOptions) -> dict[str, int]:
    """Place the program on the board's chip and write its configuration; the core of every layer."""
    slots, crowded = place(program.layers, load_profile(board.chip))
    if crowded:
        raise CheckFailed(f"the program does not fit {board.chip}: no cores for {', '.join(crowded)}")
    cores = {slot.layer: slot.core for slot in slots}
    configuration = board.module.configuration.SpeckConfiguration()
    bare = replace(program, input_shape=program.shapes()[INPUT], sensor=None, event_filter=None, readout=None)
    samna_link.apply(configuration, build_config(bare, cores, board.chip, watched))
    samna_link.validate(board.module, configuration)
    with usb("while its configuration was written"):
        board.device.get_model().apply_configuration(configuration)
    board.clock.sleep(options.settle_s)
    return cores


def _input_layers(program: DynapcnnProgram) -> list[str]:
    return [layer.name for layer in program.layers if any(source.layer == INPUT for source in layer.sources)]


def _samples(
    program: DynapcnnProgram, given: Integers | Events, options: BoardOptions
) -> Iterator[tuple[Stimuli, int]]:
    """What reaches the cores in every sample, in the project's order of injection, and how many steps it lasts."""
    if given.dtype.names is None:
        for frame in cast("Integers", given):
            yield front_end(program, inject(frame, options.events, ticks=False), options.events)[0], len(frame)
    else:
        recording, steps = from_start(cast("Events", given), options.events.step_us)
        check_recording(recording, program.input_shape, "the recording")
        yield front_end(program, recorded(recording, steps, options.events, ticks=False), options.events)[0], steps


def _to_send(program: DynapcnnProgram, stimuli: Stimuli, cores: dict[str, int], options: BoardOptions) -> CoreEvents:
    """Events of one sample, one for each core that takes input."""
    caused = as_spikes(stimuli)
    parts = []
    for layer in program.layers:
        for source in (source for source in layer.sources if source.layer == INPUT):
            routed = route(source, caused, program.shapes()[INPUT], options.events)
            part = np.empty(len(routed), [*SENT.descr, ("cause", "<i4")])
            for name in ("t", "c", "y", "x", "cause"):
                part[name] = routed[name]
            part["core"] = cores[layer.name]
            parts.append(part)
    joined = np.concatenate(parts)
    joined = joined[np.argsort(joined["cause"], kind="stable")]
    events = joined[list(SENT.names or ())].astype(SENT)
    events["t"] += options.lead_us
    return np.asarray(events)


def _trace(
    program: DynapcnnProgram,
    received: list[CoreEvents],
    rails: list[Rail],
    lead: tuple[int, ...],
    watched: Sequence[str],
    cores: dict[str, int],
    session: BoardSession,
    options: BoardOptions,
) -> Trace:
    (batch, steps), step_us = lead, options.events.step_us
    shapes, incidents = program.shapes(), session.incidents
    events: dict[str, Spikes] = {}
    for name in watched:
        samples = [_spikes_of(cores[name], shapes[name], part, options) for part in received]
        incidents[OUTSIDE] += sum(outside for _, outside in samples)
        events[name] = join_samples([spikes for spikes, _ in samples])
        incidents[BEYOND] += int((events[name]["t"] >= steps * step_us).sum())
    output = count_output(program, events, batch, steps, options.events)
    binned = Binned(events, {name: shapes[name] for name in watched}, batch, steps, step_us)
    return Trace(
        binned,
        {},
        output,
        {},
        events,
        unseen={i: name for i, name in enumerate(program.layer_names) if name not in watched},
        power=mean_power(rails),
        incidents={what: count for what, count in sorted(incidents.items()) if count},
    )


def _spikes_of(
    core: int, shape: tuple[int, int, int], received: CoreEvents, options: BoardOptions
) -> tuple[Spikes, int]:
    """Spikes of one core, with times from the first step on and without a cause, which no board tells."""
    mine = received[received["core"] == core]
    inside = np.ones(len(mine), np.bool_)
    for name, size in zip("cyx", shape, strict=True):
        inside &= (mine[name] >= 0) & (mine[name] < size)
    spikes = np.empty(int(inside.sum()), SPIKE)
    for name in ("c", "y", "x"):
        spikes[name] = mine[name][inside]
    spikes["t"] = np.maximum(mine["t"][inside] - options.lead_us, 0)
    spikes["cause"] = -1
    return spikes, len(mine) - len(spikes)
