"""Every command that reads recordings takes the same options, and its errors name them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from command_line import Captured
from event_strategies import random_events

from i2e_deploy.cli.app import run
from i2e_deploy.events.files import write_events

OPTIONS = ("--format", "--sensor-size", "--stream", "--sort", "--continue", "--salvage", "--columns", "--time-unit")
BACK = "--sort puts all events in order, --continue"


@pytest.mark.parametrize("command", ["simulate", "check", "evaluate", "live", "convert", "info"])
def test_help_names_them_all(command: str, capsys: Captured) -> None:
    assert run([command, "--help"]) == 0
    said = capsys.readouterr().out
    assert [option for option in OPTIONS if option not in said] == []


def unsorted(path: Path) -> Path:
    """ON before OFF: times go back once."""
    rows = [(t, t % 8, t // 8 % 8, p) for p in (1, 0) for t in range(0, 8000, 80)]
    path.write_text("t,x,y,p\n" + "".join(f"{t},{x},{y},{p}\n" for t, x, y, p in rows))
    return path


def test_simulate(network_file: Path, tmp_path: Path, capsys: Captured) -> None:
    command = ["simulate", str(network_file), "--chip", "speck2f", "--out", str(tmp_path / "t.npz")]
    command += ["--input", str(unsorted(tmp_path / "a.csv"))]
    assert run(command) == 2
    assert BACK in capsys.readouterr().err
    assert run([*command, "--sort", "--time-unit", "us"]) == 0
    sorted_trace = dict(np.load(tmp_path / "t.npz"))
    rows = [line.split(",") for line in (tmp_path / "a.csv").read_text().split()[1:]]
    rows.sort(key=lambda row: int(row[0]))
    (tmp_path / "a.csv").write_text("t,x,y,p\n" + "".join(",".join(row) + "\n" for row in rows))
    assert run([*command, "--time-unit", "us"]) == 0
    for name, values in np.load(tmp_path / "t.npz").items():
        np.testing.assert_array_equal(values, sorted_trace[name])


def test_simulate_takes_frames_of_spikingjelly(network_file: Path, tmp_path: Path, capsys: Captured) -> None:
    """`frames` [T, 2, H, W] of counts, as floats: the same trace as the integers in a `.npy`."""
    frames = np.random.default_rng(2).integers(0, 3, (5, 2, 8, 8))
    np.savez_compressed(tmp_path / "f.npz", frames=frames.astype(np.float32))
    np.save(tmp_path / "f.npy", frames)
    traces = []
    for name in ("f.npz", "f.npy"):
        command = ["simulate", str(network_file), "--chip", "speck2f", "--input", str(tmp_path / name)]
        assert run([*command, "--out", str(tmp_path / "t.npz")]) == 0
        traces.append(dict(np.load(tmp_path / "t.npz")))
        assert run([*command, "--out", str(tmp_path / "t.npz"), "--sort"]) == 2
        assert "--sort is for recordings" in capsys.readouterr().err
    for key, values in traces[0].items():
        np.testing.assert_array_equal(values, traces[1][key])
    np.savez(tmp_path / "f.npz", frames=frames + 0.5)
    assert run([*command[:-1], str(tmp_path / "f.npz"), "--out", str(tmp_path / "t.npz")]) == 2


def test_check(network_file: Path, tmp_path: Path, capsys: Captured) -> None:
    command = ["check", str(network_file), "--chip", "speck2f", "--input", str(unsorted(tmp_path / "a.csv"))]
    assert run(command) == 2
    assert BACK in capsys.readouterr().err
    assert run([*command, "--sort"]) == 0


def test_evaluate(network_file: Path, tmp_path: Path, capsys: Captured) -> None:
    for label in ("a", "b"):
        (tmp_path / "data" / label).mkdir(parents=True)
        unsorted(tmp_path / "data" / label / "x.csv")
    command = ["evaluate", str(network_file), str(tmp_path / "data"), "--chip", "speck2f", "--json"]
    assert run(command) == 2
    assert BACK in capsys.readouterr().err
    assert run([*command, "--sort"]) == 2
    assert "--sensor-size" in capsys.readouterr().err
    assert run([*command, "--sort", "--sensor-size", "8x8"]) == 0
    assert json.loads(capsys.readouterr().out)["samples"] == 2


def test_live_takes_a_path_and_says_what_the_reader_says(network_file: Path, tmp_path: Path, capsys: Captured) -> None:
    path = unsorted(tmp_path / "a b?.csv")
    command = ["live", str(network_file), "--window", "1", "--steps", "2", "--json", "--source"]
    assert run([*command, str(path)]) == 2
    assert "?unsorted=sort puts all events in order" in capsys.readouterr().err
    assert run([*command, str(path), "--sort", "--sensor-size", "8x8"]) == 0
    written = capsys.readouterr()
    assert "nothing says the unit of its times: taken for us" in written.err
    assert json.loads(written.out.splitlines()[-1])["end"]["events"] == 200
    assert run([*command, "fake://8x8", "--sort"]) == 2
    assert "--sort is for recordings: fake://8x8 is none" in capsys.readouterr().err


def test_a_path_with_options_equals_its_uri(network_file: Path, tmp_path: Path, capsys: Captured) -> None:
    path = tmp_path / "a.npz"
    write_events(path, random_events(2000, 8, 8, 5), (8, 8))
    outputs = []
    for source in (str(path), f"{path}?damaged=salvage", path.as_uri()):
        assert run(["live", str(network_file), "--window", "1", "--steps", "2", "--json", "--source", source]) == 0
        rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()[:-1]]
        outputs.append([{key: value for key, value in row.items() if key != "latency"} for row in rows])
    assert outputs[0] == outputs[1] == outputs[2]
    assert len(outputs[0]) > 3
    assert run(["live", str(network_file), "--source", str(tmp_path / "none.npz")]) == 2
    assert "no such file, and no URI" in capsys.readouterr().err
