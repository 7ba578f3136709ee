"""Mutated files over every reader, a few of each kind; `benchmarks/fuzz.py` does a million.

The numbers below are files that were found by it and mended: a file of a kind is made by code from its number.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from i2e_deploy import hdf5_child
from i2e_deploy.events.formats import in_child

for needed in ("faery", "av", "pyarrow", "PIL"):
    pytest.importorskip(needed)
sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))
import fuzz  # noqa: E402
from fuzz_kind import Kind  # noqa: E402
from fuzz_kinds import kinds  # noqa: E402

#: Kinds whose files are slow to read, or can hang a child.
FEW = {"network nir": 6, "network netx": 6, "network nir data": 10, "network nir leaky": 4, "network nir nested": 6}
NAMES = (
    "events aedat4", "events evt2", "events dat", "events es", "events csv", "events evt2.1", "events evt3",
    "events nmnist", "events aedat3.1", "events npz", "events npy", "events dsec", "network safetensors",
    "network nir", "network netx", "network nir data", "bundle manifest.json", "bundle network.safetensors",
    "bundle program.safetensors", "bundle golden.safetensors", "bundle evaluation.json", "shards",
    "pictures parquet", "picture JPEG", "picture PNG", "picture WEBP", "picture BMP", "picture PPM", "picture GIF",
    "picture TIFF", "archive zip", "archive tar", "video gif", "video webp", "video mkv", "video mp4", "video avi",
    "video webm", "video mpg", "session", "array npy", "arrays npz", "profile toml", "power json",
    "conversion manifest", "events aedat1", "events aedat2", "events aedat2 unnamed", "events text tables",
    "events text of columns", "events bin of any size", "events dat without header", "events evt2 without header",
    "events npy of others", "events npz of others", "events hdf5", "events rosbag", "events mcap", "network nir leaky",
    "network nir nested", "network layers", "network blocks", "network layers json", "network blocks json",
    "network layers values", "network blocks values", "events metavision",
)  # fmt: skip
#: What was found, by kind: tracebacks of Pillow (cut animations, bombs), of FFmpeg ("patches welcome", a stream without
#: a decoder), of JSON that is no text; a magic of six bytes; a panic; a member of an archive that is no array, and one
#: whose name is of several lines; a length that no memory holds.
FOUND = {
    "video gif": (0, 1, 6, 11, 38, 51),
    "video webp": (44,),
    "video avi": (36,),
    "video mpg": (29,),
    "conversion manifest": (0, 4, 45),
    "events npy": (1996, 2504),
    "events npz of others": (190, 1954, 4522),
    "events mcap": (201, 1655),
}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Kind]]:
    with pytest.MonkeyPatch.context() as patch:  # `kinds` shortens these limits: for this module only
        patch.setattr(in_child, "_SECONDS", in_child._SECONDS)
        patch.setattr(hdf5_child, "LEAST", hdf5_child.LEAST)
        yield {kind.name: kind for kind in kinds(tmp_path_factory.mktemp("fuzz"))}


def test_every_kind_is_here(found: dict[str, Kind]) -> None:
    assert set(NAMES) >= set(found) - {name for name in found if name.startswith("events ")}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", NAMES)
def test_no_file_does_harm(name: str, found: dict[str, Kind], tmp_path: Path) -> None:
    if name not in found:
        pytest.skip("its codec or library is not here")
    kind, path = found[name], tmp_path / f"a{found[name].suffix}"
    for seed in kind.seeds:
        path.write_bytes(seed)
        assert fuzz.outcome_of(kind, path) == ("k", "")
    for number in (*range(FEW.get(name, 40)), *FOUND.get(name, ())):
        path.write_bytes(fuzz.file_of(kind, number))
        letter, text = fuzz.outcome_of(kind, path)
        assert letter in "rks", (name, number, fuzz.OUTCOMES[letter], text)
