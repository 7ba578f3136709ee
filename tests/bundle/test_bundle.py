"""A bundle is whole or absent, proves itself, and refuses anything that was changed."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import random_case, random_frames, single_neuron
from numpy.typing import NDArray

from i2e_deploy import bundle, files
from i2e_deploy.bundle.bundle import GOLDEN, MANIFEST, NETWORK, PROGRAM
from i2e_deploy.chips import get
from i2e_deploy.errors import CheckFailed, ComparisonFailed, FileFormatError, InputError
from i2e_deploy.network import Network, from_sinabs
from i2e_deploy.runtime import Difference

FILES = {MANIFEST, NETWORK, PROGRAM, GOLDEN, "speck2f.json"}


@pytest.fixture
def case() -> tuple[Network, NDArray[np.int64]]:
    rng = np.random.default_rng(1)
    drawn = random_case(rng)
    return from_sinabs(drawn.module(1), drawn.input_shape), random_frames(rng, drawn.input_shape)


@pytest.fixture
def written(tmp_path: Path, case: tuple[Network, NDArray[np.int64]]) -> bundle.Bundle:
    return bundle.write(tmp_path / "b", get("speck2f"), *case, provenance=bundle.Provenance({"draw": 1}))


def test_write_read_verify(written: bundle.Bundle, case: tuple[Network, NDArray[np.int64]]) -> None:
    assert {path.name for path in written.path.iterdir()} == FILES
    assert [path.name for path in written.path.parent.iterdir()] == ["b"]
    again = bundle.read(written.path)
    program = get("speck2f").lower(case[0])
    trace = program.run(case[1], engine="reference")
    assert trace.output.sum() > 0
    assert np.array_equal(again.program.run(case[1]).output, trace.output)
    assert np.array_equal(again.golden.inputs, case[1])
    assert list(again.golden.expected) == [*sorted(trace.arrays(state=True)), "output"]
    assert again.manifest["seeds"] == {"draw": 1}
    assert again.manifest["verified_on_silicon"] is False
    result = bundle.verify(again)
    assert result.exact
    assert result.values == sum(array.size for array in again.golden.expected.values()) > 0


def test_the_same_input_gives_the_same_bytes(tmp_path: Path, case: tuple[Network, NDArray[np.int64]]) -> None:
    for name in ("one", "two"):
        bundle.write(tmp_path / name, get("speck2f"), *case)
    for file in FILES:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_verify_names_the_first_layer_step_and_neuron(written: bundle.Bundle) -> None:
    expected = {name: array.copy() for name, array in written.golden.expected.items()}
    index = (1, 2, 0, 1, 1)
    expected["layer0"][index] += 3
    expected["layer0"][(0, 4, 0, 0, 0)] += 1
    golden = bundle.Golden(written.golden.inputs, expected)
    changed = bundle.Bundle(written.path, written.chip, written.program, written.network, golden, written.manifest)
    result = bundle.verify(changed)
    (difference,) = result.differences
    assert isinstance(difference, Difference)
    assert (difference.array, difference.sample, difference.step, difference.neuron) == ("layer0", 1, 2, (0, 1, 1))
    assert difference.expected == difference.actual + 3
    assert difference.count == 2
    with pytest.raises(ComparisonFailed, match=r"layer0 \('0'\) differs first at step 2, sample 1, neuron \(0, 1, 1\)"):
        result.raise_if_different()


@pytest.mark.parametrize("name", sorted(FILES - {MANIFEST}))
def test_a_changed_or_missing_file_is_refused(written: bundle.Bundle, name: str) -> None:
    file = written.path / name
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    with pytest.raises(FileFormatError, match="checksum differs"):
        bundle.read(written.path)
    file.unlink()
    with pytest.raises(FileFormatError, match="is missing"):
        bundle.read(written.path)


def change_manifest(path: Path, change: Any) -> None:
    manifest = json.loads((path / MANIFEST).read_text())
    change(manifest)
    (path / MANIFEST).write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m.update(format="other"),
        lambda m: m.update(format_version=3),
        lambda m: m.pop("chip"),
        lambda m: m.update(chip=3),
        lambda m: m.pop("program"),
        lambda m: m.update(files=[]),
        lambda m: m["files"].update({PROGRAM: "x"}),
        lambda m: m["program"].pop("layers"),
        lambda m: m["program"].update(outputs=[]),
        lambda m: m["program"]["outputs"][0].update(layer="none"),
        lambda m: m["program"]["outputs"][0].update(pool=[0, 1]),
        lambda m: m["program"].update(input_shape=[10**9, 10**9, 10**9]),
        lambda m: m["program"]["layers"][0].update(padding=[30_000, 30_000]),
        lambda m: m["program"]["layers"][0].update(threshold=0),
        lambda m: m["program"]["layers"][0].update(threshold=1.5),
        lambda m: m["program"]["layers"][0].update(min_v=1),
        lambda m: m["program"]["layers"][0].update(reset="never"),
        lambda m: m["program"]["layers"][0].update(stride=[0, 1]),
        lambda m: m["program"]["layers"][0].update(output_shape=[1, 1, 1]),
        lambda m: m["program"]["layers"][0].update(sources=[]),
        lambda m: m["program"]["layers"][0].update(name="other"),
    ],
)
def test_hostile_manifests_end_in_one_error(written: bundle.Bundle, change: Any) -> None:
    change_manifest(written.path, change)
    with pytest.raises(FileFormatError):
        bundle.read(written.path)


def test_a_manifest_that_is_no_json(written: bundle.Bundle) -> None:
    for text in ("", "[", "[" * 100_000, "null", "{}"):
        (written.path / MANIFEST).write_text(text)
        with pytest.raises(FileFormatError):
            bundle.read(written.path)


def test_an_unknown_chip_is_named(written: bundle.Bundle) -> None:
    change_manifest(written.path, lambda m: m.update(chip="speck9"))
    with pytest.raises(InputError, match="no chip 'speck9'"):
        bundle.read(written.path)


def test_nothing_is_left_when_writing_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = np.ones((1, 2, 1, 1, 1), np.int64)

    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(bundle.bundle, "write_tensors", full_disk)
    with pytest.raises(InputError, match="No space"):
        bundle.write(tmp_path / "b", get("speck2f"), single_neuron(1.0, 1.0), frames)
    assert not list(tmp_path.iterdir())


def test_a_network_that_does_not_fit_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(CheckFailed, match="lower bound is 0"):
        bundle.write(tmp_path / "b", get("speck2f"), single_neuron(1.0, 1.0, 0.0), np.ones((1, 1, 1, 1, 1), int))
    assert not list(tmp_path.iterdir())


def test_an_existing_folder_is_replaced_only_when_asked_and_only_a_bundle(
    written: bundle.Bundle, case: tuple[Network, NDArray[np.int64]], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="exists"):
        bundle.write(written.path, get("speck2f"), *case)
    bundle.write(written.path, get("speck2f"), *case, overwrite=True)
    assert bundle.verify(bundle.read(written.path)).exact
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.tex").write_text("x")
    with pytest.raises(InputError, match="is no bundle"):
        bundle.write(mine, get("speck2f"), *case, overwrite=True)
    assert (mine / "thesis.tex").read_text() == "x"


def test_a_folder_with_a_manifest_of_something_else_is_not_a_bundle(
    written: bundle.Bundle, case: tuple[Network, NDArray[np.int64]], tmp_path: Path
) -> None:
    other = tmp_path / "extension"
    other.mkdir()
    (other / MANIFEST).write_text('{"name": "my web extension"}')
    with pytest.raises(InputError, match="is no bundle"):
        bundle.write(other, get("speck2f"), *case, overwrite=True)
    (written.path / "thesis.tex").write_text("x")
    with pytest.raises(InputError, match=r"holds 'thesis\.tex'"):
        bundle.write(written.path, get("speck2f"), *case, overwrite=True)


@pytest.mark.parametrize("missing", ["expected.layer0", "expected.output", "input"])
def test_verify_never_compares_less_than_everything(written: bundle.Bundle, missing: str) -> None:
    tensors, metadata = files.read_tensors(written.path / GOLDEN)
    for change in (lambda: tensors.update({missing: np.ones(3, np.float32)}), lambda: tensors.pop(missing)):
        change()
        files.write_tensors(written.path / GOLDEN, tensors, metadata)
        change_manifest(
            written.path, lambda m: m["files"].update({GOLDEN: {"sha256": files.sha256(written.path / GOLDEN)}})
        )
        with pytest.raises(FileFormatError, match=missing):
            bundle.read(written.path)


def test_an_array_of_another_shape_is_named_as_that(written: bundle.Bundle) -> None:
    expected = {**written.golden.expected, "layer0": np.zeros((1, 2), np.int8)}
    golden = bundle.Golden(written.golden.inputs, expected)
    changed = bundle.Bundle(written.path, written.chip, written.program, written.network, golden, written.manifest)
    assert "expected shape [1, 2]" in str(bundle.verify(changed).differences[0])


def test_paths_may_be_strings(tmp_path: Path, case: tuple[Network, NDArray[np.int64]]) -> None:
    bundle.write(str(tmp_path / "b"), get("speck2f"), *case)
    assert bundle.verify(bundle.read(str(tmp_path / "b"))).exact


def test_replacing_a_folder_survives_a_failing_rename(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = tmp_path / "x"
    old.mkdir()
    (old / "a").write_text("old")
    rename = os.replace

    def second_fails(source: Path, target: Path) -> None:
        if source.name.endswith(".tmp"):
            raise OSError(28, "No space left on device")
        rename(source, target)

    monkeypatch.setattr(os, "replace", second_fails)
    monkeypatch.setattr(files, "_exchanged", lambda one, other: False)  # as on a system that cannot
    with pytest.raises(InputError, match="No space"), files.replacing_folder(old) as folder:
        (folder / "a").write_text("new")
    assert (old / "a").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_replacing_a_folder_keeps_the_old_one_when_the_block_fails(tmp_path: Path) -> None:
    old = tmp_path / "x"
    old.mkdir()
    (old / "a").write_text("old")
    with pytest.raises(InputError, match="No such file"), files.replacing_folder(old) as folder:
        (folder / "none" / "a").write_text("new")
    assert (old / "a").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
    shutil.rmtree(old)
