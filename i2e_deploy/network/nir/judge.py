"""The judges of a network that was read from a NIR file: what another simulator recorded, or computes of the same file.

There are two: a file of recorded data (`data`), and a framework that builds its own module from the graph
(`frameworks`). Both give what each node gave; `judge` compares layer by layer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from i2e_deploy.errors import InputError, UnsupportedError
from i2e_deploy.network.graph import INPUT, Network, Note
from i2e_deploy.network.judge import judge
from i2e_deploy.network.nir.data import NirData, RecordedNode, read_nir_data
from i2e_deploy.network.run import as_frames
from i2e_deploy.text import counted, listed

if TYPE_CHECKING:
    from torch import Tensor


def judge_nir(network: Network, data: str | Path, frames: Any = None, dt: float | None = None) -> Network:
    """The network with a note of what was compared with another simulator's record of the same graph.

    Args:
        network: of `read_nir`; its layers have the names of the nodes.
        data: a file of `nir.write_data`.
        frames: [B, T, C, H, W], what the simulator was given; None: the data holds it, of node "input".
        dt: length of a step in seconds, for data that is events with times.

    Raises:
        UnsupportedError: the first layer that differs, with the step and both values.
        InputError: nothing to compare, or frames of another size.
    """
    path = Path(data)
    held = read_nir_data(path, dt)
    if frames is None:
        given = held.nodes.get(INPUT)
        if given is None:
            raise InputError(f"{path.name} holds no node {INPUT!r}: give the frames that the simulator was given")
        _check_size(INPUT, given, network.input_shape, path.name)
        frames = given.data.reshape(*given.data.shape[:2], *network.input_shape)
    return judge_recorded(network, as_frames(frames, network.input_shape), held, path.name)


def judge_recorded(network: Network, frames: Tensor, held: NirData, program: str) -> Network:
    """See `judge_nir`: the comparison itself, of data in memory.

    Args:
        frames: [B, T, C, H, W], floating point.
        program: whose data it is, for errors and the note.
    """
    import torch

    shapes = network.shapes()
    recorded: dict[str, Tensor] = {}
    for name, node in held.nodes.items():
        if name == INPUT or name not in shapes:
            continue
        _check_size(name, node, shapes[name], program)
        if node.data.shape[:2] != tuple(frames.shape[:2]):
            raise InputError(
                f"{program}: node {name!r} has {node.data.shape[0]} samples of {node.data.shape[1]} steps, the frames "
                f"{frames.shape[0]} of {frames.shape[1]}: give the frames that were recorded"
            )
        recorded[name] = torch.from_numpy(node.data.reshape(*node.data.shape[:2], *shapes[name])).to(frames)
    if not recorded:
        raise InputError(f"{program} holds no spikes of a layer of the network: {listed(list(held.nodes))}")
    _check_counts(network, frames, held.nodes)
    strange = [name for name in held.nodes if name not in recorded and name != INPUT]
    left = [*held.left_out, *strange]
    notes = [Note("", f"{program}: not compared, as no layer gives it: {listed(left)}")] if left else []
    return compared(network, frames, recorded, program, notes)


def compared(
    network: Network, frames: Tensor, recorded: Mapping[str, Tensor], program: str, notes: Sequence[Note] = ()
) -> Network:
    """The network with the judge's note and others; its error says what can be chosen of neurons, see `judge`."""
    try:
        judgement = judge(network, frames, recorded, program)
    except UnsupportedError as error:
        way = "neurons of NIR can be read in several ways: choose with reset=, max_spikes=, min_v= of read_nir"
        raise UnsupportedError(f"{error}; {way}") from error
    return replace(network, notes=(*network.notes, judgement.note(program), *notes))


def _check_size(name: str, node: RecordedNode, shape: tuple[int, ...], program: str) -> None:
    if node.data.shape[2] != prod(shape):
        raise InputError(
            f"{program}: node {name!r} has {counted(node.data.shape[2], 'neuron')}, the layer {prod(shape)}: "
            "it is the record of another graph"
        )


def _check_counts(network: Network, frames: Tensor, nodes: Mapping[str, RecordedNode]) -> None:
    """Data that says yes or no cannot be compared with neurons that fire several times in a step."""
    trace = network.run(frames, keep=[name for name, node in nodes.items() if not node.counts])
    for name, node in nodes.items():
        most = float(trace.layers[name].max()) if name in trace.layers and not node.counts else 0.0
        if most > 1:
            raise UnsupportedError(
                f"layer {name!r} fires {most:g} times in a step as it was read, and its record says yes or no (bool): "
                "read it with max_spikes=1 if the simulator fires once, else record numbers"
            )
