"""Files that an older version wrote are read, and give what they gave; see old_files/README.md.

All but the checkpoint goes through the command line, so that the test stays as it is when modules move.
"""

from __future__ import annotations

import hashlib
import json
import math
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import Captured, refused
from numpy.typing import NDArray
from safetensors import safe_open

from i2e_deploy.cli.app import run
from i2e_deploy.errors import InputError
from i2e_deploy.files import read_tensors

FOLDER = Path(__file__).parent / "old_files"
SAID = sorted((FOLDER / "said").glob("*.json"))
BUNDLES = ("speck2f_bundle", "speck2f_event_bundle", "speck2e_split_bundle", "filter_bundle", "loihi2_bundle")

#: What no version need say alike: times, versions, checksums (libraries order and compress bytes), paths.
LEFT_OUT = frozenset(
    {"latency_ms", "versions", "sha256", "bytes", "bundle", "report", "trace", "file", "files", "content"}
)
#: Sentences for people may be said better: held against the old ones is only whether there is one, or how many.
SENTENCES = frozenset({"fix", "text", "basis", "unknown", "workaround", "exact", "open"})
#: What public records of chips say changes as they come in: figures of estimates, and what a profile and a check say of
#: them. The tests of profiles, estimates and records hold these.
EVIDENCE = frozenset({"estimate", "estimates", "records", "open_points"})
EVIDENCE_RULES = frozenset({"records of a real chip", "open on silicon"})
#: What is told beside it since then: how the output decides, and what a reader must know of the decisions.
#: And how far two targets are apart, layer by layer; the code of a finding's rule.
NEWER = frozenset(
    "readout ties silent quiet remarks total layers order programmable_neurons chained code classes".split()  # noqa: SIM905
) | frozenset({"confusion", "values"})
#: Rules of a check that are younger than the files.
NEWER_RULES = frozenset({"readout", "values above 1", "beyond message bits"})


def essence(data: Any, key: str = "") -> Any:
    """JSON without what is left out, and without the wording of sentences."""
    if key in SENTENCES and isinstance(data, str):
        return bool(data)
    if key in SENTENCES and isinstance(data, list) and all(isinstance(item, str) for item in data):
        return len(data)
    if isinstance(data, Mapping):
        return {name: essence(value, name) for name, value in data.items() if name not in LEFT_OUT}
    return [essence(value) for value in data] if isinstance(data, list) else data


def _always_empty(name: str, value: Any) -> bool:
    """Counts of Loihi 2 alone, which 0.1.0 told of every chip: they held nothing elsewhere, and went with it."""
    return name in ("wraps", "peaks") and not value


def assert_same(got: Any, wanted: Any, where: str = "") -> None:
    """Equal keys, texts and integers; floats to 9 digits, as sums of other versions of NumPy may round otherwise."""
    if isinstance(wanted, dict):
        assert isinstance(got, dict), where
        wanted = {name: value for name, value in wanted.items() if name in got or not _always_empty(name, value)}
        told = {name for name in got if name in wanted or name not in NEWER}
        assert told - EVIDENCE == wanted.keys() - EVIDENCE, where
        wanted = {name: value for name, value in wanted.items() if name not in EVIDENCE}
        for name in wanted:
            assert_same(got[name], wanted[name], f"{where}.{name}")
    elif isinstance(wanted, list):
        assert isinstance(got, list), where
        got = [
            item for item in got if not (isinstance(item, dict) and item.get("rule") in EVIDENCE_RULES | NEWER_RULES)
        ]
        if all(isinstance(item, dict) and "family" in item for item in got):  # chips that came later
            names = {item["name"] for item in wanted}
            got = [item for item in got if item["name"] in names]
        assert len(got) == len(wanted), where
        for i, (one, other) in enumerate(zip(got, wanted, strict=True)):
            assert_same(one, other, f"{where}[{i}]")
    elif isinstance(wanted, float):
        assert isinstance(got, float), where
        assert math.isclose(got, wanted, rel_tol=1e-9, abs_tol=1e-15), f"{where}: {got}, not {wanted}"
    else:
        assert (type(got), got) == (type(wanted), wanted), where


def assert_same_arrays(got: Mapping[str, NDArray[Any]], wanted: Mapping[str, NDArray[Any]]) -> None:
    assert list(got) == list(wanted)
    for name, array in wanted.items():
        assert got[name].dtype == array.dtype, name
        np.testing.assert_array_equal(got[name], array, err_msg=name)


def load(path: Path) -> dict[str, NDArray[Any]]:
    """Arrays of an `.npz` file."""
    with np.load(path, allow_pickle=False) as arrays:
        return dict(arrays)


