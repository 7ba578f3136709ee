"""Write what a network gave as NIR's data file (NIRGraphData, nir 1.0.8), for other simulators to compare with."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from i2e_deploy.errors import InputError
from i2e_deploy.files import replacing
from i2e_deploy.hdf5_write import writing
from i2e_deploy.network.graph import INPUT
from i2e_deploy.network.nir.data import SPIKES
from i2e_deploy.network.run import Floats, FloatTrace


def write_nir_data(trace: FloatTrace, path: str | Path, dt: float, frames: Floats | None = None) -> None:
    """Write the outputs of all layers that a trace holds, whole or not at all; `nir.read_data` and `judge_nir` read it.

    Args:
        trace: of `Network.run`; each layer becomes a node of its name, with the observable "spikes".
        path: the file.
        dt: length of a step in seconds.
        frames: [B, T, ...], what the network was given: node "input".

    Raises:
        InputError: dt is not above 0, or frames of other samples and steps.
    """
    if not 0 < dt < np.inf:
        raise InputError(f"dt is {dt!r}: give the length of a step in seconds, above 0")
    rows = dict(trace.layers)
    if frames is not None:
        given = np.asarray(frames)
        if given.shape[:2] != trace.output.shape[:2]:
            raise InputError(
                f"frames are {list(given.shape[:2])} samples and steps, the trace {list(trace.output.shape[:2])}: "
                "give what it was run on"
            )
        rows[INPUT] = given
    with replacing(Path(path)) as temporary:
        _write(temporary, rows, dt)


def _write(path: Path, rows: dict[str, Floats], dt: float) -> None:
    with writing(path) as (file, check):
        file.attrs["__type__"] = "NIRGraphData"
        nodes = file.create_group("nodes")
        for name, values in rows.items():
            node = nodes.create_group(name)
            node.attrs["__type__"] = "NIRNodeData"
            held = node.create_group("observables").create_group(SPIKES)
            held.attrs["__type__"], held.attrs["dt"] = "TimeGriddedData", dt
            held.create_dataset("data", data=values.reshape(*values.shape[:2], -1), compression="gzip")
            check()
