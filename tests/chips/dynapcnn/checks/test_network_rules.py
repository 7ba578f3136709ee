"""Rules of the network as a whole, and placement by preference and by load."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from i2e_deploy.chips import CheckReport, Finding
from i2e_deploy.chips.dynapcnn import DynapcnnChip
from i2e_deploy.chips.dynapcnn.checks.activity import Activity, measure
from i2e_deploy.chips.dynapcnn.checks.examine import Asked
from i2e_deploy.chips.dynapcnn.checks.placement import place, rate_of
from i2e_deploy.chips.dynapcnn.lowering.stages import arrange, words
from i2e_deploy.chips.dynapcnn.peripherals import Readout
from i2e_deploy.chips.profile import load_profile
from i2e_deploy.network import Conv2d, IntegrateAndFire, Layer, Network, Op, Pool2d, Sensor, chain
from i2e_deploy.network.op import Array

NEURON, PROFILE, CHIP = IntegrateAndFire(1.0, -1.0), load_profile("speck2f"), DynapcnnChip("speck2f")


def weights(*shape: int) -> Array:
    return np.random.default_rng(0).normal(0.1, 0.3, shape).astype(np.float32)


def after_sensor(sensor: Sensor, size: tuple[int, int] = (64, 64), stride: int = 4) -> Network:
    shape = sensor.shape((2, *size))
    conv = Conv2d(weights(4, shape[0], 3, 3), stride=(stride, stride))
    return chain((2, *size), {"sensor": sensor, "conv": conv, "n": NEURON})


def found(report: CheckReport, rule: str) -> list[Finding]:
    return [finding for finding in report.findings if finding.rule == rule]


def test_a_sensor_is_checked_and_fits() -> None:
    report = CHIP.check(after_sensor(Sensor((2, 4), flip_x=True), (128, 128), 1))
    assert report.fits
    assert [f.value for f in report.findings if f.rule.startswith("sensor")] == [128, 2, 4]


@pytest.mark.parametrize(
    ("sensor", "size", "rule", "fix"),
    [
        (Sensor((2, 2)), (160, 128), "sensor size", "so many pixels"),
        (Sensor((3, 1)), (64, 64), "sensor pooling vertical", "pool by 1, 2 or 4"),
        (Sensor((1, 8)), (64, 64), "sensor pooling horizontal", "pool by 1, 2 or 4"),
    ],
)
def test_limits_of_the_sensor(sensor: Sensor, size: tuple[int, int], rule: str, fix: str) -> None:
    (error,) = CHIP.check(after_sensor(sensor, size)).errors
    assert error.rule == rule
    assert fix in error.fix


def test_a_sensor_feeds_two_layers_at_most() -> None:
    layers = [Layer("sensor", Sensor(), ("input",))]
    for name in "abc":
        layers += [Layer(name, Conv2d(weights(1, 2, 1, 1)), ("sensor",)), Layer(f"{name}n", NEURON, (name,))]
    report = CHIP.check(Network((2, 8, 8), tuple(layers)))
    assert [error.rule for error in report.errors] == ["input destinations"]


def test_monitored_spikes_are_not_pooled() -> None:
    net = chain((2, 8, 8), {"c": Conv2d(weights(2, 2, 3, 3)), "n": NEURON, "p": Pool2d((2, 2), "sum")})
    (info,) = found(CHIP.check(net), "monitored pooling")
    assert info.severity == "info"
    assert "on the host" in info.fix


@pytest.mark.parametrize("classes", [15, 16])
def test_outputs_are_held_against_the_readouts_classes(classes: int) -> None:
    net = chain((2, 4, 4), {"c": Conv2d(weights(classes, 2, 4, 4)), "n": NEURON})
    (info,) = found(CHIP.check(net), "readout classes")
    assert (info.severity, info.value, info.limit) == ("info", classes, "15")
    assert "channel 4" in info.fix.lower()


def test_a_single_neuron_keeps_away_from_parallel_cores() -> None:
    """Cores 0 and 1: the vendor's own single-neuron test leaves them out."""
    net = chain((2, 4, 4), {"c": Conv2d(weights(1, 2, 4, 4)), "n": NEURON})
    report = CHIP.check(net)
    assert report.placement[0].core not in (0, 1)
    assert not found(report, "single neuron on a parallel core")
    program = CHIP.lower(net)
    able = CHIP.check_asked(net, Asked(False, program, Activity({"c": 1e7}, 1000)))
    assert able.placement[0].core not in (0, 1)
    forced = CHIP.check_asked(net, Asked(False, program, Activity({"c": 5e7}, 1000)))  # more than another core can do
    assert forced.placement[0].core in (0, 1)
    assert found(forced, "single neuron on a parallel core")[0].severity == "warning"


