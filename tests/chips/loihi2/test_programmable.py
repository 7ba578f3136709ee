"""Programmable neurons: engine and definition, CubaLif as a case of them, what each option does, what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from loihi_nets import draw_frames, draw_network
from loihi_neurons import as_programmable, draw_programmable, programmable_network

from i2e_deploy.chips.loihi2.engine import simulator as fast
from i2e_deploy.chips.loihi2.engine import workers
from i2e_deploy.chips.loihi2.engine.inputs import flat_frames
from i2e_deploy.chips.loihi2.formats.program_file import from_tensors, to_tensors
from i2e_deploy.chips.loihi2.neuron import Reset
from i2e_deploy.chips.loihi2.program import (
    SOURCE,
    Block,
    BlockNetwork,
    Connection,
    CubaLif,
    DenseSynapse,
    never_fires,
)
from i2e_deploy.chips.loihi2.programmable import UNBOUNDED, ProgrammableLif
from i2e_deploy.chips.loihi2.runnable import LoihiProgram
from i2e_deploy.chips.trace import States, Trace
from i2e_deploy.errors import FileFormatError, InputError

SEEDS = st.integers(0, 2**32 - 1)
ALL, NONE = np.array([4096]), np.array([0])


def assert_equal(a: Trace, b: Trace) -> None:
    np.testing.assert_array_equal(a.output, b.output)
    assert a.counts == b.counts
    assert_states_equal(a.states, b.states)
    for name, spikes in a.spikes.items():
        np.testing.assert_array_equal(spikes, b.spikes[name])


def assert_states_equal(a: States | None, b: States) -> None:
    assert a is not None
    for name, variables in a.items():
        assert variables.keys() == b[name].keys()
        for key, value in variables.items():
            np.testing.assert_array_equal(value, b[name][key])


def alone(neuron: ProgrammableLif, size: int = 1, bits: int = 24) -> LoihiProgram:
    """Currents go in as they are."""
    block = Block("a", neuron, (size,), (Connection(SOURCE, None),), message_bits=bits)
    return LoihiProgram(BlockNetwork((size,), (block,), 32))


def course(program: LoihiProgram, given: list[int], variable: str = "v") -> tuple[list[int], list[int]]:
    """Messages of one neuron, and a variable after each step."""
    states, sent, found = None, [], []
    for value in given:
        trace = program.run(np.array([[[value]]]), engine="reference", states=states)
        states = trace.states
        sent.append(int(trace.output[0, 0, 0]))
        found.append(int(states["a"][variable][0, 0]))
    return sent, found


@settings(max_examples=50, deadline=None)
@given(seed=SEEDS, samples=st.integers(1, 3))
def test_the_engine_equals_the_definition(seed: int, samples: int) -> None:
    """Agreement: exact, every message, state and count, any option with any other, in any network."""
    network = programmable_network(seed)
    program, frames = LoihiProgram(network), draw_frames(network, seed, samples, 12)
    assert_equal(program.run(frames), program.run(frames, engine="reference"))


def test_what_was_drawn_holds_every_option() -> None:
    """Nothing that the tests above show depends on a lucky draw."""
    neurons = [n for seed in range(150) for b in programmable_network(seed).blocks if (n := b.neuron) is not None]
    drawn = [neuron for neuron in neurons if isinstance(neuron, ProgrammableLif)]
    for name in ("after_spike", "reset_step", "fires", "sends", "max_spikes"):
        counts = {value: sum(getattr(n, name) == value for n in drawn) for value in {getattr(n, name) for n in drawn}}
        assert len(counts) > 1
        assert min(counts.values()) > len(drawn) / 20, name
    assert sum(bool((n.lowest > UNBOUNDED).any()) for n in drawn) > 20
    assert sum(bool(n.adaptation_step.any()) for n in drawn) > 20
    assert sum(n.reset is not None for n in drawn) > 20
    assert sum(bool(n.reset_value.any()) for n in drawn) > 20
    total = [
        count
        for seed in range(60)
        for count in LoihiProgram(programmable_network(seed))
        .run(draw_frames(programmable_network(seed), seed))
        .counts.values()
    ]
    assert sum(c.spikes for c in total) > 10_000
    assert sum(c.saturations for c in total) > 0


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS)
def test_with_the_parameters_of_cuba_it_is_cuba(seed: int) -> None:
    """Agreement: exact, spikes and voltages, on both engines; thresholds that CubaLif has, resets too."""
    network = draw_network(seed)
    other = replace(network, blocks=tuple(replace(b, neuron=as_programmable(b.neuron)) for b in network.blocks))
    frames = draw_frames(network, seed, 2, 12)
    standard = LoihiProgram(network).run(frames)
    for engine in ("fast", "reference"):
        trace = LoihiProgram(other).run(frames, engine=engine)
        np.testing.assert_array_equal(trace.output, standard.output)
        for name, variables in standard.states.items():
            np.testing.assert_array_equal(trace.spikes[name], standard.spikes[name])
            for key, value in variables.items():
                np.testing.assert_array_equal(value, trace.states[name][key])
            assert trace.counts[name].spikes == standard.counts[name].spikes
            assert trace.counts[name].saturations == standard.counts[name].saturations


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS, cuts=st.lists(st.integers(0, 24), max_size=4), block=st.integers(1, 9))
def test_a_stream_gives_the_same_however_it_is_cut(seed: int, cuts: list[int], block: int) -> None:
    """Agreement: exact."""
    network = programmable_network(seed)
    frames = flat_frames(draw_frames(network, seed, 2, 24), network)
    whole = fast.Stream(network, 2).advance(frames)
    stream = fast.Stream(network, 2)
    stream.block = min(block, stream.block)
    parts = [stream.advance(frames[:, lo:hi]) for lo, hi in pairwise([0, *sorted(cuts), 24]) if hi > lo]
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), whole)


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS)
def test_a_session_equals_a_run_and_goes_on_from_any_step(seed: int) -> None:
    """Agreement: exact, a step at a time, and again from the state in the middle."""
    network = programmable_network(seed)
    program, frames = LoihiProgram(network), draw_frames(network, seed, steps=8)[0]
    session, whole, middle = program.session(), program.run(frames[None], engine="reference"), None
    session.start()
    for t, frame in enumerate(frames):
        middle = session.state() if t == 4 else middle
        np.testing.assert_array_equal(session.step(frame), whole.output[0, t])
    assert session.counts() == whole.counts
    assert_states_equal(session.state(), whole.states)
    session.start(middle)
    for t in range(4, 8):
        np.testing.assert_array_equal(session.step(frames[t]), whole.output[0, t])
    assert_states_equal(session.state(), whole.states)


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS, bits=st.integers(1, 31))
def test_states_that_no_run_would_leave(seed: int, bits: int) -> None:
    """Agreement: exact, also from a negative adaptation or a pending reset that no spike left."""
    network = programmable_network(seed)
    frames, program, rng = draw_frames(network, seed, 2, 6), LoihiProgram(network), np.random.default_rng(seed)
    states = {name: dict(variables) for name, variables in program.run(frames).states.items()}
    for variables in states.values():
        for name in set(variables) - {"step", "sigma", "act", "residue"}:
            high = 2 ** (min(bits, 23) if name in ("u", "v") else bits)
            variables[name] = rng.integers(1 - high, high, variables[name].shape)
    assert_equal(program.run(frames, states=states), program.run(frames, engine="reference", states=states))


def test_more_threads_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Agreement: exact."""
    monkeypatch.setattr(workers, "WORTHWHILE", 0)
    for seed in range(12):
        network = programmable_network(seed)
        frames = flat_frames(draw_frames(network, seed, 2, 12), network)
        runs = [fast.Stream(network, 2, threads=n) for n in (1, 3)]
        first, second = [stream.advance(frames) for stream in runs]
        np.testing.assert_array_equal(first, second)
        assert runs[0].counts() == runs[1].counts()


