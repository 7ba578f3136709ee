"""`evaluate --neurobench`: counted by hand on a network of one layer, and the file's parts."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from command_line import Captured, refused

from i2e_deploy.cli.app import run
from i2e_deploy.network import Flatten, IntegrateAndFire, Linear, chain
from i2e_deploy.network.file import write_network

CHIPS = pytest.mark.parametrize("chip", ["speck2f", "loihi2"])


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Two outputs: the first takes both inputs, the second the first one only."""
    weight = np.array([[1, 1], [1, 0]], np.float32)
    ops = {"flat": Flatten(), "fc": Linear(weight), "out": IntegrateAndFire(1.0, -1.0)}
    write_network(chain((2, 1, 1), ops), tmp_path / "net.safetensors")
    frames = np.array([[[1, 0], [0, 0]], [[1, 1], [0, 2]]], np.uint8).reshape(2, 2, 2, 1, 1)
    np.savez(tmp_path / "frames.npz", frames=frames, labels=[0, 0])
    return tmp_path / "net.safetensors"


@CHIPS
def test_the_figures_are_those_of_a_hand_calculation(model: Path, chip: str, capsys: Captured) -> None:
    out = model.with_name("out.json")
    data = str(model.with_name("frames.npz"))
    assert run(["evaluate", str(model), data, "--chip", chip, "--neurobench", str(out)]) == 0
    assert "figures as neurobench 2.3.0 defines them" in capsys.readouterr().err
    found = json.loads(out.read_text())
    assert (found["samples"], found["steps"]) == (2, 2)
    for name in ("simulator", "float"):
        figures = found["targets"][name]
        assert figures["ConnectionSparsity"] == 0.25
        # Steps: [1, 0] meets 2 weights, [0, 0] none, [1, 1] 3; [0, 2] is no spike of 1, and meets 1 weight.
        assert figures["SynapticOperations"] == {"Effective_MACs": 0.5, "Effective_ACs": 2.5, "Dense": 8.0}
    assert found["targets"]["float"]["Footprint"] == 4 * 4
    assert found["targets"]["float"]["ActivationSparsity"] == 0.375  # spikes 1 1, 0 0, 2 1, 2 0
    assert found["targets"]["simulator"]["Footprint"] < 4 * 4
    assert found["targets"]["simulator"]["ClassificationAccuracy"] == 1.0
    assert "ClassificationAccuracy" not in found["targets"]["float"]
    assert found["chip"]["name"] == chip
    assert found["chip"]["cores"] == 1 < found["chip"]["cores_available"]
    assert all(row["used"] <= row["available"] for row in found["chip"]["memory_words"].values())


def test_of_a_bundle_its_own_placement_is_told(model: Path, capsys: Captured) -> None:
    bundle, out = model.with_name("bundle"), model.with_name("out.json")
    data = str(model.with_name("frames.npz"))
    assert run(["export", str(model), "--chip", "speck2f", "--input", data, "--out", str(bundle)]) == 0
    arguments = ["--neurobench", str(out), "--target", "simulator", "--target", "float"]
    assert run(["evaluate", str(bundle), data, *arguments]) == 0
    found = json.loads(out.read_text())
    placement = json.loads((bundle / "manifest.json").read_text())["check"]["placement"]
    assert found["chip"]["layers"] == placement
    assert found["targets"]["float"]["ClassificationAccuracy"] == 1.0
    assert found["chip"]["largest_load"] > 0


def test_several_chips_stand_side_by_side_each_with_its_own_placement(model: Path, capsys: Captured) -> None:
    """For each chip what the file of that chip alone has; a bundle's placement is taken for its own chip only."""
    bundle, out, data = model.with_name("bundle"), model.with_name("out.json"), str(model.with_name("frames.npz"))
    assert run(["export", str(model), "--chip", "speck2f", "--input", data, "--out", str(bundle)]) == 0
    for given in (model, bundle):
        both = ["--chip", "loihi2", "--chip", "speck2f"]
        assert run(["evaluate", str(given), data, *both, "--no-keep", "--neurobench", str(out)]) == 0
        beside = json.loads(out.read_text())["chips"]
        assert list(beside) == ["loihi2", "speck2f"]
        for name, found in beside.items():
            assert run(["evaluate", str(model), data, "--chip", name, "--neurobench", str(out)]) == 0
            assert json.loads(out.read_text()) == found


def test_refusals(model: Path, capsys: Captured) -> None:
    data, out = str(model.with_name("frames.npz")), str(model.with_name("out.json"))
    ops = {"flat": Flatten(), "fc": Linear(np.ones((2, 2), np.float32)), "out": IntegrateAndFire(1.0, 0.0, 1, "zero")}
    write_network(chain((2, 1, 1), ops), model)
    north = ["evaluate", model, data, "--chip", "truenorth", "--neurobench", out]
    assert "--neurobench: the chip of this program does not offer that (ShowsConnections)" in refused(capsys, *north)
    assert not Path(out).exists()
