"""What is proposed when a layer fits no core really fits, and splitting a layer changes no spike."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from dynapcnn_programs import programs, random_frames
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from oversized import frames_for, oversized

from i2e_deploy.chips import LowerOptions, get
from i2e_deploy.chips.dynapcnn import DynapcnnChip, DynapcnnProgram
from i2e_deploy.chips.dynapcnn.checks.examine import Asked, examine
from i2e_deploy.chips.dynapcnn.checks.fit import make_fit, smallest_changes
from i2e_deploy.chips.dynapcnn.checks.fit_search import EXACT
from i2e_deploy.chips.dynapcnn.checks.shapes_only import fewer_channels, shapes_of, smaller_kernel
from i2e_deploy.chips.dynapcnn.checks.split import split_all, split_to_fit
from i2e_deploy.chips.dynapcnn.lowering.reshape import Change, apply_changes
from i2e_deploy.chips.dynapcnn.lowering.reshape.channels import keep_channels, tied
from i2e_deploy.chips.dynapcnn.lowering.reshape.edit import weights_of
from i2e_deploy.chips.dynapcnn.lowering.reshape.kernel_size import crop_kernel, sides
from i2e_deploy.chips.dynapcnn.lowering.stages import Stage
from i2e_deploy.chips.profile import load_profile
from i2e_deploy.errors import CheckFailed, UnsupportedError
from i2e_deploy.network import Conv2d, IntegrateAndFire, Layer, Linear, Network, Op, Pool2d, chain

PROFILE = load_profile("speck2f")


@settings(max_examples=25)
@given(program=programs(), seed=st.integers(0, 2**16), pick=st.integers(0, 10))
def test_a_split_layer_changes_no_spike_in_time_steps(program: DynapcnnProgram, seed: int, pick: int) -> None:
    program = replace(program, layers=tuple(replace(layer, decimation=1) for layer in program.layers))
    layer = program.layers[pick % len(program.layers)]
    assume(layer.output_shape[0] > 1)
    frames = random_frames(program, seed, samples=2, steps=3)
    layers, outputs = split_all(program.layers, program.outputs, [layer.name])
    split = replace(program, layers=tuple(layers), outputs=outputs)
    for engine in ("reference", "fast"):
        np.testing.assert_array_equal(
            program.run(frames, engine=engine).output, split.run(frames, engine=engine).output
        )


def broken(network: Network, split: bool) -> bool:
    """Whether a check of the changed network itself, as a whole, finds an error."""
    return not examine(network, PROFILE, Asked(split=split)).fits


@settings(max_examples=40)
@given(network=oversized(most=64), pick=st.integers(0, 9), value=st.integers(1, 11))
def test_the_search_predicts_the_shapes_of_the_changed_network(network: Network, pick: int, value: int) -> None:
    """Shapes of each stage, kernel and channels alike, as those that `arrange` gives for the network that is made."""
    stages, _ = shapes_of(network)
    stage = stages[pick % len(stages)]
    try:
        group = tied(network, stage.name)
    except UnsupportedError:
        group = ()
    if group and stage.weight.shape[0] > value:
        predicted = fewer_channels(stages, group, value)
        made, _ = shapes_of(keep_channels(network, stage.name, value))
        assert [shapes(each) for each in predicted] == [shapes(each) for each in made]
    for side in sides(network, stage.name):
        predicted = smaller_kernel(stages, stage.name, side)
        made, _ = shapes_of(crop_kernel(network, stage.name, side))
        assert [shapes(each) for each in predicted] == [shapes(each) for each in made]
        assert [each.padding for each in predicted] == [each.padding for each in made]


def shapes(stage: Stage) -> tuple[object, ...]:
    return stage.name, stage.weight.shape, stage.bias is None, stage.output_shape


@settings(max_examples=15)
@given(network=oversized())
def test_a_drawn_network_with_its_changes_fits(network: Network) -> None:
    """And weights that stay are the original's, to the bit, where none were added up; it runs, and classes stay."""
    fitted = make_fit(network, PROFILE)
    assert not broken(fitted.network, fitted.split)
    assert fitted.report.placement
    changed = [step.change for step in fitted.steps]
    if not any(change.kind == "pool" for change in changed):
        for layer in fitted.network.layers:
            if isinstance(layer.op, Conv2d | Linear):
                assert np.isin(layer.op.weight, weights_of(network, layer.name).weight).all()
    if not any(change.retrain for change in changed):
        assert fitted.network is network
    last = network.layers[-1].name
    assert fitted.network.shapes()[last] == network.shapes()[last]
    program = DynapcnnChip("speck2f").lower(fitted.network, LowerOptions(split=fitted.split))
    assert program.run(frames_for(network, 0, steps=1)).output.min() >= 0


