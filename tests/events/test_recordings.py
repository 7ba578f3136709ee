"""Real recordings: other people's files, through every format and back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from public_data import public

from i2e_deploy.events.files import open_events, read_events, write_events
from i2e_deploy.events.formats import FORMATS, WRITTEN

pytest.importorskip("faery")

#: Name, size the file states, events; counted by faery's and (AEDAT4) dv-processing's own reader.
FILES = [
    ("dvs.es", (320, 240), 473_225),
    ("evt2.raw", None, 521_252),
    ("sample.aedat4", (320, 240), 111_954),
]


@pytest.mark.parametrize(("name", "size", "count"), FILES)
def test_every_format_holds_a_real_recording(
    name: str, size: tuple[int, int] | None, count: int, tmp_path: Path
) -> None:
    recording = read_events(public(f"recordings/{name}"))
    assert (recording.sensor_size, len(recording.events)) == (size, count)
    events = recording.events[:100_000].copy()
    events["t"] -= events["t"][0]  # sample.aedat4 counts from 1970: more than most formats hold
    for format_ in map(FORMATS.__getitem__, WRITTEN):
        if format_.name in ("nmnist", "aedat2"):  # other sizes
            continue
        path = tmp_path / f"a{(*format_.suffixes, '.raw')[0]}"
        write_events(path, events, size or (640, 480), format=format_.name)
        np.testing.assert_array_equal(read_events(path).events, events, err_msg=format_.name)


def test_a_large_file_in_windows() -> None:
    with open_events(public("recordings/dvs.es")) as reader:
        assert sum(map(len, reader)) == 473_225


def test_nmnist() -> None:
    """All 900 recordings are sorted, whole, and inside 34 x 34 pixels (the reader raises otherwise)."""
    paths = sorted(public("nmnist_small").rglob("*.bin"))
    assert len(paths) == 900
    lengths = [len(read_events(path).events) for path in paths[::9]]
    assert min(lengths) > 500
