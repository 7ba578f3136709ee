"""When a program's layers do what SLAYER's blocks do, and what makes their steps meet.

SLAYER sends a block's output `shift` steps after it fires (one, or none with delay_shift=False); on the chip every
synapse takes one step. So a layer is late by as many steps as the blocks on its way did not shift. Where ways of
unequal lateness meet in a sum, the shorter one gets a delay. A block is active from SLAYER's first step on, a layer
from t = 1 on, which matters for a bias: a reset starts the layer when the block would start.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from i2e_deploy.chips.loihi2 import program as b
from i2e_deploy.chips.loihi2.formats.slayer_block import LONGEST, Facts
from i2e_deploy.chips.loihi2.neuron import Ints, Reset
from i2e_deploy.errors import UnsupportedError
from i2e_deploy.network.graph import Note
from i2e_deploy.text import counted


@dataclass(frozen=True, eq=False)
class Timing:
    """How a layer's steps meet those of its block.

    Args:
        index: of the block among those that ran.
        late: the layer sends what its block gives so many steps later, int64 [C] or [1]; below 0: earlier.
        start: steps that the layer has done when its block does the first one.
        eager: channels (or neurons) that send in those steps, for their bias alone.
    """

    index: int
    late: Ints
    start: int
    eager: int


def timed(
    network: b.BlockNetwork, facts: Sequence[Facts], sources: Sequence[tuple[int, ...]]
) -> tuple[b.BlockNetwork, Mapping[str, Timing]]:
    """The network with biases, and with the delays that make its layers meet; and how each meets its block.

    Raises:
        UnsupportedError: delays that no synapse can hold.
    """
    made = {int(block.name.partition(".")[0]): block for block in network.blocks}
    #: For each block that ran: the layers (or the input) that send what it gives, and how late.
    senders: dict[int, list[tuple[str, int]]] = {-1: [(b.SOURCE, 0)]}
    moved: dict[str, Ints] = {}
    blocks: list[b.Block] = []
    timings: dict[str, Timing] = {}
    for index, fact in enumerate(facts):
        fed = [pair for source in sources[index] for pair in senders[source]]
        if index not in made:
            senders[index] = [(name, late - fact.shift) for name, late in fed]
            continue
        _check_fed(index, facts, sources)
        block, latest = made[index], max(late for _, late in fed)
        waits = {name: latest - late for name, late in fed}
        connections = tuple(
            later
            for c in block.connections
            for later in _later(c, waits.get(c.source, 0), moved.get(c.source), fact.title)
        )
        if fact.delay is not None:  # feedback has no delay in SLAYER, so only what feeds others is moved
            moved[block.name] = fact.delay
        start = latest + (block.connections[0].synapse is not None)
        late = start - fact.shift
        block = replace(block, connections=connections, bias=fact.bias)
        blocks.append(block)
        senders[index] = [(block.name, late)]
        delay = np.zeros(1, np.int64) if fact.delay is None else fact.delay
        timings[block.name] = Timing(index, late - delay, start, eager(block, start))
    last = blocks[-1].name
    if last in moved and len(np.unique(moved[last])) > 1:
        raise UnsupportedError(
            f"{facts[timings[last].index].title}: the last block has delays of its own for its channels and a bias or "
            "feedback, and its outputs reach no synapse that could delay them: build it with delay=False"
        )
    return replace(network, blocks=tuple(blocks)), timings


def _check_fed(index: int, facts: Sequence[Facts], sources: Sequence[tuple[int, ...]]) -> None:
    """UnsupportedError where what feeds a block is of another kind than it takes."""
    fact, waiting = facts[index], list(sources[index])
    while waiting:
        source = waiting.pop()
        before = facts[source] if source >= 0 else None
        if before is None and fact.kind != "input" and any(other.kind == "input" for other in facts):
            raise UnsupportedError(
                f"{fact.title} takes the frames that feed an Input block with neurons too, whose numbers are "
                "other ones: feed it from the Input block alone"
            )
        if before is not None and before.kind == "pass":
            waiting += sources[source]
        elif before is not None and before.kind == "membrane":
            raise UnsupportedError(f"{before.title} gives its voltage, which no spike carries: only the last block may")
        elif (before.unit if before is not None else 1) != fact.takes:
            raise UnsupportedError(
                f"{fact.title} takes what {before.title if before is not None else 'the frames'} gives: Sigma-Delta "
                "blocks begin with an Input block and end with an Output block, and feed no blocks of other kinds"
            )


def _later(connection: b.Connection, steps: int, moved: Ints | None, title: str) -> list[b.Connection]:
    """The connection with its source `steps` later, and the source's own delays [C_source] on top.

    A convolution has one delay an output channel, so its input channels are parted by their delays.
    """
    synapse = connection.synapse
    if synapse is None or (not steps and moved is None):
        return [connection]
    own = np.zeros(1, np.int64) if synapse.delay is None else synapse.delay
    added = np.array([steps]) if moved is None else moved + steps
    later: list[b.Synapse] = []
    if isinstance(synapse, b.DenseSynapse):
        added = np.repeat(added, synapse.weight.shape[1] // added.size)
        later = [replace(synapse, delay=np.ascontiguousarray(np.broadcast_to(own + added, synapse.weight.shape)))]
    else:
        out, inside = synapse.weight.shape[:2]
        channel = np.arange(out)[:, None] // (out // synapse.groups) * inside + np.arange(inside)
        waits = np.broadcast_to(added, (inside * synapse.groups,))[channel]  # [C_out, C_in / groups]
        for wait in np.unique(waits):
            weight = np.where((waits == wait)[..., None, None], synapse.weight, 0)
            later.append(replace(synapse, weight=weight, delay=np.broadcast_to(own + wait, (out,)).copy()))
    longest = max(int(part.delay.max()) for part in later if part.delay is not None)
    if longest > LONGEST:
        raise UnsupportedError(f"{title}: needs a delay of {longest} steps, the chip's most is {LONGEST}")
    return [replace(connection, synapse=part) for part in later]


def eager(block: b.Block, steps: int) -> int:
    """Channels (or neurons) that their bias alone makes send in the first `steps` steps."""
    if block.bias is None or steps < 1:
        return 0
    if isinstance(block.neuron, b.SigmaDelta):
        return int(((block.bias >= block.neuron.threshold) & (block.bias > 0)).sum())
    if not isinstance(block.neuron, b.CubaLif):
        return 0
    voltage, fired = np.zeros_like(block.bias), np.zeros(block.bias.shape, bool)
    lost = block.neuron.voltage_decay
    for _ in range(steps):
        voltage = np.sign(voltage) * ((np.abs(voltage) * (4096 - lost)) >> 12) + (block.bias << 6)
        fired |= voltage > block.neuron.threshold << 6
    return int(fired.sum())


def biased(network: b.BlockNetwork, timings: Mapping[str, Timing]) -> list[str]:
    """Layers whose bias acts before SLAYER's: CUBA layers with a bias that are not started by a reset."""
    return [
        block.name
        for block in network.blocks
        if isinstance(block.neuron, b.CubaLif) and block.bias is not None and block.bias.any()
        and timings[block.name].start > 0 and block.neuron.reset is None
    ]  # fmt: skip


