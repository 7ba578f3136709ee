"""What is proposed when a layer fits no core really fits, and splitting a layer changes no spike."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from dynapcnn_programs import programs, random_frames, single_core
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from i2e_deploy.chips import get
from i2e_deploy.chips.dynapcnn import DynapcnnChip, DynapcnnProgram
from i2e_deploy.chips.dynapcnn.fit import Sizes, changes, enough, sizes_of, smallest_changes
from i2e_deploy.chips.dynapcnn.split import split_all, split_to_fit
from i2e_deploy.chips.profile import load_profile
from i2e_deploy.errors import CheckFailed
from i2e_deploy.network import Conv2d, IntegrateAndFire, Layer, Network, Op, chain

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


@given(
    features=st.integers(1, 1024), channels=st.integers(1, 512), kernel=st.integers(1, 16), height=st.integers(1, 64),
    width=st.integers(1, 64),
)  # fmt: skip
def test_each_change_holds_what_it_says(features: int, channels: int, kernel: int, height: int, width: int) -> None:
    """What stands in place of the layer fits, and the number is the largest that does on some core."""
    sizes = Sizes(features, channels, (kernel, kernel), height, width, False)
    assume(not sizes.fits(PROFILE))
    found = changes("layer", sizes, PROFILE)
    assert [change.cost for change in found] == sorted(change.cost for change in found)
    for change in found:
        assert all(part.fits(PROFILE) for part in change.after().values())
    for kind in ("channels", "kernel"):
        numbers = [change.value for change in found if change.kind == kind]
        if numbers:
            larger = replace(found[0], kind=kind, value=max(numbers) + 1)
            assert not all(part.fits(PROFILE) for part in larger.after().values())


@settings(max_examples=40, deadline=None)
@given(picks=st.lists(st.sampled_from([(2, 4), (30, 16), (60, 8), (33, 40), (10, 64)]), min_size=1, max_size=6))
def test_the_set_of_changes_is_enough_and_none_smaller_is(picks: list[tuple[int, int]]) -> None:
    """Against every single change of every layer."""
    shape = (1, 1, 1)
    core = single_core().layers[0]
    layers = [
        replace(core, name=f"l{i}", weight=np.zeros((f, 2, 3, 3), np.int8), output_shape=(f, n, n), input_shape=shape)
        for i, (f, n) in enumerate(picks)
    ]
    sizes = {layer.name: sizes_of(layer) for layer in layers}
    chosen = smallest_changes(layers, PROFILE)
    if not chosen:
        return
    assert enough(sizes, chosen, PROFILE)
    assert not enough(sizes, (), PROFILE)
    singles = [change for name in sizes for change in changes(name, sizes[name], PROFILE)]
    possible = [change for change in singles if enough(sizes, [change], PROFILE)]
    assert (len(chosen) == 1) is bool(possible)
    if possible:
        assert chosen[0].cost == min(change.cost for change in possible)


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
    assert ", or use 2" in finding.fix
    program, split = chip.lower(wide), chip.lower(wide, split=True)
    report = chip.check(wide, split=True)
    assert not [f for f in report.errors if f.rule == "cores" or f.layer.startswith("conv1")]
    assert [slot.layer for slot in report.placement] == list(split.layer_names)
    assert split.layer_names == ("conv0", "conv1.a", "conv1.b", "conv2")
    assert len({slot.core for slot in report.placement}) == 4
    assert all(slot.used[kind] <= slot.available[kind] for slot in report.placement for kind in slot.used)
    frames = (np.random.default_rng(0).random((1, 2, 2, 8, 8)) < 0.3).astype(np.int64)
    np.testing.assert_array_equal(program.run(frames).output, split.run(frames).output)
    calibrated = chip.calibrate(wide, frames), chip.calibrate(wide, frames, split=True)
    np.testing.assert_array_equal(calibrated[0].run(frames).output, calibrated[1].run(frames).output)


def test_what_fits_is_not_split() -> None:
    program = get("speck2f").lower(network(2, 4, 4))
    assert isinstance(program, DynapcnnProgram)
    assert split_to_fit(program, PROFILE) is not None
    assert split_to_fit(program, PROFILE).layer_names == program.layer_names


def test_what_cannot_be_split_is_refused() -> None:
    with pytest.raises(CheckFailed, match="even with layers split"):
        DynapcnnChip("speck2f").lower(network(2, 16, 1024, 4, size=16), split=True)


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
    assert "use 256 output channels instead of 512" in finding.fix
    with pytest.raises(CheckFailed, match="even with layers split"):
        chip.lower(branched, split=True)


def test_layers_that_fit_alone_but_not_together() -> None:
    """Four layers of 64 Ki neuron words on three cores that have them: one of them must change."""
    crowd = network(2, 16, 16, 16, 16, size=64)
    report = get("speck2f").check(crowd)
    (finding,) = [f for f in report.errors if f.rule == "cores"]
    assert "4 layers share cores [0, 1, 2]" in str(finding.value)
    assert "split it over two cores of 8 features each" in finding.fix
    program = DynapcnnChip("speck2f").lower(crowd, split=True)
    assert len(program.layers) == 5
