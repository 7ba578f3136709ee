"""The judge: what a SLAYER module's own `forward` gives, block by block, beside what the program gives.

Both run the same frames from a fresh state; every message of every layer must be the block's, at the step that
`slayer_time` says. What the module returns is what its last block gives: `slayer_graph` sees to that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from i2e_deploy.chips.loihi2.engine.run import run
from i2e_deploy.chips.loihi2.formats.slayer_block import Facts, block_kind
from i2e_deploy.chips.loihi2.formats.slayer_graph import Run
from i2e_deploy.chips.loihi2.formats.slayer_time import Timing, biased, started
from i2e_deploy.chips.loihi2.neuron import Ints
from i2e_deploy.chips.loihi2.program import Block, BlockNetwork, CubaLif
from i2e_deploy.chips.trace import Trace
from i2e_deploy.errors import InputError, UnsupportedError
from i2e_deploy.network.graph import Note
from i2e_deploy.text import counted, listed

Floats = NDArray[np.float64]


def judged(
    network: BlockNetwork, facts: Sequence[Facts], timings: Mapping[str, Timing], done: Run, frames: Ints, title: str
) -> Note:
    """Compare every layer; say what was compared.

    Args:
        network: with its resets, if it was read with any; else one reset is tried for what has a bias.
        frames: of the program, int64 [B, T, *input_shape].
        done: what the module's blocks gave for the same frames.
        title: of what was run, e.g. "Net.forward".

    Raises:
        UnsupportedError: the first layer that differs.
    """
    if not network.input_message_bits and (bits := message_bits(frames)):
        raise UnsupportedError(
            f"example has counts up to {frames.max()}, each of which is one spike with input_message_bits=0, where "
            f"SLAYER multiplies by it: give input_message_bits={bits}"
        )
    steps, late = frames.shape[1], max(0, *(int(timing.late.max()) for timing in timings.values()))
    silence = np.zeros((len(frames), late, *frames.shape[2:]), frames.dtype)
    longer = np.concatenate([frames, silence], axis=1)
    early = biased(network, timings)
    interval = longer.shape[1] + 1 + max(timing.start for timing in timings.values())
    trace = run(started(network, timings, interval) if early else network, longer)
    total, silent = 0, []
    for block in network.blocks:
        timing, fact = timings[block.name], facts[timings[block.name].index]
        theirs = _messages(done.given[timing.index], fact.unit)
        if fact.kind == "membrane":
            end = theirs.sum(1, keepdims=True) if fact.summed else theirs[:, -1:]
            voltage = _membrane(trace, block, theirs, fact)
            _equal(block, fact, timing, voltage, end, np.array([0]), title, "its voltage at the end")
        else:
            ours = trace.spikes[block.name].reshape(*longer.shape[:2], -1)
            channels = np.broadcast_to(timing.late, max(timing.late.size, 1))
            _equal(block, fact, timing, ours, theirs, np.repeat(channels, ours.shape[2] // channels.size), title)
        total += theirs.size
        silent += [] if theirs.any() else [block.name]
    what = f"{counted(len(network.blocks), 'layer')}, {total:,} values, all equal"
    on = f"from a fresh state on {counted(len(frames), 'sample')} of {counted(steps, 'step')}"
    reset = f"; compared with layers reset as reset_interval does, for the bias of {listed(early)}" if early else ""
    quiet = f"; nothing fired in {listed(silent)}: a livelier example says more" if silent else ""
    return Note("", f"compared with {title} {on}: {what}{reset}{quiet}")


def _messages(given: Tensor, unit: int) -> Floats:
    """[B, ..., T] of SLAYER to [B, T, N] in the program's integers."""
    flat = given.double().reshape(given.shape[0], -1, given.shape[-1])
    messages: Floats = (flat.permute(0, 2, 1) * unit).contiguous().numpy()
    return messages


def _membrane(trace: Trace, block: Block, theirs: Floats, fact: Facts) -> Ints:
    """The voltage [B, 1, N] after all steps; such a layer must not have fired."""
    if trace.spikes[block.name].any():
        raise UnsupportedError(f"{fact.title} never fires in SLAYER, and layer {block.name!r} does")
    return trace.states[block.name]["v"].reshape(len(theirs), 1, -1).astype(np.int64)


