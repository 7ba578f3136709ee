"""What the findings of a check mean: a code, a sentence and a way out for each rule, read from TOML.

A chip keeps its own in `rules.toml` beside its modules; those that every check may have are in this package.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from importlib import resources

from i2e_deploy.errors import FileFormatError
from i2e_deploy.text import record_repr

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


@dataclass(frozen=True)
class Rule:
    """One rule.

    Args:
        code: three letters of the chip's family and a number; it stays what it is in later versions.
        names: of the findings, `Finding.rule`; a * stands for any text.
        text: what is looked at, and why.
        mend: what to do about a finding that is bad.
        limit: the profile's limit that it compares with; empty where it is no limit of the profile.
    """

    code: str
    names: tuple[str, ...]
    text: str
    mend: str
    limit: str = ""

    __repr__ = record_repr

    def is_of(self, finding: str) -> bool:
        """Whether a finding of that name is one of this rule."""
        return any(fnmatchcase(finding, name) for name in self.names)


@cache
def load_rules(package: str = __package__ or "") -> tuple[Rule, ...]:
    """Read `rules.toml` in `package`; none where it has no such file.

    Raises:
        FileFormatError: the file lacks a field, names a code twice, or is not TOML.
    """
    file = resources.files(package) / "rules.toml"
    if not file.is_file():
        return ()
    try:
        raw = tomllib.loads(file.read_text(encoding="utf-8"))["rule"]
        rules = tuple(Rule(**{**row, "names": tuple(row["names"])}) for row in raw)
    except (KeyError, TypeError, ValueError) as error:
        raise FileFormatError(f"rules of {package}: {error!s} is missing or wrong") from error
    if len({rule.code for rule in rules}) < len(rules):
        raise FileFormatError(f"rules of {package}: a code stands there twice")
    return rules


def rule_of(finding: str, rules: Iterable[Rule]) -> Rule | None:
    """The rule that a finding of that name is one of: of a chip's own rules, or of those that every check has."""
    return next((rule for rule in (*rules, *load_rules()) if rule.is_of(finding)), None)


def code_of(finding: str, rules: Iterable[Rule]) -> str:
    """The code of that rule; empty where a chip does not explain it."""
    rule = rule_of(finding, rules)
    return "" if rule is None else rule.code
