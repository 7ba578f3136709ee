"""Power, load and latency as the commands and pages tell them: the same words for both families of chips."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from loihi_nets import draw_frames, draw_network
from tiny_programs import tiny_program

from i2e_deploy import bundle as bundles
from i2e_deploy.chips import get
from i2e_deploy.chips.costs import Figure
from i2e_deploy.chips.dynapcnn.estimates import costs as dynapcnn_costs
from i2e_deploy.chips.loihi2.formats.netx_write import write_netx
from i2e_deploy.cli.app import run
from i2e_deploy.events.files import write_events
from i2e_deploy.network import Conv2d, IntegrateAndFire, chain
from i2e_deploy.network.file import write_network

Captured = pytest.CaptureFixture[str]
FRAMES = (np.random.default_rng(0).random((3, 5, 2, 8, 8)) < 0.3).astype(np.uint8)
FIGURE_KEYS = {"name", "low", "high", "unit", "certainty", "sources", "text"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A network of two layers, a bundle of it whose layers lie on cores 2 and 5, and frames."""
    random, neuron = np.random.default_rng(0), IntegrateAndFire(1.0, -1.0)
    first, second = random.normal(0.1, 0.4, (3, 2, 3, 3)), random.normal(0.1, 0.3, (4, 3, 3, 3))
    network = chain(
        (2, 8, 8),
        {
            "a": Conv2d(first.astype(np.float32), padding=(1, 1)), "an": neuron,
            "b": Conv2d(second.astype(np.float32)), "bn": neuron,
        },
    )  # fmt: skip
    write_network(network, tmp_path / "net.safetensors")
    np.save(tmp_path / "frames.npy", FRAMES)
    np.savez(tmp_path / "data.npz", frames=FRAMES, labels=np.zeros(3, np.int64))
    bundles.write(tmp_path / "bundle", get("speck2f"), network, FRAMES)
    manifest = json.loads((tmp_path / "bundle" / "manifest.json").read_text())
    for slot, core in zip(manifest["check"]["placement"], (2, 5), strict=True):
        slot["core"] = core
    (tmp_path / "bundle" / "manifest.json").write_text(json.dumps(manifest))
    return tmp_path


def simulate(folder: Path, model: str, *more: str) -> list[str]:
    files = ["--input", str(folder / "frames.npy"), "--out", str(folder / "trace.npz")]
    return ["simulate", str(folder / model), "--chip", "speck2f", *files, *more]


def test_simulate_tells_power_load_and_latency(folder: Path, capsys: Captured) -> None:
    assert run(simulate(folder, "bundle", "--semantics", "event", "--json")) == 0
    told = json.loads(capsys.readouterr().out)
    estimate, layers = told["estimate"], told["layers"]
    figures = {figure["name"]: figure for figure in estimate["figures"]}
    assert all(figure.keys() == FIGURE_KEYS for figure in figures.values())
    rest, energy = (figures[name] for name in ("power at rest, processor", "dynamic power, synaptic operations"))
    assert (rest["low"], rest["high"]) == pytest.approx((0.3706, 0.5016))
    assert energy["certainty"] == rest["certainty"] == "record"
    synops = sum(row["synops"] for row in layers.values()) / (3 * 5e-3)
    known = get("speck2f").profile.estimate("synop_energy")
    assert (energy["low"], energy["high"]) == pytest.approx((1e-9 * known.low * synops, 1e-9 * known.high * synops))
    assert figures["latency from stimulus to output spike, mean"]["certainty"] == "unverified"
    assert estimate["seconds"] == pytest.approx(5e-3)
    assert [row["core"] for row in estimate["loads"]] == [2, 5]  # as the bundle places them
    for row in estimate["loads"]:
        assert row["synops_per_s"] == pytest.approx(layers[row["layer"]]["synops"] / (3 * 5e-3))
        assert row["events_out_per_s"] == pytest.approx(layers[row["layer"]]["spikes"] / (3 * 5e-3))
        assert row["load"] == pytest.approx(row["synops_per_s"] / 3e7)
        assert "secondary" in row["source"]
    assert estimate["loads"][0]["events_in_per_s"] == pytest.approx(FRAMES.sum() / (3 * 5e-3))
    assert estimate["loads"][1]["events_in_per_s"] == pytest.approx(estimate["loads"][0]["events_out_per_s"])
    assert "dynamic power of your own board" in estimate["unknown"][0]
    assert any("3.36 us for one event" in each["text"] for each in estimate["published"])
    assert run(simulate(folder, "bundle", "--json")) == 0
    assert json.loads(capsys.readouterr().out)["estimate"] is None  # time steps have no load and no latency