def load_tensors(path: Path) -> tuple[dict[str, NDArray[Any]], dict[str, str] | None]:
    """Arrays and header of a `.safetensors` file."""
    with safe_open(path, "numpy") as file:
        return {name: file.get_tensor(name) for name in sorted(file.keys())}, file.metadata()


def tell(capsys: Captured, *arguments: object, code: int = 0) -> Any:
    """What a command prints with --json."""
    assert run([*map(str, arguments), "--json"]) == code
    return json.loads(capsys.readouterr().out)


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(FOLDER)


def test_no_file_was_made_anew() -> None:
    """What a newer version writes proves nothing of the older one's files."""
    rows = [line.split("  ") for line in (FOLDER / "SHA256SUMS").read_text().splitlines()]
    assert len(rows) >= 40
    for digest, name in rows:
        assert hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() == digest, name


@pytest.mark.parametrize("path", SAID, ids=lambda path: path.stem)
def test_a_command_says_what_it_said(path: Path, tmp_path: Path, capsys: Captured) -> None:
    """Its exit code, its JSON, and where it writes a trace, every array of it."""
    old = json.loads(path.read_text(encoding="utf-8"))
    out = tmp_path / "trace.npz"
    command = [str(out) if word == "{out}" else word for word in old["command"]]
    assert_same(essence(tell(capsys, *command, code=old["code"])), old["said"])
    if "{out}" in old["command"]:
        assert_same_arrays(load(out), load(FOLDER / f"trace_{path.stem.removeprefix('simulate_')}.npz"))


def test_said_covers_every_trace() -> None:
    traces = {path.stem.removeprefix("trace_") for path in FOLDER.glob("trace_*.npz")}
    assert traces == {path.stem.removeprefix("simulate_") for path in SAID if path.stem.startswith("simulate_")}


@pytest.mark.parametrize("target", ["simulator", "reference"])
@pytest.mark.parametrize("bundle", BUNDLES)
def test_a_bundle_is_verified(bundle: str, target: str, capsys: Captured) -> None:
    told = tell(capsys, "verify", bundle, "--target", target)
    golden, _ = load_tensors(FOLDER / bundle / "golden.safetensors")
    assert told["exact"] is True
    assert told["values"] == sum(array.size for name, array in golden.items() if name.startswith("expected."))
    manifest = json.loads((FOLDER / bundle / "manifest.json").read_text())
    assert told["semantics"] == manifest["semantics"]
    assert told["not_reported"] == []


@pytest.mark.parametrize(
    ("bundle", "options"),
    [
        ("speck2f_bundle", ["--chip", "speck2f", "--input", "frames_2x8x8.npy"]),
        (
            "speck2f_event_bundle",
            ["--chip", "speck2f", "--semantics", "event", "--readout", 2, "--input", "frames_2x16x16.npy"],
        ),
        ("speck2e_split_bundle", ["--chip", "speck2e", "--split", "--input", "frames_1x33x33.npy"]),
        ("loihi2_bundle", ["--chip", "loihi2", "--input", "frames_2x8x8.npy"]),
    ],
)
def test_a_network_exported_again_is_the_same_bundle(
    bundle: str, options: list[object], tmp_path: Path, capsys: Captured
) -> None:
    """Manifest, network, program, golden vectors and the chip's own files."""
    old, new = FOLDER / bundle, tmp_path / bundle
    told = tell(capsys, "export", old / "network.safetensors", *options, "--out", new)
    wanted = json.loads((old / "manifest.json").read_text())
    assert_same(essence(told["manifest"]), essence(wanted))
    assert told["manifest"]["files"].keys() == wanted["files"].keys()
    for name in wanted["files"]:
        if name.endswith(".safetensors"):
            (got, header), (expected, old_header) = load_tensors(new / name), load_tensors(old / name)
            assert_same_arrays(got, expected)
            assert header == old_header
        elif name.endswith(".json"):
            assert (new / name).read_bytes() == (old / name).read_bytes()
        else:
            assert name == "program.net"  # its bytes are those of the HDF5 library: hold the integers together
            shape = ["--chip", "loihi2", "--input-shape", "2,8,8", "--input", "frames_2x8x8.npy"]
            traces = [tmp_path / "new.npz", tmp_path / "old.npz"]
            for folder, trace in zip((new, old), traces, strict=True):
                tell(capsys, "simulate", folder / name, *shape, "--state", "--out", trace)
            assert_same_arrays(load(traces[0]), load(traces[1]))


