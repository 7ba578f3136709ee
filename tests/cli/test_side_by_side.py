"""One model on several chips: `check` and `evaluate` with --chip given again."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from command_line import Captured, refused

from i2e_deploy.chips import get
from i2e_deploy.cli.app import run
from i2e_deploy.network import Conv2d, Flatten, IntegrateAndFire, LeakyIntegrateAndFire, Linear, Network, chain
from i2e_deploy.network.file import write_network
from i2e_deploy.network.neurons import parameter

BOTH = ["--chip", "speck2f", "--chip", "loihi2"]


def network() -> Network:
    rng, fires = np.random.default_rng(0), IntegrateAndFire(1.0, -1.0)
    conv, last = rng.normal(0.1, 0.4, (4, 2, 3, 3)), rng.normal(0.05, 0.3, (5, 144))
    return chain((2, 8, 8), {"conv": Conv2d(conv.astype(np.float32)), "n": fires, "flat": Flatten(),
                             "fc": Linear(last.astype(np.float32)), "out": fires})  # fmt: skip


@pytest.fixture
def model(tmp_path: Path) -> Path:
    write_network(network(), tmp_path / "net.safetensors")
    rng = np.random.default_rng(1)
    frames = (rng.random((8, 6, 2, 8, 8)) < 0.3).astype(np.uint8)
    np.savez(tmp_path / "frames.npz", frames=frames, labels=rng.integers(0, 5, 8))
    np.save(tmp_path / "frames.npy", frames)
    return tmp_path / "net.safetensors"


def test_check_has_a_column_for_each_chip(model: Path, capsys: Captured) -> None:
    assert run(["check", str(model), *BOTH]) == 0
    out = capsys.readouterr().out
    assert "speck2f" in out.splitlines()[0]
    assert "loihi2" in out.splitlines()[0]
    assert run(["check", str(model), *BOTH, "--input", str(model.with_name("frames.npy")), "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["fits"] is True
    assert list(data["chips"]) == ["speck2f", "loihi2"]
    alone = get("loihi2").check(network()).to_dict()
    assert data["chips"]["loihi2"]["layers"] == list(alone["layers"]) == ["conv", "fc"]
    measured = [f for f in data["chips"]["loihi2"]["findings"] if f["rule"] == "spikes differ from float"]
    assert [finding["layer"] for finding in measured] == ["conv", "fc"]


def test_check_exits_with_1_when_one_chip_has_no_place(tmp_path: Path, capsys: Captured) -> None:
    """Leaky neurons: Loihi 2 has them, Speck has not."""
    leaky = LeakyIntegrateAndFire(parameter(0.9), parameter(1.0), reset="value")
    ops = {"c": Conv2d(np.ones((2, 2, 3, 3), np.float32)), "n": leaky}
    write_network(chain((2, 8, 8), ops), tmp_path / "net.safetensors")
    assert run(["check", str(tmp_path / "net.safetensors"), *BOTH, "--json"]) == 1
    data = json.loads(capsys.readouterr().out)
    assert {name: row["fits"] for name, row in data["chips"].items()} == {"speck2f": False, "loihi2": True}
    assert run(["check", str(tmp_path / "net.safetensors"), *BOTH]) == 1
    assert "speck2f: error" in capsys.readouterr().out


def test_evaluate_has_a_column_for_each_chip_and_target(model: Path, capsys: Captured) -> None:
    data = str(model.with_name("frames.npz"))
    targets = ["--target", "simulator", "--target", "float"]
    assert run(["evaluate", str(model), data, *BOTH, *targets]) == 0
    out = capsys.readouterr().out
    assert "loihi2: simulator and float" in out
    assert run(["evaluate", str(model), data, *BOTH, *targets, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    for name in ("speck2f", "loihi2"):
        assert run(["evaluate", str(model), data, "--chip", name, *targets, "--json"]) == 0
        alone = json.loads(capsys.readouterr().out)
        assert alone["targets"]["simulator"]["accuracy"] == found["chips"][name]["targets"]["simulator"]["accuracy"]
        assert alone["agreement"] == found["chips"][name]["agreement"]
    frames = np.load(data)["frames"]
    decisions = [get(name).lower(network()).run(frames).decisions() for name in ("speck2f", "loihi2")]
    same = int((decisions[0] == decisions[1]).sum())
    assert found["agreement"] == [{"first": "speck2f", "second": "loihi2", "same": same, "total": 8}]
    assert run(["evaluate", str(model), data, *BOTH, "--min-accuracy", "1"]) == 1
    assert "loihi2: simulator: accuracy" in capsys.readouterr().err


def test_options_of_one_chip_are_refused_for_several(model: Path, tmp_path: Path, capsys: Captured) -> None:
    assert "--apply" in refused(capsys, "check", model, *BOTH, "--apply", tmp_path / "x.safetensors")
    assert "each chip once" in refused(capsys, "check", model, "--chip", "loihi2", "--chip", "loihi2")


def test_the_standard_neuron_is_asked_for_in_the_shell(model: Path, tmp_path: Path, capsys: Captured) -> None:
    frames = ["--input", str(model.with_name("frames.npy"))]
    assert run(["check", str(model), "--chip", "loihi2", "--standard", *frames, "--json"]) == 0
    rules = {finding["rule"] for finding in json.loads(capsys.readouterr().out)["findings"]}
    assert "closest standard neuron" in rules
    assert "programmable neuron" not in rules
    out = ["--out", str(tmp_path / "bundle"), *frames, "--calibrate", str(model.with_name("frames.npy"))]
    assert run(["export", str(model), "--chip", "loihi2", "--standard", *out]) == 0
    assert (tmp_path / "bundle" / "program.net").exists()
    assert run(["verify", str(tmp_path / "bundle")]) == 0
    assert run(["check", str(tmp_path / "bundle"), "--chip", "loihi2", *frames]) == 0


def test_what_several_layers_share_is_said_once() -> None:
    from i2e_deploy.chips import Finding
    from i2e_deploy.chips.check import said_once

    same = [Finding("neurons", name, "leak", "", "", "warning", "mend it") for name in ("a", "b")]
    other = Finding("cores", "", 3, 2, "cores", "error")
    assert said_once([*same, other]) == [
        ("warning", "layers 'a', 'b': neurons: leak; mend it"),
        ("error", "network: cores is 3, limit 2 cores"),
    ]
    assert said_once(same[:1]) == [("warning", "layer 'a': neurons: leak; mend it")]
