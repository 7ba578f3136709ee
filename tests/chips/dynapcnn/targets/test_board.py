"""The board target on the fake board equals the simulator: what is sent, what comes back, power."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
import pytest
import samna_standin
import torch
from board_runs import FRAMES, PROGRAM, on_board
from event_strategies import random_events
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_programs import tiny_program

from i2e_deploy.chips import Trace
from i2e_deploy.chips.dynapcnn import CoreLayer, DynapcnnProgram, Source
from i2e_deploy.chips.dynapcnn.estimates.power import calibrate_power, reading
from i2e_deploy.chips.dynapcnn.peripherals import EventFilter, Readout
from i2e_deploy.chips.dynapcnn.reference.event_options import EventOptions
from i2e_deploy.chips.dynapcnn.targets.board import BoardOptions, sample_stream
from i2e_deploy.chips.dynapcnn.targets.board.fake import Faults, fake_samna
from i2e_deploy.chips.dynapcnn.targets.board.fake.cores import places
from i2e_deploy.chips.dynapcnn.targets.board.fake.objects import Spike
from i2e_deploy.chips.dynapcnn.targets.board.sample_stream import addresses
from i2e_deploy.chips.options import Injection
from i2e_deploy.chips.trace import Power
from i2e_deploy.errors import CheckFailed, InputError, UnsupportedError
from i2e_deploy.network import Sensor


def core(name: str, random: np.random.Generator, sources: tuple[Source, ...], shape: tuple[int, ...]) -> CoreLayer:
    c, h, w = shape
    features, kernel, stride = (int(random.integers(*ends)) for ends in ((1, 6), (1, 4), (1, 3)))
    padding = min(1, kernel - 1)
    out = [(n + 2 * padding - kernel) // stride + 1 for n in (h, w)]
    return CoreLayer(
        name, sources, random.integers(-30, 90, (features, c, kernel, kernel)).astype(np.int8), None,
        (stride, stride), (padding, padding), int(random.integers(40, 200)), -int(random.integers(1, 99)), None,
        "zero" if random.random() < 0.3 else "subtract", (c, h, w), (features, out[0], out[1]),
    )  # fmt: skip


def branched(seed: int, merging: bool = False) -> DynapcnnProgram:
    """Two cores take input, one of them pooled; a third is fed by one of them, or by both."""
    random = np.random.default_rng(seed)
    shape = int(random.integers(1, 4)), int(random.integers(4, 9)), int(random.integers(4, 9))
    pooled = shape[0], shape[1] // 2, shape[2] // 2
    first = core("first", random, (Source("input"),), shape)
    second = core("second", random, (Source("input", (2, 2)),), pooled)
    sources: tuple[Source, ...] = (Source("first"),)
    channels = first.output_shape[0]
    size = first.output_shape[1:]
    if merging:
        second = replace(first, name="second", weight=first.weight[::-1].copy())
        sources, channels = (Source("first"), Source("second", feature_shift=channels)), 2 * channels
    third = core("third", random, sources, (channels, *size))
    return DynapcnnProgram(shape, (first, second, third), (Source("third"), Source("second")))


def assert_equal_events(trace: Trace, expected: Trace) -> None:
    assert trace.events is not None
    assert expected.events is not None
    for name, events in trace.events.items():
        for field in ("sample", "t", "c", "y", "x"):
            np.testing.assert_array_equal(events[field], expected.events[name][field], err_msg=f"{name} {field}")


@settings(max_examples=20)
@given(
    seed=st.integers(0, 2**16),
    loses_first=st.sampled_from(["chip", "core", "none"]),
    order=st.sampled_from(["spread", "raster", "shuffled"]),
)
def test_the_fake_board_equals_the_simulator(
    seed: int, loses_first: Literal["chip", "core", "none"], order: Literal["spread", "raster", "shuffled"]
) -> None:
    """What a board is given is what the simulator is given, in the same order, whether or not it loses first events."""
    program, random = branched(seed), np.random.default_rng(seed)
    frames = random.integers(0, 3, (2, 3, *program.input_shape)) * (random.random((2, 3, *program.input_shape)) < 0.5)
    options = EventOptions(order=order)
    with fake_samna(faults=Faults(loses_first=loses_first)):
        trace = program.run_on_board(frames, BoardOptions(events=options, monitor=program.layer_names))
    expected = program.run(frames, "event", options=options)
    assert_equal_events(trace, expected)
    np.testing.assert_array_equal(trace.output, expected.output)
    assert set(trace.incidents) <= {sample_stream.SENT_TWICE}


@pytest.mark.parametrize("seed", range(3))
def test_in_raster_order_a_board_is_sent_what_sinabs_sends(seed: int) -> None:
    """The oracle is Sinabs' `ChipFactory.raster_to_events`, run here; time stamps are ahead by `lead_us`."""
    samna_standin.install()
    from sinabs.backend.dynapcnn.chip_factory import ChipFactory

    random = np.random.default_rng(seed)
    frames = random.integers(0, 4, (1, 3, *PROGRAM.input_shape)) * (random.random((1, 3, *PROGRAM.input_shape)) < 0.3)
    options = BoardOptions(events=EventOptions(order="raster"))
    with fake_samna(faults=Faults(loses_first="none")) as samna:
        PROGRAM.run_on_board(frames, options)
        sent = samna.opened[0].received
    ours = [
        (e.timestamp - options.lead_us, e.layer, e.feature, e.y, e.x)
        for e in sent
        if isinstance(e, Spike) and e.timestamp
    ]
    theirs = ChipFactory("speck2fmodule").raster_to_events(torch.from_numpy(frames[0]), layer=ours[0][1], dt=1e-3)
    assert ours == [(e.timestamp, e.layer, int(e.feature), int(e.y), int(e.x)) for e in theirs]


