"""Every finding that a chip of ours may have is explained, and a code means one rule."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from i2e_deploy.chips import get
from i2e_deploy.chips.registry import all_chips
from i2e_deploy.chips.rules import Rule, code_of, load_rules, rule_of
from i2e_deploy.errors import FileFormatError

CHIPS = Path(__file__).parents[2] / "i2e_deploy" / "chips"
#: Functions that make findings, and which argument is the name.
MAKERS = {"Finding": 0, "_limited": 0, "_finding": 0, "_differing": 0, "pool_finding": 0, "_limit": 2}


def names_of_findings(folder: Path) -> Iterator[tuple[str, str]]:
    """Every name that the code gives a finding, with its place; what is put in at run time as X."""
    for path in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in MAKERS):
                continue
            place = MAKERS[node.func.id]
            if len(node.args) > place:
                name = node.args[place]
                if isinstance(name, ast.Constant) and isinstance(name.value, str):
                    yield name.value, f"{path.name}:{node.lineno}"
                elif isinstance(name, ast.JoinedStr):
                    parts = (part.value if isinstance(part, ast.Constant) else "X" for part in name.values)
                    yield "".join(map(str, parts)), f"{path.name}:{node.lineno}"


@pytest.mark.parametrize(("package", "chip"), [("dynapcnn", "speck2f"), ("loihi2", "loihi2")])
def test_every_finding_in_the_code_is_explained(package: str, chip: str) -> None:
    rules, found = get(chip).rules, dict(names_of_findings(CHIPS / package))
    assert len(found) > 15
    found.pop("X memory", None)  # the kinds of memory, below
    unknown = {name: place for name, place in found.items() if rule_of(name, rules) is None}
    assert not unknown


def test_every_kind_of_memory_and_every_loss_is_explained() -> None:
    for kind in get("speck2f").profile.cores[0].memory:
        assert code_of(f"{kind} memory", get("speck2f").rules)
    for loss in ("weight bits", "weight error", "leak error", "threshold error", "bias error", "saturations", "wraps"):
        assert code_of(loss, get("loihi2").rules)


def test_no_rule_is_of_findings_that_are_gone() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in sorted(CHIPS.rglob("*.py")))
    text += (CHIPS.parent / "cli" / "judging.py").read_text(encoding="utf-8")
    for rule in {rule for name in ("speck2f", "loihi2") for rule in (*get(name).rules, *load_rules())}:
        for name in rule.names:
            last = name.removesuffix(" memory").split(" vertical")[0].split(" horizontal")[0].rstrip("*").rstrip()
            assert last in text, f"{rule.code}: nothing gives a finding {name!r}"


def test_codes_are_of_one_rule_and_limits_of_the_profile() -> None:
    seen: dict[str, Rule] = {}
    for chip in all_chips()[0].values():
        for rule in (*chip.rules, *load_rules()):
            assert seen.setdefault(rule.code, rule) == rule
            assert not rule.limit or rule.limit in chip.profile.limits
            assert rule.text.endswith(".")
            assert rule.mend.endswith(".")


def test_a_file_of_rules_that_is_wrong_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    row = '[[rule]]\ncode = "A1"\nnames = ["a"]\ntext = "T."\nmend = "M."\n'
    for number, (text, match) in enumerate(
        ((row + row, "twice"), ("[[rule]]\ncode = 1\n", "names"), ("a = [", "rules of"))
    ):
        package = tmp_path / f"wrong_rules_{number}"
        package.mkdir()
        (package / "__init__.py").touch()
        (package / "rules.toml").write_text(text)
        with pytest.raises(FileFormatError, match=match):
            load_rules(package.name)