def test_an_evaluation_gives_what_it_gave(capsys: Captured) -> None:
    old = json.loads((FOLDER / "speck2f_bundle" / "evaluation.json").read_text())
    targets = ["--target", "simulator", "--target", "reference"]
    told = tell(capsys, "evaluate", "speck2f_bundle", "samples_2x8x8.npz", *targets, "--no-keep")
    assert_same(essence(told), essence(old["result"]))


@pytest.mark.parametrize("bundle", BUNDLES)
def test_a_report_is_drawn(bundle: str, tmp_path: Path, capsys: Captured) -> None:
    """Of a bundle in which an evaluation was left, with its figures."""
    tell(capsys, "report", bundle, "--out", tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    manifest = json.loads((FOLDER / bundle / "manifest.json").read_text())
    assert all(layer in page for layer in manifest["layers"])
    assert "DIFFERENT" not in page
    evaluation = FOLDER / bundle / "evaluation.json"
    if evaluation.exists():
        rows = json.loads(evaluation.read_text())["result"]["targets"]
        assert len(rows) == 2
        for row in rows.values():
            assert f"{row['latency_ms']['p50']:.3f}" in page
            assert f"{100 * row['accuracy']:.2f} %" in page


@pytest.mark.parametrize(
    ("session", "model"), [("speck2f.session", "speck2f_bundle"), ("loihi2.session", "loihi2_bundle")]
)
def test_a_session_is_replayed(session: str, model: str, capsys: Captured) -> None:
    """Every decision is equal, and the program is the recorded one by its digest."""
    decisions = (FOLDER / session).read_bytes().count(b'{"windows":')
    assert decisions >= 5
    assert run(["live", model, "--replay", session]) == 0
    assert capsys.readouterr().out.strip() == f"{decisions} decisions, all equal"


def test_a_session_of_a_board_is_for_evaluation(capsys: Captured) -> None:
    """Evaluated in said/evaluate_board.json."""
    assert "evaluate" in refused(capsys, "live", "graph.safetensors", "--replay", "board.session")


def test_coefficients_are_fitted_again(tmp_path: Path, capsys: Captured) -> None:
    """The file is read in said/simulate_speck2f_recording.json."""
    out = tmp_path / "power.json"
    tell(capsys, "calibrate-power", "readings.csv", "--chip", "speck2f", "--source", "made-up readings", "--out", out)
    assert_same(json.loads(out.read_text()), json.loads((FOLDER / "power.json").read_text()))


def test_pictures_become_the_same_events(tmp_path: Path, capsys: Captured) -> None:
    pytest.importorskip("PIL")
    tell(capsys, "convert", "pictures", "--out", tmp_path / "recording.npz", "--size", 16, "--steps", 3)
    assert_same_arrays(load(tmp_path / "recording.npz"), load(FOLDER / "recording.npz"))


def test_shards_are_gone_on_with_and_are_the_same_anew(tmp_path: Path, capsys: Captured) -> None:
    """A finished folder is known again by its plan; a new one holds the same items."""
    parquet = pytest.importorskip("pyarrow.parquet")
    how = ["--size", 16, "--steps", 4, "--shard-items", 2, "--workers", 1]
    old = json.loads((FOLDER / "shards" / "manifest.json").read_text())
    shutil.copytree(FOLDER / "shards", tmp_path / "finished")
    assert tell(capsys, "convert", "pictures", *how, "--out", tmp_path / "finished") == old
    assert_same(essence(tell(capsys, "convert", "pictures", *how, "--out", tmp_path / "anew")), essence(old))
    for shard in old["shards"]:
        tables = [parquet.read_table(folder / shard["file"]) for folder in (tmp_path / "anew", FOLDER / "shards")]
        assert tables[0].equals(tables[1], check_metadata=False), shard["file"]
        assert tables[0].num_rows == shard["rows"]


def test_weights_of_an_old_training_are_read(tmp_path: Path) -> None:
    """Of the first trainer, whose draws are no longer made: it cannot go on, and says so; its weights can."""
    import torch
    from torch import nn

    from i2e_deploy.training.checkpoint import Progress, load_weights, resume

    path = FOLDER / "training.safetensors"
    network = nn.Sequential(nn.AvgPool2d(4), nn.Flatten(), nn.Linear(18, 2))
    load_weights(network, path)
    stored = read_tensors(path)[0]
    assert np.array_equal(network.state_dict()["2.weight"].numpy(), stored["network.2.weight"])
    assert np.abs(stored["network.2.weight"]).max() > 0
    progress = Progress(network, torch.optim.AdamW(network.parameters()), {"seed": 0})
    with pytest.raises(InputError, match=r"cannot go on: take its weights .* --init"):
        resume(progress, path)