def started(network: b.BlockNetwork, timings: Mapping[str, Timing], interval: int) -> b.BlockNetwork:
    """Every CUBA layer reset when its block starts, and every `interval` steps again.

    With blocks as SLAYER builds them that is t = 2 for all, `with_reset(interval, 1, staggered=False)`.
    """
    blocks = tuple(
        replace(x, neuron=replace(x.neuron, reset=Reset(interval, timings[x.name].start + 1)))
        if isinstance(x.neuron, b.CubaLif)
        else x
        for x in network.blocks
    )
    return replace(network, blocks=blocks)


def notes(network: b.BlockNetwork, timings: Mapping[str, Timing]) -> list[Note]:
    """What a user must know of the time."""
    found = [
        Note(name, "its bias acts before SLAYER's does: read with reset_interval=T, the steps of a sample", True)
        for name in biased(network, timings)
    ]
    for name, timing in timings.items():
        if timing.eager:
            kind = "fires" if isinstance(_block(network, name).neuron, b.CubaLif) else "sends"
            text = (
                f"the bias alone {kind} {counted(timing.eager, 'channel')} in the first "
                f"{counted(timing.start, 'step')}, before SLAYER's block starts, and what follows differs; no reset "
                "undoes that: raise the threshold above the bias"
            )
            found.append(Note(name, text, True))
    late = np.unique(timings[network.blocks[-1].name].late)
    if late.any():
        step = counted(abs(int(late[0])), "step")
        found.append(Note("", f"outputs come {step} {'later' if late[0] > 0 else 'earlier'} than SLAYER's"))
    return found


def _block(network: b.BlockNetwork, name: str) -> b.Block:
    return next(block for block in network.blocks if block.name == name)