def test_large_layers_with_parameters_by_neuron() -> None:
    """Agreement: exact, beyond one block of the kernel, images too."""
    rng = np.random.default_rng(5)
    for shape in ((3000,), (3, 30, 40)):
        size = int(np.prod(shape))
        for _ in range(4):
            neuron = draw_programmable(rng, shape[0], size, threshold=rng.integers(1, 90, size), max_spikes="any")
            block = Block("a", neuron, shape, (Connection(SOURCE, None),), rng.integers(-9, 9, shape[0]), 24)
            program = LoihiProgram(BlockNetwork(shape, (block,), 32))
            frames = rng.integers(-90, 150, (1, 5, *shape))
            assert_equal(program.run(frames), program.run(frames, engine="reference"))


# What a step does, one option at a time: v in units of 1/64 of what comes in.


def test_reset_by_subtraction_keeps_the_rest() -> None:
    program = alone(ProgrammableLif(ALL, NONE, np.array([10])))
    assert course(program, [25, 0, 0, 0]) == ([1, 1, 0, 0], [15 * 64, 5 * 64, 5 * 64, 5 * 64])


def test_reset_in_the_next_step_shows_the_voltage_first() -> None:
    program = alone(ProgrammableLif(ALL, np.array([2048]), np.array([10]), reset_step="next"))
    assert course(program, [16, 4, 0]) == ([1, 0, 0], [16 * 64, (8 + 4 - 10) * 64, 1 * 64])
    program = alone(ProgrammableLif(ALL, NONE, np.array([10]), "set", np.array([-3]), "next"))
    assert course(program, [16, 100, 12]) == ([1, 0, 0], [16 * 64, -3 * 64, 9 * 64])


