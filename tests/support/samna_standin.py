"""A stand-in for `samna`, so that `sinabs.backend.dynapcnn` can be imported and its CPU simulation run.

The package of that name on the public index is an installer that runs pip when imported; it must never be.
The stand-in has the names that Sinabs imports and nothing else.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from i2e_deploy.chips.dynapcnn.targets.board.fake.objects import SpeckConfiguration

__all__ = ["NAMES", "SpeckConfiguration", "install", "validate_configuration"]

NAMES = (
    "samna",
    "samna.speck2e",
    "samna.speck2e.configuration",
    "samna.speck2e.event",
    "samna.speck2f",
    "samna.speck2f.configuration",
    "samna.speck2f.event",
    "samna.specksim",
    "samna.specksim.nodes",
    "samna.device",
    "samna.graph",
    "samnagui",
)


def validate_configuration(configuration: SpeckConfiguration) -> tuple[bool, str]:
    """Takes everything."""
    return True, ""


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
    for chip in ("speck2e", "speck2f"):
        setattr(sys.modules[f"samna.{chip}.configuration"], "SpeckConfiguration", SpeckConfiguration)  # noqa: B010
        setattr(sys.modules[f"samna.{chip}"], "validate_configuration", validate_configuration)  # noqa: B010
