"""Coefficients of a board as a file, and the readings for them: written, read back, refused; a fake board."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_programs import tiny_program

from i2e_deploy.chips import get
from i2e_deploy.chips.dynapcnn import DynapcnnChip
from i2e_deploy.chips.dynapcnn.estimates.power import Coefficients, Reading
from i2e_deploy.chips.dynapcnn.estimates.power_file import (
    MAX_BYTES,
    read_coefficients,
    read_readings,
    write_coefficients,
)
from i2e_deploy.chips.dynapcnn.targets.board.fake import fake_samna
from i2e_deploy.cli.app import run
from i2e_deploy.cli.common import with_power
from i2e_deploy.errors import FileFormatError, InputError, UnsupportedError
from i2e_deploy.network import Conv2d, Flatten, IntegrateAndFire, Linear, Network, chain
from i2e_deploy.network.file import write_network

CHIP = DynapcnnChip("speck2f")
Captured = pytest.CaptureFixture[str]
GOOD: dict[str, Any] = {
    "format": "i2e-deploy-power", "format_version": 1, "chip": "speck2f", "idle_w": 5e-4, "synop_j": 1e-11,
    "spike_j": 1e-9, "residual_w": 1e-6, "readings": 12, "source": "board 7",
}  # fmt: skip
TABLE = "synops_per_s,spikes_per_s,watts\n0,0,5e-4\n1e7,1e5,7e-4\n1e7,3e5,9e-4\n4e7,1e5,1e-3\n"


@given(
    values=st.tuples(st.floats(0, 1), st.floats(0, 1e-3), st.floats(0, 1e-3)), residual=st.floats(0, 1),
    readings=st.integers(3, 10**6), source=st.text(st.characters(categories=("L", "N", "P")), min_size=1, max_size=500),
)  # fmt: skip
def test_what_is_written_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, values: tuple[float, float, float], residual: float, readings: int,
    source: str,
) -> None:  # fmt: skip
    path = tmp_path_factory.getbasetemp() / "power.json"
    coefficients = Coefficients(*values, source, readings, residual)
    write_coefficients(coefficients, "speck2f", path)
    assert read_coefficients(path, "speck2f") == coefficients


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not whole JSON"),
        ("[]", "it is no object"),
        ("[" * 60_000, "not whole JSON"),
        ('"a"', "no object"),
        ({}, "format is None None"),
        ({**GOOD, "format_version": 2}, "format is 'i2e-deploy-power' 2"),
        ({**GOOD, "spike": 1}, r"keys \['spike'\] are missing or unknown"),
        ({k: v for k, v in GOOD.items() if k != "idle_w"}, r"keys \['idle_w'\] are missing"),
        ({**GOOD, "idle_w": -1e-9}, "idle_w is -1e-09: a number from 0 to 1"),
        ({**GOOD, "synop_j": True}, "synop_j is True"),
        ({**GOOD, "synop_j": "1e-11"}, "synop_j is 1e-11: a number"),
        ({**GOOD, "spike_j": 1.0}, "spike_j is 1.0"),
        (json.dumps(GOOD).replace("1e-11", "NaN"), "NaN is no number"),
        ({**GOOD, "residual_w": None}, "residual_w is None"),
        (json.dumps(GOOD).replace("1e-11", "1e999"), "synop_j is inf"),
        ({**GOOD, "synop_j": 10**400}, "synop_j is 1000"),
        ({**GOOD, "readings": 2}, "readings is 2"),
        ({**GOOD, "readings": 3.5}, "readings is 3.5"),
        ({**GOOD, "source": ""}, "source is no printable text"),
        ({**GOOD, "source": "a\x1b[2J"}, "source is no printable"),
        ({**GOOD, "source": "a" * 501}, "source is no printable"),
        ({**GOOD, "chip": ["speck2f"]}, "chip is no printable"),
    ],
)
def test_other_content_is_refused(tmp_path: Path, content: Any, message: str) -> None:
    path = tmp_path / "power.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(FileFormatError, match=message) as caught:
        CHIP.calibrated(path)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


def test_files_that_are_not_for_this(tmp_path: Path) -> None:
    path = tmp_path / "power.json"
    path.write_text(json.dumps(GOOD))
    with pytest.raises(InputError, match="of speck2f, not speck2e: calibrate on a board"):
        DynapcnnChip("speck2e").calibrated(path)
    with pytest.raises(UnsupportedError, match=r"--power-coefficients .*loihi2 does not offer that"):
        with_power(get("loihi2"), path)
    path.write_text(" " * (MAX_BYTES + 1))
    with pytest.raises(InputError, match=f"at most {MAX_BYTES} are read"):
        CHIP.calibrated(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(FileFormatError, match="no power coefficients"):
        CHIP.calibrated(path)
    with pytest.raises(InputError, match="no such file"):
        CHIP.calibrated(tmp_path / "none.json")
    with pytest.raises(InputError, match=r"cannot be written to .*idle_w is 2\.0: a number from 0 to 1"):
        write_coefficients(Coefficients(2.0, 0, 0, "kettle", 3), "speck2f", tmp_path / "new.json")
    assert not (tmp_path / "new.json").exists()


def test_tables_of_readings(tmp_path: Path) -> None:
    path = tmp_path / "readings.csv"
    path.write_text(TABLE)
    assert read_readings(path)[1] == Reading(1e7, 1e5, 7e-4)
    path.write_text("\ufeffwatts,note,spikes_per_s,synops_per_s\n0.5,at rest,0,0\n")
    assert read_readings(path) == [Reading(0, 0, 0.5)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no column synops_per_s, spikes_per_s, watts"),
        ("watts\n1\n", "row 1: no column synops_per_s, spikes_per_s"),
        (TABLE + "1,1\n", "row 5: watts is nan"),
        (TABLE + "a,1,1\n", "row 5: could not convert"),
        (TABLE + "1,1,480\n", "row 5: watts is 480.0: a number from 0 to 1"),
        (TABLE + "inf,1,1\n", "synops_per_s is inf"),
        (TABLE + "-1,1,1\n", "synops_per_s is -1.0"),
        (TABLE + '"1,1,1', "row 5: unexpected end of data"),
        (TABLE + "\x00,1,1\n", "row 5"),
        (TABLE + "1,1,0\n" * 10_000, "more than 10000 rows"),
        (TABLE + "9" * 200_000 + ",1,1\n", "row 5: "),
    ],
)
def test_tables_that_are_refused(tmp_path: Path, text: str, message: str, capsys: Captured) -> None:
    path = tmp_path / "readings.csv"
    path.write_text(text)
    with pytest.raises(FileFormatError, match=message):
        read_readings(path)
    assert run(["calibrate-power", str(path), "--chip", "speck2f", "--out", str(tmp_path / "out.json")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "out.json").exists()


def evaluated(**changes: Any) -> dict[str, Any]:
    rails = {"io": 0.1, "ram": 0.1, "logic": 0.3, "pixel_digital": 9.0, "pixel_analog": 9.0}
    counts = {"a": {"spikes": 10.0, "synops": 600.0}, "b": {"spikes": 2.0, "synops": 400.0}}
    targets = {
        "simulator": {"per_sample": counts, "power_rails_mw": {}},
        "board:Speck2fDevKit": {"per_sample": {}, "power_rails_mw": rails},
    }
    return {"semantics": "event", "sample_seconds": 0.01, "targets": targets} | changes


def test_evaluations_are_readings(tmp_path: Path) -> None:
    path = tmp_path / "evaluation.json"
    for content in (evaluated(), {"format": "i2e-deploy-evaluation", "result": evaluated()}):
        path.write_text(json.dumps(content))
        (found,) = read_readings(path)
        assert (found.synops_per_s, found.spikes_per_s) == pytest.approx((1e5, 1200))
        assert found.watts == pytest.approx(5e-4)  # without the pixels


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not whole JSON"),
        ({}, "no 'targets'"),
        ({"result": 3}, "readings: "),
        (evaluated(targets=[]), "readings: "),
        (evaluated(semantics="timestep"), "the board runs events"),
        (evaluated(sample_seconds=0), "division by zero"),
        (evaluated(targets={"board": {"power_rails_mw": {}}}), "no simulator counted"),
        (evaluated(targets={"simulator": {"per_sample": {}}}), "no board in it"),
        (evaluated(targets={"simulator": {"per_sample": {}}, "board": {"power_rails_mw": {"io": 1}}}), "no 'ram'"),
        (evaluated(targets={"simulator": {"per_sample": {"a": {"synops": "x"}}}, "board": {}}), "synops is x"),
    ],
)
def test_evaluations_that_are_refused(tmp_path: Path, content: Any, message: str) -> None:
    path = tmp_path / "evaluation.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(FileFormatError, match=message) as caught:
        read_readings(path)
    assert "\n" not in str(caught.value)


def test_the_command(tmp_path: Path, capsys: Captured) -> None:
    (tmp_path / "r.csv").write_text(TABLE)
    out = tmp_path / "board.json"
    command = ["calibrate-power", str(tmp_path / "r.csv"), "--chip", "speck2f", "--out", str(out)]
    assert run([*command, "--source", "bench 3"]) == 0
    assert "at rest 0.5 mW, 10 pJ a synaptic operation, 1000 pJ a spike" in capsys.readouterr().out
    assert read_coefficients(out, "speck2f").source == "bench 3"
    assert run([*command, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["source"], told["readings"]) == ("power monitor, 4 readings in r.csv", 4)
    for wrong, message in (
        ([*command[:3], "loihi2", *command[4:]], "loihi2 does not offer that"),
        ([*command[:-1], str(tmp_path / "board.txt")], "give a name that ends so"),
        ([*command[:-1], str(tmp_path / "no" / "board.json")], "no such folder"),
        (["calibrate-power", str(out), *command[2:]], "no 'targets'"),
        (["calibrate-power", str(tmp_path / "net.nir"), *command[2:]], "give a .csv table"),
    ):
        assert run(wrong) == 2
        assert message in capsys.readouterr().err


def network(channels: int) -> Network:
    random, neuron = np.random.default_rng(channels), IntegrateAndFire(1.0, -1.0)
    weight = random.normal(0.1, 0.4, (channels, 2, 3, 3)).astype(np.float32)
    return chain(
        (2, 8, 8),
        {
            "conv": Conv2d(weight, stride=(2, 2), padding=(1, 1)), "neurons": neuron, "flat": Flatten(),
            "readout": Linear(random.normal(0.05, 0.3, (4, 16 * channels)).astype(np.float32)), "last": neuron,
        },
    )  # fmt: skip


def test_a_board_is_calibrated_and_its_coefficients_predict_another_run(tmp_path: Path, capsys: Captured) -> None:
    """Commands alone: a fake board that burns 0.2 mW at rest, 30 pJ an operation and 2 nJ a spike gives these back."""
    rest, synop, spike = 2e-4, 3e-11, 2e-9
    found = []
    for i, (channels, share) in enumerate(((3, 0.1), (3, 0.5), (8, 0.3), (8, 0.02))):
        frames = (np.random.default_rng(i).random((2, 5, 2, 8, 8)) < share).astype(np.uint8)
        write_network(network(channels), tmp_path / f"{i}.safetensors")
        np.savez(tmp_path / f"{i}.npz", frames=frames, labels=np.zeros(2, np.int64))
        counts, seconds = get("speck2f").lower(network(channels)).run(frames, "event").counts, 2 * 5 * 2e-3
        work = sum(synop * c.synops + spike * c.spikes for c in counts.values()) / seconds
        command = [
            "evaluate",
            str(tmp_path / f"{i}.safetensors"),
            str(tmp_path / f"{i}.npz"),
            "--semantics",
            "event",
            "--json",
        ]
        command += ["--target", "simulator", "--target", "board", "--step-us", "2000"]
        with fake_samna(watts=(1e-4, 1e-4, work, 9.0, 9.0)):
            assert run(command) == 0
        (tmp_path / f"{i}.json").write_text(capsys.readouterr().out)
        found.append(str(tmp_path / f"{i}.json"))
    board = str(tmp_path / "board.json")
    assert run(["calibrate-power", *found, "--chip", "speck2f", "--out", board]) == 0
    fitted = read_coefficients(Path(board), "speck2f")
    np.testing.assert_allclose([fitted.idle_w, fitted.synop_j, fitted.spike_j], [rest, synop, spike], rtol=1e-6)
    capsys.readouterr()
    frames = np.load(tmp_path / "2.npz")["frames"]
    np.save(tmp_path / "frames.npy", frames)
    command = [
        "simulate",
        str(tmp_path / "0.safetensors"),
        "--chip",
        "speck2f",
        "--input",
        str(tmp_path / "frames.npy"),
    ]
    command += ["--out", str(tmp_path / "t.npz"), "--power-coefficients", board]
    assert run([*command, "--semantics", "event", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    figures = {figure["name"]: figure for figure in told["estimate"]["figures"]}
    joules = sum(synop * layer["synops"] + spike * layer["spikes"] for layer in told["layers"].values())
    assert figures["power, processor"]["low"] == pytest.approx(1e3 * (rest + joules / (2 * 5 * 1e-3)), rel=1e-5)
    assert figures["power, processor"]["certainty"] == "calibrated"
    assert not [text for text in told["estimate"]["unknown"] if "dynamic power" in text]
    assert run(command) == 2
    assert "with --semantics event" in capsys.readouterr().err


def test_an_estimate_needs_cores() -> None:
    """A program that no chip of the family holds has power, but neither load nor latency."""
    program = tiny_program((2, 64, 64), channels=40)
    costs = get("speck2f").costs(program, np.ones((1, 1, 2, 64, 64), np.uint8))
    assert costs is not None
    assert costs.loads == ()
    assert costs.figures
    assert any("layers have no core" in text for text in costs.unknown)
