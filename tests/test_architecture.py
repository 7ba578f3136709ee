"""The flow of the design, kept: no circle between files, and no arrow against the order of the rooms."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest
from import_graph import Import, against, circles, imports_of, modules

PACKAGE = Path(__file__).parents[1] / "i2e_deploy"

#: The rooms in the order of the flow; those of one row know nothing of each other or do not mind. A file imports from
#: its own room and from rooms above. `chips` is the core, the files directly in `chips/`; every chip is a room.
ROOMS = (
    ("errors",),
    (
        "files",
        "guarded_child",
        "hdf5_child",
        "hdf5_guard",
        "hdf5_write",
        "lava_shim",
        "lazy",
        "llvm_vectors",
        "moved",
        "numba_cache",
        "requirements",
        "text",
        "threads",
        "version",
        "environment",
    ),
    ("events",),
    ("network",),
    ("conversion",),
    ("datasets",),
    ("chips",),
    ("a chip",),
    ("training",),
    ("runtime",),
    ("bundle",),
    ("reporting",),
    ("testing",),
    ("cli",),
)

#: The rooms inside a chip's package, likewise; its `__init__` is the last.
CHIP_ROOMS = (
    ("neuron", "peripherals", "pooling", "program", "programmable", "relay"),
    ("reference",),
    ("engine",),
    ("lowering", "formats", "eye"),
    ("checks",),
    ("estimates",),
    ("targets",),
    ("probing",),
    ("runnable",),
    ("records",),
    ("chip",),
    ("__init__",),
)

#: Of the events, what a chip may import: `events` itself, and the base of a source, for a camera of its own.
SOURCES, SOURCE_BASE = "i2e_deploy.events.sources", ("i2e_deploy.events.sources", "i2e_deploy.events.sources.base")


def chip_of(module: str, package: str = "i2e_deploy") -> str:
    """The chip's package that a module is in; empty for the core and all else."""
    parts = module.split(".")
    return parts[2] if parts[:2] == [package, "chips"] and len(parts) > 2 and parts[2] in CHIPS else ""


def _chips() -> tuple[str, ...]:
    return tuple(sorted(path.parent.name for path in (PACKAGE / "chips").glob("*/__init__.py")))


CHIPS = _chips()


def room_of(module: str) -> str:
    """The room of a module; the package's own `__init__` is its face and stands before the command line."""
    if chip_of(module):
        return "a chip"
    return [*module.split("."), "i2e_deploy"][1]


def room_in_chip(module: str) -> str:
    return [*module.split("."), "__init__"][3]


def place(room: str, rooms: tuple[tuple[str, ...], ...]) -> int:
    """Where in the order; after all where it is no room: a new one must be put in its place."""
    return next((i for i, row in enumerate(rooms) if room in row), len(rooms))


def reason(importer: str, imported: str) -> str:
    """Why one module must not import the other; empty where it may."""
    here, there = chip_of(importer), chip_of(imported)
    if here and there and here != there:
        return f"chip {here} imports from chip {there}: what both need goes into chips/"
    if there and importer == "i2e_deploy.chips" and imported == f"{importer}.{there}":
        return ""  # the face of `chips`, which only offers the packages of our chips by name
    if there and not here:
        return f"{room_of(importer)} imports from chip {there}: ask for what a chip offers (chips.abilities)"
    if here and there:
        first, second = room_in_chip(importer), room_in_chip(imported)
        if place(second, CHIP_ROOMS) > place(first, CHIP_ROOMS):
            return f"{first} of a chip imports {second}, which comes after it"
        return ""
    if here and imported.startswith(SOURCES) and imported not in SOURCE_BASE:
        return f"chip {here} imports a source of events: only the base of sources is for chips"
    first, second = room_of(importer), room_of(imported)
    if second == "i2e_deploy" or first == "i2e_deploy":
        return _face(importer, imported)
    if place(second, ROOMS) > place(first, ROOMS):
        return f"{first} imports {second}, which comes after it in the flow"
    return ""


