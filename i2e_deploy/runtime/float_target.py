"""The target `float`: the float network beside the integers that were made of it, layer by layer.

It shows what the chip's integers lose: the same frames through `Network.run`, told as a trace of the program's
layers. A layer of the program is the one of that name in the network with the neurons after it. Where the chip's
pipeline makes a layer late (`Program.latencies`), so is the float one here, in spikes and states: the two line up.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.base import Program
from i2e_deploy.chips.integers import AnyNetwork
from i2e_deploy.chips.trace import Integers, LayerCounts, Trace
from i2e_deploy.errors import InputError, UnsupportedError
from i2e_deploy.network.delay import Delay
from i2e_deploy.network.graph import Network
from i2e_deploy.network.neurons import IntegrateAndFire, LeakyIntegrateAndFire
from i2e_deploy.network.run import FloatStates

#: What states of neurons are called on chips, and in the float network.
_VARIABLES = {"v": "v_mem", "u": "current"}


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
        InputError: see `Network.run`, or the readout is of a state that the float network does not have.
    """
    if not isinstance(network, Network):
        raise UnsupportedError(
            "target 'float': this network is integers from the start, so there is no float network to run; "
            "choose another target"
        )
    frames = frames.reshape(*frames.shape[:2], *network.input_shape) if _as_many(frames, network) else frames
    late, steps = program.latencies, frames.shape[1]
    kept = network.run(np.zeros((1, 1, *network.input_shape), np.float32), keep=()).states
    stateful = {layer.name for layer in network.layers if layer.name in kept and not isinstance(layer.op, Delay)}
    names = {name: _neurons_of(network, name, stateful, program.layer_names) for name in program.layer_names}
    last = program.layer_names[-1]
    beyond = max(0, program.deciding.lag - late.get(last, 0))
    keep = [name for name in names.values() if name]
    cuts = {steps + beyond, *(steps - late.get(name, 0) for name in names)}
    if program.deciding.kind == "state-mean":
        cuts = set(range(1, steps + beyond + 1))
    run = _Run(network, frames, beyond, sorted(cut for cut in cuts if cut > 0), keep)
    shapes = {line.name: tuple(line.shape) for line in program.layer_lines()}
    held = program.deciding.of_state and not _fires(network, names[last])
    seen = {name: source for name, source in names.items() if source is not None and not (held and name == last)}
    spikes = {
        name: _whole(_shaped(_later(run.layers[source][:, :steps], late.get(name, 0)), shapes.get(name, ())))
        for name, source in seen.items()
    }
    output = _later(run.output[:, :steps], late.get(last, 0))
    return Trace(
        spikes=spikes,
        states={
            name: run.state(source, steps - late.get(name, 0)) for name, source in seen.items() if source in stateful
        },
        output=np.zeros(output.shape, np.int32) if held else _whole(output),
        counts={name: LayerCounts(int(array.sum()), 0, 0) for name, array in spikes.items()},
        unseen={i: name for i, name in enumerate(program.layer_names) if name not in seen},
        uncounted=frozenset({"synops", "saturations"}),
        deciding=program.deciding,
        read=_read(program, run, names[last], beyond),
    )


class _Run:
    """The float run in pieces, with the states at their ends."""

    def __init__(
        self, network: Network, frames: Integers, beyond: int, cuts: Sequence[int], keep: Sequence[str]
    ) -> None:
        none = np.zeros((len(frames), beyond, *frames.shape[2:]), frames.dtype)
        whole, states, parts = np.concatenate([frames, none], axis=1) if beyond else frames, None, []
        self._states: dict[int, FloatStates] = {}
        for start, end in pairwise((0, *cuts)):
            parts.append(network.run(whole[:, start:end], states, keep=keep))
            states = self._states[end] = parts[-1].states
        self.layers = {name: np.concatenate([part.layers[name] for part in parts], axis=1) for name in keep}
        self.output = np.concatenate([part.output for part in parts], axis=1)
        self.stateful = frozenset(states or ())

    def state(self, name: str, step: int) -> Mapping[str, Any]:
        """Of a layer after so many steps; before the first one it has the shape of what it is later, and is 0."""
        if name not in self.stateful:
            return {}
        if step > 0:
            return self._states[step][name]
        return {variable: np.zeros_like(value) for variable, value in self._states[max(self._states)][name].items()}


def _read(program: Program, run: _Run, source: str | None, beyond: int) -> Any:
    """See `Trace.read`: what a readout reads that is later than the steps of the frames, or a sum."""
    deciding, total = program.deciding, run.output.shape[1]
    if not deciding.of_state:
        return _whole(run.output[:, beyond:]) if deciding.lag else None
    name = _VARIABLES.get(deciding.variable, deciding.variable)
    if source not in run.stateful and name == "v_mem":  # the chip adds up what the float layer gives
        return run.output.sum(axis=1)
    if source is None or name not in run.state(source, total):
        raise InputError(
            f"readout {deciding}: the float network has no state {deciding.variable!r} in its last layer; choose "
            "another --readout-kind, or leave out the target float"
        )
    steps = [total] if deciding.kind == "state" else range(beyond + 1, total + 1)
    potentials = [run.state(source, step)[name] for step in steps]
    return np.sum(potentials, axis=0).reshape(len(run.output), -1)


def _fires(network: Network, name: str | None) -> bool:
    """Whether a layer sends spikes, and not values."""
    op = next((layer.op for layer in network.layers if layer.name == name), None)
    return isinstance(op, IntegrateAndFire) or (isinstance(op, LeakyIntegrateAndFire) and op.threshold is not None)


def _neurons_of(network: Network, name: str, stateful: Collection[str], program: Sequence[str]) -> str | None:
    """The layer whose output the program's layer `name` sends: the neurons after it, or itself where none are."""
    consumers, found = network.consumers(), name
    if name not in consumers:
        return None
    while found not in stateful:
        following = consumers[found]
        if not following or following[0].name in program:
            return name
        if len(following) != 1:
            return None
        found = following[0].name
    return found


def _as_many(frames: Integers, network: Network) -> bool:
    return frames.ndim > 2 and np.prod(frames.shape[2:]) == np.prod(network.input_shape)


def _later(array: NDArray[Any], steps: int) -> NDArray[Any]:
    """[B, T, ...] so many steps later, zeros first."""
    if not steps:
        return array
    found = np.zeros_like(array)
    found[:, steps:] = array[:, :-steps]
    return found


def _shaped(array: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """[B, T, ...] in the program's shape of the layer, where that has as many values."""
    wanted = (*array.shape[:2], *shape)
    return array.reshape(wanted) if shape and np.prod(wanted) == array.size else array


def _whole(array: NDArray[Any]) -> Any:
    """As int32 where nothing is lost: traces hold integers."""
    rounded = np.rint(array)
    return array.astype(np.int32) if np.array_equal(rounded, array) and np.abs(array).max() < 2**31 else array
