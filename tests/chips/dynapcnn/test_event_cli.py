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
from i2e_deploy.errors import FileFormatError, InputError
from i2e_deploy.events import EVENT_DTYPE, Events
from i2e_deploy.events.files import write_events
from i2e_deploy.events.steps import count_events
from i2e_deploy.network import Conv2d, IntegrateAndFire, Network, Op, chain
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


def recording() -> Events:
    generator = np.random.default_rng(3)
    events = np.zeros(500, EVENT_DTYPE)
    events["t"] = 10_000 + np.sort(generator.integers(0, 20_000, 500))
    for name, most in (("p", 2), ("x", 8), ("y", 8)):
        events[name] = generator.integers(0, most, 500)
    return events


@pytest.mark.parametrize("suffix", [".npy", ".csv", ".npz", ".raw"])
def test_recordings_of_any_kind_run_at_their_own_times(
    suffix: str, arguments: list[str], tmp_path: Path, capsys: Captured
) -> None:
    events, path = recording(), tmp_path / f"events{suffix}"
    write_events(path, events, (8, 8))
    arguments[arguments.index("--input") + 1] = str(path)
    assert run([*arguments, "--semantics", "event", "--bound", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    program = get("speck2f").lower(network())
    assert isinstance(program, DynapcnnProgram)
    expected = program.run_events(events, "reference")
    assert expected.events is not None
    np.testing.assert_array_equal(np.load(tmp_path / "trace.npz")["layer0"], expected.events["conv"])
    names = [variant["name"] for variant in answer["bound"]["variants"]]
    assert "sweep=feature" in names
    assert not [name for name in names if name.startswith(("order", "shuffle"))]  # its order is its own
    assert run([*arguments, "--step-us", "2000", "--json"]) == 0
    assert np.load(tmp_path / "trace.npz")["layer0"].shape == (1, 10, 3, 3, 3)
    capsys.readouterr()


def test_a_recording_of_a_larger_sensor_and_an_order_of_steps_are_refused(
    arguments: list[str], tmp_path: Path, capsys: Captured
) -> None:
    assert run([*arguments, "--order", "raster"]) == 2
    assert "add --semantics event" in capsys.readouterr().err
    events, path = recording(), tmp_path / "events.npz"
    events["x"][0] = 9
    write_events(path, events, (10, 8))
    arguments[arguments.index("--input") + 1] = str(path)
    for more in ([], ["--semantics", "event"]):
        assert run([*arguments, *more]) == 2
        assert "10 x 8 pixels, the network sees 8 x 8: crop or shrink" in capsys.readouterr().err
    assert not (tmp_path / "trace.npz").exists()


def test_a_recording_counted_into_steps_is_what_it_says() -> None:
    events = recording()
    counts = count_events(events, (2, 8, 8), 1000)
    assert counts.sum() == 500
    step = (events["t"] - events["t"][0]) // 1000
    for t in range(counts.shape[1]):
        here = events[step == t]
        for event in here:
            assert counts[0, t, event["p"], event["y"], event["x"]] > 0
        assert counts[0, t].sum() == len(here)
    with pytest.raises(InputError, match="take longer steps"):
        count_events(events, (2, 2**9, 2**10), 10)


def exported(tmp_path: Path, *flags: str) -> bundle.Bundle:
    command = ["export", str(tmp_path / "net.safetensors"), "--chip", "speck2f", "--out", str(tmp_path / "out"), *flags]
    assert run(command) == 0
    return bundle.read(tmp_path / "out")


def test_export_in_event_semantics(arguments: list[str], tmp_path: Path) -> None:
    written = exported(tmp_path, "--semantics", "event", "--input", str(tmp_path / "frames.npy"))
    assert written.manifest["semantics"] == "event"
    assert bundle.verify(written).exact
    program = get("speck2f").lower(network())
    expected = program.run(FRAMES, "event").output
    np.testing.assert_array_equal(written.golden.expected["output"], expected)


def test_export_calibrated(tmp_path: Path, capsys: Captured) -> None:
    """A lower bound of 0 is an erratum that the compatible lowering cannot have; a large bias steals its bits."""
    weight = np.random.default_rng(0).normal(0.1, 0.4, (3, 2, 3, 3)).astype(np.float32)
    conv = Conv2d(weight, np.full(3, -20, np.float32), stride=(2, 2))
    write_network(chain((2, 8, 8), {"c": conv, "n": IntegrateAndFire(1.0, 0.0)}), tmp_path / "net.safetensors")
    np.save(tmp_path / "frames.npy", FRAMES)
    assert run(["export", str(tmp_path / "net.safetensors"), "--chip", "speck2f", "--out", str(tmp_path / "no")]) == 1
    assert "lower bound is 0" in capsys.readouterr().err
    written = exported(tmp_path, "--calibrate", str(tmp_path / "frames.npy"))
    assert written.manifest["notes"]["lowering"] == "calibrated"
    (bits,) = [f for f in written.manifest["check"]["findings"] if f["rule"] == "effective weight bits"]
    assert bits["value"] > 7.5
    assert isinstance(written.program, DynapcnnProgram)
    assert written.program.layers[0].min_v == -1
    capsys.readouterr()
    own = ["check", str(tmp_path / "out"), "--chip", "speck2f", "--json"]
    for command in (own, [*own, "--input", str(tmp_path / "frames.npy")]):  # the bundle's integers, not lowered anew
        assert run(command) == 0
        (again,) = [f for f in json.loads(capsys.readouterr().out)["findings"] if f["rule"] == bits["rule"]]
        assert again["value"] == bits["value"]
    assert run(["export", str(tmp_path / "out"), "--chip", "speck2f", "--out", str(tmp_path / "no")]) == 1
    assert "the bundle's network is lowered anew" in capsys.readouterr().err


@pytest.mark.slow
def test_export_and_check_with_split(tmp_path: Path, capsys: Captured) -> None:
    generator = np.random.default_rng(0)
    first, wide, last = (
        Conv2d(generator.normal(0.1, 0.3, shape).astype(np.float32), padding=(1, 1))
        for shape in ((16, 2, 3, 3), (512, 16, 3, 3), (4, 512, 3, 3))
    )
    neuron = IntegrateAndFire(1.0, -1.0)
    ops: dict[str, Op] = {"first": first, "n1": neuron, "wide": wide, "n2": neuron, "last": last, "n3": neuron}
    write_network(chain((2, 8, 8), ops), tmp_path / "net.safetensors")
    model = str(tmp_path / "net.safetensors")
    assert run(["check", model, "--chip", "speck2f"]) == 1
    assert "'wide': split it over two cores of 256 features each (no retraining: export --split)" in (
        capsys.readouterr().out.replace("\n", " ")
    )
    assert run(["check", model, "--chip", "speck2f", "--split", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["layers"] == ["first", "wide.a", "wide.b", "last"]
    written = exported(tmp_path, "--split")
    assert written.program.layer_names == ("first", "wide.a", "wide.b", "last")
    assert bundle.verify(written).exact
    data = json.loads((tmp_path / "out" / "speck2f.json").read_text())
    shifts = [d.get("feature_shift", 0) for core in data["cnn_layers"].values() for d in core["destinations"]]
    assert sorted(shifts) == [0, 0, 0, 256]
    assert run(["check", str(tmp_path / "out"), "--chip", "speck2f", "--json"]) == 0
    capsys.readouterr()
    for flags in (["--calibrate", "f.npy"], ["--split"], ["--readout", "3"]):
        assert run(["export", model, "--chip", "loihi2", "--out", str(tmp_path / "no"), *flags]) in (1, 2)
        assert capsys.readouterr().err
    for flag in (["check", model, "--chip", "loihi2", "--split"],):
        assert run(flag) == 2
        assert "loihi2 has no option split for lowering" in capsys.readouterr().err


def test_export_with_the_chips_readout(tmp_path: Path) -> None:
    weight = np.random.default_rng(0).normal(0.1, 0.4, (3, 2, 8, 8)).astype(np.float32)
    write_network(
        chain((2, 8, 8), {"c": Conv2d(weight), "n": IntegrateAndFire(1.0, -1.0)}), tmp_path / "net.safetensors"
    )
    np.save(tmp_path / "frames.npy", FRAMES)
    written = exported(tmp_path, "--readout", "2", "--input", str(tmp_path / "frames.npy"))
    data = json.loads((tmp_path / "out" / "speck2f.json").read_text())
    assert data["readout"]["threshold"] == 2
    (core,) = data["cnn_layers"].values()
    assert core["dimensions"]["output_shape"]["feature_count"] == 9
    assert written.golden.expected["output"].shape == (2, 5, 3)
    assert bundle.verify(written).exact
    assert "synaptic operations" in {finding["rule"] for finding in written.manifest["check"]["findings"]}


def test_check_with_events_looks_at_the_load(tmp_path: Path, arguments: list[str], capsys: Captured) -> None:
    command = ["check", arguments[1], "--chip", "speck2f", "--input", str(tmp_path / "frames.npy"), "--json"]
    assert run(command) == 0
    rules = {f["rule"]: f for f in json.loads(capsys.readouterr().out)["findings"]}
    synops = get("speck2f").lower(network()).run(FRAMES, "event").counts["conv"].synops
    assert rules["synaptic operations"]["value"] == round(synops / (2 * 5 * 1e-3))
    assert run([*command[:-1], "--step-us", "10"]) == 0
