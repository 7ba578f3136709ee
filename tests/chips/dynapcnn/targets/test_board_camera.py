"""The chip's own camera feeds its own cores: a recording that the fake camera plays equals the same one simulated."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
import pytest
from camera_runs import NO_LOSS, QUIET, RECORDING, STEPS, assert_equal_spikes, see
from event_strategies import random_events
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_programs import tiny_program

from i2e_deploy.chips.dynapcnn import Source
from i2e_deploy.chips.dynapcnn.engine.event.run import run_recordings
from i2e_deploy.chips.dynapcnn.estimates.bound import bound
from i2e_deploy.chips.dynapcnn.peripherals import EventFilter, Readout
from i2e_deploy.chips.dynapcnn.reference.event_options import EventOptions
from i2e_deploy.chips.dynapcnn.reference.readout import read_out
from i2e_deploy.chips.dynapcnn.targets.board import BoardOptions
from i2e_deploy.chips.dynapcnn.targets.board.camera import ChipCamera, watch
from i2e_deploy.chips.dynapcnn.targets.board.fake import Character, Faults, fake_samna
from i2e_deploy.chips.dynapcnn.targets.board.fake.camera import FakeCamera
from i2e_deploy.chips.dynapcnn.targets.board.link import WRAP
from i2e_deploy.chips.dynapcnn.targets.board.on_camera import on_camera
from i2e_deploy.errors import UnsupportedError
from i2e_deploy.events import EVENT_DTYPE
from i2e_deploy.network import Sensor


def sensors() -> st.SearchStrategy[Sensor]:
    flags = {name: st.booleans() for name in ("merge_polarities", "flip_x", "flip_y", "swap_xy")}
    return st.builds(
        Sensor,
        pool=st.tuples(st.sampled_from([1, 2, 4]), st.sampled_from([1, 2, 4])),
        crop=st.sampled_from([((2, 26), (4, 28)), ((8, 32), (0, 24))]),
        keep=st.sampled_from(["both", "on", "off"]),
        **flags,
    )


@settings(max_examples=15, deadline=None)
@given(
    sensor=sensors(),
    filter_mode=st.sampled_from([None, "noise", "low_pass", "hot_pixel"]),
    bias=st.booleans(),
    seed=st.integers(0, 2**16),
)
def test_the_fake_camera_equals_the_simulator(
    sensor: Sensor, filter_mode: Literal["noise", "low_pass", "hot_pixel"] | None, bias: bool, seed: int
) -> None:
    """Pre-processing, filter, biases on the slow clock: every spike of every layer, and the camera's own events."""
    shape = (1 if sensor.merge_polarities else 2, 24, 24)
    program = replace(tiny_program(shape, seed=seed, bias=bias), input_shape=(2, 128, 128), sensor=sensor)
    if filter_mode:
        program = replace(program, event_filter=EventFilter(filter_mode, (5, 3), 2))
    recording = random_events(3000, 128, 128, seed, span=8)
    watched, expected = see(on_camera(program), recording)
    assert_equal_spikes(watched.trace, expected)
    np.testing.assert_array_equal(watched.pixels, recording[recording["t"] < STEPS * 1000])
    assert watched.trace.incidents == {}


def test_the_example_has_spikes_in_every_layer() -> None:
    watched, expected = see(on_camera(tiny_program((2, 32, 32))))
    assert_equal_spikes(watched.trace, expected)
    assert watched.trace.events is not None
    assert min(len(events) for events in watched.trace.events.values()) > 100


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(("part", "pool"), [(None, 4), ((32, 64, 64, 64), 2), ((3, 5, 32, 32), 1)])
def test_a_network_without_sensor_sees_a_part_of_the_pixels(
    part: tuple[int, int, int, int] | None, pool: int, channels: int
) -> None:
    """As `FrameSpec` of the live loop does: pixel x of a crop of width w goes to column (x - left) * W // w."""
    from i2e_deploy.chips.dynapcnn.reference.injection import recorded
    from i2e_deploy.chips.dynapcnn.reference.preprocess import preprocess_events
    from i2e_deploy.events.frames import FrameSpec, to_frames

    program = on_camera(tiny_program((channels, 32, 32)), part)
    assert program.sensor is not None
    assert program.sensor.pool == (pool, pool)
    stimuli = recorded(RECORDING, 100, EventOptions(), ticks=False)
    reaching = preprocess_events(program.sensor, stimuli, program.input_shape)
    frame = np.zeros((channels, 32, 32), np.int64)
    np.add.at(frame, (reaching["c"], reaching["y"], reaching["x"]), 1)
    spec = FrameSpec((128, 128), (channels, 32, 32), part)
    np.testing.assert_array_equal(frame, to_frames(RECORDING, np.array([[0, len(RECORDING)]]), spec)[0])


def test_two_cores_take_the_camera() -> None:
    program = tiny_program((2, 32, 32))
    first, last = program.layers
    twin = replace(first, name="twin", weight=first.weight[::-1].copy())
    both = replace(last, sources=(Source("conv", (2, 2)), Source("twin", (2, 2))))
    branched = on_camera(replace(program, layers=(first, twin, both)))
    watched, expected = see(branched)
    names = ("conv", "twin")
    assert watched.trace.events is not None
    assert expected.events is not None
    for name in names:
        np.testing.assert_array_equal(watched.trace.events[name]["t"], expected.events[name]["t"])
    crowd = (twin, replace(twin, name="third"))
    with fake_samna(), pytest.raises(UnsupportedError, match=r"feeds 3 cores: the chip has 2 destinations"):
        watch(replace(branched, layers=(first, *crowd, both)), 1, QUIET)


