"""A trained lava-dl SLAYER network as integer blocks.

The module runs once in a copy, which shows what feeds what (`slayer_graph`); its blocks are exported into a file in
memory and read as a `.net` file is, with what such a file does not say (`slayer_block`); their times are made to meet
(`slayer_time`); and with an example every message is compared with SLAYER's (`slayer_judge`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from i2e_deploy.chips.loihi2.formats.netx_read import from_open_file
from i2e_deploy.chips.loihi2.program import BlockNetwork, SigmaDelta
from i2e_deploy.errors import InputError, UnsupportedError
from i2e_deploy.network.graph import Note
from i2e_deploy.network.judge import NOT_COMPARED
from i2e_deploy.network.op import Shape

#: Samples and steps of the frames that show what feeds what where no example is given.
_PROBE = (1, 2)


def from_slayer(
    module: Any,
    input_shape: Shape | None = None,
    input_message_bits: int | None = None,
    spike_exp: int = 6,
    example: Any = None,
    reset_interval: int | None = None,
) -> BlockNetwork:
    """Read a SLAYER network. It is neither run nor changed: all is done with a copy, in evaluation mode.

    Args:
        module: a module whose `forward` feeds SLAYER blocks with frames, blocks and their sums (`+`); or a list or
            `nn.ModuleList` of blocks, or an object with those in `.blocks`, which are run in that order. A sum reaches
            the next block through the same synapses twice.
        input_shape: (C, H, W) or (N,); needed without `example` where the first block is a convolution.
        input_message_bits: see `read_netx`; None: what the example needs, else 0, and any value but 0 is one spike.
        spike_exp: see `read_netx`; SLAYER's messages are those of 6.
        example: frames [B, T, *input_shape] as the module takes them, but for the place of T. The module's `forward`
            and the program run them, and must agree in every message.
        reset_interval: steps of a sample. CUBA layers are reset in the step in which SLAYER's blocks start, which
            makes biases exact; needed for these alone.

    Raises:
        UnsupportedError: a block that cannot run exactly on the chip, a `forward` that does something else than feed
            blocks, or (with `example`) a layer that gives something else than its block; with the reason.
        InputError: not a module of SLAYER, or one that has drawn no delays and decays yet; an example of another shape.
    """
    import h5py

    from i2e_deploy.chips.loihi2.formats import slayer_graph as graph
    from i2e_deploy.chips.loihi2.formats import slayer_time as time
    from i2e_deploy.chips.loihi2.formats.slayer_block import exported
    from i2e_deploy.chips.loihi2.formats.slayer_judge import judged, message_bits, program_frames

    if not hasattr(module, "blocks") and isinstance(module, Iterable):
        module = module if hasattr(module, "named_modules") else list(module)
    blocks = _checked(module)
    notes = _own_code(module, blocks, example is not None)
    frames = _frames(blocks, input_shape, example)
    done = graph.ran(module, frames)
    given = None if example is None else program_frames(done.blocks, frames)
    if input_message_bits is None:
        input_message_bits = 0 if given is None else message_bits(given)
    with h5py.File("slayer", "w", driver="core", backing_store=False) as file:
        facts = exported(done.blocks, file.create_group("layer"))
        network = from_open_file(file, tuple(frames.shape[1:-1]), input_message_bits, spike_exp, done.sources)
    network, timings = time.timed(network, facts, done.sources)
    late = max(0, int(timings[network.blocks[-1].name].late[0]))  # the output is read when SLAYER's would come
    network = network.decided_by(replace(network.deciding, lag=late))
    notes += [Note("", text) for text in done.notes] + [Note("", text, example is None) for text in done.doubts]
    if reset_interval is not None:
        network = time.started(network, timings, _checked_interval(reset_interval, frames, example))
    notes += time.notes(network, timings)
    if given is None:
        notes += _assumed(network, spike_exp)
    else:
        notes.append(judged(network, facts, timings, done, given, f"{type(module).__name__}.forward"))
    return replace(network, notes=(*notes, *network.notes))


def _checked_interval(interval: int, frames: Any, example: Any) -> int:
    """Steps between resets: within a sample there is one, at its start."""
    least = 1 if example is None else int(frames.shape[-1])
    if interval < least:
        steps = "" if example is None else f" and the example has {least} steps"
        raise InputError(f"reset_interval is {interval}{steps}: give the steps of a sample, {least} or more")
    return interval


def _assumed(network: BlockNetwork, spike_exp: int) -> list[Note]:
    """What an example would have told."""
    notes = [Note("", NOT_COMPARED)]
    if not network.input_message_bits:
        text = (
            "a value above 1 in a frame is one spike, where SLAYER multiplies by it: give input_message_bits for counts"
        )
        notes.append(Note("", text))
    if spike_exp != 6 and any(isinstance(block.neuron, SigmaDelta) for block in network.blocks):
        notes.append(Note("", f"spike_exp={spike_exp}: SLAYER's Sigma-Delta messages have 6 more bits", True))
    return notes


def _checked(module: Any) -> list[tuple[str, Any]]:
    """Name and block of every SLAYER block in the module, each of which has what it draws at random."""
    from i2e_deploy.chips.loihi2.formats.slayer_graph import blocks_of, is_block

    row = getattr(module, "blocks", module)
    if not hasattr(module, "named_modules"):
        if not isinstance(row, Iterable):
            raise InputError(f"{type(module).__name__} is no SLAYER network: give its blocks in order")
        other = [f"block {i} ({type(block).__name__})" for i, block in enumerate(row) if not is_block(block)]
        if other:
            raise UnsupportedError(f"{other[0]}: not a SLAYER block; fold it into one, or take it out")
        blocks = [(str(i), block) for i, block in enumerate(row)]
    else:
        blocks = blocks_of(module)
    if not blocks:
        raise InputError(f"{type(module).__name__} holds no SLAYER blocks: give the trained network")
    for name, block in blocks:
        delay, neuron = getattr(block, "delay", None), getattr(block, "neuron", None)
        if (delay is not None and not delay.init) or hasattr(neuron, "current_decay_min"):
            raise InputError(
                f"block {name!r} draws its delays or decays with its first batch: run one batch through the network"
            )
    return blocks


def _own_code(module: Any, blocks: list[tuple[str, Any]], example: bool) -> list[Note]:
    """Notes on blocks whose class or hooks are not SLAYER's alone; without an example they are refused."""
    from i2e_deploy.chips.loihi2.formats.slayer_own import own_code, replaced

    tops = [module] if hasattr(module, "modules") else [block for _, block in blocks]
    if found := replaced(part for top in tops for part in top.modules()):
        raise UnsupportedError(
            f"{found} is replaced on the object: a copy, which is what is run here, may call the original by it; write "
            "a subclass with that method"
        )
    notes = []
    for name, block in blocks:
        found = own_code(block)
        if found and not example:
            raise UnsupportedError(
                f"block {name!r} is not SLAYER's alone ({found}), so its parameters do not say what it computes: give "
                "example=frames, which compares it with what was read"
            )
        if found:
            notes.append(Note("", f"block {name!r} has {found}: it agrees on the example, which proves no more", True))
    return notes


