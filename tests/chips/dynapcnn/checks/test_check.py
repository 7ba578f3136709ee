"""Every rule finds what it is for, names it, and says how to mend it; placement is a real matching."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from networks import single_neuron

from i2e_deploy.chips import CheckReport, get
from i2e_deploy.chips.dynapcnn.checks.placement import place
from i2e_deploy.chips.dynapcnn.lowering.stages import Stage, arrange, words
from i2e_deploy.chips.profile import load_profile
from i2e_deploy.errors import CheckFailed, UnsupportedError
from i2e_deploy.network import Add, Conv2d, Flatten, IntegrateAndFire, Layer, Linear, Network, Op, Pool2d, chain
from i2e_deploy.network.op import Array, Shape

NEURON = IntegrateAndFire(1.0, -1.0)


def weights(*shape: int) -> Array:
    return np.random.default_rng(0).normal(0.1, 0.3, shape).astype(np.float32)


def one_layer(shape: Shape, conv: Conv2d, neuron: IntegrateAndFire = NEURON) -> Network:
    return chain(shape, {"conv": conv, "neuron": neuron})


def errors(network: Network) -> dict[str, str]:
    report = get("speck2f").check(network)
    assert report.fits is not bool(report.errors)
    return {finding.rule: finding.fix for finding in report.errors}


FINE = one_layer((2, 32, 32), Conv2d(weights(4, 2, 3, 3), stride=(2, 2), padding=(1, 1)))


def test_a_good_network_fits_and_every_rule_speaks_about_every_layer() -> None:
    report = get("speck2f").check(FINE)
    assert report.fits
    assert not report.warnings
    assert [(slot.layer, slot.core) for slot in report.placement] == [("conv", 0)]
    assert len({finding.rule for finding in report.findings if finding.layer == "conv"}) >= 18
    assert all(finding.source for finding in report.findings)
    report.raise_if_unfit()


@pytest.mark.parametrize(
    ("network", "rule", "fix"),
    [
        (one_layer((2, 130, 32), Conv2d(weights(1, 2, 3, 3), stride=(4, 4))), "input height", "crop"),
        (one_layer((2, 32, 130), Conv2d(weights(1, 2, 3, 3), stride=(4, 4))), "input width", "crop"),
        (one_layer((2, 100, 32), Conv2d(weights(1, 2, 3, 3))), "output height", "stride"),
        (one_layer((2, 32, 100), Conv2d(weights(1, 2, 3, 3))), "output width", "stride"),
        (one_layer((1025, 4, 4), Conv2d(weights(1, 1025, 1, 1))), "input features", "channels"),
        (one_layer((1, 4, 4), Conv2d(weights(1025, 1, 1, 1))), "output features", "channels"),
        (one_layer((2, 32, 32), Conv2d(weights(1, 2, 17, 17))), "kernel size", "smaller kernel"),
        (one_layer((2, 32, 32), Conv2d(weights(1, 2, 9, 9), dilation=(2, 2))), "kernel size", "dilation"),
        (one_layer((2, 32, 32), Conv2d(weights(1, 2, 3, 5))), "square kernel", "pad the kernel"),
        (one_layer((2, 32, 32), Conv2d(weights(1, 2, 3, 3), stride=(3, 1))), "stride vertical", "stride 1, 2, 4 or 8"),
        (one_layer((2, 32, 32), Conv2d(weights(1, 2, 3, 3), stride=(1, 16))), "stride horizontal", "1, 2, 4 or 8"),
        (one_layer((2, 32, 32), Conv2d(weights(1, 2, 9, 9), padding=(8, 0))), "padding vertical", "pad less"),
        (one_layer((2, 32, 32), Conv2d(weights(1, 2, 9, 9), padding=(0, 8))), "padding horizontal", "pad less"),
        (one_layer((256, 8, 8), Conv2d(weights(256, 256, 3, 3))), "kernel memory", "fewer channels"),
        (one_layer((2, 64, 64), Conv2d(weights(32, 2, 1, 1))), "neuron memory", "larger stride"),
        (one_layer((2, 8, 8), Conv2d(weights(4, 2, 3, 3)), replace(NEURON, min_v=0.0)), "lower bound", "erratum"),
        (one_layer((1, 4, 4), Conv2d(300 * np.ones((1, 1, 1, 1), np.float32))), "threshold", "scale them down"),
    ],
)
def test_each_limit_has_its_finding(network: Network, rule: str, fix: str) -> None:
    found = errors(network)
    assert rule in found
    assert fix in found[rule]


def ones(features: int, channels: int, kernel: int = 1) -> Array:
    return np.ones((features, channels, kernel, kernel), np.float32)


def chained(layers: int) -> Network:
    ops: dict[str, Op] = {}
    for i in range(layers):
        ops |= {f"c{i}": Conv2d(ones(1, 1)), f"n{i}": NEURON}
    return chain((1, 4, 4), ops)


def fanned(layers: int) -> Network:
    made = [Layer("a", Conv2d(ones(1, 1)), ("input",)), Layer("an", NEURON, ("a",))]
    for i in range(layers):
        made += [Layer(f"b{i}", Conv2d(ones(1, 1)), ("an",)), Layer(f"bn{i}", NEURON, (f"b{i}",))]
    return Network((1, 4, 4), tuple(made))


#: By rule: a network of size n, the last n that is legal, the first that is not.
EDGES: dict[str, tuple[Callable[[int], Network], int, int]] = {
    "input height": (lambda n: one_layer((1, n, 8), Conv2d(ones(1, 1), stride=(4, 4))), 128, 129),
    "input width": (lambda n: one_layer((1, 8, n), Conv2d(ones(1, 1), stride=(4, 4))), 128, 129),
    "output height": (lambda n: one_layer((1, n, 8), Conv2d(ones(1, 1))), 64, 65),
    "output width": (lambda n: one_layer((1, 8, n), Conv2d(ones(1, 1))), 64, 65),
    "input features": (lambda n: one_layer((n, 1, 1), Conv2d(ones(1, n))), 1024, 1025),
    "output features": (lambda n: one_layer((1, 1, 1), Conv2d(ones(n, 1))), 1024, 1025),
    "kernel size": (lambda n: one_layer((1, 20, 20), Conv2d(ones(1, 1, n))), 16, 17),
    "stride vertical": (lambda n: one_layer((1, 9, 9), Conv2d(ones(1, 1), stride=(n, 1))), 8, 9),
    "stride horizontal": (lambda n: one_layer((1, 9, 9), Conv2d(ones(1, 1), stride=(1, n))), 4, 5),
    "padding vertical": (lambda n: one_layer((1, 9, 9), Conv2d(ones(1, 1), padding=(n, 0))), 7, 8),
    "padding horizontal": (lambda n: one_layer((1, 9, 9), Conv2d(ones(1, 1), padding=(0, n))), 7, 8),
    "pooling before": (lambda n: two_layers(Pool2d((n, n), "sum")), 4, 5),
    "kernel memory": (lambda n: one_layer((n, 4, 4), Conv2d(ones(64, n, 4))), 64, 65),
    "neuron memory": (lambda n: one_layer((1, 64, 64), Conv2d(ones(n, 1))), 16, 17),
    "bias memory": (lambda n: one_layer((1, 1, 1), Conv2d(ones(n, 1), np.zeros(n, np.float32))), 1024, 1025),
    "threshold": (lambda n: one_layer((1, 1, 1), Conv2d(n * ones(1, 1))), 200, 300),  # 127 / 200 rounds to 1
    "lower bound": (lambda n: one_layer((1, 1, 1), Conv2d(ones(1, 1)), replace(NEURON, min_v=-1 / n)), 253, 255),
    "destinations": (fanned, 2, 3),
    "cores": (chained, 9, 10),
}


@pytest.mark.parametrize("rule", EDGES)
def test_each_limit_lies_where_the_datasheet_says(rule: str) -> None:
    made, last, first = EDGES[rule]
    assert rule not in errors(made(last))
    assert rule in errors(made(first))


def two_layers(between: Op, second_channels: int = 1) -> Network:
    ops: dict[str, Op] = {"a": Conv2d(weights(2, 2, 1, 1)), "an": NEURON, "between": between}
    return chain((2, 24, 24), ops | {"b": Conv2d(weights(second_channels, 2, 1, 1)), "bn": NEURON})


@pytest.mark.parametrize("kernel", [(3, 3), (8, 8), (2, 4)])
def test_pooling_must_be_square_and_1_2_or_4(kernel: tuple[int, int]) -> None:
    assert "pooling before" in errors(two_layers(Pool2d(kernel)))


@pytest.mark.parametrize("kernel", [(3, 3), (4, 2)])
def test_pooling_of_the_output_is_checked_too(kernel: tuple[int, int]) -> None:
    conv = Conv2d(weights(2, 2, 3, 3))
    assert "output pooling" in errors(chain((2, 24, 24), {"c": conv, "n": NEURON, "pool": Pool2d(kernel)}))


def test_three_layers_on_the_input_are_more_than_the_camera_can_feed() -> None:
    layers: list[Layer] = []
    for name in "abc":
        layers += [Layer(name, Conv2d(weights(1, 2, 1, 1)), ("input",)), Layer(f"{name}n", NEURON, (name,))]
    report = get("speck2f").check(Network((2, 8, 8), tuple(layers)))
    assert report.fits
    assert "input destinations" in {warning.rule for warning in report.warnings}


def test_a_layer_without_weights_is_named_as_that() -> None:
    silent = get("speck2f").check(one_layer((1, 4, 4), Conv2d(np.zeros((1, 1, 3, 3), np.float32))))
    assert any("every weight is 0" in warning.fix for warning in silent.warnings)


def test_legal_pooling_passes() -> None:
    assert not errors(two_layers(Pool2d((4, 4))))


def test_more_than_two_destinations() -> None:
    layers = [Layer("a", Conv2d(weights(2, 2, 1, 1)), ("input",)), Layer("an", NEURON, ("a",))]
    for name in "bcd":
        layers += [Layer(name, Conv2d(weights(1, 2, 1, 1)), ("an",)), Layer(f"{name}n", NEURON, (name,))]
    assert "repeat this layer" in errors(Network((2, 8, 8), tuple(layers)))["destinations"]


def test_a_network_that_breaks_many_rules_names_them_all() -> None:
    bad = one_layer((2, 130, 130), Conv2d(weights(4, 2, 17, 17), stride=(3, 3), padding=(8, 8)))
    assert {"input height", "kernel size", "stride vertical", "padding vertical"} <= set(errors(bad))
    with pytest.raises(CheckFailed) as caught:
        get("speck2f").check(bad).raise_if_unfit()
    for part in ("'conv'", "kernel size is 17, limit 16 pixels", "stride vertical is 3", "use stride 1, 2, 4 or 8"):
        assert part in str(caught.value)


def test_warnings_name_the_cause_of_lost_precision() -> None:
    unbounded = get("speck2f").check(single_neuron(1.0, 1.0))
    assert unbounded.fits
    no_bound = one_layer((1, 4, 4), Conv2d(weights(1, 1, 3, 3)), replace(NEURON, threshold=2.0, min_v=None))
    (warning,) = [w for w in get("speck2f").check(no_bound).warnings if w.rule == "effective weight bits"]
    assert "min_v_mem is None" in warning.fix
    bias = np.full(1, -30, np.float32)
    loud = get("speck2f").check(one_layer((1, 4, 4), Conv2d(np.ones((1, 1, 1, 1), np.float32), bias)))
    assert {"effective weight bits", "bias"} <= {w.rule for w in loud.warnings}
    heavy = get("speck2f").check(single_neuron(5.0, 1.0))
    assert {"largest weight"} == {w.rule for w in heavy.warnings}


def test_structure_that_is_no_chain_of_cores_is_one_finding_and_lower_refuses() -> None:
    network = chain((2, 8, 8), {"conv": Conv2d(weights(1, 2, 3, 3)), "flat": Flatten(), "end": Linear(weights(2, 36))})
    report = get("speck2f").check(network)
    assert not report.fits
    assert "integrate-and-fire" in str(report.errors[0])
    with pytest.raises(UnsupportedError, match="integrate-and-fire"):
        get("speck2f").lower(network)
    pooled = chain((2, 8, 8), {"pool": Pool2d((2, 2)), "conv": Conv2d(weights(1, 2, 3, 3)), "neuron": NEURON})
    with pytest.raises(UnsupportedError, match="pools the input"):
        get("speck2f").lower(pooled)


def test_a_threshold_that_rounds_to_nothing_is_refused_with_the_reason() -> None:
    with pytest.raises(UnsupportedError, match="scale the weights down"):
        get("speck2f").lower(single_neuron(300.0, 0.5))


def test_branches_and_sums_are_cores_with_several_sources() -> None:
    layers = [Layer("a", Conv2d(weights(2, 2, 1, 1)), ("input",)), Layer("an", NEURON, ("a",))]
    layers += [Layer("b", Conv2d(weights(2, 2, 1, 1)), ("input",)), Layer("bn", NEURON, ("b",))]
    layers += [Layer("sum", Add(), ("an", "bn")), Layer("pool", Pool2d((2, 2), "sum"), ("sum",))]
    layers += [Layer("c", Conv2d(weights(3, 2, 1, 1)), ("pool",)), Layer("cn", NEURON, ("c",))]
    network = Network((2, 8, 8), tuple(layers))
    assert not errors(network)
    frames = 4 * np.random.default_rng(0).integers(0, 3, (2, 4, 2, 8, 8))
    program = get("speck2f").lower(network)
    slow, fast = program.run(frames, engine="reference"), program.run(frames)
    assert slow.output.sum() > 0
    assert np.array_equal(slow.output, fast.output)
    merged = slow.spikes["a"] + slow.spikes["b"]
    pooled = merged.reshape(2, 4, 2, 4, 2, 4, 2).sum((4, 6))
    alone = chain((2, 4, 4), {"c": layers[6].op, "cn": NEURON})
    assert np.array_equal(get("speck2f").lower(alone).run(pooled).output, slow.output)


def stage(name: str, kernel: int, neuron: int, from_input: bool) -> Stage:
    """A stage that needs about so many words."""
    network = one_layer((1, 1, neuron), Conv2d(np.ones((1, 1, 1, 1), np.float32)))
    (made,), _ = arrange(network)
    source = replace(made.sources[0], layer="input" if from_input else "before")
    return replace(made, name=name, weight=np.ones((1, kernel, 1, 1), np.float32), sources=(source,))


@given(st.lists(st.tuples(st.integers(1, 70_000), st.integers(1, 70_000), st.booleans()), min_size=1, max_size=7))
def test_placement_finds_a_core_for_each_layer_whenever_there_is_one(sizes: list[tuple[int, int, bool]]) -> None:
    """Against exhaustive search over all assignments."""
    profile = load_profile("speck2f")
    stages = [stage(f"s{i}", *size) for i, size in enumerate(sizes)]
    slots, without_core = place(stages, profile)
    fits = [
        {c.index for c in profile.cores if all(words(s)[kind] <= c.memory[kind] for kind in words(s))} for s in stages
    ]
    assert bool(slots) is _assignable(fits)
    if slots:
        assert len({slot.core for slot in slots}) == len(stages)
        assert all(slot.core in allowed for slot, allowed in zip(slots, fits, strict=True))
    else:  # Hall: the named group has fewer cores than members
        group = [allowed for s, allowed in zip(stages, fits, strict=True) if s.name in without_core]
        assert len(set().union(*group)) < len(group)


def _assignable(fits: list[set[int]], taken: frozenset[int] = frozenset()) -> bool:
    if not fits:
        return True
    return any(_assignable(fits[1:], taken | {core}) for core in fits[0] - taken)


def test_ten_layers_have_no_ten_cores_and_the_message_says_so() -> None:
    ops: dict[str, Op] = {}
    for i in range(10):
        ops |= {f"c{i}": Conv2d(weights(2, 2, 1, 1)), f"n{i}": NEURON}
    report: CheckReport = get("speck2f").check(chain((2, 8, 8), ops))
    (finding,) = report.errors
    assert finding.rule == "cores"
    assert "10 layers share cores [0, 1, 2, 3, 4, 5, 6, 7, 8]" in str(finding)
    assert not report.placement
