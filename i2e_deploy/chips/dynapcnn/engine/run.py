"""Run the integers: frames in time steps or as events, recordings at their own times; by the definition or fast.

Each engine is imported when it is wanted: its kernels take time to load.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

from i2e_deploy.chips.dynapcnn.program import CoreNetwork
from i2e_deploy.chips.dynapcnn.reference.event_options import EventOptions
from i2e_deploy.chips.dynapcnn.reference.preprocess import preprocess_frames
from i2e_deploy.chips.frames import check_array, check_frames, check_states
from i2e_deploy.chips.options import Injection
from i2e_deploy.chips.trace import Integers, States, Trace
from i2e_deploy.errors import InputError, UnsupportedError
from i2e_deploy.events import Events
from i2e_deploy.events.steps import count_events, from_start

SEMANTICS = ("timestep", "event")
ENGINES = ("fast", "reference")


def run(
    network: CoreNetwork,
    frames: Integers,
    semantics: str = "timestep",
    engine: str = "fast",
    states: States | None = None,
    options: Injection | None = None,
) -> Trace:
    """Frames [B, T, C, H, W]; see `DynapcnnProgram.run`."""
    if semantics not in SEMANTICS:
        raise InputError(f"semantics {semantics!r}: choose one of {', '.join(SEMANTICS)}")
    _check_engine(engine)
    check_frames(frames, network.input_shape)
    if states is not None:
        check_states(states, network.state_shapes(semantics), len(frames))
    if semantics == "event":
        from i2e_deploy.chips.dynapcnn.engine.event.run import run_events

        return run_events(network, frames, engine, EventOptions.of(options), states)
    decimated = [layer.name for layer in network.layers if layer.decimation > 1]
    if decimated:
        raise UnsupportedError(f"layers {decimated} have a decimator, which counts events: use semantics 'event'")
    if network.event_filter is not None:
        raise UnsupportedError("the event filter compares the times of events: use semantics 'event'")
    if network.sensor is not None:
        frames = preprocess_frames(network.sensor, frames)
    if engine == "fast":
        from i2e_deploy.chips.dynapcnn.engine.timestep.engine import run_engine as run_steps
    else:
        from i2e_deploy.chips.dynapcnn.reference.timestep import run_reference as run_steps
    trace = run_steps(network, frames, states)
    return replace(trace, output=network.classes(trace.output))


def run_as_events(
    network: CoreNetwork,
    given: Integers | Events,
    engine: str = "fast",
    states: States | None = None,
    options: Injection | None = None,
) -> Trace:
    """Frames, or a recording as one sample from its first event on; see `DynapcnnProgram.run_events`."""
    check_array(given)
    if given.dtype.names is None:
        return run(network, cast("Integers", given), "event", engine, states, options)
    _check_engine(engine)
    if states is not None:
        check_states(states, network.state_shapes("event"), 1)
    chosen = EventOptions.of(options)
    events, steps = from_start(network.merged(cast("Events", given)), chosen.step_us)
    from i2e_deploy.chips.dynapcnn.engine.event.run import run_recordings

    return run_recordings(network, [events], steps, chosen, engine, states)


def run_timed(
    network: CoreNetwork, recordings: Sequence[Events], steps: int, options: Injection | None, engine: str = "fast"
) -> Trace:
    """A sample a recording, times from 0; see `engine.event.run.run_recordings`."""
    _check_engine(engine)
    from i2e_deploy.chips.dynapcnn.engine.event.run import run_recordings

    return run_recordings(network, recordings, steps, EventOptions.of(options), engine)


def count(network: CoreNetwork, events: Events, step_us: int) -> Integers:
    """A recording counted into steps, as `run` takes it; see `events.steps.count_events`."""
    return count_events(network.merged(events), network.input_shape, step_us)


def _check_engine(engine: str) -> None:
    if engine not in ENGINES:
        raise InputError(f"engine {engine!r}: choose one of {', '.join(ENGINES)}")
