"""What chips propose by name fits them, at any input size and number of classes, as their own check says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from planned import network_of

from i2e_deploy.chips import chip_names, get
from i2e_deploy.chips.abilities import OffersRecipes
from i2e_deploy.chips.check import CheckReport
from i2e_deploy.chips.dynapcnn.checks.examine import Asked, examine
from i2e_deploy.chips.dynapcnn.lowering.stages import memory_words
from i2e_deploy.chips.plans import LADDER, SIZES, Plan
from i2e_deploy.errors import InputError, UnsupportedError

OFFERED = [(name, recipe) for name in chip_names() if isinstance(chip := get(name), OffersRecipes)
           for recipe in chip.recipes]  # fmt: skip
#: A plan of these takes seconds, since it is lowered.
SLOW = {"truenorth"}
QUICK = [pair for pair in OFFERED if pair[0] not in SLOW]
MARKED = [pytest.param(*pair, marks=pytest.mark.slow if pair[0] == "loihi2" else ()) for pair in QUICK]


def checked(chip: str, plan: Plan) -> CheckReport:
    return get(chip).check(network_of(plan))


def on_one_chip(report: CheckReport, chip: str) -> bool:
    """It fits, and on a chip, not on a board of several."""
    boards = [f"cores of {board.name}" for board in get(chip).profile.boards if board.chips == 1]
    return report.fits and all(f.severity in ("ok", "info") for f in report.findings if f.rule in boards)


def plan_of(chip: str, recipe: str, shape: tuple[int, int, int], classes: int) -> Plan:
    offering = get(chip)
    assert isinstance(offering, OffersRecipes)
    return offering.plan(recipe, shape, classes)


def test_the_chips_that_offer_recipes_offer_every_size() -> None:
    assert {name for name, _ in OFFERED} >= {"speck2e", "speck2f", "loihi2", "truenorth"}
    for name in {name for name, _ in OFFERED}:
        assert [recipe for chip, recipe in OFFERED if chip == name][: len(SIZES)] == list(SIZES)


@pytest.mark.parametrize(("chip", "recipe"), MARKED)
@settings(max_examples=6, deadline=None)
@given(data=st.data())
def test_every_plan_fits_its_chip_and_has_the_inputs_and_outputs_asked_for(chip: str, recipe: str, data: Any) -> None:
    largest = 128 if "speck" in chip or chip == "dynapcnn" else 200
    side = st.one_of(st.integers(1, 40), st.integers(1, largest))
    shape = (data.draw(st.integers(1, 4)), data.draw(side), data.draw(side))
    classes = data.draw(st.one_of(st.integers(1, 12), st.integers(1, 300)))
    try:
        plan = plan_of(chip, recipe, shape, classes)
    except UnsupportedError:
        assume(False)
    report = checked(chip, plan)
    assert on_one_chip(report, chip), (shape, classes, report.errors)
    assert network_of(plan).shapes()[str(len(network_of(plan).layers) - 1)][0] == classes


@pytest.mark.slow
@pytest.mark.parametrize("recipe", SIZES)
@pytest.mark.parametrize(("shape", "classes"), [((2, 9, 9), 3), ((1, 34, 20), 10), ((3, 1, 128), 2)])
def test_every_trinary_plan_fits_and_is_whole(recipe: str, shape: tuple[int, int, int], classes: int) -> None:
    plan = plan_of("truenorth", recipe, shape, classes)
    report = checked("truenorth", plan)
    assert report.fits, report.errors
    assert plan.shapes[-1] == (classes * plan.voters, 1, 1)
    losses = [str(finding.value) for finding in report.findings if finding.rule == "loss"]
    assert all("nothing" in loss for loss in losses)


@pytest.mark.parametrize(("chip", "recipe"), [pair for pair in QUICK if pair[1].endswith("large")])
def test_a_smaller_size_is_no_larger(chip: str, recipe: str) -> None:
    kind = recipe.removesuffix("large")
    for shape, classes in (((2, 34, 34), 10), ((2, 128, 128), 11), ((2, 40, 60), 100)):
        small, medium, large = (plan_of(chip, kind + size, shape, classes).weights for size in SIZES)
        assert small < medium < large


@settings(max_examples=8, deadline=None)
@given(side=st.integers(16, 128), classes=st.integers(2, 60))
def test_a_large_network_of_cores_takes_no_wider_layer(side: int, classes: int) -> None:
    """Speck: one layer a core, so no layer of `large` can be one step wider."""
    plan = plan_of("speck2f", "large", (2, side, side), classes)
    for number in range(len(plan.layers) - 1):
        wider = next(step for step in LADDER if step > plan.layers[number].outputs)
        layers = list(plan.layers)
        after = layers[number + 1]
        scale = after.inputs // layers[number].outputs
        layers[number] = replace(layers[number], outputs=wider)
        layers[number + 1] = replace(after, inputs=scale * wider)
        level = sum(layer.stride == 2 for layer in plan.layers[: number + 1]) - 1
        at_limit = plan.layers[number].outputs == min(1024, 64 << level)
        changed = network_of(replace(plan, layers=tuple(layers)))
        assert at_limit or not examine(changed, get("speck2f").profile, Asked()).fits


@pytest.mark.parametrize(
    ("chip", "shape", "classes", "told"),
    [
        ("speck2f", (2, 200, 128), 10, "input height is 200, limit 128 pixels"),
        ("speck2f", (2, 16, 16), 5000, "classes is 5000, limit 1,024 features"),
        ("loihi2", (2, 6000, 6000), 10, "fits the 120 cores of one loihi2"),
        ("truenorth", (17, 8, 8), 10, "fits the 4,096 cores of truenorth"),
    ],
)
def test_what_no_width_can_help_is_refused(chip: str, shape: tuple[int, int, int], classes: int, told: str) -> None:
    with pytest.raises(UnsupportedError, match=told) as caught:
        plan_of(chip, "small", shape, classes)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("chip", sorted({name for name, _ in OFFERED}))
def test_unknown_recipes_and_sizes_are_refused(chip: str) -> None:
    with pytest.raises(InputError, match="recipe 'huge': choose one of small, medium, large"):
        plan_of(chip, "huge", (2, 8, 8), 2)
    with pytest.raises(InputError, match="each at least 1"):
        plan_of(chip, "small", (2, 0, 8), 2)


@given(inputs=st.integers(1, 64), outputs=st.integers(1, 64))
def test_kernels_that_halve_the_image_take_no_more_memory_at_4_pixels_than_at_3(inputs: int, outputs: int) -> None:
    """Why the large recipe of Speck has them: weights are addressed by whole bits."""
    small, large = (memory_words(outputs, inputs, (side, side), (8, 8), bias=False) for side in (3, 4))
    assert small == large
    assert memory_words(outputs, inputs, (5, 5), (8, 8), bias=False)["kernel"] == 2 * large["kernel"]


def test_the_large_recipe_halves_with_4_pixels_where_both_sides_are_long_enough() -> None:
    chip = get("speck2f")
    assert isinstance(chip, OffersRecipes)
    for shape, side in (((2, 48, 48), 4), ((2, 5, 60), 3)):
        halving = [layer.kernel for layer in chip.plan("large", shape, 10).layers[1:-1] if layer.stride == 2]
        assert halving
        assert set(halving) == {side}
