"""`--target board` of the commands, with the fake board: what is compared, power, incidents, reports; exit codes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from board_bundle import write_small_bundle

from i2e_deploy import bundle as bundles
from i2e_deploy.bundle import read_evaluation
from i2e_deploy.chips.dynapcnn.targets.board.fake import Faults, fake_samna
from i2e_deploy.cli.app import run
from i2e_deploy.errors import ComparisonFailed, FileFormatError
from i2e_deploy.runtime import evaluate

BOTH = ["--target", "simulator", "--target", "board", "--semantics", "event"]
#: The chip has no time steps, so a board and a simulator in time steps part; how often they do is not the point here.
LENIENT = ["--min-agreement", "0"]


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return write_small_bundle(tmp_path)


@pytest.fixture
def data(bundle: Path) -> str:
    frames = np.random.default_rng(1).integers(0, 2, (12, 4, 2, 8, 8)).astype(np.int32)
    labels = bundles.read(bundle).program.run(frames, "event").decisions()
    np.savez(bundle.parent / "data.npz", frames=frames, labels=labels)
    return str(bundle.parent / "data.npz")


def test_verify_compares_what_a_board_reports(bundle: Path, capsys: Any) -> None:
    """The bundle's golden vectors are of time steps; the chip has none, so the reference runs again as events."""
    with fake_samna():
        assert run(["verify", str(bundle), "--target", "board"]) == 0
    out = capsys.readouterr().out
    assert "agree on board (semantics event); not reported by it: layer0, layer0_v_mem, layer1_v_mem" in out
    result = bundles.read(bundle)
    with fake_samna(faults=Faults(lose_every=9)):
        verification = bundles.verify(result, "board")
        assert verification.values == 3 * 4 * 4 * 2  # layer1 and the output
        with pytest.raises(ComparisonFailed, match=r"board: layer1 \('readout'\) differs first at step"):
            verification.raise_if_different()
        assert run(["verify", str(bundle), "--target", "board"]) == 1
    with fake_samna([]):
        assert run(["verify", str(bundle), "--target", "board"]) == 2
    assert "error: no Speck board found" in capsys.readouterr().err


