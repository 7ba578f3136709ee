"""The public surface: every module that `import i2e_deploy` reaches, its names, and what they are.

Run as a script it writes `public_names.json`, which `test_public_names.py` holds against the package.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, TypeVar, get_args, get_origin

import i2e_deploy as i2e

SNAPSHOT = Path(__file__).parent.parent / "public_names.json"
#: A plugin has the names that pytest asks for.
PLUGIN = "i2e_deploy.testing.plugin"


def public_modules() -> Iterator[ModuleType]:
    """`i2e_deploy` and every module that one reaches by public names."""
    found: list[ModuleType] = [i2e]
    for module in found:
        yield module
        found += [value for _, value in members(module) if inspect.ismodule(value) and value.__name__ != PLUGIN]


def members(module: ModuleType) -> list[tuple[str, Any]]:
    """Public names: `__all__`, or what a module without one defines."""
    names = getattr(module, "__all__", None)
    if names is None:
        own = [(n, value) for n, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__]
        names = [name for name, value in own if not name.startswith("_") and not isinstance(value, TypeVar)]
    return [(name, getattr(module, name)) for name in sorted(names)]


def described(value: Any) -> str:
    """What a name is; of a function its signature, of a `Literal` its words."""
    if is_function(value):
        return re.sub(r"<function (\w+) at 0x\w+>", r"\1", str(inspect.signature(value)))
    if words := literal_words(value):
        return "one of " + ", ".join(words)
    return "module" if inspect.ismodule(value) else "class" if is_class(value) else "value"


def literal_words(value: Any) -> list[str]:
    """The words of a `Literal`; of one that takes any string beside them, then `str`."""
    if get_origin(value) is Literal:
        return [str(word) for word in get_args(value)]
    words = [word for part in get_args(value) for word in literal_words(part)]
    return [*words, "str"] if words and str in get_args(value) else []


def is_class(value: Any) -> bool:
    """A class; `inspect` of Python 3.10 calls `list[int]` one, too."""
    return inspect.isclass(value) and get_origin(value) is None


def is_function(value: Any) -> bool:
    """A function, also one that is cached or wrapped otherwise."""
    return inspect.isfunction(inspect.unwrap(value)) if callable(value) else False


def surface() -> dict[str, dict[str, str]]:
    """What every public name is, by module."""
    return {m.__name__: {name: described(value) for name, value in members(m)} for m in public_modules()}


if __name__ == "__main__":
    SNAPSHOT.write_text(json.dumps(surface(), indent=1) + "\n")