@pytest.mark.parametrize("loses_first", ["chip", "core"])
def test_the_first_event_behind_a_reset_is_lost_and_cannot_be_sent_twice(loses_first: Literal["chip", "core"]) -> None:
    """Then the cores have seen one event fewer than the camera's own record of the scene holds."""
    program = on_camera(tiny_program((2, 32, 32), bias=False))
    watched, _ = see(program, faults=Faults(loses_first=loses_first))
    np.testing.assert_array_equal(watched.pixels["t"], RECORDING["t"][RECORDING["t"] < STEPS * 1000])
    assert_equal_spikes(watched.trace, run_recordings(program, [RECORDING[1:]], STEPS, EventOptions()))


def test_states_are_zero_when_the_camera_comes_on() -> None:
    """Each run is from zero, as another one was before it on the same boards."""
    program = on_camera(tiny_program((2, 32, 32)))
    with fake_samna(faults=NO_LOSS, sensor=RECORDING) as samna:
        both = [watch(program, STEPS, QUIET).trace.output for _ in range(2)]
        configuration = samna.opened[1].configuration
    np.testing.assert_array_equal(both[0], both[1])
    assert configuration is not None
    assert configuration.dvs_layer.pass_sensor_events is True
    assert all(
        not np.any(core.neurons_initial_value) for core in configuration.cnn_layers if core.threshold_high == 100
    )


def test_the_camera_is_dark_until_the_stop_watch_runs() -> None:
    program = on_camera(tiny_program((2, 32, 32)))
    with fake_samna(sensor=RECORDING) as samna:
        camera = ChipCamera(program, QUIET, pixels=True)
        configuration = samna.opened[0].configuration
        assert configuration is not None
        assert configuration.dvs_layer.pass_sensor_events is False
        with camera:
            assert samna.opened[0].watch.running
        assert not samna.opened[0].open


def test_without_pixels_only_spikes_come() -> None:
    with fake_samna(faults=NO_LOSS, sensor=RECORDING):
        watched = watch(on_camera(tiny_program((2, 32, 32))), STEPS, QUIET, pixels=False)
    assert not len(watched.pixels)
    assert watched.trace.output.any()
    assert watched.trace.unseen == {0: "conv"}


def test_the_readout_block_says_what_it_is_simulated_to_say() -> None:
    """A pin value at the tick that ends a step; the fake counts the spikes that the core sends it."""
    readout = Readout(threshold=0, window=1)
    program = on_camera(tiny_program((2, 32, 32))).with_readout(readout)
    watched, expected = see(program)
    simulated = read_out(readout, expected.output)
    steps = np.flatnonzero(simulated.interrupt[0])
    assert len(steps) > 3
    told = watched.pins[watched.pins["t"] <= STEPS * 1000]
    np.testing.assert_array_equal(told["t"], (steps + 1) * 1000)
    np.testing.assert_array_equal(told["index"], simulated.winner[0, steps])


def test_time_stamps_wrap_in_a_stream() -> None:
    """71.6 minutes after the start the stop watch begins again; the stream's time does not."""
    recording = random_events(400, 128, 128, seed=2)
    late = recording.copy()
    late["t"] += WRAP - 1000 - int(recording["t"][0])
    program = on_camera(tiny_program((2, 32, 32), bias=False))
    with fake_samna(faults=NO_LOSS, sensor=late) as samna, ChipCamera(program, QUIET, pixels=True) as camera:
        times: list[int] = []
        for _ in range(45):
            samna.stand_in_clock.sleep(100)
            times += camera.read(0).pixels["t"].tolist()
    np.testing.assert_array_equal(times, late["t"])
    assert late["t"][-1] > WRAP


def test_a_stream_is_read_as_it_comes() -> None:
    program = on_camera(tiny_program((2, 32, 32)))
    with fake_samna(faults=NO_LOSS, sensor=RECORDING), ChipCamera(program, BoardOptions()) as camera:
        parts = [camera.read(0.01) for _ in range(60)]
        assert camera.rails == []
    assert camera.rails
    spikes = np.concatenate([part.spikes for part in parts])
    expected = run_recordings(program, [RECORDING], 40, EventOptions())
    assert expected.events is not None
    times = expected.events["readout"]["t"]
    np.testing.assert_array_equal(spikes["t"][: len(times)], times)
    assert all(part.now_us + 1 >= part.spikes["t"].max(initial=0) for part in parts)  # both are rounded


def test_the_fake_camera_reads_its_settings_back() -> None:
    """An empty configuration: no destination, nothing passes."""
    with fake_samna() as samna:
        camera = FakeCamera(samna.speck2f.configuration.SpeckConfiguration(), np.zeros(1, EVENT_DTYPE), 5, Character())
    events = camera.due(6)
    assert events["t"].tolist() == [5]
    assert len(camera.due(7)) == 0
    assert len(camera.core_inputs(events, 0, 1000)) == 0


@pytest.mark.parametrize(("phase", "tick"), [(0.0, "start"), (0.5, "middle")])
def test_the_phase_of_the_slow_clock_is_an_option_of_the_simulator(
    phase: float, tick: Literal["start", "middle"]
) -> None:
    """It moves biases and the counts of the event filter; `bound` runs every value of `tick`."""
    program = replace(on_camera(tiny_program((2, 32, 32))), event_filter=EventFilter("noise", (7, 7), 1))
    options = EventOptions(step_us=2000, tick=tick)
    watched, expected = see(program, faults=replace(NO_LOSS, clock_phase=phase), events=options)
    assert_equal_spikes(watched.trace, expected)
    other = run_recordings(program, [RECORDING], STEPS, replace(options, tick="start" if phase else "middle"))
    assert not np.array_equal(other.output, expected.output)
    names = [variant.name for variant in bound(program, RECORDING[:200]).variants]
    assert {"tick=middle", "tick=end"} <= set(names)
