"""`live --target board` and `evaluate speck://`: the chip's own camera feeds the chip, here a fake one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from board_bundle import write_small_bundle
from event_strategies import random_events

from i2e_deploy import bundle as bundles
from i2e_deploy.chips.dynapcnn import DynapcnnProgram
from i2e_deploy.chips.dynapcnn.engine.event.run import run_recordings
from i2e_deploy.chips.dynapcnn.reference.event_options import EventOptions
from i2e_deploy.chips.dynapcnn.targets.board.fake import FakeClock, Faults, fake_samna
from i2e_deploy.chips.dynapcnn.targets.board.on_camera import on_camera
from i2e_deploy.cli.app import run
from i2e_deploy.runtime.live_on_chip import ChipLive, chip_spec
from i2e_deploy.runtime.recording import read_session
from i2e_deploy.runtime.scene import evaluate_scene

#: 0.4 s.
SCENE = random_events(20_000, 128, 128, seed=3, span=41)
NO_LOSS = Faults(loses_first="none")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_bundle(tmp_path_factory.mktemp("camera"), 32)


def read_own(bundle: Path) -> DynapcnnProgram:
    program = bundles.read(bundle).program
    assert isinstance(program, DynapcnnProgram)
    return program


@pytest.fixture(scope="module")
def program(bundle: Path) -> DynapcnnProgram:
    return read_own(bundle)


def test_decisions_are_those_of_the_simulator_on_the_same_scene(program: DynapcnnProgram) -> None:
    """Windows of 20 ms; the states go on from one to the next."""
    seen: list[Any] = []
    with (
        fake_samna(faults=NO_LOSS, sensor=SCENE),
        ChipLive(program, chip_spec(program, program.input_shape, 8, 2500, None), pixels=True, seconds=0.2) as live,
    ):
        live.watch = seen.append
        decisions = list(live)
    trace = run_recordings(on_camera(program), [SCENE], 80, EventOptions(step_us=2500))
    scores = trace.output.reshape(10, 8, -1).sum(1)
    np.testing.assert_array_equal([decision.scores for decision in decisions], scores)
    assert [decision.choice for decision in decisions] == scores.argmax(1).tolist()
    counts = trace.spikes["readout"].reshape(10, -1).sum(1)
    assert [decision.spikes for decision in decisions] == [{"readout": int(count)} for count in counts]
    edges = np.searchsorted(SCENE["t"], np.arange(11) * 20_000)
    assert [decision.events for decision in decisions] == np.diff(edges).tolist()
    assert [(decision.start, decision.end) for decision in decisions[:2]] == [(0, 20_000), (20_000, 40_000)]
    assert all(0.02 <= decision.latency < 0.04 for decision in decisions)
    stats = live.stats()
    assert (stats["decisions"], stats["late_spikes"], stats["latency"]["count"]) == (10, 0, 10)
    assert stats["events"] == sum(len(packet) for packet in seen)


class SlowHost(FakeClock):
    """Whatever the host does takes 4 ms, so that it falls behind the board."""

    def monotonic(self) -> float:
        self.now += 0.004
        return self.now


def test_a_slow_host_decides_late_and_on_whole_windows(program: DynapcnnProgram) -> None:
    seen: list[Any] = []
    with fake_samna(faults=NO_LOSS, sensor=SCENE) as samna:
        samna.stand_in_clock = SlowHost()
        with ChipLive(
            program, chip_spec(program, program.input_shape, 2, 1000, None), pixels=True, seconds=0.3
        ) as live:
            live.watch = seen.append
            decisions = list(live)
    trace = run_recordings(on_camera(program), [np.concatenate(seen)], 300, EventOptions())
    np.testing.assert_array_equal([decision.scores for decision in decisions], trace.output.reshape(150, 2, -1).sum(1))
    assert max(decision.latency for decision in decisions) > 0.1
    assert live.stats()["late_spikes"] == 0


def test_live_on_the_chip_by_command(bundle: Path, tmp_path: Path, capsys: Any) -> None:
    session = tmp_path / "chip.session"
    command = ["live", str(bundle), "--target", "board", "--seconds", "0.3", "--json"]
    with fake_samna(faults=NO_LOSS, sensor=SCENE):
        assert run([*command, "--record", str(session)]) == 0
    text = capsys.readouterr().out
    lines = [json.loads(line) for line in text.splitlines() if line.startswith('{"windows"')]
    end = json.loads(text.splitlines()[-1])["end"]
    assert end["decisions"] == len(lines) == 15
    assert end["events"] > 10_000
    header = next(read_session(session))[1]
    assert (header["target"], header["spec"]["frame"]["shape"]) == ("board", [2, 32, 32])
    assert run(["live", str(bundle), "--replay", str(session)]) == 2
    assert "holds the decisions of a chip" in capsys.readouterr().err
    # what the camera saw runs on every target afterwards
    both = ["--target", "simulator", "--target", "board", "--semantics", "event", "--no-keep", "--json"]
    with fake_samna():
        assert run(["evaluate", str(bundle), str(session), *both]) == 0
    assert json.loads(capsys.readouterr().out)["agreement"][0]["exact"]


def test_live_without_a_record_asks_for_no_pixels(bundle: Path, capsys: Any) -> None:
    with fake_samna(sensor=SCENE) as samna:
        assert run(["live", str(bundle), "--target", "board:Speck2fDevKit", "--seconds", "0.1"]) == 0
        configuration = samna.opened[0].configuration
    assert configuration is not None
    assert configuration.dvs_layer.raw_monitor_enable is False
    assert "decisions" in capsys.readouterr().out


def test_a_lost_board_ends_the_session_and_leaves_the_record_whole(bundle: Path, tmp_path: Path, capsys: Any) -> None:
    session = tmp_path / "lost.session"
    command = ["live", str(bundle), "--target", "board", "--seconds", "0.3", "--record", str(session)]
    with fake_samna(faults=Faults(unplug_after=5000), sensor=SCENE):
        assert run(command) == 1
    error = capsys.readouterr().err
    assert "board lost while its camera ran" in error
    assert error.count("\n") == 1
    kinds = [kind for kind, _ in read_session(session)]
    assert kinds[-1] == "E"
    assert kinds.count("D") >= 2


def test_evaluate_a_scene(bundle: Path, program: DynapcnnProgram, capsys: Any) -> None:
    command = ["evaluate", str(bundle), "speck://?seconds=0.2&window=20", "--target", "board", "--target", "simulator"]
    with fake_samna(faults=NO_LOSS, sensor=SCENE):
        assert run([*command, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["samples"] == 10
    assert told["agreement"][0]["exact"]
    assert told["agreement"][0]["not_compared"] == ["conv"]
    assert told["targets"]["simulator"]["per_sample"]["conv"]["spikes"] > 10
    assert told["targets"]["board"]["power_mw"] == pytest.approx(1.1702)
    with fake_samna(faults=Faults(lose_spikes_every=3), sensor=SCENE):
        lossy = evaluate_scene(program, "speck://?seconds=0.2&crop=32,32,64,64", ["board", "simulator", "reference"], 8)
    by_pair = {(pair.first, pair.second): pair for pair in lossy.agreements}
    assert not by_pair["board", "simulator"].exact
    assert by_pair["simulator", "reference"].exact


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["live", "--target", "board", "--source", "camera://"], "--source is of events that the host takes"),
        (["live", "--target", "board", "--policy", "drop"], "--policy is of events that the host takes"),
        (["live", "--target", "lava"], "choose simulator, board or board:NAME"),
        (["live", "--target", "board", "--crop", "0,0,96,96"], "pools by 1, 2 or 4"),
        (["evaluate", "speck://", "--target", "simulator"], "is seen by one board (--target board)"),
        (["evaluate", "speck://?seconds=0.001", "--target", "board"], "shorter than a window"),
        (["evaluate", "speck://?seconds=x", "--target", "board"], "seconds=x is not a number"),
        (["evaluate", "speck://?crop=1,2", "--target", "board"], "crop=1,2 is not left,top,width,height"),
        (["evaluate", "speck://?colour=1", "--target", "board"], "no option 'colour'"),
    ],
)
def test_wrong_requests_are_one_line(bundle: Path, command: list[str], message: str, capsys: Any) -> None:
    with fake_samna():
        code = run([command[0], str(bundle), *command[1:]])
    error = capsys.readouterr().err
    assert code == 2
    assert message in error
    assert error.count("\n") == 1
