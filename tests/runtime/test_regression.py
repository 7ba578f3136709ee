"""Values instead of classes: errors by hand and by NeuroBench, and `evaluate` from a file to JUnit, page and bundle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from command_line import Captured, refused
from hypothesis import given
from hypothesis import strategies as st

import i2e_deploy as i2e
from i2e_deploy.chips.values import Values, parse_values, unpack_values
from i2e_deploy.cli.app import run
from i2e_deploy.errors import InputError
from i2e_deploy.network import Flatten, IntegrateAndFire, Linear, chain
from i2e_deploy.network.file import write_network
from i2e_deploy.runtime.regression import errors_of


def test_errors_are_those_of_a_hand_calculation() -> None:
    """Two outputs; errors 1, 1, 2, 0 of the first and none of the second."""
    wanted = np.array([[0.0, 1], [2, 3], [4, 5], [6, 7]])
    found = errors_of(wanted + np.array([[1.0, 0], [-1, 0], [2, 0], [0, 0]]), wanted)
    assert found.mae == 0.5
    assert found.rmse == np.sqrt(6 / 8)
    assert found.r2 == ((1 - 6 / 20) + 1) / 2
    low, high = found.intervals["mae"]
    assert 0 <= low < 0.5 < high <= 1


@given(st.integers(0, 2**32 - 1), st.integers(1, 30), st.booleans())
def test_errors_are_neurobenchs(seed: int, samples: int, per_step: bool) -> None:
    """R2 there is of two outputs; with a value a step it sees the steps as samples."""
    pytest.importorskip("snntorch")
    workload = pytest.importorskip("neurobench.metrics.workload")
    rng = np.random.default_rng(seed)
    shape = (samples, 3, 2) if per_step else (samples, 2)
    wanted, predicted = rng.normal(size=shape), rng.normal(size=shape)
    ours = errors_of(predicted, wanted)
    pair = torch.from_numpy(predicted.reshape(-1, 2)), torch.from_numpy(wanted.reshape(-1, 2))
    data = (torch.zeros(len(pair[0])), pair[1])
    assert ours.measures["MSE"] == pytest.approx(workload.MSE()(None, pair[0], data), rel=1e-12)
    assert ours.smape == pytest.approx(workload.SMAPE()(None, pair[0], data), rel=1e-12)
    if len(pair[0]) > 1:
        metric = workload.R2()
        metric.reset()
        assert ours.r2 == pytest.approx(metric(None, pair[0], data), rel=1e-5)  # the package concatenates in float32


def test_both_zero_is_200_percent_as_neurobench_has_it() -> None:
    workload = pytest.importorskip("neurobench.metrics.workload")
    zeros = np.zeros((2, 2))
    assert errors_of(zeros, zeros).smape == 200
    assert workload.SMAPE()(None, torch.zeros(2, 2), (torch.zeros(2), torch.zeros(2, 2))) == 200


def test_the_interval_holds_the_true_error_about_as_often_as_it_says() -> None:
    """Errors of a known spread, 200 times 60 samples."""
    rng, held = np.random.default_rng(0), 0
    for _ in range(200):
        low, high = errors_of(rng.normal(size=(60, 1)), np.zeros((60, 1))).intervals["rmse"]
        held += low < 1 < high
    assert 175 <= held <= 199


@given(
    st.lists(st.floats(-1e9, 1e9).filter(bool), min_size=1, max_size=3), st.text("abcü", min_size=1, max_size=5)
)  # fmt: skip
def test_values_come_back_from_their_record(scale: list[float], unit: str) -> None:
    names = tuple(f"n{i}" for i in range(len(scale)))
    values = Values(tuple(scale), (0.5,), names, unit)
    assert unpack_values(json.loads(json.dumps(values.pack()))) == values
    assert parse_values(json.dumps(values.pack())) == values


@pytest.mark.parametrize("text", ["", "a", "0", "nan", "1,", "1,2;1,2,3", "{}", '{"scale": 1}', "[" * 10000])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="value"):
        parse_values(text)


def test_values_of_scores() -> None:
    scores = np.array([[2, 4], [0, -1]])
    assert np.array_equal(parse_values("0.5,2;1,-1").of(scores), [[2.0, 7.0], [1.0, -3.0]])
    with pytest.raises(InputError, match="2 scales for 3 outputs"):
        parse_values("1,2").of(np.zeros((1, 3)))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Its outputs are counts of both inputs, and of the first one: known without running it."""
    ops = {"flat": Flatten(), "fc": Linear(np.array([[1, 1], [1, 0]], np.float32)), "out": IntegrateAndFire(1.0, -1.0)}
    write_network(chain((2, 1, 1), ops), tmp_path / "net.safetensors")
    frames = np.random.default_rng(0).integers(0, 2, (6, 4, 2, 1, 1)).astype(np.uint8)
    flat = frames.reshape(6, 4, 2).astype(float)
    each = np.stack([flat.sum(-1), flat[..., 0]], axis=-1)
    np.savez(tmp_path / "sample.npz", frames=frames, targets=0.25 * each.sum(axis=1))
    np.savez(tmp_path / "step.npz", frames=frames, targets=2 * each - 1)
    np.savez(tmp_path / "shifted.npz", frames=frames, targets=0.25 * each.sum(axis=1) + [0.1, 0])
    np.savez(tmp_path / "labels.npz", frames=frames, labels=np.zeros(6, np.int64))
    return tmp_path / "net.safetensors"