def _face(importer: str, imported: str) -> str:
    """The package's `__init__` gives everything by name, so nothing below it asks it for more than a version."""
    if imported == "i2e_deploy":
        return f"{importer} imports the face of the package: import from the module that has it"
    return "" if room_of(imported) != "cli" else "the face of the package imports cli"


@cache
def arrows() -> tuple[Import, ...]:
    """Of the package, read once."""
    return tuple(imports_of(PACKAGE))


def test_no_circle_between_files() -> None:
    found = circles(arrows())
    assert not found, "\n\n".join("a circle:\n" + "\n".join(map(str, circle)) for circle in found)


def test_no_arrow_against_the_flow() -> None:
    found = against(arrows(), reason)
    assert not found, "\n".join(found)


def test_every_file_has_a_room() -> None:
    """A new room is put in its place in this file, and in the design."""
    for module, path in modules(PACKAGE).items():
        if module != "i2e_deploy":
            assert any(room_of(module) in row for row in ROOMS), f"{path}: no such room"
        if chip_of(module):
            assert any(room_in_chip(module) in row for row in CHIP_ROOMS), f"{path}: no such room in a chip"


def test_nobody_asks_for_a_chips_class() -> None:
    """Outside its package, no class of a chip stands in a test of types, nor its name in a string."""
    trees = {module: ast.parse(path.read_text(encoding="utf-8")) for module, path in modules(PACKAGE).items()}
    inside = {name for module, tree in trees.items() if chip_of(module) for name in _classes(tree)}
    outside = {name for module, tree in trees.items() if not chip_of(module) for name in _classes(tree)}
    found = [
        f"{modules(PACKAGE)[module]}:{line}: asks for {name}, a class of a chip"
        for module, tree in trees.items()
        if not chip_of(module)
        for line, name in asked_classes(tree)
        if name in inside - outside
    ]
    assert not found, "\n".join(found)


def _classes(tree: ast.Module) -> list[str]:
    return [node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]


