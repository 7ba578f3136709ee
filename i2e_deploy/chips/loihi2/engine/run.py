"""Run the integers, by the definition or fast, with what goes in checked."""

from __future__ import annotations

from math import prod

import numpy as np

from i2e_deploy.chips.frames import check_states
from i2e_deploy.chips.loihi2.engine.simulator import run_engine
from i2e_deploy.chips.loihi2.program import BlockNetwork
from i2e_deploy.chips.loihi2.reference.layers import SEMANTICS
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
    semantics = semantics_of(semantics)
    if engine not in ENGINES:
        raise InputError(f"engine {engine!r}: choose one of {', '.join(ENGINES)}")
    flat = flat_frames(frames, network)
    if states is not None:
        check_states(states, state_shapes(network, semantics), frames.shape[0])
    return ENGINES[engine](network, flat, semantics, states)


def semantics_of(name: str) -> str:
    """`chip` or `lava`; `timestep` is the chip's own steps.

    Raises:
        InputError: none of these.
    """
    name = "chip" if name == "timestep" else name
    if name not in SEMANTICS:
        raise InputError(f"semantics {name!r}: choose one of {', '.join(SEMANTICS)}")
    return name


def flat_frames(frames: Integers, network: BlockNetwork) -> Integers:
    """[B, T, ...] to [B, T, N], checked.

    Raises:
        InputError: shape, dtype or range.
    """
    wanted = f"[B, T, {', '.join(map(str, network.input_shape))}]"
    if frames.ndim < 3 or prod(frames.shape[2:]) != prod(network.input_shape):
        raise InputError(f"frames have shape {list(frames.shape)}: this program takes {wanted}")
    if 0 in frames.shape:
        raise InputError(f"frames have shape {list(frames.shape)}: give at least one sample and one step")
    if frames.dtype.kind not in "bui":
        raise InputError(f"frames have dtype {frames.dtype}: the chip takes integers; cast them first")
    if frames.dtype.kind != "b" and (frames.min() < -(2**31) or frames.max() >= 2**31):
        raise InputError(f"frames hold {frames.min()}..{frames.max()}: the chip takes signed 32 bits")
    if network.input_message_bits == 0 and frames.dtype.kind == "i" and frames.min() < 0:
        raise InputError(
            f"frames hold {frames.min()}: event counts are not negative; set input_message_bits for values"
        )
    return np.ascontiguousarray(frames.reshape(*frames.shape[:2], -1))
