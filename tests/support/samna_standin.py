"""A stand-in for `samna`, so that `sinabs.backend.dynapcnn` can be imported and its CPU simulation run.

The package of that name on the public index is an installer that runs pip when imported; it must never be.
The stand-in has the names that Sinabs imports and nothing behind them.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

NAMES = (
    "samna",
    "samna.speck2e",
    "samna.speck2e.configuration",
    "samna.speck2f",
    "samna.speck2f.configuration",
    "samna.specksim",
    "samna.specksim.nodes",
    "samna.device",
    "samna.graph",
    "samnagui",
)


class _StandIn(ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})


def install() -> None:
    """Put the stand-in into `sys.modules`, unless it is there already."""
    if isinstance(sys.modules.get("samna"), _StandIn):
        return
    for name in NAMES:
        module = _StandIn(name)
        module.__path__ = []
        sys.modules[name] = module
        parent, _, child = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], child, module)
