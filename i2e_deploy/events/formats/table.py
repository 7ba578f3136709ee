"""The table of formats of the documentation, made from the formats themselves (docs/event_files.md)."""

from __future__ import annotations

from i2e_deploy.events.formats import FORMATS

#: Formats that share the ending `.raw`, which their header tells apart.
_RAW = "`.raw`"


def markdown_table() -> str:
    """All formats: name, endings, who reads and writes them, whether they say a size and hold streams, remarks."""
    head = ("format", "endings", "read by", "written by", "says its size", "streams", "remarks")
    rows = [head, ("---",) * len(head)]
    for format_ in sorted(FORMATS.values(), key=lambda each: each.name):
        endings = ", ".join(f"`{suffix}`" for suffix in format_.suffixes)
        endings = endings or (_RAW if format_.name.startswith("evt") else "")
        written = format_.encoder if format_.write is not None else f"not written: {format_.encoder}"
        says, streams = ("yes" if format_.says_size else "no"), ("yes" if format_.streams is not None else "")
        rows.append((f"`{format_.name}`", endings, format_.decoder, written, says, streams, format_.remarks))
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)