def test_reset_by_an_amount() -> None:
    neuron = ProgrammableLif(ALL, NONE, np.array([10]), "amount", np.array([4]), max_spikes=3)
    assert course(alone(neuron), [25, 0, 0]) == ([2, 1, 1], [17 * 64, 13 * 64, 9 * 64])
    neuron = replace(neuron, reset_step="next", lowest=np.array([2]))
    assert course(alone(neuron), [25, -12, 0]) == ([2, 0, 0], [25 * 64, 5 * 64, 5 * 64])


def test_reset_to_a_value_and_no_reset() -> None:
    program = alone(ProgrammableLif(ALL, NONE, np.array([10]), "set", np.array([-3])))
    assert course(program, [11, 0, 14]) == ([1, 0, 1], [-3 * 64, -3 * 64, -3 * 64])
    program = alone(ProgrammableLif(ALL, NONE, np.array([10]), "none"))
    assert course(program, [11, 0, -2]) == ([1, 1, 0], [11 * 64, 11 * 64, 9 * 64])


@pytest.mark.parametrize(("fires", "sent"), [(">", [0, 0, 1, 1, 2]), (">=", [0, 1, 1, 2, 2])])
def test_several_spikes_are_one_message_with_their_number(fires: Any, sent: list[int]) -> None:
    """At 10 and 20 the two comparisons part."""
    given_values = [9, 10, 11, 20, 21]
    for most, expected in (("any", sent), (1, [min(n, 1) for n in sent]), (2, sent)):
        neuron = ProgrammableLif(ALL, ALL, np.array([10]), max_spikes=most, fires=fires)  # type: ignore[arg-type]
        assert course(alone(neuron), given_values)[0] == expected


def test_most_spikes_leave_the_rest_in_the_voltage() -> None:
    program = alone(ProgrammableLif(ALL, NONE, np.array([10]), max_spikes=3))
    assert course(program, [48, 0, 0]) == ([3, 1, 0], [18 * 64, 8 * 64, 8 * 64])


def test_the_lower_bound_holds_the_voltage() -> None:
    program = alone(ProgrammableLif(ALL, NONE, np.array([10]), lowest=np.array([-5])))
    assert course(program, [-3, -30, 16]) == ([0, 0, 1], [-3 * 64, -5 * 64, 1 * 64])


def test_the_threshold_grows_and_decays() -> None:
    """By 6 a spike, and loses half of it a step before it is compared."""
    neuron = ProgrammableLif(
        ALL, ALL, np.array([10]), max_spikes="any", adaptation_decay=np.array([2048]), adaptation_step=np.array([6])
    )
    assert course(alone(neuron), [25, 16, 17, 0], "adaptation") == ([2, 0, 1, 0], [12 * 64, 6 * 64, 9 * 64, 288])
    neuron = replace(neuron, voltage_decay=NONE, max_spikes=1)
    assert course(alone(neuron), [11, 13])[1] == [1 * 64, (14 - 13) * 64]  # the threshold that acted is subtracted


