"""The contract suite must be able to fail: a chip with one thing wrong is caught, by the test that is meant for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from broken_chips import BROKEN
from distributions import put_on_path, register
from run_directly import names_of_tests, run_test
from toy_networks import subject

from i2e_deploy.testing.chip_contract import ChipContract

#: Tests that no broken chip here fails, and why.
NOT_PROVED = {"test_recordings_run_alike_on_both_engines": "the toy chip runs no recordings"}


def suite_on(chip: str) -> type[ChipContract]:
    """The whole suite, on a few networks."""
    return type(f"On{chip}", (ChipContract,), {"subject": subject(chip, seeds=3)})


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], type[ChipContract]]:
    """The suite on one of the chips, which is then as if installed."""

    def installed(chip: str) -> type[ChipContract]:
        (tmp_path / "site").mkdir()
        points = {"i2e_deploy.chips": {chip: f"broken_chips:{BROKEN[chip].__name__}"}}
        put_on_path(monkeypatch, register(tmp_path / "site", "broken-chips", "0.1", points))
        return suite_on(chip)

    return installed


@pytest.mark.parametrize("name", names_of_tests(ChipContract))
def test_a_sound_chip_passes(name: str, tmp_path: Path, install: Callable[[str], type[ChipContract]]) -> None:
    """Else the others could fail for any reason."""
    suite = install("sound")
    if name in NOT_PROVED:
        with pytest.raises(pytest.skip.Exception):
            run_test(suite, name, tmp_path)
    else:
        run_test(suite, name, tmp_path)


@pytest.mark.parametrize(
    ("chip", "test"), [(name, test) for name, kind in BROKEN.items() for test, _ in kind.caught_by]
)
def test_a_broken_chip_is_caught(
    chip: str, test: str, tmp_path: Path, install: Callable[[str], type[ChipContract]]
) -> None:
    suite = install(chip)
    with pytest.raises((Exception, pytest.fail.Exception), match=dict(BROKEN[chip].caught_by)[test]):
        run_test(suite, test, tmp_path)


def test_every_test_catches_something() -> None:
    """A test that no broken chip fails proves nothing."""
    caught = {test for kind in BROKEN.values() for test, _ in kind.caught_by}
    assert caught == set(names_of_tests(ChipContract)) - set(NOT_PROVED)
    assert all(kind.caught_by for name, kind in BROKEN.items() if name != "sound")
