"""The import graph of a package, read from its source: who imports whom, in which line.

Lazy imports in functions, imports for types only, relative ones and `importlib.import_module("a.constant")` count as
any other. An import of `package.name` is one of the module of that name where there is one, else of the package's
`__init__`; that Python runs the `__init__` of every package above a module is no arrow.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Import:
    """One arrow: `importer` imports `imported`, both modules of the package, in that line of a file."""

    importer: str
    imported: str
    file: Path
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.text}"


def modules(package: Path) -> dict[str, Path]:
    """Every module of a package by its dotted name, packages by their `__init__.py`."""
    found = {}
    for path in sorted(package.rglob("*.py")):
        parts = [package.name, *path.relative_to(package).with_suffix("").parts]
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports_of(package: Path) -> list[Import]:
    """All arrows between different modules of the package, in the order of the files."""
    known = modules(package)
    found = []
    for module, path in known.items():
        lines = path.read_text(encoding="utf-8").splitlines()
        here = path.relative_to(package.parent)
        for line, names in _names(ast.parse("\n".join(lines)), module, path.name == "__init__.py"):
            targets = dict.fromkeys(target for name in names if (target := _module(name, known)))
            found += [Import(module, t, here, line, lines[line - 1].strip()) for t in targets if t != module]
    return found


def _names(tree: ast.Module, module: str, is_package: bool) -> Iterator[tuple[int, list[str]]]:
    """Line and dotted names of everything that a module imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield node.lineno, [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = module.split(".")[: (0 if is_package else -1) - node.level + 1 or None]
                base = ".".join([*above, *([node.module] if node.module else [])])
            yield node.lineno, [f"{base}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Call) and _called(node.func) in ("import_module", "__import__") and node.args:
            first = node.args[0]
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                yield node.lineno, [first.value]


def _called(function: ast.expr) -> str:
    return function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")


def _module(name: str, known: dict[str, Path]) -> str:
    """The module that a dotted name leads to; empty where that is none of the package's."""
    while name and name not in known:
        name = name.rpartition(".")[0]
    return name


def circles(imports: Sequence[Import]) -> list[list[Import]]:
    """A shortest circle through every group of modules that import each other in circles."""
    arrows: dict[str, list[Import]] = {}
    for each in imports:
        arrows.setdefault(each.importer, []).append(each)
    found, seen = [], set[str]()
    for module in arrows:
        if module not in seen and (circle := _way_back(module, arrows)):
            found.append(circle)
            seen |= {each.importer for each in circle}
    return found


def _way_back(start: str, arrows: dict[str, list[Import]]) -> list[Import]:
    """The shortest way from a module to itself; empty where there is none."""
    ways: dict[str, list[Import]] = {start: []}
    queue = [start]
    for module in queue:
        for each in arrows.get(module, []):
            if each.imported == start:
                return [*ways[module], each]
            if each.imported not in ways:
                ways[each.imported] = [*ways[module], each]
                queue.append(each.imported)
    return []


def against(imports: Sequence[Import], allowed: Callable[[str, str], str]) -> list[str]:
    """Every arrow that is not allowed, and why; `allowed(importer, imported)` gives the reason, empty where it is."""
    return [f"{each}\n    {reason}" for each in imports if (reason := allowed(each.importer, each.imported))]