def deep(layers: int = 4) -> Network:
    ops: dict[str, Op] = {}
    for i in range(layers):
        ops |= {f"c{i}": Conv2d(weights(2, 2, 3, 3), padding=(1, 1)), f"n{i}": NEURON}
    return chain((2, 8, 8), ops)


def test_the_input_layer_prefers_a_parallel_core() -> None:
    report = CHIP.check(deep())
    assert [slot.core in (0, 1) for slot in report.placement] == [True, False, False, False]
    assert found(report, "input layer's core")[0].severity == "ok"
    assert not found(report, "synaptic operations")  # nobody measured


@pytest.mark.parametrize(
    ("load", "parallel"),
    [
        ({"c0": 1e6, "c1": 2e7, "c2": 3e7, "c3": 3e7}, {"c0", "c2"}),  # every core can do it: the input layer first
        ({"c0": 1e6, "c1": 2e7, "c2": 9e7, "c3": 2e7}, {"c0", "c2"}),  # c2 needs one, the input layer has the other
        ({"c0": 1e6, "c1": 2e7, "c2": 9e7, "c3": 4e7}, {"c2", "c3"}),  # both are needed: no core above its rate
        ({"c0": 1e6, "c1": 9e7, "c2": 9e7, "c3": 9e7}, {"c0"}),  # three fold in any case: then the preference
    ],
)
def test_limits_come_before_the_preference_and_that_before_the_total(
    load: dict[str, float], parallel: set[str]
) -> None:
    slots, _ = place(CHIP.lower(deep()).layers, PROFILE, load)
    assert {slot.layer for slot in slots if slot.core in (0, 1)} >= parallel


def test_by_load_the_busiest_layers_get_the_parallel_cores() -> None:
    program = CHIP.lower(deep())
    load = {"c0": 1e6, "c1": 5e6, "c2": 9e7, "c3": 4e7}
    report = CHIP.check_asked(deep(), Asked(False, program, Activity(load, 1000)))
    cores = {slot.layer: slot.core for slot in report.placement}
    assert {cores["c2"], cores["c3"]} == {0, 1}
    assert [f.severity for f in found(report, "synaptic operations")] == ["ok"] * 4
    assert found(report, "input layer's core")[0].severity == "info"
    heavy = CHIP.check_asked(deep(), Asked(False, program, Activity({**load, "c2": 2e8, "c1": 4e7, "c0": 5e7}, 1000)))
    slow = [f for f in found(heavy, "synaptic operations") if f.severity == "warning"]
    assert {f.layer for f in slow} >= {"c2"}
    assert len(slow) == 3
    assert all("stalls" in f.fix and "unverified" in f.source for f in slow)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(1, 60_000), st.integers(1, 60_000), st.integers(0, 3 * 10**8), st.booleans()),
        min_size=1, max_size=4,
    )
)  # fmt: skip
def test_placement_by_load_is_the_best_of_all(sizes: list[tuple[int, int, int, bool]]) -> None:
    """Against every assignment: largest load above 1, preferences not met, then work, whose sums may round apart."""
    (made,), _ = arrange(chain((1, 1, 1), {"c": Conv2d(np.ones((1, 1, 1, 1), np.float32)), "n": NEURON}))
    (source,) = made.sources
    stages = [
        replace(
            made, name=f"s{i}", weight=np.ones((1, k, 1, 1), np.float32), output_shape=(1, 1, n),
            sources=(replace(source, layer="input" if first else "before"),),
        )
        for i, (k, n, _, first) in enumerate(sizes)
    ]  # fmt: skip
    loads = {f"s{i}": float(load) for i, (_, _, load, _) in enumerate(sizes)}

    def key(cores: Any) -> tuple[float, int, float]:
        shares = [loads[s.name] / rate_of(core, PROFILE) for s, core in zip(stages, cores, strict=True)]
        unmet = sum(s.sources[0].layer == "input" and not core.parallel for s, core in zip(stages, cores, strict=True))
        unmet += sum(2 * core.parallel for s, core in zip(stages, cores, strict=True) if s.output_shape == (1, 1, 1))
        return max(1.0, *shares), unmet, sum(shares)

    needs = [words(stage) for stage in stages]
    keys = [
        key(cores)
        for cores in permutations(PROFILE.cores, len(stages))
        if all(need[kind] <= core.memory[kind] for need, core in zip(needs, cores, strict=True) for kind in need)
    ]
    slots, _ = place(stages, PROFILE, loads)
    assert bool(slots) is bool(keys)
    if slots:
        by_index = {core.index: core for core in PROFILE.cores}
        got, best = key([by_index[slot.core] for slot in slots]), min(keys)
        assert got[:2] == best[:2]
        assert got[2] == pytest.approx(best[2])


