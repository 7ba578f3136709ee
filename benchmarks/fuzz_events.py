"""Event files as we write them."""

from __future__ import annotations

from pathlib import Path

from fuzz_kind import Kind, Read
from fuzz_seeds import some_events

#: Formats whose kinds `fuzz_files_of_others` has.
_ELSEWHERE = ("aedat2", "rosbag", "mcap")


def events(folder: Path) -> list[Kind]:
    """A kind for each format that is written."""
    from i2e_deploy.events.files import open_events, write_events
    from i2e_deploy.events.formats import FORMATS

    def reader(name: str) -> Read:
        def read(path: Path) -> str:
            with open_events(path, name, (34, 34), damaged="salvage") as stream:
                for packet in stream:
                    assert len(packet) == 0 or int(packet["x"].max()) < 2**16
                return "salvaged" if stream.damage else "read"

        return read

    found = []
    for name, format_ in FORMATS.items():
        suffix, seeds = (*format_.suffixes, ".raw")[0], []
        for count in (3, 400) if format_.write is not None and name not in _ELSEWHERE else ():
            path = folder / f"seed{suffix}"
            write_events(path, some_events(count, count), (34, 34), format=name)
            seeds.append(path.read_bytes())
        if seeds:
            found.append(Kind(f"events {name}", "event files", suffix, tuple(seeds), reader(name)))
    return found
