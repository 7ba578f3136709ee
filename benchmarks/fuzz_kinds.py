"""Every reader of files, with whole files to start from: what `fuzz.py` and the tests mutate."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from fuzz_bundles import bundles
from fuzz_events import events
from fuzz_files_of_others import files_of_others
from fuzz_kind import Kind
from fuzz_network_files import networks
from fuzz_networks import later_networks
from fuzz_ours import ours
from fuzz_pictures import archives, pictures, tables
from fuzz_videos import videos

#: What makes the kinds, and the first words of their names.
_MAKERS: dict[Callable[[Path], list[Kind]], tuple[str, ...]] = {
    events: ("events",), files_of_others: ("events",), networks: ("network",), later_networks: ("network",),
    bundles: ("bundle",), tables: ("shards", "pictures"), pictures: ("picture",), archives: ("archive",),
    videos: ("video",), ours: ("session", "array", "arrays", "profile", "power", "conversion"),
}  # fmt: skip


def kinds(folder: Path, only: str = "") -> list[Kind]:
    """All kinds whose name contains one of `only` (separated by commas); `folder` is for files in passing."""
    wanted = only.split(",")
    first, known = {part.split(" ")[0] for part in wanted}, {word for words in _MAKERS.values() for word in words}
    made: list[Kind] = []
    for make, words in _MAKERS.items():  # seeds take seconds: those that cannot be wanted are not made
        if not first <= known or first & set(words):
            made += make(folder)
    return [kind for kind in made if any(part in kind.name for part in wanted)]
