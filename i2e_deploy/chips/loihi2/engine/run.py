"""Run the integers, by the definition or fast, with what goes in checked."""

from __future__ import annotations

from i2e_deploy.chips.frames import check_states
from i2e_deploy.chips.loihi2.engine.inputs import flat_frames, semantics_named
from i2e_deploy.chips.loihi2.engine.simulator import run_engine
from i2e_deploy.chips.loihi2.program import BlockNetwork
from i2e_deploy.chips.loihi2.reference.layers import layers_of
from i2e_deploy.chips.loihi2.reference.neurons import state_shapes
from i2e_deploy.chips.loihi2.reference.run import run_reference
from i2e_deploy.chips.trace import Integers, States, Trace
from i2e_deploy.errors import InputError

ENGINES = {"fast": run_engine, "reference": run_reference}


def run(
    network: BlockNetwork,
    frames: Integers,
    semantics: str = "timestep",
    engine: str = "fast",
    states: States | None = None,
) -> Trace:
    """See `LoihiProgram.run`."""
    semantics = semantics_named(semantics)
    if engine not in ENGINES:
        raise InputError(f"engine {engine!r}: choose one of {', '.join(ENGINES)}")
    flat = flat_frames(frames, network)
    if states is not None:
        check_states(states, state_shapes(layers_of(network, semantics)), frames.shape[0])
    return ENGINES[engine](network, flat, semantics, states)