def test_a_readout_sends_its_voltage_and_leaks() -> None:
    program = alone(ProgrammableLif(ALL, np.array([1024]), np.array([1]), sends="voltage"))
    assert course(program, [4, -8, 0])[0] == [256, 192 - 512, -240]
    coarse = ProgrammableLif(ALL, np.array([1024]), np.array([1]), sends="voltage", shift=5, bits=4)
    # 256 / 32 = 8 and -320 / 32 = -10 leave 4 bits; -240 / 32 = -7.5 is rounded half up; -180 / 32 = -5.6
    program = alone(coarse, bits=4)
    assert course(program, [4, -8, 0, 0])[0] == [7, -7, -7, -6]
    assert program.run(np.array([4, -8, 0, 0]).reshape(1, 4, 1)).counts["a"].saturations == 2


def test_graded_spikes_are_multiplied_by_the_weights_of_the_next_block() -> None:
    """Agreement: exact with the product of weights and messages, a step later; feedback too."""
    rng = np.random.default_rng(8)
    sender = ProgrammableLif(ALL, np.array([300]), rng.integers(5, 30, 6), max_spikes="any", fires=">=")
    weight = 2 * rng.integers(-30, 40, (4, 6))
    first = Block("a", sender, (6,), (Connection(SOURCE, None),), message_bits=24)
    reader = ProgrammableLif(ALL, ALL, NONE, sends="voltage")
    last = Block("b", reader, (4,), (Connection("a", DenseSynapse(weight)),), message_bits=24)
    program = LoihiProgram(BlockNetwork((6,), (first, last), 32))
    trace = program.run(rng.integers(-20, 90, (2, 15, 6)))
    sent = trace.spikes["a"].astype(np.int64)
    assert sent.max() > 3
    np.testing.assert_array_equal(trace.output[:, 1:], 64 * (sent[:, :-1] @ weight.T))


def test_a_reset_of_windows_reaches_programmable_neurons() -> None:
    network = alone(ProgrammableLif(NONE, NONE, np.array([10]), max_spikes=5)).network.with_reset(4, 0)
    assert network.blocks[0].neuron.reset == Reset(4, 1)
    frames = np.random.default_rng(0).integers(0, 30, (1, 12, 1))
    trace = LoihiProgram(network).run(frames)
    parts = [LoihiProgram(network).run(frames[:, t : t + 4]) for t in (0, 4, 8)]
    np.testing.assert_array_equal(trace.output, np.concatenate([part.output for part in parts], axis=1))


def test_what_never_fires() -> None:
    def block(**options: Any) -> Block:
        neuron = ProgrammableLif(ALL, ALL, np.array([2**17, 2**18]), **options)
        return Block("a", neuron, (2,), (Connection(SOURCE, None),), message_bits=24)

    assert never_fires(block())
    assert not never_fires(block(sends="voltage"))


# Files, and what is refused.


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS)
def test_a_file_holds_all_of_it(seed: int) -> None:
    """Agreement: exact: the same arrays and data again, and the same run."""
    network = programmable_network(seed)
    tensors, data = to_tensors(network)
    again = from_tensors(tensors, json.loads(json.dumps(data)))
    twice, same = to_tensors(again)
    assert same == data
    for name, array in tensors.items():
        np.testing.assert_array_equal(twice[name], array, strict=True)
    frames = draw_frames(network, seed, 1, 6)
    assert_equal(LoihiProgram(again).run(frames), LoihiProgram(network).run(frames))


