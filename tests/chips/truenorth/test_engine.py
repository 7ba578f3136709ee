"""The engine, the session and RANC's simulator beside the definition, on programs drawn core by core."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from truenorth_networks import draw, frames, small
from truenorth_programs import draw_frames, draw_program

from i2e_deploy.chips import Trace, get
from i2e_deploy.chips.truenorth import CoreNetwork, Layer, TrueNorthCounts, TrueNorthProgram
from i2e_deploy.chips.truenorth.program import HIGH, KEEP, NOWHERE, SUBTRACT, TO_VALUE, empty_cores
from i2e_deploy.errors import InputError, MissingDependency, UnsupportedError
from i2e_deploy.testing.contract.same import assert_same

ranc = pytest.mark.skipif(
    not (os.environ.get("RANC_SIM") or shutil.which("ranc_sim")), reason="RANC's simulator is not built: see RANC_SIM"
)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("stochastic", [False, True])
@pytest.mark.parametrize("large", [False, True])
def test_the_engine_equals_the_reference_on_any_program(seed: int, stochastic: bool, large: bool) -> None:
    """Every mode of a neuron, loops, shared axons and all delays; pieces and sessions too."""
    network = draw_program(seed, stochastic, large=large)
    program, given = TrueNorthProgram(network), draw_frames(network, seed, 2, 5)
    whole = program.run(given, engine="reference")
    assert_same(whole, program.run(given), "engine and reference")
    first = program.run(given[:, :2], engine="reference")
    rest = program.run(given[:, 2:], states=first.states)
    assert_same(_from(whole, 2), replace(rest, counts={}), "the rest of a run")
    session, alone = program.session(), program.run(given[:1])
    outputs = np.array([session.step(frame) for frame in given[0]])
    assert np.array_equal(outputs, alone.output[0])
    assert session.counts() == alone.counts


@pytest.mark.parametrize("seed", range(6))
def test_potentials_about_the_ends_of_16_bits(seed: int) -> None:
    """Cores of equal and of drawn neurons: the engine computes a core in 16 bits while it can."""
    network, rng = draw_program(seed), np.random.default_rng([seed, 16])
    cores, shape = network.cores, network.cores.start.shape
    cores.leak_reversal[:] = 0
    cores.start[:] = rng.integers(-(2**15), 2**15, shape)
    cores.threshold[:] = rng.integers(31_000, 36_000, (len(cores), 1) if seed % 2 else shape)
    cores.floor[:] = rng.integers(31_000, 36_000, shape)
    cores.reset_value[:] = rng.integers(-20_000, 20_000, shape)
    given = (rng.random((1, 24, *network.input_shape)) < 0.5).astype(np.uint8)
    program = TrueNorthProgram(network)
    assert_same(program.run(given, engine="reference"), program.run(given), "engine and reference")


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("reset", [TO_VALUE, SUBTRACT])
def test_potentials_leave_16_bits_and_come_back(sign: int, reset: int) -> None:
    """One neuron walks beyond 32,767 on its leak, and its threshold brings it back; in a run and in a session."""
    far = {"start": sign * 31_000, "leak": sign * 255, "threshold": 33_000, "floor": 33_000, "reset": reset}
    network = _neuron(weight=[sign, sign, 0, 0], **far)
    program, steps = TrueNorthProgram(network), [[1, 0]] * 20
    session = program.session()
    spikes, potentials = _course(network, steps)
    assert max(abs(v) for v in potentials) > 32_767
    assert abs(potentials[-1]) < 10_000
    seen: list[int] = []
    for step in steps:
        assert session.step(np.array(step, np.uint8)).tolist() == [spikes[len(seen)]]
        states = session.state()
        assert states is not None
        seen.append(int(states["n"]["v"][0, 0]))
    assert seen == potentials
    trace = program.run(np.array([steps], np.uint8))
    assert int(trace.states["n"]["v"][0, 0]) == potentials[-1]


@pytest.mark.parametrize("weight", [1, 127, 128, 255])
def test_all_axons_of_a_core_at_once(weight: int) -> None:
    """256 rows of one type, more than a byte counts, and sums at the ends of 16 bits and beyond."""
    cores, lines = empty_cores(1), 256
    cores.sizes[:] = 256
    cores.crossbar[:] = 255
    cores.weight[..., 0] = weight * np.where(np.arange(256) % 2, 1, -1)
    cores.threshold[:] = cores.floor[:] = 2**18 - 1
    each = np.arange(lines, dtype=np.int32)
    network = CoreNetwork((lines,), cores, (Layer("n", (256,), 0, 1, each),), each, each, np.zeros(lines, np.uint8))
    program, given = TrueNorthProgram(network), np.ones((1, 3, lines), np.uint8)
    trace = program.run(given)
    assert trace.states["n"]["v"][0, 1] == 3 * 256 * weight
    assert_same(program.run(given, engine="reference"), trace, "engine and reference")


def _from(trace: Trace, start: int) -> Trace:
    spikes = {name: array[:, start:] for name, array in trace.spikes.items()}
    return replace(trace, spikes=spikes, output=trace.output[:, start:], counts={})


def test_the_drawn_programs_prove_something() -> None:
    """They fire, and potentials reach their ends."""
    traces = [
        TrueNorthProgram(network).run(draw_frames(network, seed, 2, 5))
        for seed in range(6)
        for network in (draw_program(seed), draw_program(seed, large=True))
    ]
    assert all(sum(count.spikes for count in trace.counts.values()) for trace in traces)
    network = _neuron(weight=[255] * 4, threshold=2**18 - 1, leak=255, floor=2**18 - 1)
    network.cores.start[0, 0] = HIGH
    assert TrueNorthProgram(network).run(np.ones((1, 2, 2), np.uint8)).counts["n"].saturations


def _neuron(**values: Any) -> CoreNetwork:
    """One neuron on one core, fed by lines on axons of type 0, 1, ..."""
    cores, lines = empty_cores(1), 2
    cores.sizes[:] = 1
    cores.crossbar[0, :lines, 0] = 1
    cores.axon_type[0, :lines] = np.arange(lines)
    cores.threshold[:] = 10
    cores.floor[:] = 10
    for name, value in values.items():
        getattr(cores, name)[0, 0] = value
    layer = Layer("n", (1,), 0, 1, np.zeros(1, np.int32))
    each = np.arange(lines, dtype=np.int32)
    return CoreNetwork((lines,), cores, (layer,), each, each, np.zeros(lines, np.uint8))


def _course(network: CoreNetwork, steps: list[list[int]]) -> tuple[list[int], list[int]]:
    """Spikes and potentials, tick by tick."""
    program, states = TrueNorthProgram(network), None
    spikes, potentials = [], []
    for step in steps:
        trace = program.run(np.array([[step]], np.uint8), engine="reference", states=states)
        states = trace.states
        spikes.append(int(trace.output[0, 0, 0]))
        potentials.append(int(trace.states["n"]["v"][0, 0]))
    return spikes, potentials


def test_the_published_equations_worked_by_hand() -> None:
    """Cassidy et al. 2013: thresholds, resets, negative threshold and leak, one after another."""
    up, down, none = [1, 0], [0, 1], [0, 0]
    weight = [7, -8, 0, 0]
    assert _course(_neuron(weight=weight, reset=SUBTRACT), [up, up, none]) == ([0, 1, 0], [7, 4, 4])
    assert _course(_neuron(weight=weight, reset=TO_VALUE, reset_value=3), [up, up, none]) == ([0, 1, 0], [7, 3, 3])
    assert _course(_neuron(weight=weight, reset=KEEP), [up, up, none]) == ([0, 1, 1], [7, 14, 14])
    assert _course(_neuron(weight=weight, reset=TO_VALUE, saturate=1), [down, down]) == ([0, 0], [-8, -10])
    assert _course(_neuron(weight=weight, reset=TO_VALUE, reset_value=3), [down, down]) == ([0, 0], [-8, -3])
    assert _course(_neuron(weight=weight, reset=SUBTRACT), [down, down]) == ([0, 0], [-8, -6])
    assert _course(_neuron(weight=weight, reset=KEEP), [down, down]) == ([0, 0], [-8, -16])
    assert _course(_neuron(weight=weight, leak=-2), [up, none, none]) == ([0, 0, 0], [5, 3, 1])
    turning = _neuron(weight=weight, leak=-2, leak_reversal=1)
    assert _course(turning, [down, none, none, [1, 1]]) == ([0, 0, 0, 0], [-6, -4, -2, -1])


def test_chance_is_as_large_as_the_weight() -> None:
    """Of weights of 63 and leaks of -127: a sign added in 64 and 128 of 256 ticks (statistical); noise under a mask."""
    chance = _neuron(weight=[63, 0, 0, 0], stochastic_weight=[1, 0, 0, 0], threshold=2**18 - 1, floor=2**18 - 1)
    _, potentials = _course(chance, [[1, 0]] * 600)
    assert abs(potentials[-1] - 150) < 45
    leaking = _neuron(leak=-127, stochastic_leak=1, threshold=2**18 - 1, floor=2**18 - 1)
    _, potentials = _course(leaking, [[0, 0]] * 600)
    assert abs(potentials[-1] + 300) < 55
    noisy = _neuron(weight=[10, 0, 0, 0], threshold=0, threshold_mask=15, reset=TO_VALUE)
    spikes, _ = _course(noisy, [[1, 0]] * 300)
    assert 0.5 < np.mean(spikes) < 1


def test_a_spike_takes_its_delay() -> None:
    """From an output back to an axon of its own core, 1 to 15 ticks."""
    for delay in (1, 2, 15):
        network = _neuron(weight=[10, 10, 0, 0], reset=TO_VALUE, delay=delay)
        network.cores.target[0, 0] = 1
        spikes, _ = _course(network, [[1, 0]] + [[0, 0]] * 31)
        assert np.flatnonzero(spikes).tolist() == list(range(0, 32, delay))


def test_a_line_carries_one_bit_a_tick() -> None:
    """A count above 1 is 1, and the trace says what was lost."""
    network = _neuron(weight=[4, 0, 0, 0])
    trace = TrueNorthProgram(network).run(np.array([[[3, 0], [1, 0]]], np.uint8))
    assert trace.states["n"]["v"][0, 0] == 8
    assert sum(trace.incidents.values()) == 2


@ranc
@pytest.mark.parametrize("seed", range(12))
def test_ranc_gives_every_spike_and_potential_of_drawn_programs(seed: int) -> None:
    """Agreement: exact, wherever RANC has the same neuron."""
    network = draw_program(seed, for_ranc=True)
    program, given = TrueNorthProgram(network), draw_frames(network, seed, 2, 8)
    mine, theirs = program.run(given), program.run_on("ranc", given)
    assert not theirs.unseen
    counts = {name: TrueNorthCounts(count.spikes, 0, 0) for name, count in mine.counts.items()}
    assert_same(replace(mine, counts=counts, incidents={}), theirs, "RANC and the engine")


@ranc
@pytest.mark.parametrize("seed", range(40))
def test_ranc_gives_every_spike_and_potential_of_lowered_networks(seed: int) -> None:
    """Agreement: exact; of networks without a lower bound of potentials, which RANC has not."""
    network = draw(seed, bounded=False)
    program = get("truenorth").lower(network)
    given = frames(network, seed, 2, 10)
    if isinstance(program, TrueNorthProgram) and program.network.input_delay.any():
        with pytest.raises(UnsupportedError, match="later"):
            program.run_on("ranc", given)
        return
    mine, theirs = program.run(given), program.run_on("ranc", given)
    for name, spikes in mine.spikes.items():
        assert np.array_equal(theirs.spikes[name], spikes), name
        for variable, value in mine.states[name].items():
            assert np.array_equal(theirs.states[name][variable], value), (name, variable)


@ranc
def test_of_large_programs_ranc_shows_the_output_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its log would not end: the layers before are unseen, not zero."""
    from i2e_deploy.chips.truenorth.targets import ranc as target

    monkeypatch.setattr(target, "MOST_LOGGED", 0)
    network = small()
    program, given = get("truenorth").lower(network), frames(network, 0, 1, 6)
    trace = program.run_on("ranc", given)
    assert trace.unseen
    assert np.array_equal(trace.output, program.run(given).output)


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"stochastic_leak": 1}, "random"),
        ({"leak_reversal": 1}, "sign"),
        ({"reset": KEEP}, "keep"),
        ({"saturate": 1}, "min_v"),
    ],
)
def test_what_ranc_computes_otherwise_is_refused(values: dict[str, object], named: str) -> None:
    program = TrueNorthProgram(_neuron(**values))
    with pytest.raises(UnsupportedError, match=named):
        program.run_on("ranc", np.ones((1, 2, 2), np.uint8))
    assert get("truenorth").native_files(program, ()) == {}


