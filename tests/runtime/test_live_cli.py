"""`i2e-deploy live` and `evaluate` from the outside: exit codes, JSON, record and replay, Ctrl-C."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from event_strategies import random_events

from i2e_deploy.chips import get
from i2e_deploy.cli.app import run
from i2e_deploy.events.files import write_events
from i2e_deploy.network import Conv2d, Flatten, IntegrateAndFire, Linear, chain
from i2e_deploy.network.file import read_network, write_network
from i2e_deploy.network.op import Op
from i2e_deploy.runtime.recording import read_session


@pytest.fixture
def model(tmp_path: Path) -> str:
    weights = np.random.default_rng(0).normal(0.1, 0.4, (3, 2, 3, 3)).astype(np.float32)
    readout = np.random.default_rng(1).normal(0.1, 0.4, (4, 3 * 4 * 4)).astype(np.float32)
    neuron = IntegrateAndFire(1.0, -1.0)
    layers: dict[str, Op] = {"conv": Conv2d(weights, stride=(2, 2), padding=(1, 1)), "neuron": neuron}
    layers |= {"flat": Flatten(), "readout": Linear(readout), "out": neuron}
    write_network(chain((2, 8, 8), layers), tmp_path / "net.safetensors")
    return str(tmp_path / "net.safetensors")


CAMERA = "fake://64x64?rate=1e5&seconds=0.3"


def test_live_records_and_replays(model: str, tmp_path: Path, capsys: Any) -> None:
    session = str(tmp_path / "a.session")
    assert run(["live", model, "--source", CAMERA, "--record", session, "--json", "--policy", "block"]) == 0
    text = capsys.readouterr().out
    lines = [json.loads(line) for line in text.splitlines() if line.startswith('{"windows"')]
    end = json.loads(text.splitlines()[-1])["end"]
    assert end["decisions"] == len(lines) >= 10
    assert end["events"] == 30_000
    assert run(["live", model, "--replay", session]) == 0
    assert "all equal" in capsys.readouterr().out
    assert run(["evaluate", model, session, "--target", "simulator", "--target", "reference", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["agreement"][0]["exact"]
    assert data["targets"]["simulator"]["accuracy"] is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "no --source"),
        (["--source", "camera://"], "no camera found; tried"),
        (["--source", CAMERA, "--crop", "1,2"], "left,top,width,height"),
        (["--source", CAMERA, "--policy", "pray"], "choose one of block, drop, merge"),
        (["--source", CAMERA, "--view", "--bind", "0.0.0.0"], "--allow-remote"),
        (["--source", "tcp://127.0.0.1:1"], "is the sender running"),
        (["--replay", "nowhere.session"], "no such file"),
        (["--source", CAMERA, "--window", "1e30"], "choose a shorter window"),
        (["--source", CAMERA, "--window", "inf"], "shorter window"),
        (["--source", CAMERA, "--steps", "100000000"], "fewer steps"),
        (["--source", CAMERA, "--steps", "65536", "--events", "9999999999"], "fewer steps"),
    ],
)
def test_wrong_requests_are_one_line(model: str, arguments: list[str], message: str, capsys: Any) -> None:
    assert run(["live", model, *arguments]) in (1, 2)
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert "Traceback" not in error


def test_evaluate_fails_below_its_limit(model: str, tmp_path: Path, capsys: Any) -> None:
    frames = np.random.default_rng(0).integers(0, 2, (6, 3, 2, 8, 8)).astype(np.int32)
    np.savez(tmp_path / "a.npz", frames=frames, labels=np.zeros(6, np.int64))
    junit = tmp_path / "a.xml"
    data, arguments = str(tmp_path / "a.npz"), ["--target", "simulator", "--target", "reference", "--junit", str(junit)]
    page = tmp_path / "a.html"
    assert run(["evaluate", model, data, *arguments, "--html", str(page)]) == 0
    assert "none: every spike is equal" in page.read_text()
    assert not re.search(
        r"<(script|link|iframe|img)\b|@import|url\((?!#)|(?:src|href)\s*=\s*[\"'](?!#)", page.read_text()
    )
    table = capsys.readouterr().out
    for word in ("accuracy", "stability", "synops", "every spike equal", "power"):
        assert word in table
    assert 'failures="0"' in junit.read_text()
    decisions = get("speck2f").lower(read_network(Path(model))).run(frames).decisions()
    np.savez(tmp_path / "a.npz", frames=frames, labels=(decisions + 1) % 4)
    assert run(["evaluate", model, data, *arguments, "--min-accuracy", "0.5"]) == 1
    assert "accuracy 0.0000 is below 0.5" in capsys.readouterr().err
    assert 'failures="2"' in junit.read_text()


def test_a_file_at_full_speed_loses_no_window(model: str, tmp_path: Path, capsys: Any) -> None:
    """Without --policy a source that can wait is made to; with realtime it is a camera, and old windows are dropped."""
    write_events(tmp_path / "a.npz", random_events(100_000, 64, 64), (64, 64))
    source = (tmp_path / "a.npz").as_uri()
    session = tmp_path / "a.session"
    assert run(["live", model, "--source", source, "--window", "0.2", "--steps", "2", "--record", str(session)]) == 0
    out = capsys.readouterr().out
    assert re.search(r"dropped windows\W+0\W", out)
    assert re.search(r"latency p99 ms\W+\d", out)
    assert next(read_session(session))[1]["spec"]["policy"] == "block"
    assert run(["live", model, "--source", source + "?realtime=1", "--record", str(tmp_path / "b.session")]) == 0
    assert next(read_session(tmp_path / "b.session"))[1]["spec"]["policy"] == "drop"
    assert run(["live", model, "--source", source, "--window", "10000"]) == 0
    assert "no window closed: the events fill less than one" in capsys.readouterr().out
    assert run(["live", model, "--source", str(tmp_path / "a.npz")]) == 0


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_and_kill_stop_cleanly(model: str, stop: signal.Signals) -> None:
    # a shell's background job ignores the interrupt, and so do its children unless they ask for it
    ask = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    code = f"{ask}; from i2e_deploy.cli import main; main()"
    child = subprocess.Popen(
        [sys.executable, "-c", code, "live", model, "--source",
         "fake://64x64?rate=1e5", "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert child.stdout is not None
    child.stdout.readline()
    child.send_signal(stop)
    out, error = child.communicate(timeout=60)  # it has no end of its own
    assert child.returncode == 0, error
    assert '"end"' in out
    assert "Traceback" not in error


def test_seconds_end_a_session_whose_source_is_silent(model: str, capsys: Any) -> None:
    """No decision comes after which the time could be looked at."""
    uri = "fake://64x64?rate=1e5&seconds=1000&faults=silence@0:1000"
    assert run(["live", model, "--source", uri, "--seconds", "0.5", "--window", "1000000", "--json"]) == 0
    end = json.loads(capsys.readouterr().out.splitlines()[-1])["end"]
    assert end["decisions"] == 0
    assert 0.4 < end["seconds"] < 30


def test_live_tells_values_of_a_regression(model: str, tmp_path: Path, capsys: Any) -> None:
    """Each is what its scores are worth; the page has their names and unit."""
    record = json.dumps({"scale": [0.5], "offset": [1.0], "names": ["a", "b", "c", "d"], "unit": "rad"})
    given = ["live", model, "--source", CAMERA, "--policy", "block", "--value-scale", record]
    assert run([*given, "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith('{"windows"')]
    assert len(lines) >= 10
    assert all(line["values"] == [1 + 0.5 * score for score in line["scores"]] for line in lines)
    assert run(given) == 0
    assert re.search(r"a [\d.]+ rad  b [\d.]+ rad", capsys.readouterr().out)