def test_what_a_file_says() -> None:
    """The format from here on: later versions must still read it."""
    neuron = ProgrammableLif(ALL, ALL, np.array([5]), max_spikes="any", reset=Reset(3, 2))
    tensors, data = to_tensors(alone(neuron).network)
    assert data["blocks"][0]["kind"] == "ProgrammableLif"
    assert data["blocks"][0]["neuron"] == {
        "after_spike": "subtract", "reset_step": "same", "max_spikes": "any", "fires": ">", "sends": "spikes",
        "reset": [3, 2], "shift": 0, "bits": 24,
    }  # fmt: skip
    assert {name: array.tolist() for name, array in tensors.items()} == {
        "a.current_decay": [4096], "a.voltage_decay": [4096], "a.threshold": [5], "a.reset_value": [0],
        "a.lowest": [-131072], "a.adaptation_decay": [0], "a.adaptation_step": [0],
    }  # fmt: skip
    for name in ("shift", "bits"):  # files of before have whole voltages
        del data["blocks"][0]["neuron"][name]
    assert to_tensors(from_tensors(tensors, data))[1]["blocks"][0]["neuron"]["bits"] == 24


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("shift", 23, "23: expected an integer in 0..22"),
        ("bits", 1, "1: expected an integer in 2..24"),
        ("after_spike", "explode", "after_spike 'explode': expected one of subtract, amount, set, none"),
        ("reset_step", None, "reset_step None: expected one of same, next"),
        ("max_spikes", 0, "0: expected an integer in 1"),
        ("max_spikes", True, "True: expected an integer"),
        ("max_spikes", "all", "'all': expected an integer"),
        ("lowest", np.array([-(2**17) - 1]), r"-131073\.\.-131073, allowed -131072"),
        ("reset_value", np.array([2**17]), r"131072\.\.131072, allowed -131071\.\.131071"),
        ("reset", [0, 0], "0: expected an integer in 1"),
        ("threshold", np.array([0]), "the threshold is 0 and several spikes may be sent"),
        ("threshold", np.array([1, 2, 3]), r"threshold has shape \[3\], expected \[1\] or \[2\]"),
        ("current_decay", np.array([4097]), r"4097\.\.4097, allowed 0\.\.4096"),
        ("adaptation_step", np.array([-1]), r"-1\.\.-1, allowed 0"),
        ("adaptation_decay", np.array([0.5]), "float64 of shape"),
        ("message_bits", 0, "layer 'a' sends up to 3 spikes a step and has message_bits 0"),
    ],
)
def test_values_out_of_a_file_are_checked(name: str, value: Any, message: str) -> None:
    neuron = ProgrammableLif(ALL, ALL, np.array([5]), max_spikes=3)
    tensors, data = to_tensors(alone(neuron, 2).network)
    row = data["blocks"][0]
    if isinstance(value, np.ndarray):
        tensors[f"a.{name}"] = value
    elif name in row:
        row[name] = value
    else:
        row["neuron"][name] = value
    with pytest.raises(FileFormatError, match=message):
        from_tensors(tensors, data)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": np.array([0]), "max_spikes": 2}, "threshold is 0 and several spikes"),
        ({"threshold": np.array([-1])}, "threshold is"),
        ({"threshold": np.array([0.5])}, "threshold is"),
        ({"threshold": np.zeros((1, 1), int)}, "threshold is"),
        ({"adaptation_step": np.array([2**17])}, "adaptation_step is"),
        ({"max_spikes": 0}, "max_spikes is 0"),
        ({"max_spikes": "many"}, "max_spikes is 'many'"),
        ({"after_spike": "zero"}, "after_spike is 'zero': choose one of subtract, amount, set, none"),
        ({"max_spikes": 1.5}, "max_spikes is 1.5"),
        ({"threshold": np.zeros(0, int)}, "threshold is"),
        ({"lowest": np.array([2**17])}, "lowest is"),
        ({"reset_value": np.array([0.5])}, "reset_value is"),
    ],
)
def test_contradictions_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        ProgrammableLif(**{"current_decay": ALL, "voltage_decay": ALL, "threshold": np.array([5])} | options)


def test_values_need_message_bits_and_arrays_their_length() -> None:
    """Without bits the next layer would take three spikes for one."""
    several = ProgrammableLif(ALL, ALL, np.array([5]), max_spikes=3)
    with pytest.raises(InputError, match="sends up to 3 spikes a step and has message_bits 0"):
        alone(several, bits=0)
    with pytest.raises(InputError, match="sends its voltage and has message_bits 0"):
        alone(replace(several, sends="voltage"), bits=0)
    alone(replace(several, max_spikes=1), bits=0)
    with pytest.raises(InputError, match=r"layer 'a': threshold has 3 values, needed 1 or 2"):
        alone(replace(several, threshold=np.array([1, 2, 3])), 2)


def test_cuba_takes_no_array_by_neuron() -> None:
    """It has one value a channel, as netx has."""
    block = Block("a", CubaLif(np.array([1, 2]), ALL, 5), (2, 1, 3), (Connection(SOURCE, None),))
    tensors, data = to_tensors(BlockNetwork((2, 1, 3), (block,)))
    with pytest.raises(FileFormatError, match=r"current_decay has shape \[6\], expected \[1\] or \[2\]"):
        from_tensors({**tensors, "a.current_decay": np.arange(6)}, data)
