"""NIR files made with the `nir` package, whose releases differ: 1.0.7 and later can leave types unchecked."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np


def nir_read(path: Path) -> Any:
    """What nir itself reads, without the inference of types, which refuses groups; 1.0.5 and 1.0.6 always infer."""
    import nir

    return nir.read(path, **_unchecked(nir.read))


def nir_write(path: Path, nodes: Mapping[str, Any], edges: Sequence[tuple[str, str]]) -> Path:
    """A file of nir's own writing, of a graph that nir need not like."""
    import nir

    nir.write(path, nir.NIRGraph(dict(nodes), list(edges), **_unchecked(nir.NIRGraph)))
    return path


def neurons(shape: Sequence[int], threshold: float = 1.0, **values: Any) -> Any:
    """An IF node of that shape."""
    import nir

    return nir.IF(r=np.ones(shape, np.float32), v_threshold=np.full(shape, threshold, np.float32), **values)


def _unchecked(function: Any) -> dict[str, bool]:
    return {"type_check": False} if "type_check" in inspect.signature(function).parameters else {}
