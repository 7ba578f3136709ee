"""The board target on the fake board: equal to the simulator without faults, and each fault has its outcome."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pytest
import samna_standin
import torch
from event_strategies import random_events
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_programs import tiny_program

from i2e_deploy.chips import Trace
from i2e_deploy.chips.dynapcnn import CoreLayer, DynapcnnProgram, Source
from i2e_deploy.chips.dynapcnn.board import BoardOptions, results
from i2e_deploy.chips.dynapcnn.board import session as board_session
from i2e_deploy.chips.dynapcnn.board.fake import Faults, fake_samna
from i2e_deploy.chips.dynapcnn.board.fake.chip import places
from i2e_deploy.chips.dynapcnn.board.fake.objects import Spike
from i2e_deploy.chips.dynapcnn.board.link import WRAP, open_board, unwrap
from i2e_deploy.chips.dynapcnn.board.neurons import addresses
from i2e_deploy.chips.dynapcnn.energy import calibrate_power, reading
from i2e_deploy.chips.dynapcnn.event_filter import EventFilter
from i2e_deploy.chips.dynapcnn.event_options import EventOptions
from i2e_deploy.chips.dynapcnn.readout import Readout
from i2e_deploy.chips.trace import Power
from i2e_deploy.errors import BoardNotFound, CheckFailed, InputError, MissingDependency, SourceLost, UnsupportedError
from i2e_deploy.network import Sensor

PROGRAM = tiny_program(bias=False)
FRAMES = np.random.default_rng(0).integers(0, 2, (4, 5, *PROGRAM.input_shape)).astype(np.int32)


def on_board(faults: Faults | None = None, program: DynapcnnProgram = PROGRAM, **options: Any) -> Trace:
    with fake_samna(faults=faults) as samna:
        try:
            return program.run_on("board", FRAMES, board=BoardOptions(**options))
        finally:
            assert all(not board.open for board in samna.opened)


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
        trace = program.run_on("board", frames, board=BoardOptions(events=options, monitor=program.layer_names))
    expected = program.run(frames, "event", options=options)
    assert_equal_events(trace, expected)
    np.testing.assert_array_equal(trace.output, expected.output)
    assert set(trace.incidents) <= {board_session.SENT_TWICE}


@pytest.mark.parametrize("seed", range(3))
def test_in_raster_order_a_board_is_sent_what_sinabs_sends(seed: int) -> None:
    """The oracle is Sinabs' `ChipFactory.raster_to_events`, run here; time stamps are ahead by `lead_us`."""
    samna_standin.install()
    from sinabs.backend.dynapcnn.chip_factory import ChipFactory

    random = np.random.default_rng(seed)
    frames = random.integers(0, 4, (1, 3, *PROGRAM.input_shape)) * (random.random((1, 3, *PROGRAM.input_shape)) < 0.3)
    options = BoardOptions(events=EventOptions(order="raster"))
    with fake_samna(faults=Faults(loses_first="none")) as samna:
        PROGRAM.run_on("board", frames, board=options)
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
            trace = each.run_on("board", recording, board=BoardOptions(power_hz=0))
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
    assert (none.power, board_session.NO_POWER in none.incidents) == (None, False)


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


# faults, each with its outcome


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
        PROGRAM.run_on("board", FRAMES, board=BoardOptions(name=name))


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
            PROGRAM.run_on("board", FRAMES, board=BoardOptions(timeout_s=3))
        assert samna.stand_in_clock.now < 10


def test_late_events_are_counted_and_their_order_is_kept() -> None:
    trace, expected = on_board(Faults(transfer_s=0.03)), PROGRAM.run(FRAMES, "event")
    assert trace.incidents[board_session.LATE] > 0.5 * FRAMES.sum()
    np.testing.assert_array_equal(trace.output.sum(1), expected.output.sum(1))
    assert not np.array_equal(trace.output, expected.output)
    assert trace.incidents[results.BEYOND] > 0