@pytest.mark.parametrize("shape", [(3, 8, 8), (16, 1, 1), (5, 7, 6), (1, 16, 3), (2, 4, 16)])
def test_a_reset_writes_every_address_that_sinabs_computes(shape: tuple[int, int, int]) -> None:
    """The oracle is Sinabs' `calculate_neuron_address`; where a map is wide its addresses collide, see `addresses`."""
    samna_standin.install()
    from sinabs.backend.dynapcnn.io import calculate_neuron_address

    features, height, width = shape
    layer = replace(PROGRAM.layers[0], output_shape=shape)
    theirs = {
        calculate_neuron_address(x, y, c, shape) for c in range(features) for y in range(height) for x in range(width)
    }
    assert theirs <= set(addresses(layer))
    assert max(places(layer)) in addresses(layer)  # the fake's layout, which has no collisions


def test_a_recording_behind_the_chip_s_pre_processing_runs_at_its_own_times() -> None:
    """Pre-processing, event filter and the spread classes of the readout are the host's, and equal the simulator's."""
    recording = random_events(4000, 32, 24, seed=3)
    sensor = Sensor(pool=(2, 2), crop=((2, 10), (3, 11)), flip_x=True, pixel_array=True)
    program = replace(PROGRAM, input_shape=(2, 24, 32), sensor=sensor, event_filter=EventFilter(threshold=3))
    for each in (program, program.with_readout(Readout())):
        with fake_samna() as samna:
            trace = each.run_on_board(recording, BoardOptions(power_hz=0))
        configuration = samna.opened[0].configuration
        assert configuration is not None
        assert configuration.dvs_layer.fields()["pass_sensor_events"] is False  # the camera adds nothing
        assert configuration.readout.enable is not True
        expected = each.run_events(recording)
        assert_equal_events(trace, expected)
        np.testing.assert_array_equal(trace.output, expected.output)
        assert expected.output.any()


@pytest.mark.parametrize("seed", range(6))
def test_a_merge_is_one_of_the_orders_that_public_text_leaves_open(seed: int) -> None:
    program = branched(seed, merging=True)
    frames = np.random.default_rng(seed).integers(0, 2, (2, 3, *program.input_shape))
    with fake_samna():
        output = program.run_on("board", frames).output
    both = [program.run(frames, "event", options=EventOptions(merge=m)).output for m in ("listed", "reversed")]
    assert any(np.array_equal(output, one) for one in both)


def test_what_a_board_cannot_report_is_not_in_the_trace() -> None:
    trace = on_board()
    assert trace.unseen == {0: "conv"}
    assert (list(trace.arrays(state=True, binned=True)), trace.states, trace.counts) == (["layer1"], {}, {})
    expected = PROGRAM.run(FRAMES, "event")
    assert trace.activity() == {"readout": {"spikes": expected.counts["readout"].spikes}}
    np.testing.assert_array_equal(trace.spikes["readout"], expected.spikes["readout"])
    assert trace.events is not None
    assert set(trace.events["readout"]["cause"].tolist()) == {-1}


