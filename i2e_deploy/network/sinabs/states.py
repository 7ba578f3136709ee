"""Membrane states that a Sinabs module holds, as the start of the network.

Sinabs writes those of the first sample of a batch to the chip (sinabs 3.1.3 backend/dynapcnn/chips/dynapcnn.py:
`v_mem.transpose(2, 3)[0]`), and scales by all of them (discretize.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, get_args

import numpy as np

from i2e_deploy.errors import InputError, UnsupportedError
from i2e_deploy.network.graph import Network, Note
from i2e_deploy.network.modules.graph import Call
from i2e_deploy.network.modules.values import array_of
from i2e_deploy.network.neurons import IntegrateAndFire, LeakyIntegrateAndFire
from i2e_deploy.network.op import Array, Shape
from i2e_deploy.text import counted, listed

StatesChoice = Literal["stored", "zero"]
_CHOICE = "choose with states='stored' or states='zero' (Sinabs writes the stored ones to the chip)"


def with_states(network: Network, calls: Sequence[Call], choice: StatesChoice | None) -> Network:
    """The network with the states of its modules as its start, as `choice` says, and a note where they are not zero.

    Raises:
        InputError: an unknown choice, states that are not finite or of another shape.
        UnsupportedError: `"stored"`, and neurons hold other states than a membrane potential.
    """
    if choice is not None and choice not in get_args(StatesChoice):
        raise InputError(f"states is {choice!r}: choose 'stored' or 'zero'")
    modules = {call.name: call.module for call in calls}
    shapes, layers, notes = network.shapes(), [], []
    left: list[str] = []
    for layer in network.layers:
        op = layer.op
        neurons = isinstance(op, IntegrateAndFire | LeakyIntegrateAndFire)
        held = _held(layer.name, modules.get(layer.name)) if neurons else {}
        filled = [name for name, array in held.items() if array.any()]
        if not filled or choice != "stored":
            layers.append(layer)
            left += [layer.name] if filled else []
            continue
        assert isinstance(op, IntegrateAndFire | LeakyIntegrateAndFire)
        _check_start(layer.name, filled, op.start)
        start, samples = _first(layer.name, held["v_mem"], shapes[layer.name])
        layers.append(replace(layer, op=replace(op, start=start)))
        of = "" if samples == 1 else f", of the first of {samples} samples, as Sinabs takes them"
        notes.append(Note(layer.name, f"starts from the membrane states that the module holds{of}"))
    if left:
        said = f"the module holds states that are not zero in {counted(len(left), 'layer')} ({listed(left)}); "
        text = "starts from zero, as asked" if choice == "zero" else f"zero is assumed: {_CHOICE}"
        notes.append(Note("", said + text, doubtful=choice is None))
    return replace(network, layers=tuple(layers), notes=(*network.notes, *notes)) if notes else network


def _check_start(name: str, filled: Sequence[str], start: Array | None) -> None:
    """A start is of the membrane alone, and of neurons that have no other; UnsupportedError else."""
    others = sorted(state for state in filled if state != "v_mem")
    if others:
        raise UnsupportedError(
            f"layer {name!r} holds states of {', '.join(others)}, and a start is of the membrane alone: "
            "give states='zero', or call reset_states() of the module first"
        )
    if start is not None:
        raise UnsupportedError(
            f"layer {name!r} holds states and starts elsewhere than at 0 for its loop: give states='zero'"
        )


def _held(name: str, module: object) -> dict[str, Array]:
    """States of a stateful Sinabs layer by name, float32 [B, ...]; those of a fresh one are empty and left out."""
    found = {}
    for state in getattr(module, "_buffers", {}):
        try:
            array = array_of(module, state)
        except InputError as error:
            raise InputError(f"layer {name!r}: {error}") from error
        if array is not None and array.size:
            found[state] = array
    if not all(np.isfinite(array).all() for array in found.values()):
        raise InputError(f"layer {name!r} holds states that are not finite: call reset_states() of the module first")
    return found


def _first(name: str, v_mem: Array, shape: Shape) -> tuple[Array, int]:
    """States of the first sample in the shape of the neurons, and how many samples there are."""
    if v_mem.shape[1:] != shape:
        raise InputError(
            f"layer {name!r} holds states of shape {list(v_mem.shape)} for neurons of shape {list(shape)}: run the "
            "module on an input of this size, or give states='zero'"
        )
    return np.ascontiguousarray(v_mem[0]), len(v_mem)
