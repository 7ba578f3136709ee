"""The target `float`: the float network beside the integers that were made of it, layer by layer.

It shows what the chip's integers lose: the same frames through `Network.run`, told as a trace of the program's
layers. A layer of the program is the one of that name in the network with the neurons after it.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.base import Program
from i2e_deploy.chips.integers import AnyNetwork
from i2e_deploy.chips.trace import Integers, LayerCounts, Trace
from i2e_deploy.errors import UnsupportedError
from i2e_deploy.network.graph import Network


def run_float(network: AnyNetwork | None, program: Program, frames: Integers) -> Trace:
    """Run the float network that `program` was made of.

    Args:
        network: with the names of its layers as the program has them.
        frames: integers [B, T, C, H, W].

    Returns:
        A trace as of the program: spikes are whole numbers; states and, where the network does not end in neurons,
        the output are floats. Layers of the program that the network does not have (parts of a split one) are unseen.

    Raises:
        UnsupportedError: there is no float network: these are integers from the start.
        InputError: see `Network.run`.
    """
    if not isinstance(network, Network):
        raise UnsupportedError(
            "target 'float': this network is integers from the start, so there is no float network to run; "
            "choose another target"
        )
    stateful = set(network.run(np.zeros((1, 1, *network.input_shape), np.float32), keep=()).states)
    neurons = {name: _neurons_of(network, name, stateful) for name in program.layer_names}
    run = network.run(frames, keep=[name for name in neurons.values() if name])
    shapes = {line.name: tuple(line.shape) for line in program.layer_lines()}
    seen = {name: source for name, source in neurons.items() if source is not None}
    spikes = {name: _whole(_shaped(run.layers[source], shapes.get(name, ()))) for name, source in seen.items()}
    return Trace(
        spikes=spikes,
        states={name: run.states[source] for name, source in seen.items() if source in run.states},  # type: ignore[misc]
        output=_whole(run.output),
        counts={name: LayerCounts(int(array.sum()), 0, 0) for name, array in spikes.items()},
        unseen={i: name for i, name in enumerate(program.layer_names) if name not in seen},
        uncounted=frozenset({"synops", "saturations"}),
        deciding=program.deciding,
    )


def _neurons_of(network: Network, name: str, stateful: Collection[str]) -> str | None:
    """The layer whose output the program's layer `name` sends: itself where it keeps a state, or what follows it."""
    consumers = network.consumers()
    while name in consumers and name not in stateful:
        if len(consumers[name]) != 1:
            return None
        name = consumers[name][0].name
    return name if name in consumers else None


def _shaped(array: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """[B, T, ...] in the program's shape of the layer, where that has as many values."""
    wanted = (*array.shape[:2], *shape)
    return array.reshape(wanted) if shape and np.prod(wanted) == array.size else array


def _whole(array: NDArray[Any]) -> Any:
    """As int32 where nothing is lost: traces hold integers."""
    rounded = np.rint(array)
    return array.astype(np.int32) if np.array_equal(rounded, array) and np.abs(array).max() < 2**31 else array