def _equal(
    block: Block, fact: Facts, timing: Timing, ours: NDArray[Any], theirs: Floats, late: Ints, title: str,
    what: str = "it gives",
) -> None:  # fmt: skip
    """UnsupportedError where `ours` [B, T', N] is not `theirs` [B, T, N], so many steps `late` [N] each."""
    if ours.shape[::2] != theirs.shape[::2]:
        raise UnsupportedError(f"{fact.title} gives {theirs.shape[2]} values, layer {block.name!r} {ours.shape[2]}")
    first = min(0, int(late.min()))
    mine = np.concatenate([np.zeros((len(ours), -first, ours.shape[2]), ours.dtype), ours], axis=1)
    step = np.arange(first, ours.shape[1])[:, None] - late  # of SLAYER, [T', N]
    known = step < theirs.shape[1]
    wanted = np.take_along_axis(theirs, np.clip(step, 0, theirs.shape[1] - 1)[None], axis=1)
    wanted = np.where(step >= 0, wanted, 0.0)
    wrong = (mine != wanted) & known
    if not wrong.any():
        return
    t = int(wrong.any(axis=(0, 2)).argmax())
    sample, neuron = (int(i) for i in np.argwhere(wrong[:, t])[0])
    place = tuple(int(i) for i in np.unravel_index(neuron, block.shape))
    shift = f", {counted(int(late[neuron % late.size]), 'step')} later" if late[neuron % late.size] > 0 else ""
    raise UnsupportedError(
        f"{fact.title} of {title} is not layer {block.name!r}: first at step {int(step[t, neuron % late.size])} of "
        f"sample {sample}, neuron {place}, {what} {mine[sample, t, neuron]} where SLAYER has "
        f"{wanted[sample, t, neuron]:g}{shift}; {int(wrong.sum()):,} of {wrong.size:,} values differ: "
        f"{_cause(block, timing)}"
    )


def _cause(block: Block, timing: Timing) -> str:
    """The known reason why a layer differs, or where to look."""
    if timing.eager:
        kind = "fires" if isinstance(block.neuron, CubaLif) else "sends"
        return (
            f"the bias alone {kind} {counted(timing.eager, 'channel')} in the first {counted(timing.start, 'step')}, "
            "before SLAYER's block starts, which no reset undoes; raise the threshold above the bias. Read without "
            "example= to keep the network with a warning"
        )
    return "the block or a layer before it does something that its parameters do not say (a hook, an own forward)"


def program_frames(blocks: Sequence[Any], frames: Tensor) -> Ints:
    """What the program takes for frames of the module [B, ..., T]: int64 [B, T, ...].

    Raises:
        InputError: values that are no whole numbers for the program.
    """
    block = blocks[0]
    values, scale = frames.detach().double(), 1
    if block_kind(block) == "Input" and block.neuron is not None:  # block/base.py:104, block/sigma_delta.py:59
        values, scale = block.pre_hook_fx(frames), block.neuron.w_scale
        values = values if block.weight is None else values * block.pre_hook_fx(block.weight)
        values = values if block.bias is None else values + block.pre_hook_fx(block.bias)
        values = values.detach().double() * scale
    if bool((values.abs() >= 2**31).any()):
        raise InputError(f"example has values up to {float(values.abs().max()):.3g}: the chip takes signed 32 bits")
    if bool((values != values.round()).any()):
        fix = "train the input block without a weight" if scale != 1 else "round them, or begin with an Input block"
        raise InputError(f"example has values that are no whole numbers of 1/{scale} for the chip: {fix}")
    return np.ascontiguousarray(torch.movedim(values, -1, 1).numpy()).astype(np.int64)


def message_bits(frames: Ints) -> int:
    """Bits of the signed numbers in frames; 0 where they are events, 0 or 1."""
    if ((frames == 0) | (frames == 1)).all():
        return 0
    return 1 + int(np.abs(frames).max()).bit_length()
