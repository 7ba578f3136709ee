"""Kinds of neurons register themselves: what a file holds of each, and what is refused."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest

from i2e_deploy.chips.loihi2.formats.program_file import from_tensors, to_tensors
from i2e_deploy.chips.loihi2.neuron import Limits, Neuron, Reset
from i2e_deploy.chips.loihi2.program import (
    SOURCE,
    Block,
    BlockNetwork,
    Connection,
    CubaLif,
    Delta,
    Resonator,
    Sigma,
    SigmaDelta,
)
from i2e_deploy.errors import FileFormatError


@dataclass(frozen=True)
class Leaky(Neuron):
    """A kind that the package does not have."""

    variables = ("v",)
    integers: ClassVar[Limits] = {"leak": (0, 9)}

    leak: int


KINDS: dict[Neuron, dict[str, Any]] = {
    CubaLif(np.array([3]), np.array([4, 5]), 7, Reset(3, 2)): {"threshold": 7, "reset": [3, 2]},
    CubaLif(np.array([3]), np.array([4]), 7): {"threshold": 7, "reset": None},
    Delta(4, 3): {"threshold": 4, "spike_exp": 3},
    SigmaDelta(2): {"threshold": 2, "spike_exp": 6},
    Sigma(): {},
    Resonator("phase", 3, -4, 5): {"kind": "phase", "sin_decay": 3, "cos_decay": -4, "threshold": 5},
    Leaky(8): {"leak": 8},
}


def written(neuron: Neuron) -> tuple[dict[str, Any], dict[str, Any]]:
    block = Block("a", neuron, (2,), (Connection(SOURCE, None),))
    tensors, data = to_tensors(BlockNetwork((2,), (block,)))
    return tensors, json.loads(json.dumps(data))


@pytest.mark.parametrize("neuron", KINDS, ids=lambda neuron: type(neuron).__name__)
def test_what_a_file_holds_of_each_kind(neuron: Neuron) -> None:
    """The format of version 1: files of older versions hold the same."""
    tensors, data = written(neuron)
    row = data["blocks"][0]
    assert (row["kind"], row["neuron"]) == (type(neuron).__name__, KINDS[neuron])
    assert list(row["neuron"]) == list(KINDS[neuron])
    assert list(tensors) == (["a.current_decay", "a.voltage_decay"] if isinstance(neuron, CubaLif) else [])
    again, same = to_tensors(from_tensors(tensors, data))
    assert same == data
    for name, array in tensors.items():
        np.testing.assert_array_equal(again[name], array, strict=True)


@pytest.mark.parametrize(
    ("neuron", "name", "value", "message"),
    [
        (Leaky(8), "leak", 10, r"layer 'a': 10: expected an integer in 0\.\.9"),
        (Leaky(8), "leak", True, r"layer 'a': True: expected an integer"),
        (Resonator("phase", 3, -4, 5), "kind", "sine", "layer 'a': kind 'sine': expected one of phase, izhikevich"),
        (CubaLif(np.array([3]), np.array([4]), 7), "reset", [0, 1], r"layer 'a': 0: expected an integer in 1\.\."),
    ],
)
def test_values_out_of_a_file_are_checked(neuron: Neuron, name: str, value: Any, message: str) -> None:
    tensors, data = written(neuron)
    data["blocks"][0]["neuron"][name] = value
    with pytest.raises(FileFormatError, match=message):
        from_tensors(tensors, data)


def test_unknown_kinds_and_arrays_of_another_length_are_refused() -> None:
    tensors, data = written(CubaLif(np.array([3]), np.array([4]), 7))
    with pytest.raises(FileFormatError, match=r"layer 'a': voltage_decay has shape \[3\], expected \[1\] or \[2\]"):
        from_tensors({**tensors, "a.voltage_decay": np.array([1, 2, 3])}, data)
    data["blocks"][0]["kind"] = "Quantum"
    with pytest.raises(FileFormatError, match="neurons of kind 'Quantum' are not known; known are CubaLif, Delta"):
        from_tensors(tensors, data)
