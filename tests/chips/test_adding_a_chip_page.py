"""What the page on adding a chip says of the toy chip is so."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import toy_networks
from distributions import TOY_CHIP
from toy_chip.chip import ToyChip

from i2e_deploy.chips import abilities
from i2e_deploy.network import Pool2d
from i2e_deploy.testing.chip_contract import ChipContract

PAGE = (Path(__file__).parents[2] / "docs" / "adding_a_chip.md").read_text(encoding="utf-8")


def test_every_file_of_the_toy_chip_stands_there_with_its_lines() -> None:
    told = {name: int(lines) for name, lines in re.findall(r"^\| `(\S+)` \| (\d+) \|", PAGE, re.MULTILINE)}
    files = [TOY_CHIP / "pyproject.toml", *(p for p in (TOY_CHIP / "toy_chip").iterdir() if p.is_file())]
    counted = {str(p.relative_to(TOY_CHIP)): len(p.read_text(encoding="utf-8").splitlines()) for p in files}
    assert told == counted
    assert f"Together {sum(counted.values())} lines in {len(counted)} files" in PAGE


def test_the_ability_of_the_toy_chip_has_the_lines_that_it_says() -> None:
    lines = inspect.getsource(ToyChip.findings_on).splitlines()
    body = lines[2:]  # without its first line and its docstring
    assert f"the toy chip has it, in {len(body)} lines" in PAGE
    assert isinstance(ToyChip("toy"), abilities.ChecksStates)


def test_every_ability_stands_there_as_in_the_module() -> None:
    rows = [line for line in (abilities.__doc__ or "").splitlines() if line.startswith("| `")]
    assert len(rows) == 18
    for row in rows:
        assert row.rstrip(" |") in PAGE


def test_the_entry_points_stand_there() -> None:
    project = (TOY_CHIP / "pyproject.toml").read_text(encoding="utf-8")
    blocks = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    assert len(blocks) == 2
    assert all(block in project for block in blocks)


def test_the_class_that_it_shows_is_a_suite() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, object] = {"Pool2d": Pool2d, "__name__": "page", **vars(toy_networks)}
    exec(code, names)
    shown = names["TestToyChip"]
    assert isinstance(shown, type)
    assert issubclass(shown, ChipContract)
    assert shown.subject.chip == "toy"
    assert shown.subject.too_large["neurons"].layer == "fc1"