def _frames(blocks: list[tuple[str, Any]], input_shape: Shape | None, example: Any) -> Any:
    """The example in SLAYER's layout, float32 [B, ..., T]; without one, events that only show what feeds what."""
    import torch

    from i2e_deploy.network.run import as_frames

    if example is not None:
        ndim = getattr(example, "ndim", 0)
        if ndim not in (3, 5) or (input_shape is not None and tuple(example.shape[2:]) != tuple(input_shape)):
            wanted = ", ".join(map(str, input_shape or ("C", "H", "W")))
            raise InputError(f"example has shape {list(getattr(example, 'shape', ()))}: give frames [B, T, {wanted}]")
        return torch.movedim(as_frames(example, tuple(example.shape[2:])), 1, -1).contiguous()
    shape = input_shape or _first_shape(blocks[0][1])
    samples, steps = _PROBE
    return torch.ones(samples, *shape, steps)


def _first_shape(block: Any) -> Shape:
    """Of what the first block takes, where it says so."""
    from i2e_deploy.chips.loihi2.formats.slayer_block import block_kind

    kind = block_kind(block)
    if kind in ("Input", "Flatten") and block.shape is not None:
        shape = tuple(block.shape)
        return shape[:1] if kind == "Flatten" else shape
    synapse = getattr(block, "synapse", getattr(block, "input_synapse", None))
    synapse = getattr(synapse, "real", synapse)
    if kind in ("Dense", "Recurrent", "Affine", "Output", "KWTA") and synapse is not None:
        inside = tuple(synapse.weight.shape[1:4])
        return inside[:1] if inside[1:] == (1, 1) else inside
    raise InputError(f"the first block ({kind}) does not say its input: give input_shape=(C, H, W) or (N,)")
