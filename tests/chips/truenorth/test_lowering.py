"""Networks whose weights the chip has: every spike of every layer is the float network's."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from truenorth_networks import draw, frames, many_cores, one_layer, whole

from i2e_deploy.chips import CheckReport, LowerOptions, Program, get
from i2e_deploy.chips.abilities import ChecksStates, require
from i2e_deploy.chips.truenorth import TrueNorthProgram
from i2e_deploy.errors import UnsupportedError
from i2e_deploy.network import (
    Add,
    Conv2d,
    Delay,
    Flatten,
    IntegrateAndFire,
    Layer,
    LeakyIntegrateAndFire,
    Linear,
    Network,
    Pool2d,
    chain,
)
from i2e_deploy.runtime.float_target import run_float


@pytest.mark.parametrize("seed", range(40))
def test_representable_networks_send_the_spikes_of_the_float_network(seed: int) -> None:
    """Agreement: exact, a tick later a layer."""
    network = draw(seed)
    report = get("truenorth").check(network)
    program = get("truenorth").lower(network)
    given = frames(network, seed, 3, 20)
    trace, wanted = program.run(given), run_float(network, program, given)
    assert [f for f in report.findings if f.rule == "loss" and "nothing" in str(f.value)], report
    for name, spikes in wanted.spikes.items():
        assert np.array_equal(trace.spikes[name], spikes), name
    assert np.array_equal(trace.output, wanted.output)
    assert np.array_equal(trace.read if trace.read is not None else trace.output,
                          wanted.read if wanted.read is not None else wanted.output)  # fmt: skip


def check_of(network: Network, **options: bool) -> CheckReport:
    return get("truenorth").check(network, LowerOptions(**options))  # type: ignore[arg-type]


def floats(values: object) -> NDArray[np.float32]:
    return np.array(values, np.float32)


def same_spikes(network: Network, program: Program, given: NDArray[np.uint8]) -> bool:
    trace, wanted = program.run(given), run_float(network, program, given)
    return all(np.array_equal(trace.spikes[name], spikes) for name, spikes in wanted.spikes.items())


def test_the_drawn_networks_prove_something() -> None:
    """Every kind of neuron and weight is among them, and their layers fire."""
    ops = [layer.op for seed in range(40) for layer in draw(seed).layers]
    neurons = [op for op in ops if isinstance(op, IntegrateAndFire)]
    assert {(op.reset, op.min_v is None) for op in neurons} == {
        ("subtract", True), ("subtract", False), ("zero", True), ("zero", False)
    }  # fmt: skip
    assert {Conv2d, Linear, Pool2d, Flatten, IntegrateAndFire, Add} <= {type(op) for op in ops}
    assert any(isinstance(op, Conv2d) and op.groups > 1 for op in ops)
    traces = [get("truenorth").lower(n).run(frames(n, s, 3, 20)) for s, n in ((s, draw(s)) for s in range(40))]
    layers = [spikes for trace in traces for spikes in trace.spikes.values()]
    assert np.mean([spikes.any() for spikes in layers]) > 0.8


@pytest.mark.parametrize("level", [1, 3, 7])
def test_an_input_takes_an_axon_a_digit(level: int) -> None:
    """-level to level in one, two or three positive digits and a negative one: no neuron sees more axons than 256."""
    weight = np.arange(-level, level + 1, dtype=np.float32)[None].repeat(3, axis=0)
    network = one_layer(weight)
    program = get("truenorth").lower(network)
    slot = check_of(network).placement[0]
    assert slot.used["axons"] == sum(
        bin(n if n >= 0 else n + level).count("1") + (n < 0) for n in weight[0].astype(int)
    )
    given = np.eye(2 * level + 1, dtype=np.uint8)[:, None]
    v = program.run(given).states["fc"]["v"][:, 0]
    assert v.tolist() == [min(n, n - 1) if n >= 1 else n for n in range(-level, level + 1)]


def test_neurons_are_copied_for_every_axon_that_they_drive() -> None:
    """One destination a neuron: a layer of 300 neurons spreads over two cores, and so does what feeds it, twice."""
    rng = np.random.default_rng(0)
    neuron = IntegrateAndFire(1.0, None, 1)
    network = chain((20,), {
        "a": Linear(whole(rng, (30, 20), 1, 1.0)), "na": neuron,
        "b": Linear(np.ones((300, 30), np.float32)), "nb": IntegrateAndFire(4.0, None, 1),
    })  # fmt: skip
    program = get("truenorth").lower(network)
    assert isinstance(program, TrueNorthProgram)
    first, second = program.network.layers
    assert second.last - second.first == 2
    assert program.network.cores.sizes[first.first : first.last].sum() == 60
    given = frames(network, 0, 2, 15)
    assert same_spikes(network, program, given)
    counts = program.run(given).counts["a"]
    assert counts.sent == 2 * counts.spikes > 0  # type: ignore[attr-defined]


def wide(inputs: int, level: int, unit: float, seed: int = 0, threshold: float = 3.0) -> Network:
    rng = np.random.default_rng(seed)
    return one_layer(whole(rng, (4, inputs), level, unit), IntegrateAndFire(threshold, None, 1))


def test_too_many_inputs_are_refused_with_the_way_out() -> None:
    network = wide(600, 1, 1.0)
    (finding,) = check_of(network).errors
    assert (finding.rule, finding.layer, finding.limit) == ("axons", "fc", 256)
    assert "--split" in finding.fix
    with pytest.raises(UnsupportedError, match="--split"):
        get("truenorth").lower(network)


@pytest.mark.parametrize("seed", range(6))
def test_sums_in_parts_are_exact_where_no_part_is_beyond_its_reach(seed: int) -> None:
    """Agreement: exact on input where few lines fire; the check says how far parts reach."""
    network = wide(600, 1, 1.0, seed)
    options = LowerOptions(split=True)
    program, report = get("truenorth").lower(network, options), get("truenorth").check(network, options)
    (said,) = [finding for finding in report.findings if finding.rule == "sums in parts"]
    assert "from -64 to 64" in str(said.value) or "from -42 to 42" in str(said.value), said
    assert said.severity == "warning"
    assert program.latencies == {"fc": 1}
    rng = np.random.default_rng(seed)
    given = (rng.random((3, 20, 600)) < 0.1).astype(np.uint8)
    assert same_spikes(network, program, given)
    assert program.run(given).output.any()


def test_sums_in_parts_are_held_at_their_reach() -> None:
    """What is beyond is lost, and `check --input` says so."""
    weight = np.ones((2, 600), np.float32)
    network = one_layer(weight, IntegrateAndFire(500.0, None, 1))
    options = LowerOptions(split=True)
    chip = get("truenorth")
    program = chip.lower(network, options)
    given = np.ones((1, 6, 600), np.uint8)
    assert not same_spikes(network, program, given)
    findings = require(chip, ChecksStates, "").findings_on(network, given, options, program)
    assert [f for f in findings if f.rule == "spikes" and f.severity == "warning"]


def test_sums_in_parts_that_can_be_no_larger_are_exact() -> None:
    """Few large weights among small ones: parts of up to 42 need no more neurons than there are axons."""
    weight = np.zeros((2, 300), np.float32)
    weight[:, ::2], weight[:, 1::4] = 7, -7  # three axons a weight of 7, one of -7
    weight[:, 60:] = np.where(weight[:, 60:] > 0, 1, 0)
    network = one_layer(weight, IntegrateAndFire(20.0, None, 1))
    assert check_of(network).fits
    report = check_of(one_layer(np.ones((2, 257), np.float32), IntegrateAndFire(20.0, None, 1)), split=True)
    (said,) = [finding for finding in report.findings if finding.rule == "sums in parts"]
    assert "can be 256" in str(said.value)


@pytest.mark.parametrize("seed", range(5))
def test_what_float_weights_lose_is_said_by_layer(seed: int) -> None:
    """Rounded to -7..7 of a unit a neuron, and the threshold with it; spikes are near the float network's."""
    rng = np.random.default_rng(seed)
    network = one_layer(rng.normal(0, 1, (20, 50)).astype(np.float32), IntegrateAndFire(2.0, None, 1))
    (said,) = [finding for finding in check_of(network).findings if finding.rule == "loss"]
    assert "weights of -7 to 7, 0 of 20 neurons whole" in str(said.value)
    error = float(str(said.value).split("of weights ")[1].split(" %")[0])
    assert 1 < error < 20
    program, given = get("truenorth").lower(network), frames(network, seed, 4, 30)
    trace, wanted = program.run(given), run_float(network, program, given)
    assert abs(trace.output.sum() / wanted.output.sum() - 1) < 0.15


