"""The names of samna that are used here, looked for when a board is opened: versions of samna differ in them.

Documented for samna 0.46 (its reference; Sinabs 3.1.3 `backend/dynapcnn`; the datasheet). Hardware tutorials that broke
with a new samna are Sinabs' issues 272 and 274.
"""

from __future__ import annotations

from functools import reduce
from typing import Any

MODULE = (
    "configuration.SpeckConfiguration", "event.Spike", "event.DvsEvent", "event.NeuronValue", "event.ReadNeuronValue",
    "event.WriteNeuronValue", "event.ReadoutPinValue", "validate_configuration",
)  # fmt: skip
GRAPH = ("graph.source_to", "graph.sink_from")
DEVICE = ("get_model", "get_stop_watch", "get_io_module", "get_power_monitor")


def lacking(samna: Any, device: Any, chip: str) -> list[str]:
    """Names that this samna, or the board that it opened, has not."""
    found = [name for name in GRAPH if not _has(samna, name)]
    found += [f"{chip}.{name}" for name in MODULE if not _has(samna, f"{chip}.{name}")]
    return found + [f"{name} of the board" for name in DEVICE if not _has(device, name)]


def _has(root: Any, path: str) -> bool:
    try:
        reduce(getattr, path.split("."), root)
    except AttributeError:
        return False
    return True
