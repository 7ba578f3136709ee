"""`simulate --semantics event`, and the chip's configuration in a bundle."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from i2e_deploy import bundle
from i2e_deploy.chips import get
from i2e_deploy.chips.dynapcnn import DynapcnnProgram
from i2e_deploy.cli.app import run
from i2e_deploy.errors import FileFormatError
from i2e_deploy.network import Conv2d, IntegrateAndFire, Network, chain
from i2e_deploy.network.file import write_network

Captured = pytest.CaptureFixture[str]
FRAMES = np.random.default_rng(1).integers(0, 2, (2, 5, 2, 8, 8)).astype(np.uint8)


def network() -> Network:
    weight = np.random.default_rng(0).normal(0.1, 0.4, (3, 2, 3, 3)).astype(np.float32)
    return chain((2, 8, 8), {"conv": Conv2d(weight, stride=(2, 2)), "neuron": IntegrateAndFire(1.0, -1.0)})


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    write_network(network(), tmp_path / "net.safetensors")
    np.save(tmp_path / "frames.npy", FRAMES)
    return [
        "simulate", str(tmp_path / "net.safetensors"), "--chip", "speck2f", "--input", str(tmp_path / "frames.npy"),
        "--out", str(tmp_path / "trace.npz"),
    ]  # fmt: skip


def test_trace_holds_events(arguments: list[str], tmp_path: Path, capsys: Captured) -> None:
    assert run([*arguments, "--semantics", "event", "--order", "raster", "--bound", "--state", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    trace = np.load(tmp_path / "trace.npz", allow_pickle=False)
    spikes = trace["layer0"]
    assert spikes.dtype.names == ("sample", "t", "cause", "c", "y", "x")
    assert len(spikes) == answer["layers"]["conv"]["spikes"] > 0
    assert set(spikes["sample"].tolist()) == {0, 1}
    assert spikes["t"].max() < 5000
    assert trace["layer0_v_mem"].shape == (2, 3, 3, 3)
    assert len(answer["bound"]["firm"]) == 2
    assert answer["bound"]["variants"][0]["name"] == "default"


def test_bound_for_people(arguments: list[str], capsys: Captured) -> None:
    assert run([*arguments, "--semantics", "event", "--bound"]) == 0
    assert "decisions are the same in every `event` variant" in capsys.readouterr().out


def test_refusals(arguments: list[str], capsys: Captured) -> None:
    assert run([*arguments, "--bound"]) == 2
    assert "add --semantics event" in capsys.readouterr().err
    assert run([*arguments, "--semantics", "event", "--order", "zigzag"]) == 2
    assert "choose one of spread, raster" in capsys.readouterr().err


def test_bundle_carries_the_configuration(tmp_path: Path) -> None:
    written = bundle.write(tmp_path / "b", get("speck2f"), network(), FRAMES)
    data = json.loads((tmp_path / "b" / "speck2f.json").read_text())
    (placed,) = written.manifest["check"]["placement"]
    assert data["layers"] == {"conv": placed["core"]}
    weights = data["cnn_layers"][str(placed["core"])]["weights"]
    assert isinstance(written.program, DynapcnnProgram)
    np.testing.assert_array_equal(np.array(weights).transpose(0, 1, 3, 2), written.program.layers[0].weight)
    (tmp_path / "b" / "speck2f.json").write_text("{}")
    with pytest.raises(FileFormatError, match=r"speck2f\.json is not the file that was exported"):
        bundle.read(tmp_path / "b")


def test_a_bundle_of_event_semantics_verifies(tmp_path: Path) -> None:
    written = bundle.write(tmp_path / "b", get("speck2f"), network(), FRAMES, semantics="event")
    assert written.golden.expected["layer0"].sum() > 0
    assert bundle.verify(written).exact
    stepped = bundle.write(tmp_path / "c", get("speck2f"), network(), FRAMES)
    assert (stepped.golden.expected["layer0"] != written.golden.expected["layer0"]).any()


@pytest.mark.parametrize("chip", ["speck2e", "speck2f", "dynapcnn"])
def test_every_chip_of_the_family_checks_and_lowers(chip: str) -> None:
    report = get(chip).check(network())
    assert report.fits
    assert get(chip).lower(network()).run(FRAMES).output.sum() > 0