def test_float32_rounding_is_not_called_exact() -> None:
    """Units of 0.1: whole, but the float network's sums are rounded."""
    network = one_layer(floats([[0.1, 0.2, 0.3], [0.25, 0.5, 0.75]]), IntegrateAndFire(1.0, None, 1))
    (said,) = [finding for finding in check_of(network).findings if finding.rule == "loss"]
    assert "rounding in 1 of 2 neurons" in str(said.value)


def test_several_spikes_in_a_step_only_where_asked_for() -> None:
    """`standard_neurons`: one a tick, the rest later, and a warning."""
    network = one_layer(floats([[3.0]]), IntegrateAndFire(1.0, None))
    with pytest.raises(UnsupportedError, match="max_spikes=1"):
        get("truenorth").lower(network)
    report = check_of(network, standard_neurons=True)
    assert [finding.rule for finding in report.warnings] == ["one spike a tick"]
    program = get("truenorth").lower(network, LowerOptions(standard_neurons=True))
    assert program.run(np.array([[[1], [0], [0], [0]]], np.uint8)).output[0, :, 0].tolist() == [1, 1, 1, 0]


def test_leaky_neurons_that_do_not_leak_are_taken() -> None:
    """Gain and bias with them."""
    one = floats([1.0])
    neuron = LeakyIntegrateAndFire(one, floats([2.0]), floats([0.5]), floats([0.25]))
    network = one_layer(floats([[1.0, 2.0, -1.0]]), neuron)
    program, given = get("truenorth").lower(network), frames(network, 0, 3, 30)
    assert program.run(given).output.any()
    assert same_spikes(network, program, given)