def test_a_missing_simulator_says_how_to_build_it(monkeypatch: pytest.MonkeyPatch) -> None:
    program, given = TrueNorthProgram(_neuron()), np.ones((1, 2, 2), np.uint8)
    monkeypatch.delenv("RANC_SIM", raising=False)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(MissingDependency, match=r"needs the program.*cmake"):
        program.run_on("ranc", given)
    monkeypatch.setenv("RANC_SIM", "/nowhere")
    with pytest.raises(InputError, match="RANC_SIM"):
        program.run_on("ranc", given)


def test_states_that_no_run_gives_are_refused() -> None:
    program = TrueNorthProgram(draw_program(0, stochastic=True))
    given = draw_frames(program.network, 0, 1, 2)
    states = program.run(given).states
    name = next(n for n, own in states.items() if "random" in own)
    broken = {**states, name: {**states[name], "random": states[name]["random"] * 0}}
    for engine in ("fast", "reference"):
        with pytest.raises(InputError, match="no run gives"):
            program.run(given, engine=engine, states=broken)


def test_neurons_that_go_nowhere_reach_no_axon() -> None:
    network = _neuron(weight=[10, 10, 10, 10])
    assert network.cores.target[0, 0] == NOWHERE
    assert "in_flight" not in network.state_shapes()["n"]