@pytest.mark.parametrize("chip", ["speck2f", "loihi2"])
@pytest.mark.parametrize(("file", "scale"), [("sample.npz", "0.25"), ("step.npz", "2;-1")])
def test_values_of_samples_and_of_steps_are_exact(
    model: Path, chip: str, file: str, scale: str, capsys: Captured
) -> None:
    targets = ["--target", "simulator", "--target", "reference", "--target", "float"]
    given = ["evaluate", str(model), str(model.with_name(file)), "--chip", chip, "--value-scale", scale, *targets]
    assert run([*given, "--json", "--max-rmse", "0"]) == 0
    said = capsys.readouterr()
    assert ("read in each (--readout-kind step)" in said.err) == (file == "step.npz")
    for row in json.loads(said.out)["targets"].values():
        assert row["accuracy"] is None
        assert (row["values"]["rmse"], row["values"]["r2"]) == (0, 1)


def test_values_on_several_chips_stand_side_by_side(model: Path, capsys: Captured) -> None:
    both = ["--chip", "speck2f", "--chip", "loihi2", "--target", "simulator", "--target", "float"]
    given = ["evaluate", str(model), str(model.with_name("shifted.npz")), *both, "--value-scale", "0.25"]
    assert run([*given, "--max-rmse", "0.08"]) == 0
    lines = capsys.readouterr().out.splitlines()
    (rmse,) = [line for line in lines if line.startswith("RMSE")]
    assert rmse.split()[1:] == [f"{np.sqrt(0.1**2 / 2):.4g}"] * 4
    (same,) = [line for line in lines if line.startswith("values as")]  # the name goes on below
    assert same.count("6 of 6") == 4
    assert run([*given, "--max-rmse", "0.05", "--json"]) == 1
    said = capsys.readouterr()
    assert "loihi2: simulator: RMSE 0.0707107 is above 0.05" in said.err
    data = json.loads(said.out)
    assert data["agreement"] == [{"first": "speck2f", "second": "loihi2", "same": 6, "total": 6}]
    for name, found in data["chips"].items():
        alone = [*given[:3], "--chip", name, "--target", "simulator", "--value-scale", "0.25", "--json"]
        assert run(alone) == 0
        values = json.loads(capsys.readouterr().out)["targets"]["simulator"]["values"]
        assert values == found["targets"]["simulator"]["values"]


def test_limits_junit_page_and_table(model: Path, capsys: Captured) -> None:
    out = {name: model.with_name(name) for name in ("r.xml", "r.html", "n.json")}
    given = ["evaluate", str(model), str(model.with_name("shifted.npz")), "--value-scale", "0.25"]
    files = ["--junit", str(out["r.xml"]), "--html", str(out["r.html"]), "--neurobench", str(out["n.json"])]
    assert run([*given, *files, "--max-rmse", "0.05"]) == 1
    said = capsys.readouterr()
    rmse = np.sqrt(0.1**2 / 2)
    assert "RMSE" in said.out
    assert f"{rmse:.4g}" in said.out
    assert "simulator: RMSE 0.0707107 is above 0.05" in said.err
    assert "RMSE 0.0707107, 95 % interval 0.0707107 to 0.0707107, limit 0.05" in out["r.xml"].read_text()
    assert 'failures="1"' in out["r.xml"].read_text()
    assert f"<td>{rmse:.4g}</td>" in out["r.html"].read_text()
    figures = json.loads(out["n.json"].read_text())["targets"]["simulator"]
    assert figures["MSE"] == pytest.approx(0.005)
    assert "ClassificationAccuracy" not in figures
    assert run([*given, "--max-rmse", "0.08"]) == 0


def test_a_bundle_knows_what_its_outputs_are_worth(model: Path, capsys: Captured) -> None:
    bundle, record = model.with_name("bundle"), Values((0.25,), (0.0,), ("sum", "first"), "rad")
    export = [
        "export",
        str(model),
        "--chip",
        "speck2f",
        "--out",
        str(bundle),
        "--input",
        str(model.with_name("sample.npz")),
    ]
    assert run([*export, "--value-scale", json.dumps(record.pack())]) == 0
    assert i2e.bundle.read(bundle).values == record
    assert run(["evaluate", str(bundle), str(model.with_name("sample.npz")), "--max-rmse", "0"]) == 0
    assert run(["report", str(bundle), "--card"]) == 0
    assert "RMSE on simulator" in (bundle / "README.md").read_text()
    assert run(["report", str(bundle)]) == 0
    assert "RMSE" in (bundle / "report.html").read_text()


def test_refusals(model: Path, capsys: Captured) -> None:
    def says(file: str, *more: str) -> str:
        return refused(capsys, "evaluate", model, model.with_name(file), "--step-us", "1000", *more)

    assert "the targets are values: say what a unit of the output is worth" in says("sample.npz")
    assert "the labels are classes: leave out --value-scale" in says("labels.npz", "--value-scale", "1")
    assert "3 scales for 2 outputs" in says("sample.npz", "--value-scale", "1,2,3")
    by_state = ("--value-scale", "1", "--readout-kind", "state", "--target", "float")
    assert "its states are in other units" in says("sample.npz", *by_state)
    frames: Any = np.load(model.with_name("sample.npz"))["frames"]
    for name, wrong in (("shape", np.zeros((6, 3))), ("text", np.array(["a"] * 6)), ("nan", np.full((6, 2), np.nan))):
        np.savez(model.with_name(f"{name}.npz"), frames=frames, targets=wrong)
    assert "targets have shape [6, 3]: outputs are read as [N, 2]" in says("shape.npz", "--value-scale", "1")
    assert "expected numbers [N, V]" in says("text.npz", "--value-scale", "1")
    assert "not finite" in says("nan.npz", "--value-scale", "1")
    np.savez(model.with_name("both.npz"), frames=frames, targets=np.zeros((6, 2)), labels=np.zeros(6, np.int64))
    assert "beside `labels`" in says("both.npz", "--value-scale", "1")
