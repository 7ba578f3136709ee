"""A program as arrays and JSON, and back with every value checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from i2e_deploy.chips.trace import Integers
from i2e_deploy.errors import FileFormatError
from toy_chip.program import Core, Crossbars


def to_tensors(program: Crossbars) -> tuple[dict[str, Integers], dict[str, Any]]:
    """See `Program.to_tensors`."""
    rows = [{"name": core.name, "threshold": core.threshold, "leak": core.leak} for core in program.cores]
    return {core.name: core.weight for core in program.cores}, {"input_shape": list(program.input_shape), "cores": rows}


def from_tensors(tensors: Mapping[str, Integers], data: Mapping[str, Any]) -> Crossbars:
    """The inverse of `to_tensors`.

    Raises:
        FileFormatError: a key, a type, a shape or a range is wrong.
    """
    try:
        cores = tuple(_core(row, tensors) for row in data["cores"])
        program = Crossbars(tuple(_integer(n, 1, 2**15) for n in data["input_shape"]), cores)
        names = [core.name for core in cores]
        if not cores or len(set(names)) < len(names):
            raise ValueError(f"cores {names}")
        lines = [program.axons, *(len(core.weight) for core in cores[:-1])]
        if wrong := [c.name for c, n in zip(cores, lines, strict=True) if c.weight.shape[1] != n]:
            raise ValueError(f"axons of {wrong[0]!r}")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise FileFormatError(f"not a program of the toy chip: {type(error).__name__} at {error}") from error
    return program


def _core(row: Mapping[str, Any], tensors: Mapping[str, Integers]) -> Core:
    name = str(row["name"])
    weight: Any = np.asarray(tensors[name])
    if weight.dtype != np.int8 or weight.ndim != 2 or not weight.size or not set(np.unique(weight)) <= {-1, 0, 1}:
        raise ValueError(f"weights of {name!r}")
    return Core(name, weight, _integer(row["threshold"], 0, 126), _integer(row["leak"], 0, 127))


def _integer(value: Any, low: int, high: int) -> int:
    if type(value) is not int or not low <= value <= high:
        raise ValueError(f"{value!r}: expected an integer in {low}..{high}")
    return value