def asked_classes(tree: ast.Module) -> list[tuple[int, str]]:
    """Names of classes in `isinstance` and `issubclass`, and those that a string compared with `__name__` holds."""
    found = []
    conditions = [node for node in ast.walk(tree) if isinstance(node, ast.BoolOp) and _says_whose(node)]
    of_others = {id(part) for node in conditions for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and len(node.args) == 2:
            if node.func.id in ("isinstance", "issubclass"):
                found += [(node.lineno, name) for name in _class_names(node.args[1])]
        elif isinstance(node, ast.Compare) and id(node) not in of_others:
            sides = [node.left, *node.comparators]
            if any(isinstance(side, ast.Attribute) and side.attr == "__name__" for side in sides):
                found += [
                    (node.lineno, s.value) for s in sides if isinstance(s, ast.Constant) and isinstance(s.value, str)
                ]
    return found


def _says_whose(node: ast.BoolOp) -> bool:
    """Whether a condition names the module of the class too: it is then of another library."""
    return any(isinstance(part, ast.Attribute) and part.attr == "__module__" for part in ast.walk(node))


def _class_names(node: ast.expr) -> list[str]:
    """`A`, `module.A`, `(A, B)` and `A | B`."""
    if isinstance(node, ast.Tuple):
        return [name for each in node.elts for name in _class_names(each)]
    if isinstance(node, ast.BinOp):
        return [*_class_names(node.left), *_class_names(node.right)]
    return [node.id] if isinstance(node, ast.Name) else [node.attr] if isinstance(node, ast.Attribute) else []


def package(folder: Path, **files: str) -> Path:
    """A package with these modules; `__` in a name is a folder."""
    for name, text in files.items():
        path = folder / "pack" / (name.replace("__", "/") + ".py")
        for above in (path.parent, *path.parent.parents):
            if above == folder:
                break
            above.mkdir(parents=True, exist_ok=True)
            (above / "__init__.py").touch()
        path.write_text(text)
    return folder / "pack"


@pytest.mark.parametrize(
    "text",
    [
        "from pack.b import thing",
        "from pack import b",
        "import pack.b",
        "import pack.b as other",
        "from . import b",
        "from .b import thing",
        "def f():\n    from pack.b import thing",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from pack.b import thing",
        "import importlib\ndef f():\n    return importlib.import_module('pack.b').thing",
        "from importlib import import_module\nimport_module('pack.b')",
    ],
)
def test_a_circle_is_found_however_it_is_imported(text: str, tmp_path: Path) -> None:
    found = circles(imports_of(package(tmp_path, a=text, b="from pack.c import x", c="from pack import a")))
    assert [[each.importer for each in circle] for circle in found] == [["pack.a", "pack.b", "pack.c"]]
    assert f"a.py:{len(text.splitlines())}: {text.splitlines()[-1].strip()}" in str(found[0][0])


def test_a_circle_through_a_package_is_found(tmp_path: Path) -> None:
    inside = package(tmp_path, sub__a="from .. import b", b="from pack.sub import a", sub__c="from ..b import thing")
    assert [len(circle) for circle in circles(imports_of(inside))] == [2]
    (inside / "sub" / "__init__.py").write_text("from pack.sub.a import x\n")
    (inside / "sub" / "a.py").write_text("from pack.sub import y\n")
    assert [len(circle) for circle in circles(imports_of(inside))] == [2]


def test_no_circle_where_there_is_none(tmp_path: Path) -> None:
    inside = package(
        tmp_path, a="from pack import b, c", b="from pack.c import x\nimport os, numpy", c="name = 'pack.a'"
    )
    assert [str(each).rpartition("/")[2] for each in imports_of(inside)] == [
        "a.py:1: from pack import b, c", "a.py:1: from pack import b, c", "b.py:1: from pack.c import x",
    ]  # fmt: skip
    assert not circles(imports_of(inside))


@pytest.mark.parametrize(
    ("importer", "imported", "text"),
    [
        ("events.array", "network.graph", "after it in the flow"),
        ("network.graph", "chips.base", "after it in the flow"),
        ("chips.base", "runtime.live", "after it in the flow"),
        ("chips.loihi2.program", "training.loop", "after it in the flow"),
        ("runtime.live", "bundle.bundle", "after it in the flow"),
        ("testing.plugin", "cli.app", "after it in the flow"),
        ("chips.loihi2.chip", "chips.dynapcnn.program", "chip loihi2 imports from chip dynapcnn"),
        ("chips.registry", "chips.loihi2", "chips imports from chip loihi2"),
        ("training.recipes", "chips.dynapcnn.chip", "ask for what a chip offers"),
        ("cli.check", "chips.dynapcnn", "ask for what a chip offers"),
        ("chips.dynapcnn.program", "chips.dynapcnn.engine.run", "program of a chip imports engine"),
        ("chips.dynapcnn.engine.run", "chips.dynapcnn", "engine of a chip imports __init__"),
        ("chips.loihi2.targets.lava", "chips.loihi2.chip", "targets of a chip imports chip"),
        ("chips.dynapcnn.chip", "events.sources.file", "only the base of sources"),
        ("events.array", "", "the face of the package"),
        ("", "cli.app", "the face of the package imports cli"),
        ("cli.app", "errors", ""),
        ("chips.dynapcnn.targets.board.sensor", "events.sources.base", ""),
        ("chips.dynapcnn.estimates.costs", "chips.dynapcnn.checks.placement", ""),
        ("bundle.verify", "runtime.compare", ""),
        ("", "bundle", ""),
    ],
)
def test_arrows_are_judged(importer: str, imported: str, text: str) -> None:
    first, second = (".".join(filter(None, ("i2e_deploy", name))) for name in (importer, imported))
    assert text in reason(first, second)
    assert bool(text) == bool(reason(first, second))


def test_questions_for_classes_are_found() -> None:
    text = (
        "isinstance(x, A)\nissubclass(x, (m.B, C))\nisinstance(x, D | None)\nif type(x).__name__ == 'E': pass\nf(x, F)"
    )
    assert asked_classes(ast.parse(text)) == [(1, "A"), (2, "B"), (2, "C"), (3, "D"), (4, "E")]
    assert not asked_classes(ast.parse("k.__name__ == 'G' and k.__module__ == 'elsewhere'"))
