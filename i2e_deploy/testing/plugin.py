"""A pytest plugin: every bundle below the tested folders becomes tests.

    pytest --i2e-bundles networks/                        # on the simulator
    pytest --i2e-bundles --i2e-target simulator --i2e-target reference networks/

or in pytest's configuration `i2e_bundles = true`. A bundle gives one test a target, `verify[simulator]`: its golden
vectors run again and every spike and state must be what it was. A failure is one line: layer, step, neuron, values.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from i2e_deploy.errors import I2EDeployError

MANIFEST = "manifest.json"

# The suite for chips says which values differ, as tests do.
pytest.register_assert_rewrite("i2e_deploy.testing.chip_contract", "i2e_deploy.testing.contract")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options to pytest's own."""
    group = parser.getgroup("i2e-deploy")
    group.addoption("--i2e-bundles", action="store_true", help="Verify every bundle of i2e-deploy that is found.")
    group.addoption(
        "--i2e-target",
        action="append",
        default=[],
        metavar="TARGET",
        help="Where bundles run: simulator (default), reference, lava or board; give it again for each.",
    )
    parser.addini("i2e_bundles", "Verify every bundle of i2e-deploy that is found.", type="bool", default=False)


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """A bundle, if `file_path` is the manifest of one and they are asked for."""
    config = parent.config
    if file_path.name != MANIFEST or not (config.getoption("--i2e-bundles") or config.getini("i2e_bundles")):
        return None
    return _Bundle.from_parent(parent, path=file_path) if _is_bundle(file_path.parent) else None


def _is_bundle(folder: Path) -> bool:
    """By what lies there: a bundle with a damaged manifest must fail, not vanish."""
    from i2e_deploy.bundle.bundle import GOLDEN, PROGRAM

    return (folder / PROGRAM).is_file() or (folder / GOLDEN).is_file()


class _Bundle(pytest.File):
    def collect(self) -> Iterator[pytest.Item]:
        for target in self.config.getoption("--i2e-target") or ["simulator"]:
            yield _Verify.from_parent(self, name=f"verify[{target}]", target=target)


class _Verify(pytest.Item):
    def __init__(self, target: str, **named: Any) -> None:
        super().__init__(**named)
        self._target = target

    def runtest(self) -> None:
        from i2e_deploy import bundle

        bundle.verify(bundle.read(self.path.parent), self._target).raise_if_different()

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        if isinstance(excinfo.value, I2EDeployError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, None, str]:
        return self.path, None, f"{self.path.parent.name}: {self.name}"