def test_and_so_for_people(folder: Path, capsys: Captured) -> None:
    assert run(simulate(folder, "net.safetensors", "--semantics", "event", "--step-us", "2")) == 0
    out = capsys.readouterr().out
    assert "power at rest, rail logic: 279 to 367 uW [record]" in out
    assert re.search(r"power, processor: .* mW \[record\]", out)
    assert "limits [unverified, no measurement of this chip]" in out
    assert "layer 'a' is more work than core" in out  # as fast as that no core can
    assert "sources and what no figure covers: in the report of a bundle, and with --json" in out
    assert "power_monitoring.ipynb" not in out


def test_a_figure_is_told_in_a_unit_that_fits() -> None:
    ends = {(0.04, 0.0617): "40 to 61.7 uW", (0.4, 1.2): "0.4 to 1.2 mW", (0.0, 0.0): "0 mW", (3e-5, 3e-5): "30 nW"}
    assert [str(Figure("power", *pair, "mW", "record", ())) for pair in ends] == list(ends.values())
    assert str(Figure("range", 0.2, 0.5, "mm", "record", ())) == "0.2 to 0.5 mm"


def test_check_with_inputs_and_a_recording(folder: Path, capsys: Captured) -> None:
    check = ["check", str(folder / "net.safetensors"), "--chip", "speck2f"]
    assert run([*check, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["estimate"] is None
    assert run([*check, "--input", str(folder / "frames.npy"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [row["core"] for row in told["estimate"]["loads"]] == [slot["core"] for slot in told["placement"]]
    events = np.zeros(40, [("t", "<i8"), ("x", "<u2"), ("y", "<u2"), ("p", "u1")])
    events["t"], events["x"] = np.arange(40) * 100, np.arange(40) % 8
    write_events(folder / "r.bin", events, (8, 8))
    assert run([*check, "--input", str(folder / "r.bin")]) == 0
    assert "1 samples of 4 ms" in capsys.readouterr().out


def test_evaluate_and_the_report(folder: Path, capsys: Captured) -> None:
    bundle, page = str(folder / "bundle"), folder / "bundle" / "report.html"
    assert run(["report", bundle]) == 0
    golden = page.read_text()
    assert "golden inputs (the first inputs of the bundle), run as the asynchronous chip would: 3 samples" in golden
    assert "all that a core can do" in golden  # the picture
    assert "Work per layer" in golden
    assert (
        golden.count("<svg") == 4
    )  # the network on its cores, spikes and operations a layer, load of the cores, spikes of a sample
    profile = get("speck2f").profile
    for told in (*(record.compared for record in profile.records), *(point.text for point in profile.open_points)):
        assert told in html.unescape(golden)
    assert ">unverified, no measurement of this chip<" in golden
    assert ">record<" in golden
    sources = re.findall(r"<br>\[(\d+)\] ([^<]+)", golden)
    assert [number for number, _ in sources] == [str(i + 1) for i in range(len(sources))]  # each once, none missing
    assert len({text for _, text in sources}) == len(sources) > 2
    capsys.readouterr()
    other = folder / "page.html"
    assert run(["evaluate", bundle, str(folder / "data.npz"), "--step-us", "500", "--json", "--html", str(other)]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["sample_seconds"], told["estimate"]["seconds"]) == pytest.approx((2.5e-3, 2.5e-3))
    assert "Load of the cores" in other.read_text()
    assert run(["report", bundle]) == 0
    assert "3 samples of 2.5 ms" in page.read_text()
    assert "golden inputs (" not in page.read_text()
    assert run(["report", bundle, "--step-us", "100"]) == 0
    assert "3 samples of 0.5 ms" in page.read_text()
    assert not re.findall(r'(?:src|href)="(?!#)', page.read_text())


@pytest.mark.parametrize("damage", [{"loads": [{"load": "<b>"}]}, {"figures": 3}, {"loads": [3]}, {"unknown": 1}, []])
def test_an_estimate_that_was_changed_is_refused_in_one_line(folder: Path, damage: Any, capsys: Captured) -> None:
    assert run(["evaluate", str(folder / "bundle"), str(folder / "data.npz")]) == 0
    path = folder / "bundle" / "evaluation.json"
    content = json.loads(path.read_text())
    content["result"]["estimate"] = {**content["result"]["estimate"], **damage} if isinstance(damage, dict) else [1]
    path.write_text(json.dumps(content))
    capsys.readouterr()
    assert run(["report", str(folder / "bundle")]) == 2
    error = capsys.readouterr().err
    assert "evaluation.json does not hold what a report needs" in error
    assert error.count("\n") == 1


def test_cores_that_cannot_be_are_chosen_anew(folder: Path) -> None:
    path = folder / "bundle" / "manifest.json"
    manifest = json.loads(path.read_text())
    for cores, kept in (((2, 99), {"a": 2, "b": 99}), ((2, 2), None), (("x", 1), None)):
        for slot, core in zip(manifest["check"]["placement"], cores, strict=True):
            slot["core"] = core
        path.write_text(json.dumps(manifest))
        found = bundles.read(folder / "bundle")
        assert found.cores == kept
        costs = found.chip.costs(found.program, FRAMES, cores=found.cores)
        assert costs is not None
        assert {row.core for row in costs.loads} == {0, 1}


def test_an_estimate_is_made_on_as_many_samples_as_are_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    program, chip = tiny_program(), get("speck2f")
    frames = np.ones((4, 1, 2, 8, 8), np.uint8)
    for most, samples in ((128 * 4, 4), (128 * 3 - 1, 2), (127, 0)):
        monkeypatch.setattr(dynapcnn_costs, "MAX_EVENTS", most)
        costs = chip.costs(program, frames)
        assert costs is not None
        assert costs.samples == samples
        assert ("one sample holds more than 127 events: nothing was run" in costs.unknown) is (samples == 0)


@pytest.mark.slow
def test_loihi_speaks_the_same_words(tmp_path: Path, capsys: Captured) -> None:
    chip = get("loihi2")
    drawn = (n for n in map(draw_network, range(200)) if len(n.input_shape) == 3 and chip.check(n).fits)
    network = next(n for n in drawn if n.blocks[0].connections[0].synapse is None)
    write_netx(network, tmp_path / "net.net")
    np.save(tmp_path / "frames.npy", draw_frames(network, 0, 2, 10))
    files = ["--input", str(tmp_path / "frames.npy"), "--out", str(tmp_path / "trace.npz")]
    command = ["simulate", str(tmp_path / "net.net"), "--chip", "loihi2", *files]
    assert run([*command, "--json"]) == 0
    estimate = json.loads(capsys.readouterr().out)["estimate"]
    names = [figure["name"] for figure in estimate["figures"]]
    dynamic = "dynamic energy a sample"
    assert names[:3] == [f"{dynamic}, synaptic operations", f"{dynamic}, neuron updates", dynamic]
    assert names[3:] == ["power at rest", "energy a sample, at rest alone", "time of a step", "latency of a decision"]
    certain = {figure["name"]: figure["certainty"] for figure in estimate["figures"]}
    assert (certain[names[0]], certain["power at rest"]) == ("record", "record")
    assert (certain[names[1]], certain[dynamic]) == ("unverified", "unverified")
    assert all(figure.keys() == FIGURE_KEYS for figure in estimate["figures"])
    step, decision = estimate["figures"][-2:]
    assert decision["high"] == pytest.approx(10 * step["high"])
    assert any("input and output are not in the times" in text for text in estimate["unknown"])
    assert run(command) == 0
    out = capsys.readouterr().out
    assert re.search(r"dynamic energy a sample, synaptic operations: .* \[record\]", out)
    assert re.search(r"dynamic energy a sample, neuron updates: .* \[unverified, no measurement of this chip\]", out)
    (tmp_path / "power.json").write_text("{}")
    assert run([*command, "--semantics", "event", "--power-coefficients", str(tmp_path / "power.json")]) == 2
    assert "loihi2 does not offer that" in capsys.readouterr().err


def test_profiles_show_costs_and_what_is_published(capsys: Captured) -> None:
    for name, cost, text in (("speck2f", "idle_logic", "3.36 us for one event"), ("loihi2", "synop_energy", "104 mW")):
        assert run(["profiles", name]) == 0
        out = " ".join(capsys.readouterr().out.split())
        assert cost in out
        assert text in out.partition("published figures")[2]


def test_profiles_list_records_and_open_points(capsys: Captured) -> None:
    """Every record with chip, source, what was compared and the figure; every point that none of them settles."""
    for name in ("speck2f", "speck2e", "dynapcnn", "loihi2"):
        profile = get(name).profile
        assert run(["profiles", name]) == 0
        out = " ".join(capsys.readouterr().out.split())
        for record in profile.records:
            for text in (record.chip, record.compared, record.figure, record.source, *record.settles):
                assert " ".join(text.split()) in out
        for point in profile.open_points:
            assert f"{point.name}: {point.text}" in out
        assert run(["profiles", name, "--json"]) == 0
        told = json.loads(capsys.readouterr().out)[0]
        assert len(told["records"]) == len(profile.records)
        assert [point["name"] for point in told["open_points"]] == [point.name for point in profile.open_points]
    assert len(get("speck2f").profile.records) >= 5
    assert not get("dynapcnn").profile.records


def test_check_names_the_records_and_what_is_open_for_this_network(folder: Path, capsys: Captured) -> None:
    """Two layers without biases, merges or a rest of pooling: their open points are not told."""
    assert run(["check", str(folder / "net.safetensors"), "--chip", "speck2f"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "records of a real chip: first-layer, four-layers" in out
    told = out.partition("open on silicon: ")[2].partition(";")[0].split(", ")
    assert {"sweep", "rates", "overflow", "last-spikes"} <= set(told)
    assert not {"merge", "outside_pool", "tick", "leak_fires"} & set(told)