def test_simulate_on_a_board(bundle: Path, data: str, tmp_path: Path, capsys: Any) -> None:
    frames = np.load(data)["frames"]
    np.save(tmp_path / "frames.npy", frames)
    command = ["simulate", str(bundle), "--chip", "speck2f", "--input", str(tmp_path / "frames.npy"), "--out"]
    command += [str(tmp_path / "trace.npz"), "--target", "board"]
    with fake_samna():
        assert run(command) == 0
        out = capsys.readouterr().out
        assert "layer0 conv: not reported" in out
        assert "first events sent twice, as this board loses the first after a reset: 12" in out
        assert run([*command, "--order", "raster", "--step-us", "500", "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert run([*command, "--bound"]) == 2
    assert told["not_reported"] == ["conv"]
    assert told["power_w"]["logic"] == pytest.approx(367e-6)
    assert "power 1.170 mW: io 0.062" in out
    with np.load(tmp_path / "trace.npz") as trace:
        assert list(trace) == ["layer1"]
        assert told["layers"]["readout"] == {"spikes": len(trace["layer1"])}
        assert trace["layer1"]["t"].max() < 4 * 500


def test_evaluate_shows_power_and_what_a_board_cannot_report(bundle: Path, data: str, capsys: Any) -> None:
    html, junit = bundle.parent / "page.html", bundle.parent / "junit.xml"
    command = ["evaluate", str(bundle), data, *BOTH]
    with fake_samna(watts=(1e-3, 2e-3, 3e-3, 4e-3, 5e-3)):
        assert run([*command, "--json", "--html", str(html), "--junit", str(junit)]) == 0
        told = json.loads(capsys.readouterr().out)
        assert run(command) == 0
    table = capsys.readouterr().out
    simulator, board = told["targets"]["simulator"], told["targets"]["board"]
    assert (simulator["accuracy"], board["accuracy"]) == (1.0, 1.0)
    assert (simulator["power_mw"], round(board["power_mw"], 6)) == (None, 15.0)
    assert board["power_rails_mw"]["logic"] == pytest.approx(3.0)
    assert board["not_reported"] == ["conv"]
    assert list(board["per_sample"]) == ["readout"]
    assert board["per_sample"]["readout"]["spikes"] == simulator["per_sample"]["readout"]["spikes"]
    assert told["agreement"][0]["exact"]
    assert told["agreement"][0]["not_compared"] == ["conv"]
    assert "15.00 mW" in table
    assert "not reported" in table
    assert "every spike equal; not compared: conv" in table
    text = "".join(ElementTree.parse(junit).getroot().itertext())
    assert "power 15.0000 mW (io 1.0000, ram 2.0000, logic 3.0000" in text
    assert "not compared: conv" in text
    page = html.read_text()
    assert "15.000 mW" in page
    assert "not reported" in page
    assert not re.findall(r'(?:src|href)="(?!#)', page)


def test_batches_are_joined(bundle: Path) -> None:
    program = bundles.read(bundle).program
    frames = np.random.default_rng(2).integers(0, 2, (7, 4, 2, 8, 8)).astype(np.int32)
    with fake_samna(watts=(1e-3, 2e-3, 3e-3, 4e-3, 5e-3)):
        (whole,) = evaluate(program, frames, None, ["board"], "event").results
        (parts,) = evaluate(program, frames, None, ["board"], "event", batch_size=3).results
    assert (parts.activity, parts.incidents, parts.unseen) == (whole.activity, whole.incidents, ("conv",))
    assert parts.power is not None
    assert list(parts.power.rails_w) == ["io", "ram", "logic", "pixel_digital", "pixel_analog"]
    assert parts.power.total_w == pytest.approx(0.015)


def test_two_boards_are_compared_by_name(bundle: Path, data: str, capsys: Any) -> None:
    command = ["evaluate", str(bundle), data, "--no-keep", "--json"]
    with fake_samna(["Speck2fDevKit", "Speck2fDevKit"]) as samna:
        assert run([*command, "--target", "board:Speck2fDevKit:1", "--target", "board:Speck2fDevKit:0"]) == 0
        assert run([*command, "--target", "board:Speck2fDevKit:2"]) == 2
        assert run(["verify", str(bundle), "--target", "board:Speck2fDevKit"]) == 0
        assert len(samna.opened) == 3
    out = capsys.readouterr()
    assert '"exact": true' in out.out
    assert "no Speck board found named Speck2fDevKit:2; samna sees Speck2fDevKit, Speck2fDevKit" in out.err


def test_a_faulty_board_fails_the_evaluation_with_its_first_wrong_spike(bundle: Path, data: str, capsys: Any) -> None:
    with fake_samna(faults=Faults(lose_every=2)):
        assert run(["evaluate", str(bundle), data, *BOTH]) == 1
    out = capsys.readouterr()
    assert "first divergence: layer1 ('readout') differs first at step" in out.out
    assert "simulator and board agree on" in out.err


def test_a_recorded_stream_without_labels_gives_agreement_and_stability(bundle: Path, capsys: Any) -> None:
    session = str(bundle.parent / "desk.session")
    camera = "fake://64x64?rate=5e4&seconds=0.3"
    assert run(["live", str(bundle), "--source", camera, "--record", session, "--policy", "block"]) == 0
    capsys.readouterr()
    with fake_samna():
        assert run(["evaluate", str(bundle), session, *BOTH, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["samples"] >= 10
    assert [row["accuracy"] for row in told["targets"].values()] == [None, None]
    assert (told["agreement"][0]["share"], told["agreement"][0]["exact"]) == (1.0, True)
    stability = [row["stability"] for row in told["targets"].values()]
    assert stability[0] == stability[1] <= 1


def test_the_report_of_a_bundle_shows_its_evaluation(bundle: Path, data: str, capsys: Any) -> None:
    page = bundle / "report.html"
    assert run(["report", str(bundle)]) == 0
    assert "Evaluation on targets" not in page.read_text()
    with fake_samna():
        assert run(["evaluate", str(bundle), data, *BOTH, "--no-keep"]) == 0
        assert read_evaluation(bundles.read(bundle)) is None
        assert run(["evaluate", str(bundle), data, *BOTH]) == 0
    assert f"`i2e-deploy report {bundle}` shows it" in capsys.readouterr().err
    assert run(["verify", str(bundle)]) == 0  # a bundle with an evaluation is whole
    assert run(["report", str(bundle)]) == 0
    text = page.read_text()
    assert "12 samples of data.npz" in text
    assert "not compared: conv" in text
    assert "1.170 mW" in text  # the fake board's rails


def test_an_evaluation_of_other_integers_is_not_shown(bundle: Path, data: str) -> None:
    assert run(["evaluate", str(bundle), data, *LENIENT]) == 0
    path = bundle / "evaluation.json"
    left = json.loads(path.read_text())
    path.write_text(json.dumps({**left, "program_sha256": "0" * 64}))
    assert run(["report", str(bundle)]) == 0
    assert "Evaluation on targets" not in (bundle / "report.html").read_text()
    for damaged in ("{", "[]", json.dumps({**left, "format": "x"}), json.dumps({**left, "result": {"targets": {}}})):
        path.write_text(damaged)
        with pytest.raises(FileFormatError, match=r"evaluation.json is no evaluation .*delete it"):
            read_evaluation(bundles.read(bundle))
    path.write_text(json.dumps({**left, "result": {"targets": {"<b>": {"per_sample": {}}}}}))
    assert run(["report", str(bundle)]) == 2


def test_a_bundle_that_holds_an_evaluation_can_be_exported_again(bundle: Path, data: str) -> None:
    assert run(["evaluate", str(bundle), data, *LENIENT]) == 0
    bundles.check_target(bundle, overwrite=True)