def test_time_stamps_wrap_in_mid_sample() -> None:
    """Five steps of 1,000 s: the stop watch of 32 bits wraps at 4,295 s."""
    events = EventOptions(step_us=1_000_000_000)
    trace, expected = on_board(events=events, power_hz=0), PROGRAM.run(FRAMES, "event", options=events)
    np.testing.assert_array_equal(trace.output, expected.output)
    assert trace.events is not None
    assert expected.events is not None
    ours, theirs = trace.events["readout"]["t"], expected.events["readout"]["t"]
    assert ours.max() > WRAP
    moved = np.abs(ours - theirs)
    assert moved.max() <= board_session.GUARD_US
    assert (moved > 0).mean() < 0.01


@given(t=st.integers(0, 2**40), apart=st.integers(-(2**31) + 1, 2**31 - 1))
def test_unwrapped_time_is_the_nearest(t: int, apart: int) -> None:
    assert unwrap(t % WRAP, t + apart) == t


def test_states_that_are_never_zeroed_are_reported() -> None:
    trace = on_board(Faults(ignored_resets=range(1000)))
    assert trace.incidents[board_session.NOT_ZERO] >= len(FRAMES) - 1
    assert not np.array_equal(trace.output, PROGRAM.run(FRAMES, "event").output)


def test_a_reset_that_failed_once_is_repeated() -> None:
    trace = on_board(Faults(ignored_resets=(4,)))  # 0 and 1 try the first event, 2 is that of sample 0
    assert trace.incidents[board_session.REPEATED] == 1
    assert board_session.NOT_ZERO not in trace.incidents
    np.testing.assert_array_equal(trace.output, PROGRAM.run(FRAMES, "event").output)


def test_a_board_that_reads_no_states_back_is_used_and_says_so() -> None:
    trace = on_board(Faults(answers=False, loses_first="none"))
    assert trace.incidents == {board_session.UNCHECKED: len(FRAMES), board_session.UNTRIED: len(FRAMES)}
    np.testing.assert_array_equal(trace.output, PROGRAM.run(FRAMES, "event").output)


@pytest.mark.parametrize("faults", [Faults(lose_every=5), Faults(lose_spikes_every=5)])
def test_lost_events_show_in_comparison_alone(faults: Faults) -> None:
    """A board does not say that it lost something, so nothing but a comparison can tell."""
    from i2e_deploy.runtime.agreement import evaluate_targets

    with fake_samna(faults=faults):
        result = evaluate_targets(PROGRAM, FRAMES, None, ["simulator", "board"], "event")
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
    assert 0 < on_board(mute, lead_us=50_000).incidents[board_session.LEFT_OVER] < expected.output.sum()
    strays = on_board(Faults(strays=True))
    np.testing.assert_array_equal(strays.output, expected.output)
    assert strays.incidents[results.OUTSIDE] == expected.output.sum()


def test_a_chip_that_is_never_quiet_is_cut_off() -> None:
    with fake_samna(faults=Faults(babbles=True)) as samna:
        trace = PROGRAM.run_on("board", FRAMES, board=BoardOptions(timeout_s=0.5))
        assert trace.incidents[board_session.NEVER_QUIET] == len(FRAMES)
        assert samna.stand_in_clock.now < 1 + len(FRAMES)


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
            program.run_on(
                "board", np.ones((1, 2, 1, 1, 1), np.int32), board=BoardOptions(events=EventOptions(step_us=10))
            )


def test_a_decimator_is_not_reset_and_the_trace_says_so() -> None:
    trace = on_board(program=replace(PROGRAM, layers=(replace(PROGRAM.layers[0], decimation=2), PROGRAM.layers[1])))
    assert trace.incidents[board_session.DECIMATED] == len(FRAMES) - 1


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


def test_the_stub_of_the_public_index_is_not_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    from i2e_deploy import environment

    monkeypatch.delitem(sys.modules, "samna", raising=False)
    monkeypatch.setattr(environment, "samna", lambda: environment.Row("samna", "absent", "the stub"))
    with pytest.raises(MissingDependency, match="the board target needs the package 'samna'"):
        PROGRAM.run_on("board", FRAMES)
    assert "samna" not in sys.modules