def test_a_bias_asks_for_a_clock_that_can_follow() -> None:
    net = chain((2, 8, 8), {"c": Conv2d(weights(2, 2, 3, 3), np.full(2, 0.1, np.float32)), "n": NEURON})
    program = CHIP.lower(net)
    for step_us, severity in ((1000, "ok"), (50, "warning"), (200_000, "warning")):
        report = CHIP.check_asked(net, Asked(False, program, Activity({"c": 1.0}, step_us)))
        assert found(report, "slow clock for the bias")[-1].severity == severity
    quiet = Activity({"c0": 1.0}, 50)
    assert not found(CHIP.check_asked(deep(1), Asked(False, CHIP.lower(deep(1)), quiet)), "slow clock for the bias")


def test_activity_is_what_the_run_counts() -> None:
    program = CHIP.lower(deep(2))
    frames = (np.random.default_rng(0).random((3, 5, 2, 8, 8)) < 0.3).astype(np.int64)
    activity = measure(program, frames, 2000)
    counts = program.run(frames, "event").counts
    assert activity.synops == {name: pytest.approx(c.synops / (3 * 5 * 2e-3)) for name, c in counts.items()}


def test_a_readout_is_checked_with_its_spread_channels() -> None:
    net = chain((2, 4, 4), {"c": Conv2d(weights(15, 2, 4, 4)), "n": NEURON})
    program = CHIP.lower(net).with_readout(Readout(1))
    report = CHIP.check(net, program=program)
    assert found(report, "output features")[0].value == 57
    assert report.placement[0].used["kernel"] == 2 * 16 * 64
    assert report.fits


def ending(*pools: tuple[str, Pool2d]) -> Network:
    conv = Conv2d(weights(4, 2, 3, 3), padding=(1, 1))
    return chain((2, 8, 8), {"conv": conv, "n": NEURON, **dict(pools)})


def test_average_pooling_at_the_end_gives_sums_and_the_check_says_so() -> None:
    """The output is the average of the float run, times the pixels of a window, when the layers before agree."""
    network = ending(("a", Pool2d((2, 2))), ("b", Pool2d((2, 1))))
    (warning,) = found(CHIP.check(network), "average at the output")
    assert (warning.layer, warning.value, warning.severity) == ("n", 8, "warning")
    assert "divide what leaves the chip by 8" in warning.fix
    frames = np.random.default_rng(0).poisson(0.5, (2, 5, 2, 8, 8))
    sums = CHIP.lower(ending(("a", Pool2d((4, 2), "sum")))).run(frames).output
    assert sums.any()
    np.testing.assert_array_equal(CHIP.lower(network).run(frames).output, sums)
    for silent in (ending(("a", Pool2d((4, 2), "sum"))), ending()):
        assert not found(CHIP.check(silent), "average at the output")
    inside = chain((2, 8, 8), {
        "conv": Conv2d(weights(4, 2, 3, 3)), "n": NEURON, "a": Pool2d((2, 2)),
        "last": Conv2d(weights(3, 4, 3, 3)), "m": NEURON,
    })  # fmt: skip
    assert not found(CHIP.check(inside), "average at the output")
