"""An eye in front of a network: what it computes then equals the network on the events of `conversion`, later.

The network stands still until the first event. Its blocks are as they were, but they start later: what resets them
resets them so many steps later, and a block with a bias is reset when the first event is sent.
"""

from __future__ import annotations

from dataclasses import replace
from math import prod

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.eye import Eye
from i2e_deploy.chips.loihi2.engine.simulator import Stream
from i2e_deploy.chips.loihi2.eye.relay import LEVEL_BITS
from i2e_deploy.chips.loihi2.eye.see import EVENTS, eye_blocks
from i2e_deploy.chips.loihi2.lowering.quantise import ONCE
from i2e_deploy.chips.loihi2.neuron import Reset
from i2e_deploy.chips.loihi2.program import SOURCE, Block, BlockNetwork, Connection, CubaLif
from i2e_deploy.chips.loihi2.programmable import ProgrammableLif
from i2e_deploy.chips.loihi2.relay import Relay
from i2e_deploy.errors import InputError, UnsupportedError

#: A decay that keeps nothing.
WHOLE = 4096


def with_eye(network: BlockNetwork, eye: Eye) -> BlockNetwork:
    """The network fed by pictures.

    Raises:
        InputError: the eye's frames are not the network's, or it has an eye already.
        UnsupportedError: see `eye_blocks`; or the network would start in another state than from zero.
    """
    if network.eye is not None:
        raise InputError("the network has an eye already: give the one without it")
    if network.input_shape != (2, *eye.shape[1:]):
        raise InputError(f"the eye gives frames {(2, *eye.shape[1:])}, the network takes {network.input_shape}")
    if network.input_transform is not None:
        weight, bias = network.input_transform
        raise UnsupportedError(f"the network takes x * {weight} + {bias} of a frame, which the eye does not send")
    seeing = eye_blocks(eye)
    taken = {block.name for block in seeing.blocks} & {block.name for block in network.blocks}
    if taken:
        raise InputError(f"layers {', '.join(sorted(taken))} are the eye's names: give the network's others")
    later = [_later(block, seeing.first) for block in network.blocks]
    _refuse_another_start(network, replace(network, blocks=tuple(later)), seeing.first)
    fed = [replace(block, connections=tuple(_on_events(c) for c in block.connections)) for block in later]
    deciding = replace(network.deciding, lag=network.deciding.lag + seeing.first)
    return replace(
        network, input_shape=seeing.input_shape, blocks=(*seeing.blocks, *fed), input_message_bits=LEVEL_BITS,
        deciding=deciding, eye=eye,
    )  # fmt: skip


def _on_events(connection: Connection) -> Connection:
    return replace(connection, source=EVENTS) if connection.source == SOURCE else connection


def _later(block: Block, steps: int) -> Block:
    neuron = block.neuron
    if isinstance(neuron, (CubaLif, ProgrammableLif)):
        reset = neuron.reset
        if reset is not None:
            neuron = replace(neuron, reset=Reset(reset.interval, reset.offset + steps))
        elif block.bias is not None and block.bias.any():
            neuron = replace(neuron, reset=Reset(ONCE, steps + 1))
    return replace(block, neuron=neuron, latency=block.latency + steps)


def _refuse_another_start(network: BlockNetwork, later: BlockNetwork, steps: int) -> None:
    """Raise UnsupportedError unless, without input, every block is when its time comes as it would have been then.

    From then on both are the same, as all that reaches a block is: what is in flight, and what its sources send from
    their own start on. A source that starts after what it feeds must have sent the same before, too.
    """
    own = {block.name: block.latency for block in network.blocks}
    feeds_early = {c.source for b in network.blocks for c in b.connections if own.get(c.source, 0) > b.latency}
    streams = [Stream(n, resumes=True) for n in (network, later)]
    for _ in range(steps):
        _silent_step(streams[1], network)
    differ: set[str] = set()
    for t in range(max(own.values()) + 1):
        before, after = (stream.states() for stream in streams)
        for block in later.blocks:
            if own[block.name] == t:
                kept = set(after[block.name]) - {"step"} - _lost(block, steps + t + 1)
                equal = all(np.array_equal(before[block.name][name], after[block.name][name]) for name in kept)
                differ |= set() if equal else {block.name}
        sent = [_silent_step(stream, network) for stream in streams]
        differ |= {name for name in feeds_early if t < own[name] and not np.array_equal(sent[0][name], sent[1][name])}
    if differ:
        raise UnsupportedError(
            f"layers {', '.join(sorted(differ))} move by themselves while the eye works ({steps} steps), and would not "
            "start from zero when the first event comes: lower their bias, or convert the pictures on the host"
        )


def _silent_step(stream: Stream, network: BlockNetwork) -> dict[str, NDArray[np.int32]]:
    """What each block sends in a step without input."""
    record = {i: np.zeros((1, 1, *block.shape), np.int32) for i, block in enumerate(network.blocks)}
    stream.advance(np.zeros((1, 1, prod(network.input_shape)), np.uint8), record)
    return {block.name: record[i] for i, block in enumerate(network.blocks)}


def _lost(block: Block, t: int) -> set[str]:
    """State variables of which step t keeps nothing: a reset begins it, or they decay at once."""
    neuron = block.neuron
    if isinstance(neuron, Relay):
        return set(neuron.variables)
    if not isinstance(neuron, (CubaLif, ProgrammableLif)):
        return set()
    if neuron.reset is not None and t % neuron.reset.interval == neuron.reset.offset % neuron.reset.interval:
        return set(neuron.variables)
    decays = {"u": neuron.current_decay, "v": neuron.voltage_decay}
    return {name for name, decay in decays.items() if int(decay.min()) == WHOLE}
