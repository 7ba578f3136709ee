"""What journals and citation tools ask: the paper's sections, length and references, and CITATION.cff."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAPER = (ROOT / "docs" / "paper.md").read_text()
BIB = (ROOT / "docs" / "paper.bib").read_text()
#: JOSS, "What should my paper contain?" (openjournals/joss, docs/paper.md, November 2026).
SECTIONS = [
    "Summary",
    "Statement of need",
    "State of the field",
    "Software design",
    "Research impact statement",
    "AI usage disclosure",
    "Acknowledgements",
    "References",
]
WORDS = range(750, 1751)


def test_the_paper_has_the_sections_that_joss_asks_for() -> None:
    assert re.findall(r"^# (.*)$", PAPER, re.MULTILINE) == SECTIONS


def test_the_paper_is_as_long_as_joss_asks() -> None:
    _, _, text = PAPER.split("---\n", 2)
    assert len(text.split()) in WORDS


def test_every_reference_is_cited_and_every_citation_is_a_reference() -> None:
    keys = re.findall(r"^@\w+\{(\w+),", BIB, re.MULTILINE)
    cited = re.findall(r"@(\w+)", " ".join(re.findall(r"\[(@[^\]]*)\]", PAPER)))
    assert sorted(set(cited)) == sorted(keys)
    assert len(set(keys)) == len(keys)


def test_every_article_has_its_doi() -> None:
    entries = re.split(r"\n(?=@)", BIB)
    for entry in entries:
        assert "doi = {10." in entry or entry.startswith("@software") or "shrestha2018" in entry, entry


def test_the_citation_file_has_what_its_schema_asks_for() -> None:
    """Required keys, the forms of a DOI and of persons: CFF 1.2.0. `make dist` runs the whole schema."""
    yaml = pytest.importorskip("yaml")
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors"} <= cited.keys()
    assert cited["cff-version"] == "1.2.0"
    assert cited["type"] == "software"
    for entry in [cited, *cited["references"]]:
        assert entry["authors"]
        for person in entry["authors"]:
            assert person.keys() <= {"family-names", "given-names", "name"}
    (article,) = cited["references"]
    assert re.fullmatch(r"10\.\d{4,9}/[-._;()/:A-Za-z0-9]+", article["doi"])