@settings(max_examples=15)
@given(network=oversized(layers=3))
def test_no_smaller_set_does(network: Network) -> None:
    """Against every single change of every layer, made and checked for real."""
    changes = smallest_changes(network, PROFILE)
    if not changes:
        return
    retrained = [change for change in changes if change.retrain]
    splits_alone = not broken(network, split=True)
    assert (not retrained) is splits_alone
    if len(retrained) > 1:
        for change in strongest(network):
            assert broken(changed_by(network, change), split=True), change
    if len(retrained) == 1 and retrained[0].kind == "channels":
        milder = replace(retrained[0], value=retrained[0].value + 1)
        if milder.value < len(weights_of(network, milder.layer).weight):
            assert broken(changed_by(network, milder), split=True)


def strongest(network: Network) -> list[Change]:
    """Each kind of change of each single layer, as strong as it can be."""
    found = []
    for layer in network.layers:
        if isinstance(layer.op, Conv2d | Linear):
            found += [Change(layer.name, "pool", factor) for factor in (2, 4)]
            found += [Change(layer.name, "kernel", side) for side in sides(network, layer.name)[:1]]
            try:
                alone = len(tied(network, layer.name)) == 1
            except UnsupportedError:
                alone = False
            found += [Change(layer.name, "channels", 1)] if alone and len(layer.op.weight) > 1 else []
    return found


def changed_by(network: Network, change: Change) -> Network:
    """The network itself where the change cannot be made."""
    try:
        return apply_changes(network, [change])[0]
    except UnsupportedError:
        return network


def test_fewer_channels_of_one_layer_may_mend_the_one_behind() -> None:
    """Kernels of 16 x 600 and of 600 x 300 channels are both too large: fewer of the 600 mend both."""
    wide = network(2, 16, 600, 300, 4, size=4)
    changes = smallest_changes(wide, PROFILE)
    assert [change.layer for change in changes if change.retrain] == ["conv1"]


def test_more_layers_that_fit_nowhere_than_the_search_takes_together() -> None:
    """Seven layers of 128 x 128 kernels: chosen one after the other, and the whole fits."""
    fitted = make_fit(network(2, *[128] * 8, 4, size=16), PROFILE)
    assert sum(step.change.retrain for step in fitted.steps) > EXACT
    assert not broken(fitted.network, fitted.split)


def test_pooling_moves_ahead_of_layers_beyond_the_largest_map() -> None:
    """128x128 neurons twice, pooled after the second: a stride in the first resolves both."""
    rng = np.random.default_rng(0)
    weight = rng.normal(0.1, 0.3, (4, 2, 3, 3)).astype(np.float32), rng.normal(0, 0.3, (4, 4, 3, 3)).astype(np.float32)
    neuron = IntegrateAndFire(1.0, -1.0)
    large = chain((2, 128, 128), {
        "a": Conv2d(weight[0], padding=(1, 1)), "an": neuron, "b": Conv2d(weight[1], padding=(1, 1)), "bn": neuron,
        "pool": Pool2d((2, 2)), "c": Conv2d(weight[1], padding=(1, 1)), "cn": neuron,
    })  # fmt: skip
    fitted = make_fit(large, PROFILE)
    assert [(step.change.layer, step.change.kind) for step in fitted.steps] == [("a", "pool")]
    assert fitted.network.shapes()["cn"] == (4, 64, 64)
    (advice,) = [f.fix for f in get("speck2f").check(large).findings if f.rule == "shapes"]
    assert "'a': pool earlier: stride 2x2 instead of 1x1 (needs retraining: check --apply)" in advice


@pytest.mark.parametrize("name", ["speck2e", "speck2f", "dynapcnn"])
def test_every_chip_of_the_family_makes_a_network_fit(name: str) -> None:
    fitted = DynapcnnChip(name).make_fit(network(2, 16, 1024, 4, size=16))
    assert fitted.report.fits
    assert fitted.report.chip == name
    assert fitted.retrain


def test_more_layers_than_cores() -> None:
    """Two of them stand between equal shapes and can go; where none can, the error says why."""
    fitted = make_fit(network(2, *[8] * 10, 4, size=8), PROFILE)
    assert [step.change.kind for step in fitted.steps] == ["remove", "remove"]
    assert len(fitted.report.placement) == 9
    with pytest.raises(CheckFailed, match="so leave out 2; none can be without another shape") as caught:
        make_fit(network(2, *range(4, 15), size=8), PROFILE)
    assert "\n" not in str(caught.value)
    (finding,) = [f for f in get("speck2f").check(network(2, *range(4, 15), size=8)).errors if f.rule == "cores"]
    assert "splitting, fewer channels, smaller kernels and pooling earlier leave their number as it is" in finding.fix


