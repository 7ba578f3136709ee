"""Read what another simulator recorded of a NIR graph: a file of `nir.write_data` (NIRGraphData, nir 1.0.8).

Treated as hostile, as every HDF5 file (`hdf5_guard`). The observable that exporters write is called "spikes" (nirtorch,
jaxsnn, hxtorch); any other is named and left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.errors import FileFormatError, InputError, UnsupportedError
from i2e_deploy.hdf5_guard import Guarded, check_file
from i2e_deploy.text import one_line

SPIKES = "spikes"
#: Nodes, and observables of a node, at most.
MAX_NODES = 4096
#: Values of a grid made of events, at most.
MAX_VALUES = 2**26


@dataclass(frozen=True, eq=False)
class RecordedNode:
    """What one node gave.

    Args:
        data: float32 [B, T, N].
        counts: whether it can hold more than one spike of a neuron in a step; False: it says yes or no.
    """

    data: NDArray[np.float32]
    counts: bool


@dataclass(frozen=True, eq=False)
class NirData:
    """What a file holds: by node, and what of it is left out."""

    nodes: Mapping[str, RecordedNode]
    left_out: tuple[str, ...]


def read_nir_data(path: str | Path, dt: float | None = None) -> NirData:
    """Read a file of `nir.write_data`.

    Args:
        path: the file.
        dt: length of a step in seconds, for data that is events with times; a grid has its own.

    Raises:
        InputError: no such file, or events and no `dt`.
        FileFormatError: damaged, lying, or no such data.
        UnsupportedError: data of graphs in graphs.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    check_file(path)
    try:
        import h5py

        with h5py.File(path, "r") as file:
            return _graph(Guarded(file, path.name), dt)
    except (FileFormatError, UnsupportedError, InputError):
        raise
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, MemoryError, OverflowError) as error:
        raise FileFormatError(f"{path.name}: damaged HDF5: {one_line(error)}") from error


def _graph(group: Guarded, dt: float | None) -> NirData:
    kind = group.attribute("__type__")
    if kind != "NIRGraphData":
        raise group.error(f"is {kind!r}, expected NIRGraphData, as nir.write_data writes it")
    found, left_out = {}, []
    nodes = group.group("nodes")
    for name in nodes.names(MAX_NODES):
        node = nodes.group(name)
        if node.attribute("__type__") != "NIRNodeData":
            raise UnsupportedError(f"{node.error('holds a graph in the graph')}: record the nodes of one graph")
        observables = node.group("observables")
        for observable in observables.names(MAX_NODES):
            if observable == SPIKES:
                found[name] = _recorded(observables.group(observable), dt)
            else:
                left_out.append(f"{name}.{observable}")
    return NirData(found, tuple(left_out))


def _recorded(group: Guarded, dt: float | None) -> RecordedNode:
    kind = group.attribute("__type__")
    if kind == "TimeGriddedData":
        data = group.numbers("data")
        if data.ndim != 3:
            raise group.error(f"has shape {list(data.shape)}, expected [samples, steps, neurons]", "data")
        return RecordedNode(data.astype(np.float32), not group.is_bool("data"))
    if kind not in ("EventData", "ValuedEventData"):
        raise group.error(f"is {kind!r}, expected TimeGriddedData or EventData")
    return _gridded(group, dt)


def _gridded(group: Guarded, dt: float | None) -> RecordedNode:
    """Events with times, counted in steps."""
    if dt is None or not 0 < dt < np.inf:
        raise InputError(f"{group.error('holds events with times')}: give dt, the length of a step in seconds")
    size, end = group.attribute("n_neurons"), group.attribute("t_max")
    if isinstance(size, str) or isinstance(end, str) or size < 1 or size != int(size) or not 0 < end / dt < 2**31:
        raise group.error(f"has n_neurons {size!r} and t_max {end!r}: whole neurons and seconds are expected")
    index = group.integers("idx", -1, int(size) - 1, (None, None))
    times = group.numbers("time", finite=False)
    steps = round(end / dt)
    if times.shape != index.shape or len(index) * steps * int(size) > MAX_VALUES:
        raise group.error(
            f"has idx {list(index.shape)} and time {list(times.shape)} for {steps} steps: at most {MAX_VALUES} values"
        )
    here = index >= 0
    place = np.floor(np.where(here, times, 0) / dt + 1e-6)  # k * dt / dt may fall short of k
    if np.isnan(place).any() or place.min() < 0 or place.max() >= steps:
        raise group.error(f"holds times outside 0..{end:g} s", "time")
    grid = np.zeros((len(index), steps, int(size)), np.float32)
    np.add.at(grid, (np.nonzero(here)[0], place[here].astype(np.int64), index[here]), 1)
    return RecordedNode(grid, True)
