"""How a package offers its public names: each is imported when it is first asked for, and found in an editor at once.

    if TYPE_CHECKING:
        from i2e_deploy.bundle.bundle import read as read
    else:
        __getattr__, __dir__, __all__ = offer(__name__, {"bundle": "read"})

Editors and mypy read the first branch, Python runs the second; `tests/test_public_names.py` compares the two.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def offer(
    package: str, places: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]], tuple[str, ...]]:
    """`__getattr__`, `__dir__` and `__all__` of a package.

    Args:
        package: its `__name__`.
        places: names with blanks between, by the module of the package that has them; those of module `""` are
            modules themselves.
    """
    module_of = {name: module for module, names in places.items() for name in names.split()}
    public = tuple(sorted(module_of))

    def get(name: str) -> Any:
        if name not in module_of:
            from i2e_deploy.moved import find

            return find(package, name)
        module = module_of[name]
        found = getattr(import_module(f"{package}.{module}"), name) if module else import_module(f"{package}.{name}")
        setattr(sys.modules[package], name, found)  # the next time Python finds it without us
        return found

    return get, lambda: list(public), public
