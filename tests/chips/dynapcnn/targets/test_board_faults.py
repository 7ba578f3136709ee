"""Each fault of a board has its outcome: an error in one line, or a counted incident."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Literal

import numpy as np
import pytest
from board_runs import FRAMES, PROGRAM, on_board
from hypothesis import given
from hypothesis import strategies as st

from i2e_deploy.chips.dynapcnn.reference.event_options import EventOptions
from i2e_deploy.chips.dynapcnn.targets.board import BoardOptions, results, sample_stream
from i2e_deploy.chips.dynapcnn.targets.board.arrivals import Readings
from i2e_deploy.chips.dynapcnn.targets.board.fake import Faults, fake_samna
from i2e_deploy.chips.dynapcnn.targets.board.link import WRAP, open_board, unwrap
from i2e_deploy.errors import BoardNotFound, CheckFailed, MissingDependency, SourceLost, UnsupportedError


@pytest.mark.parametrize(
    ("boards", "name", "message"),
    [
        ([], None, "no Speck board found; samna sees no device; on Linux .*337d"),
        (["XyloAudio3TestBoard"], None, "samna sees XyloAudio3TestBoard"),
        (["Speck2fDevKit"], "Speck2eDevKit", "named Speck2eDevKit; samna sees Speck2fDevKit"),
        (["Speck2fDevKit"], "Speck2fDevKit:1", "named Speck2fDevKit:1"),
        (["Speck2fDevKit"], "Speck2fDevKit:x", "named Speck2fDevKit:x"),
    ],
)
def test_no_board(boards: list[str], name: str | None, message: str) -> None:
    with fake_samna(boards), pytest.raises(BoardNotFound, match=message):
        PROGRAM.run_on_board(FRAMES, BoardOptions(name=name))


def test_a_busy_board_is_named_and_a_free_one_is_taken() -> None:
    faults = Faults(busy=(0,))
    with fake_samna(faults=faults), pytest.raises(BoardNotFound, match="Speck2fDevKit is in use"):
        PROGRAM.run_on("board", FRAMES)
    with fake_samna(["Speck2fDevKit", "Speck2eDevKit"], faults):
        assert open_board("a test").chip == "speck2e"
        with pytest.raises(BoardNotFound, match="Speck2fDevKit, Speck2eDevKit is in use"):
            PROGRAM.run_on("board", FRAMES)


def _none(_: object) -> None:
    return None


def _refuse(_: object) -> None:
    raise RuntimeError("LIBUSB_ERROR_ACCESS\nsecond line")


@pytest.mark.parametrize(("opening", "message"), [(_none, "no reason"), (_refuse, "LIBUSB_ERROR_ACCESS second line")])
def test_a_board_that_cannot_be_opened(opening: Callable[[object], None], message: str) -> None:
    with fake_samna() as samna:
        samna.device.open_device = opening
        with pytest.raises(BoardNotFound, match=f"Speck2fDevKit cannot be opened.*{message}.*337d"):
            PROGRAM.run_on("board", FRAMES)


def test_samna_refuses_the_configuration() -> None:
    with pytest.raises(CheckFailed, match="core 3: too many weights"):
        on_board(Faults(refuses="core 3: too many weights"))


def test_a_board_unplugged_in_mid_run() -> None:
    events = int(FRAMES[0].sum())
    with pytest.raises(SourceLost, match="board lost in sample 2: USB transfer failed"):
        on_board(Faults(unplug_after=2.2 * events))


def test_a_board_that_falls_silent_ends_in_a_timeout() -> None:
    with fake_samna(faults=Faults(silent_after=2.2 * int(FRAMES[0].sum()))) as samna:
        with pytest.raises(SourceLost, match="board lost in sample 2: no answer in 3 s"):
            PROGRAM.run_on_board(FRAMES, BoardOptions(timeout_s=3))
        assert samna.stand_in_clock.now < 10


def test_late_events_are_counted_and_their_order_is_kept() -> None:
    trace, expected = on_board(Faults(transfer_s=0.03)), PROGRAM.run(FRAMES, "event")
    assert trace.incidents[sample_stream.LATE] > 0.5 * FRAMES.sum()
    np.testing.assert_array_equal(trace.output.sum(1), expected.output.sum(1))
    assert not np.array_equal(trace.output, expected.output)
    assert trace.incidents[results.BEYOND] > 0


def test_time_stamps_wrap_in_mid_sample() -> None:
    """Five steps of 1,000 s: the stop watch of 32 bits wraps at 4,295 s."""
    events = EventOptions(step_us=1_000_000_000)
    with fake_samna():
        trace = PROGRAM.run_on_board(FRAMES[:1], BoardOptions(events=events, power_hz=0))
    expected = PROGRAM.run(FRAMES[:1], "event", options=events)
    np.testing.assert_array_equal(trace.output, expected.output)
    assert trace.events is not None
    assert expected.events is not None
    ours, theirs = trace.events["readout"]["t"], expected.events["readout"]["t"]
    assert ours.max() > WRAP
    moved = np.abs(ours - theirs)
    assert moved.max() <= sample_stream.GUARD_US
    assert (moved > 0).mean() < 0.01


@given(t=st.integers(0, 2**40), apart=st.integers(-(2**31) + 1, 2**31 - 1))
def test_unwrapped_time_is_the_nearest(t: int, apart: int) -> None:
    assert unwrap(t % WRAP, t + apart) == t


def test_states_that_are_never_zeroed_are_reported() -> None:
    trace = on_board(Faults(ignored_resets=range(1000)))
    assert trace.incidents[sample_stream.NOT_ZERO] >= len(FRAMES) - 1
    assert not np.array_equal(trace.output, PROGRAM.run(FRAMES, "event").output)


def test_a_reset_that_failed_once_is_repeated() -> None:
    trace = on_board(Faults(ignored_resets=(4,)))  # 0 and 1 try the first event, 2 is that of sample 0
    assert trace.incidents[sample_stream.REPEATED] == 1
    assert sample_stream.NOT_ZERO not in trace.incidents
    np.testing.assert_array_equal(trace.output, PROGRAM.run(FRAMES, "event").output)


def test_a_board_that_reads_no_states_back_is_used_and_says_so() -> None:
    trace = on_board(Faults(answers=False, loses_first="none"))
    assert trace.incidents == {sample_stream.UNCHECKED: len(FRAMES), sample_stream.UNTRIED: len(FRAMES)}
    np.testing.assert_array_equal(trace.output, PROGRAM.run(FRAMES, "event").output)


@pytest.mark.parametrize("faults", [Faults(lose_every=5), Faults(lose_spikes_every=5)])
def test_lost_events_show_in_comparison_alone(faults: Faults) -> None:
    """A board does not say that it lost something, so nothing but a comparison can tell."""
    from i2e_deploy.runtime import evaluate

    with fake_samna(faults=faults):
        result = evaluate(PROGRAM, FRAMES, None, ["simulator", "board"], "event")
    (agreement,) = result.agreements
    assert not agreement.exact
    assert agreement.divergence is not None
    assert agreement.divergence.label == "readout"
    assert agreement.divergence.count > 3
    assert agreement.unseen == ("conv",)


def test_spikes_that_come_late_or_from_nowhere_are_counted() -> None:
    expected = PROGRAM.run(FRAMES, "event")
    np.testing.assert_array_equal(on_board(Faults(delay_s=0.5)).output, expected.output)  # its answers wait for them
    mute = Faults(delay_s=0.03, transfer_s=0.02, answers=False, loses_first="none")
    assert 0 < on_board(mute, lead_us=50_000).incidents[sample_stream.LEFT_OVER] < expected.output.sum()
    strays = on_board(Faults(strays=True))
    np.testing.assert_array_equal(strays.output, expected.output)
    assert strays.incidents[results.OUTSIDE] == expected.output.sum()


def test_a_chip_that_is_never_quiet_is_cut_off() -> None:
    with fake_samna(faults=Faults(babbles=True)) as samna:
        trace = PROGRAM.run_on_board(FRAMES, BoardOptions(timeout_s=0.5))
        assert trace.incidents[sample_stream.NEVER_QUIET] == len(FRAMES)
        assert samna.stand_in_clock.now < 1 + len(FRAMES)


@pytest.mark.parametrize(("loses_first", "again"), [("chip", 4), ("core", 4), ("none", 0)])
def test_the_first_event_after_a_reset_is_sent_twice_where_it_is_lost(
    loses_first: Literal["chip", "core", "none"], again: int
) -> None:
    """Tried when the board is opened; then no event is missing, and none is there twice."""
    trace = on_board(Faults(loses_first=loses_first))
    assert trace.incidents.get(sample_stream.SENT_TWICE, 0) == again
    np.testing.assert_array_equal(trace.output, PROGRAM.run(FRAMES, "event").output)


@pytest.mark.parametrize(
    ("hangs_in", "after", "where"),
    [
        ("apply_configuration", 0, "while its configuration was written"),
        ("get_events", 100, r"in sample \d"),
    ],
)
def test_a_call_that_hangs_inside_samna_is_named_and_left_behind(hangs_in: str, after: int, where: str) -> None:
    """The board stays open: closing it would hang too. The next program finds it in use."""
    with fake_samna(faults=Faults(hangs_in=hangs_in, hangs_after=after)) as samna:
        message = rf"board lost {where}: samna's {hangs_in} has not returned for 2 s; the board is left open: unplug"
        options = BoardOptions(call_s=2)  # a busy machine may take long for calls that do return
        with pytest.raises(SourceLost, match=message):
            PROGRAM.run_on_board(FRAMES, options)
        assert samna.opened[0].open
        with pytest.raises(BoardNotFound, match="is in use"):
            PROGRAM.run_on("board", FRAMES)


def test_a_list_of_boards_that_never_comes() -> None:
    with fake_samna() as samna:
        samna.device.get_all_devices = samna.hang
        with pytest.raises(BoardNotFound, match=r"samna cannot list boards: samna's hang has not returned for 0\.05 s"):
            open_board("a test", limit_s=0.05)


def test_a_samna_of_another_version_is_told_what_it_lacks() -> None:
    """Before anything is written; the board is given back."""
    with fake_samna() as samna:
        del samna.graph.source_to
        setattr(samna, "__version__", "0.14.19")  # noqa: B010
        with pytest.raises(UnsupportedError, match=r"samna 0\.14\.19 has no graph\.source_to: this was written for"):
            PROGRAM.run_on("board", FRAMES)
        assert not samna.opened[0].open


def test_the_power_monitor_goes_by_either_name() -> None:
    started: list[float] = []
    with fake_samna() as samna:
        board = open_board("a test")
        monitor = SimpleNamespace(
            get_source_node=lambda: samna.opened[0],
            start_auto_power_monitor=started.append,
            stop_auto_power_monitor=lambda: started.append(0),
        )
        samna.opened[0].get_power_monitor = lambda: monitor  # type: ignore[method-assign,assignment,return-value]
        assert Readings(board, 50, "in a test").stop() == []
        assert started == [50, 0]


def test_a_samna_that_cannot_be_imported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """E.g. the stub, should it be taken for the library: it runs pip, which fails."""
    from i2e_deploy import environment

    (tmp_path / "samna.py").write_text("import subprocess\nraise subprocess.CalledProcessError(1, 'pip')\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "samna", raising=False)
    monkeypatch.setattr(environment, "samna", lambda: environment.Row("samna", "ok", "it looks real"))
    with pytest.raises(MissingDependency, match="it is there, but: Command 'pip' returned non-zero exit status 1"):
        PROGRAM.run_on("board", FRAMES)


def test_the_stub_of_the_public_index_is_not_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    from i2e_deploy import environment

    monkeypatch.delitem(sys.modules, "samna", raising=False)
    monkeypatch.setattr(environment, "samna", lambda: environment.Row("samna", "absent", "the stub"))
    with pytest.raises(MissingDependency, match="the board target needs the package 'samna'"):
        PROGRAM.run_on("board", FRAMES)
    assert "samna" not in sys.modules
