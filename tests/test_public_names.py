"""What others script against: every public name, its signature, and that it comes when it is asked for and not before.

A name that goes, comes or changes is seen in `public_names.json`. After a change that is meant:

    python tests/support/public_surface.py
"""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import pkgutil
import subprocess
import sys
from types import ModuleType

import pytest
from public_surface import SNAPSHOT, is_class, is_function, members, public_modules, surface

import i2e_deploy as i2e
from i2e_deploy.moved import MOVED

#: Modules that take long to import, and that `import i2e_deploy` must not.
HEAVY = {"torch", "numba", "scipy", "h5py", "matplotlib", "numpy", "sinabs", "typer", "rich"}
MODULES = list(public_modules())
PACKAGES = [module for module in MODULES if hasattr(module, "__path__")]


def test_the_public_names_are_those_that_were_agreed_on() -> None:
    assert surface() == json.loads(SNAPSHOT.read_text()), "if this is meant: python tests/support/public_surface.py"


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_every_public_name_says_what_it_is(module: ModuleType) -> None:
    silent = [
        name
        for name, value in members(module)
        if (inspect.ismodule(value) or is_class(value) or is_function(value)) and not value.__doc__
    ]
    assert not silent
    assert module.__doc__


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_no_name_hides_a_module(package: ModuleType) -> None:
    modules = {found.name for found in pkgutil.iter_modules(package.__path__)}
    assert not [name for name, value in members(package) if name in modules and not inspect.ismodule(value)]


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_editors_see_what_python_gives(package: ModuleType) -> None:
    """The imports under TYPE_CHECKING are the names, and the very objects, that Python finds lazily."""
    (branch,) = [node for node in ast.parse(inspect.getsource(package)).body if isinstance(node, ast.If)]
    imported = [
        (node.module or "", name.name, name.asname)
        for node in branch.body
        if isinstance(node, ast.ImportFrom)
        for name in node.names
    ]
    assert sorted(name for _, name, _ in imported) == sorted(package.__all__) == dir(package)
    for module, name, exported in imported:
        assert name == exported  # `import x as x` is what type checkers take for an export
        source = importlib.import_module(module)
        assert getattr(package, name) is getattr(source, name)


def test_importing_is_light() -> None:
    """The package and all its packages: nothing that takes long, until a name is asked for."""
    packages = [package.__name__ for package in PACKAGES]
    code = (
        "import sys, importlib, i2e_deploy as i2e\n"
        f"assert not {HEAVY} & set(sys.modules), 'i2e_deploy'\n"
        "assert dir(i2e) == sorted(i2e.__all__)\n"
        f"for name in {packages}:\n"
        "    importlib.import_module(name)\n"
        f"    assert not {HEAVY} & set(sys.modules), name\n"
        "assert i2e.errors.InputError.exit_code == 2\n"
        "assert i2e.__version__[0].isdigit()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert not done.returncode, done.stderr


def test_a_name_that_is_not_there() -> None:
    for module in (i2e, i2e.network, i2e.chips.loihi2):
        with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
            _ = module.nonsense


@pytest.mark.parametrize("old", MOVED)
def test_old_names_work_and_say_where_the_new_one_is(old: tuple[str, str]) -> None:
    new_module, new_name = MOVED[old]
    with pytest.warns(DeprecationWarning, match=f"{old[1]} has moved: use {new_module}.{new_name}"):
        found = getattr(importlib.import_module(old[0]), old[1])
    assert found is getattr(importlib.import_module(new_module), new_name)