@pytest.mark.parametrize("bias", [0.5, -0.25])
def test_a_bias_runs_before_the_first_step_and_is_made_up_for(bias: float) -> None:
    """Potentials start as far below as the leak brings them up while the layers before have sent nothing yet."""
    neuron, one = IntegrateAndFire(4.0, None, 1), np.eye(3, dtype=np.float32)
    biased = Linear(one * 4, np.full(3, bias, np.float32))
    network = chain(
        (3,), {"a": Linear(one * 4), "na": neuron, "b": Linear(one * 4), "nb": neuron, "c": biased, "nc": neuron}
    )
    program, given = get("truenorth").lower(network), frames(network, 1, 2, 25)
    assert same_spikes(network, program, given)
    assert program.network.cores.start.any()  # type: ignore[attr-defined]


def test_a_bias_that_would_fire_before_the_first_step_is_refused() -> None:
    neuron, one = IntegrateAndFire(1.0, None, 1), np.eye(3, dtype=np.float32)
    down = Linear(one, np.full(3, -2, np.float32))
    ops = {"a": Linear(one), "na": neuron, "b": Linear(one), "nb": neuron, "c": down, "nc": neuron}
    (finding,) = check_of(chain((3,), ops)).errors
    assert (finding.rule, finding.layer) == ("warm-up", "c")


def test_delays_of_whole_layers_are_delays_of_spikes() -> None:
    neuron, one = IntegrateAndFire(1.0, None, 1), Linear(np.eye(4, dtype=np.float32))
    network = chain((4,), {"a": one, "na": neuron, "late": Delay(floats([3])), "b": one, "nb": neuron})
    program, given = get("truenorth").lower(network), frames(network, 0, 2, 20)
    assert same_spikes(network, program, given)
    far = chain((4,), {"a": one, "na": neuron, "late": Delay(floats([99])), "b": one, "nb": neuron})
    assert [(finding.rule, finding.value) for finding in check_of(far).errors] == [("delay", 99)]


def test_a_spike_that_must_wait_too_long_is_refused() -> None:
    """Round 16 layers: 17 ticks, the chip has 15."""
    neuron, one = IntegrateAndFire(1.0, None, 1), Linear(np.eye(4, dtype=np.float32))
    layers, last = [Layer("a", one, ("input",)), Layer("na", neuron, ("a",))], "na"
    for i in range(16):
        layers += [Layer(f"b{i}", one, (last,)), Layer(f"n{i}", neuron, (f"b{i}",))]
        last = f"n{i}"
    layers += [Layer("sum", Add(), (last, "na")), Layer("out", neuron, ("sum",))]
    (finding,) = check_of(Network((4,), tuple(layers))).errors
    assert (finding.rule, finding.value, finding.limit) == ("delay", 17, 15)


def test_loops_are_refused_by_name() -> None:
    neuron, one = IntegrateAndFire(1.0, None, 1), Linear(np.eye(4, dtype=np.float32))
    layers = (
        Layer("back", Delay(floats([1]), (4,)), ("n",)), Layer("w", one, ("input",)),
        Layer("sum", Add(), ("w", "back")), Layer("n", neuron, ("sum",)), Layer("last", one, ("n",)),
        Layer("out", neuron, ("last",)),
    )  # fmt: skip
    with pytest.raises(UnsupportedError, match=r"'back' closes a loop"):
        get("truenorth").lower(Network((4,), layers))


@pytest.mark.slow
def test_a_network_larger_than_the_chip_is_a_finding() -> None:
    """5,000 cores and more: the check says so, and what else has so many."""
    report = check_of(many_cores())
    (finding,) = report.errors
    assert (finding.rule, finding.limit) == ("cores", 4096)
    assert not report.placement
    assert any("NS16e" in finding.rule for finding in report.findings)


def test_no_core_holds_more_than_it_has() -> None:
    """Every axon is driven once, every neuron once."""
    for seed in range(20):
        program = get("truenorth").lower(draw(seed))
        assert isinstance(program, TrueNorthProgram)
        cores = program.network.cores
        sent = cores.target[cores.target >= 0]
        driven = np.concatenate([sent, program.network.input_axon])
        assert len(np.unique(driven)) == len(driven)
        assert (cores.sizes <= 256).all()
