"""Pages with metadata as Hugging Face reads them: YAML between two lines of dashes, then Markdown."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any


def page(metadata: Mapping[str, Any], body: str) -> str:
    """Front matter and Markdown."""
    return f"---\n{yaml_text(metadata)}---\n\n{body.strip()}\n"


def yaml_text(data: Mapping[str, Any]) -> str:
    """Mappings, lists, texts, numbers, booleans and None as block YAML; texts are quoted as JSON, which YAML reads."""
    return "".join(f"{line}\n" for line in _lines(data))


def _lines(data: Any) -> list[str]:
    """The block of a mapping or of a list."""
    rows = []
    pairs = data.items() if isinstance(data, Mapping) else ((None, value) for value in data)
    for key, value in pairs:
        head = "-" if key is None else f"{_scalar(key)}:"
        if isinstance(value, (Mapping, list, tuple)) and value:
            inner = _lines(value)
            if key is None:  # the first line of the block stands beside the dash
                rows += [f"- {inner[0]}", *(f"  {line}" for line in inner[1:])]
            else:
                rows += [head, *(f"  {line}" for line in inner)]
        else:
            rows.append(f"{head} {_scalar(value)}")
    return rows


def _scalar(value: Any) -> str:
    if isinstance(value, (Mapping, list, tuple)):
        return "{}" if isinstance(value, Mapping) else "[]"
    if isinstance(value, str):
        return json.dumps(plain(value), ensure_ascii=False)
    return json.dumps(value)


def plain(text: object) -> str:
    """One line of printable characters: what a stranger's file has put into it stays text."""
    return "".join(c if c.isprintable() else "?" for c in " ".join(str(text).split()))


def cell(text: object) -> str:
    """A text for a cell of a Markdown table: no markup of its own."""
    shown = plain(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return "".join(f"\\{c}" if c in "\\|`*_[]" else c for c in shown)


def table(head: tuple[str, ...], rows: Sequence[tuple[object, ...]]) -> str:
    """A Markdown table."""
    lines = [head, tuple("---" for _ in head), *(tuple(cell(value) for value in row) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
