"""Faults of a board whose own camera feeds it, each with its outcome, and requests that are refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
from camera_runs import NO_LOSS, RECORDING, assert_equal_spikes, see
from tiny_programs import tiny_program

from i2e_deploy.chips.dynapcnn import Source
from i2e_deploy.chips.dynapcnn.reference.event_options import EventOptions
from i2e_deploy.chips.dynapcnn.targets.board import BoardOptions, sample_stream
from i2e_deploy.chips.dynapcnn.targets.board.camera import watch
from i2e_deploy.chips.dynapcnn.targets.board.fake import Faults, fake_samna
from i2e_deploy.chips.dynapcnn.targets.board.on_camera import on_camera
from i2e_deploy.errors import BoardNotFound, CheckFailed, InputError, SourceLost, UnsupportedError


def test_a_camera_unplugged_in_mid_run() -> None:
    with pytest.raises(SourceLost, match="board lost while its camera ran: USB transfer failed"):
        see(on_camera(tiny_program((2, 32, 32))), faults=Faults(unplug_after=500))


def test_a_board_that_falls_silent_is_told_from_a_silent_scene() -> None:
    program = on_camera(tiny_program((2, 32, 32), bias=False))
    options = BoardOptions(power_hz=0, timeout_s=0.5, events=EventOptions(step_us=100_000))
    lost = pytest.raises(SourceLost, match=r"board lost while its camera ran: no answer in 0\.5 s")
    with fake_samna(faults=Faults(silent_after=500), sensor=RECORDING), lost:
        watch(program, 30, options)
    with fake_samna(sensor=RECORDING[:0]):
        assert not watch(program, 30, options).trace.output.any()
    with fake_samna(faults=Faults(answers=False, loses_first="none"), sensor=RECORDING):
        assert watch(program, 30, options).trace.output.any()  # it never answered: silence says nothing


def test_lost_spikes_show_in_comparison_alone() -> None:
    watched, expected = see(on_camera(tiny_program((2, 32, 32))), faults=replace(NO_LOSS, lose_spikes_every=5))
    assert watched.trace.incidents == {}
    assert watched.trace.output.sum() < expected.output.sum()


def test_spikes_that_come_a_little_later_are_waited_for() -> None:
    watched, expected = see(on_camera(tiny_program((2, 32, 32))), faults=replace(NO_LOSS, delay_s=0.01))
    assert_equal_spikes(watched.trace, expected)


def test_without_a_power_monitor_the_trace_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    program = on_camera(tiny_program((2, 32, 32)))
    watched, _ = see(program, power_hz=100.0)
    assert watched.trace.power is not None
    with fake_samna(watts=(), sensor=RECORDING):
        assert watch(program, 1).trace.incidents == {sample_stream.NO_POWER: 1}


def test_wrong_requests() -> None:
    program = tiny_program((2, 32, 32))
    with pytest.raises(InputError, match=r"does not begin at the chip's pixels: give `on_camera"):
        watch(program, 1)
    with pytest.raises(InputError, match="0 steps of the chip's camera: give 1 to"):
        watch(on_camera(program), 0)
    for part, message in (
        ((0, 0, 129, 128), "leaves the camera of 128x128"),
        ((0, 0, 96, 96), r"cannot show 96x96 pixels as 2x32x32 .* pools by 1, 2 or 4"),
        ((1, 0, 64, 64), "begins between pooled pixels: let left be a multiple of 2"),
    ):
        with pytest.raises((InputError, UnsupportedError), match=message):
            on_camera(program, part)
    pooled = replace(
        program, layers=(replace(program.layers[0], sources=(Source("input", (2, 2)),)), program.layers[1])
    )
    with pytest.raises(UnsupportedError, match="begin the network with a Sensor layer that pools"):
        on_camera(pooled)
    seeing = on_camera(program)
    with pytest.raises(InputError, match="leave out the crop"):
        on_camera(seeing, (0, 0, 32, 32))
    with pytest.raises(UnsupportedError, match="takes 64x64 pixels, the chip's camera has 128x128"):
        on_camera(replace(seeing, input_shape=(2, 64, 64)))
    fast = BoardOptions(events=EventOptions(step_us=10))
    with pytest.raises(UnsupportedError, match="slow clock of 100000 Hz for biases, event filter and readout"):
        watch(seeing, 1, fast)
    with fake_samna([]), pytest.raises(BoardNotFound, match="no Speck board found"):
        watch(seeing, 1)
    with fake_samna(faults=Faults(refuses="core 3: too many weights")) as samna:
        with pytest.raises(CheckFailed, match="core 3: too many weights"):
            watch(seeing, 1)
        assert not samna.opened[0].open