def test_what_no_shape_mends_is_said() -> None:
    """A lower bound of 0 is an erratum: the proposal is made, but nothing is applied that does not fit."""
    wide = network(2, 16, 1024, 4, size=16)
    layers = tuple(
        replace(layer, op=IntegrateAndFire(1.0, 0.0)) if layer.name == "spike0" else layer for layer in wide.layers
    )
    (finding,) = [f for f in get("speck2f").check(replace(wide, layers=layers)).errors if f.rule == "cores"]
    assert "'conv1': use 256 output channels instead of 1024" in finding.fix
    with pytest.raises(CheckFailed, match="'conv0': lower bound is 0"):
        make_fit(replace(wide, layers=layers), PROFILE)


def network(*features: int, size: int = 16) -> Network:
    rng = np.random.default_rng(0)
    ops: dict[str, Op] = {}
    for i, (c, f) in enumerate(pairwise(features)):
        ops[f"conv{i}"] = Conv2d(rng.normal(0.1, 0.3, (f, c, 3, 3)).astype(np.float32), padding=(1, 1))
        ops[f"spike{i}"] = IntegrateAndFire(1.0, -1.0)
    return chain((features[0], size, size), ops)


def test_a_layer_too_large_for_any_core_is_split_and_placed() -> None:
    """512 features of 8x8 neurons after 3x3 kernels on 16 channels: 128 Ki words of kernel, 32 Ki of neurons."""
    wide, chip = network(2, 16, 512, 4, size=8), DynapcnnChip("speck2f")
    (finding,) = [f for f in chip.check(wide).errors if f.rule == "cores"]
    assert finding.fix.startswith("'conv1': split it over two cores of 256 features each (no retraining: export")
    assert "or, by hand, use a 1x1 kernel instead of 3x3" in finding.fix
    program, split = chip.lower(wide), chip.lower(wide, LowerOptions(split=True))
    report = chip.check(wide, LowerOptions(split=True))
    assert not [f for f in report.errors if f.rule == "cores" or f.layer.startswith("conv1")]
    assert [slot.layer for slot in report.placement] == list(split.layer_names)
    assert split.layer_names == ("conv0", "conv1.a", "conv1.b", "conv2")
    assert len({slot.core for slot in report.placement}) == 4
    assert all(slot.used[kind] <= slot.available[kind] for slot in report.placement for kind in slot.used)
    frames = (np.random.default_rng(0).random((1, 2, 2, 8, 8)) < 0.3).astype(np.int64)
    np.testing.assert_array_equal(program.run(frames).output, split.run(frames).output)
    calibrated = chip.lower(wide, LowerOptions(frames)), chip.lower(wide, LowerOptions(frames, split=True))
    np.testing.assert_array_equal(calibrated[0].run(frames).output, calibrated[1].run(frames).output)


def test_what_fits_is_not_split() -> None:
    program = get("speck2f").lower(network(2, 4, 4))
    assert isinstance(program, DynapcnnProgram)
    assert split_to_fit(program, PROFILE) is not None
    assert split_to_fit(program, PROFILE).layer_names == program.layer_names


def test_what_cannot_be_split_is_refused() -> None:
    with pytest.raises(CheckFailed, match="even with layers split"):
        DynapcnnChip("speck2f").lower(network(2, 16, 1024, 4, size=16), LowerOptions(split=True))


def test_a_layer_whose_feeder_has_no_destination_left_is_not_split() -> None:
    """conv1 feeds three halves then; the chip has two destinations."""
    rng = np.random.default_rng(0)
    layers = [
        Layer("conv0", Conv2d(rng.normal(0.1, 0.3, (16, 2, 3, 3)).astype(np.float32), None, (1, 1), (1, 1)), ("input",))
    ]
    layers.append(Layer("n0", IntegrateAndFire(1.0, -1.0), ("conv0",)))
    for name, features in (("wide", 512), ("narrow", 4)):
        weight = rng.normal(0.1, 0.3, (features, 16, 3, 3)).astype(np.float32)
        layers += [Layer(name, Conv2d(weight, padding=(1, 1)), ("n0",))]
        layers += [Layer(f"{name}.n", IntegrateAndFire(1.0, -1.0), (name,))]
    branched, chip = Network((2, 8, 8), tuple(layers)), DynapcnnChip("speck2f")
    (finding,) = [f for f in chip.check(branched).errors if f.rule == "cores"]
    assert "split" not in finding.fix
    assert "'wide': use a 1x1 kernel instead of 3x3 (needs retraining: check --apply)" in finding.fix
    with pytest.raises(CheckFailed, match="even with layers split"):
        chip.lower(branched, LowerOptions(split=True))


def test_layers_that_fit_alone_but_not_together() -> None:
    """Four layers of 64 Ki neuron words on three cores that have them: one of them must change."""
    crowd = network(2, 16, 16, 16, 16, size=64)
    report = get("speck2f").check(crowd)
    (finding,) = [f for f in report.errors if f.rule == "cores"]
    assert "4 layers share cores [0, 1, 2]" in str(finding.value)
    assert "split it over two cores of 8 features each" in finding.fix
    program = DynapcnnChip("speck2f").lower(crowd, LowerOptions(split=True))
    assert len(program.layers) == 5
