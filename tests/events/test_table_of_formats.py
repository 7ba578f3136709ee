"""The table of formats in the documentation is the one that the code makes."""

from __future__ import annotations

import re
from pathlib import Path

from i2e_deploy.events.formats import FORMATS
from i2e_deploy.events.formats.table import markdown_table

PAGE = Path(__file__).parents[2] / "docs" / "event_files.md"


def test_the_table_of_the_page_is_that_of_the_code() -> None:
    """To renew it: paste what `markdown_table()` gives between the two marks."""
    found = re.search(r"<!-- formats -->\n(.*?)<!-- end of formats -->", PAGE.read_text(), re.DOTALL)
    assert found is not None
    assert found[1] == markdown_table()


def test_the_table_holds_every_format_and_who_writes_it() -> None:
    rows = markdown_table().splitlines()[2:]
    assert len(rows) == len(FORMATS)
    for format_ in FORMATS.values():
        (row,) = [row for row in rows if row.startswith(f"| `{format_.name}` |")]
        assert ("| not written: " in row) == (format_.write is None)
        assert format_.encoder, "who writes it, or why nobody does"
        assert all(f"`{suffix}`" in row for suffix in format_.suffixes)
