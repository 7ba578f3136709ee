"""Public names that moved: the old place gives them still, for one release, with a warning that names the new one."""

from __future__ import annotations

import importlib
import warnings
from typing import Any

#: Old module, old name: new module, new name. All go with release 0.3.
MOVED = {
    ("i2e_deploy.network", "from_slayer"): ("i2e_deploy.chips.loihi2", "from_slayer"),
    ("i2e_deploy.network", "read_netx"): ("i2e_deploy.chips.loihi2", "read_netx"),
    ("i2e_deploy.network", "write_netx"): ("i2e_deploy.chips.loihi2", "write_netx"),
    ("i2e_deploy.network", "BlockNetwork"): ("i2e_deploy.chips.loihi2", "BlockNetwork"),
    ("i2e_deploy.network", "AnyNetwork"): ("i2e_deploy.chips", "AnyNetwork"),
    ("i2e_deploy.chips.loihi2", "Note"): ("i2e_deploy.network", "Note"),
    ("i2e_deploy.runtime.agreement", "HilEvaluation"): ("i2e_deploy.runtime", "Evaluation"),
    ("i2e_deploy.runtime.agreement", "evaluate_targets"): ("i2e_deploy.runtime", "evaluate"),
}


def find(module: str, name: str) -> Any:
    """What `module` called `name` before; for its `__getattr__`.

    Raises:
        AttributeError: nothing of that name ever was there.
    """
    place = MOVED.get((module, name))
    if place is None:
        raise AttributeError(f"module {module!r} has no attribute {name!r}")
    new_module, new_name = place
    warnings.warn(f"{module}.{name} has moved: use {new_module}.{new_name}", DeprecationWarning, stacklevel=3)
    return getattr(importlib.import_module(new_module), new_name)