def test_power_is_the_mean_of_the_rails() -> None:
    watts = (1e-4, 2e-4, 3e-4, 4e-4, 5e-4)
    with fake_samna(watts=watts):
        power = PROGRAM.run_on("board", FRAMES).power
    assert power is not None
    np.testing.assert_allclose([power.rails_w[name] for name in ("io", "ram", "logic")], watts[:3])
    np.testing.assert_allclose([power.total_w, (power + power).total_w], 1.5e-3)
    assert power.readings >= len(FRAMES)
    none = on_board(power_hz=0)
    assert (none.power, sample_stream.NO_POWER in none.incidents) == (None, False)


def test_readings_of_a_board_calibrate_the_estimate() -> None:
    """Watts that follow 1 nJ a synaptic operation and 2 nJ a spike give these back."""
    readings = []
    for channels, steps in ((1, 5), (3, 5), (3, 9)):
        program = tiny_program(bias=False, channels=channels)
        frames = np.random.default_rng(channels).integers(0, 2, (2, steps, *program.input_shape))
        counts, seconds = program.run(frames, "event").counts, 2 * steps * 1e-3
        synops, spikes = (sum(getattr(c, name) for c in counts.values()) / seconds for name in ("synops", "spikes"))
        logic = 1e-9 * synops + 2e-9 * spikes
        with fake_samna(watts=(1e-4, 1e-4, logic, 9.0, 9.0)):
            power = program.run_on("board", frames).power
        assert power is not None
        readings.append(reading(counts, seconds, power))
    fitted = calibrate_power(readings, "the fake board")
    np.testing.assert_allclose([fitted.idle_w, fitted.synop_j, fitted.spike_j], [2e-4, 1e-9, 2e-9], rtol=1e-6)
    with pytest.raises(InputError, match=r"rails without a reading: \['ram', 'logic'\]"):
        reading({}, 1.0, Power({"io": 1.0}, 1))


def test_biases_are_added_by_the_slow_clock_once_a_step() -> None:
    """One neuron, bias 10, threshold 10: a spike a tick. The clock's phase is not ours, so one more or less."""
    layer = CoreLayer(
        "core", (Source("input"),), np.zeros((1, 1, 1, 1), np.int8), np.array([10], np.int8), (1, 1), (0, 0), 10, -1,
        None, "subtract", (1, 1, 1), (1, 1, 1),
    )  # fmt: skip
    program = DynapcnnProgram((1, 1, 1), (layer,), (Source("core"),))
    with fake_samna():
        trace = program.run_on("board", np.ones((3, 20, 1, 1, 1), np.int32))
        assert np.abs(trace.output.sum((1, 2)) - 20).max() <= 1
        with pytest.raises(UnsupportedError, match=r"slow clock of 100000 Hz.*choose steps of 100 to 100000 us"):
            program.run_on("board", np.ones((1, 2, 1, 1, 1), np.int32), injection=Injection(step_us=10))


def test_a_decimator_is_not_reset_and_the_trace_says_so() -> None:
    trace = on_board(program=replace(PROGRAM, layers=(replace(PROGRAM.layers[0], decimation=2), PROGRAM.layers[1])))
    assert trace.incidents[sample_stream.DECIMATED] == len(FRAMES) - 1


def test_a_sample_without_events() -> None:
    with fake_samna():
        trace = PROGRAM.run_on("board", np.zeros((2, 3, *PROGRAM.input_shape), np.int32))
    assert trace.output.shape == (2, 3, 4)
    assert not trace.output.any()


def test_wrong_requests() -> None:
    with pytest.raises(InputError, match="lead_us is -1"):
        BoardOptions(lead_us=-1)
    with pytest.raises(InputError, match="no layer 'nowhere' to monitor: choose of conv, readout"):
        on_board(monitor=("nowhere",))
    with pytest.raises(UnsupportedError, match="target 'lava'"):
        PROGRAM.run_on("lava", FRAMES)
    wide = replace(PROGRAM.layers[1], name="wide")
    crowd = tuple(replace(wide, name=f"r{i}") for i in range(9))
    with fake_samna(), pytest.raises(CheckFailed, match="does not fit speck2f"):
        replace(PROGRAM, layers=(PROGRAM.layers[0], *crowd), outputs=(Source("r0"),)).run_on("board", FRAMES)
