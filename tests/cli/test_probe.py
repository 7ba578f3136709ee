"""`probe`, and `--board-file` of the commands that take it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from command_line import Captured, refused

from i2e_deploy.chips import get
from i2e_deploy.chips.answers_file import read_answers
from i2e_deploy.chips.dynapcnn import DynapcnnProgram, EventOptions
from i2e_deploy.chips.dynapcnn.probing.drawn import draw
from i2e_deploy.chips.dynapcnn.reference.event_options import UNSETTLED
from i2e_deploy.chips.models import read_model
from i2e_deploy.cli.app import run

SEED = 7  # its board sweeps backwards, touches zero weights and wraps


@pytest.fixture
def board_file(tmp_path: Path, capsys: Captured) -> Path:
    path = tmp_path / "my_board.json"
    only = [word for name in UNSETTLED for word in ("--only", name)]
    assert run(["probe", "--target", f"fake-board:{SEED}", "--repeats", "3", "--out", str(path), *only]) == 0
    capsys.readouterr()
    return path


def test_a_fake_board_is_asked_and_what_it_says_is_shown(tmp_path: Path, capsys: Captured) -> None:
    path = tmp_path / "b.json"
    assert run(["probe", "--target", "fake-board:7", "--repeats", "3", "--out", str(path), "--only", "overflow"]) == 0
    out = capsys.readouterr().out
    assert "overflow" in out
    assert "wrap" in out
    assert "3 of 3" in out
    assert "no silicon" in out
    assert "overflow=wrap (not the default)" in out
    assert read_answers(path).settled() == {"overflow": "wrap"}
    assert run(["probe", "--target", "fake-board", "--out", str(path), "--only", "merge", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["answers"][0]["answer"] == "listed"


def test_the_questions_can_be_listed(capsys: Captured) -> None:
    assert run(["probe", "--list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [each["name"] for each in listed] == [question.name for question in get("speck2f").questions()]  # type: ignore[attr-defined]
    assert run(["probe", "--list"]) == 0
    assert "saturate, wrap" in capsys.readouterr().out


def test_refusals(tmp_path: Path, capsys: Captured) -> None:
    assert "--out is None" in refused(capsys, "probe")
    assert "no such folder" in refused(capsys, "probe", "--out", tmp_path / "no" / "b.json")
    assert "choose of sweep" in refused(
        capsys, "probe", "--target", "fake-board", "--only", "x", "--out", tmp_path / "b.json"
    )
    assert "truenorth does not offer that (AnswersQuestions)" in refused(
        capsys, "probe", "--chip", "truenorth", "--out", tmp_path / "b.json"
    )
    assert not list(tmp_path.iterdir())


def test_simulate_runs_as_the_board_answered(
    network_file: Path, frames_file: Path, board_file: Path, tmp_path: Path, capsys: Captured
) -> None:
    model = ["simulate", str(network_file), "--chip", "speck2f", "--input", str(frames_file), "--semantics", "event"]
    trace_file = tmp_path / "t.npz"
    assert run([*model, "--out", str(trace_file), "--board-file", str(board_file), "--json", "--bound"]) == 0
    captured = capsys.readouterr()
    printed = json.loads(captured.out)
    assert "sweep=reverse (not the default)" in captured.err
    assert any("sweep=reverse" in line for line in printed["board"])
    # every option that the board settled is left out of the bound
    assert not [v["name"] for v in printed["bound"]["variants"] if v["name"].startswith(("sweep", "overflow", "merge"))]
    program = get("speck2f").lower(read_model(network_file))
    assert isinstance(program, DynapcnnProgram)
    hidden = draw(SEED).options
    expected = program.run_events(np.load(frames_file), options=EventOptions(**{**vars(hidden), "order": "spread"}))
    assert expected.events is not None
    with np.load(trace_file) as trace:
        for i, events in enumerate(expected.events.values()):
            np.testing.assert_array_equal(trace[f"layer{i}"], events)


def test_a_board_file_of_another_chip_or_for_time_steps_is_refused(
    network_file: Path, frames_file: Path, board_file: Path, tmp_path: Path, capsys: Captured
) -> None:
    model = ["simulate", network_file, "--input", frames_file, "--out", tmp_path / "t.npz", "--board-file", board_file]
    assert "add --semantics event" in refused(capsys, *model, "--chip", "speck2f")
    board = ["--target", "board", "--semantics", "event", "--chip", "speck2f"]
    assert "it is for the simulator, and --target is board" in refused(capsys, *model, *board)
    line = refused(capsys, *model, "--chip", "speck2e", "--semantics", "event")
    assert "the answers are of a board with speck2f, not speck2e" in line
    assert not (tmp_path / "t.npz").exists()


def test_other_commands_take_a_board_file(
    network_file: Path, frames_file: Path, board_file: Path, tmp_path: Path, capsys: Captured
) -> None:
    frames = np.load(frames_file)
    np.savez(tmp_path / "data.npz", frames=frames, labels=np.zeros(len(frames), np.int64))
    evaluate = ["evaluate", str(network_file), str(tmp_path / "data.npz"), "--board-file", str(board_file), "--json"]
    assert run([*evaluate, "--semantics", "event", "--chip", "speck2f"]) == 0
    assert any("sweep=reverse" in line for line in json.loads(capsys.readouterr().out)["board"])
    assert "add --semantics event" in refused(capsys, *evaluate)
    check = ["check", str(network_file), "--chip", "speck2f", "--input", str(frames_file), "--json"]
    assert run([*check, "--board-file", str(board_file)]) in (0, 1)
    assert any("sweep=reverse" in line for line in json.loads(capsys.readouterr().out)["board"])
    live = [
        "live",
        str(network_file),
        "--source",
        "fake://5x5?seconds=0.05&realtime=0",
        "--board-file",
        str(board_file),
    ]
    assert "add --semantics event" in refused(capsys, *live)
    assert run([*live, "--semantics", "event", "--chip", "speck2f"]) == 0
    assert "sweep=reverse" in capsys.readouterr().err
