"""What a readout reads that a trace does not have: a later state, its sum over the steps, a later output."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from i2e_deploy.chips.deciding import Deciding
from i2e_deploy.chips.loihi2.engine.inputs import flat_frames, semantics_named
from i2e_deploy.chips.loihi2.engine.run import run
from i2e_deploy.chips.loihi2.engine.simulator import Stream
from i2e_deploy.chips.loihi2.program import BlockNetwork
from i2e_deploy.chips.loihi2.reference.run import run_reference
from i2e_deploy.chips.trace import Integers, States, Trace


def read_late(
    network: BlockNetwork, trace: Trace, frames: Integers, semantics: str, engine: str, states: States | None
) -> Integers | None:
    """See `Trace.read`: None where the trace has all that is read.

    Args:
        trace: of `frames`, a run that began from `states`.
        frames, semantics, engine, states: see `LoihiProgram.run`.
    """
    deciding, flat = network.deciding, flat_frames(frames, network)
    none = np.zeros((len(flat), deciding.lag, flat.shape[2]), flat.dtype)
    if deciding.kind == "state-mean":
        rest = _values(network, deciding, np.concatenate([flat, none], axis=1), semantics, engine, states)
        return np.asarray(sum(value for t, value in enumerate(rest) if t >= deciding.lag), np.int64)
    if not deciding.lag:
        return None
    if not deciding.of_state:
        on = run(network, none, semantics, engine, trace.states)
        return np.concatenate([trace.output, on.output], axis=1)[:, deciding.lag :]
    return list(_values(network, deciding, none, semantics, engine, trace.states))[-1]


def _values(
    network: BlockNetwork, deciding: Deciding, flat: Integers, semantics: str, engine: str, states: States | None
) -> Iterator[Integers]:
    """The variable after each step, int64 [B, N]."""
    semantics = semantics_named(semantics)
    stream = Stream(network, len(flat), semantics, states=states) if engine == "fast" else None
    for t in range(flat.shape[1]):
        step = flat[:, t : t + 1]
        if stream is None:
            states = run_reference(network, step, semantics, states).states
        else:
            stream.advance(step)
            states = stream.states()
        yield np.array(states[deciding.layer][deciding.variable], np.int64).reshape(len(flat), -1)
