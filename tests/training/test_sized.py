"""Recipes of every size as modules: they start active, are what the chip takes, and give what its program gives."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np
import pytest
import torch
from children import needs_lava
from torch import nn

from i2e_deploy.chips import Chip, get
from i2e_deploy.chips.abilities import TakesIntegers
from i2e_deploy.errors import InputError, UnsupportedError
from i2e_deploy.network import from_sinabs
from i2e_deploy.training import bptt, planned_sinabs, sized, slayer, trinary
from i2e_deploy.training.arrays import FrameSamples, data_of
from i2e_deploy.training.optimising import Optimising
from i2e_deploy.training.recipes import DEEP_RATE, MERGED, sized_recipe
from i2e_deploy.training.start_active import RATE, drawn_frames, start_active

STEPS = 5
RECIPES = [
    pytest.param(offer.chip, offer.name, marks=() if offer.text.startswith("Sinabs") else needs_lava)
    for chip in ("speck2f", "loihi2", "truenorth")
    for offer in sized.recipes_for(chip)
    if not offer.name.endswith("large")
]


def read(chip: Chip, neurons: str, module: nn.Module, shape: tuple[int, int, int], example: Any) -> Any:
    if neurons == "trinary":
        return trinary.read(module, shape, example)
    if isinstance(chip, TakesIntegers) and isinstance(module, slayer.SlayerNetwork):
        return chip.from_module(module, shape, example)
    return from_sinabs(module, shape, states="zero", example=example)


@pytest.mark.parametrize(("chip", "name"), RECIPES)
def test_a_recipe_fits_and_its_own_forward_is_what_was_read(chip: str, name: str) -> None:
    drawn = np.random.default_rng(sum(map(ord, chip + name)))
    shape = (2, int(drawn.integers(6, 20)), int(drawn.integers(6, 20)))
    classes = int(drawn.integers(2, 15))
    plan, module = sized.sized_network(chip, name, shape, classes, STEPS, seed=3)
    frames = torch.from_numpy(drawn.random((2, STEPS, *shape)) < 0.2).float()
    run = slayer.spike_counts if isinstance(module, slayer.SlayerNetwork) else bptt.spike_counts
    counts = run(module, frames)
    assert counts.shape == (2, classes * plan.voters)
    counts.sum().backward()  # type: ignore[no-untyped-call]
    assert all(parameter.grad is not None for parameter in module.parameters() if parameter.requires_grad)
    network = read(get(chip), plan.neurons, module, shape, frames)  # its own forward is compared with what was read
    report = get(chip).check(network)
    assert report.fits, report.errors
    if plan.neurons == "trinary":  # its integers are the network
        program = get(chip).lower(network)
        late = program.deciding.lag
        padded = np.pad(frames.numpy().astype(np.int32), ((0, 0), (0, late), *[(0, 0)] * 3))
        np.testing.assert_array_equal(program.run(padded).output[:, late:].sum(1), counts.detach().numpy())


@pytest.mark.parametrize("side", [20, 60])
def test_spikes_reach_the_last_layer_of_a_deep_network(side: int) -> None:
    shape = (2, side, side)
    plan, module = sized.sized_network("speck2f", "large", shape, 10, STEPS, seed=1)
    assert len(plan.layers) > 5
    frames = drawn_frames(shape, STEPS, torch.Generator().manual_seed(7))  # other pictures than it was started with
    rates: list[float] = []
    for layer in module.modules():
        if hasattr(layer, "spike_threshold"):
            layer.register_forward_hook(lambda _m, _i, output: rates.append(float(output.detach().mean())))
    bptt.spike_counts(module, frames.float())
    assert len(rates) == len(plan.layers)
    assert all(RATE / 3 < rate < RATE * 3 for rate in rates[:-1]), rates
    assert rates[-1] > 0


def test_weights_that_are_far_from_active_are_scaled() -> None:
    shape = (2, 16, 16)
    _, module = sized.sized_network("speck2f", "small", shape, 4, STEPS)
    silent = deepcopy(module)
    assert isinstance(module, nn.Sequential)
    pairs = planned_sinabs.weighted(module)
    with torch.no_grad():
        for holder, _ in pairs:
            holder.get_parameter("weight").mul_(0.02)
    assert bptt.spike_counts(module, drawn_frames(shape, STEPS, torch.Generator().manual_seed(0))).sum() == 0
    start_active(module, bptt.spike_counts, pairs, drawn_frames(shape, STEPS, torch.Generator().manual_seed(0)))
    found = bptt.spike_counts(module, drawn_frames(shape, STEPS, torch.Generator().manual_seed(0))).sum()
    assert found > 0
    both = [pair for pair in zip(silent.parameters(), module.parameters(), strict=True) if pair[0].dim() > 1]
    for was, now in both[:-1]:
        ratio = now / was
        torch.testing.assert_close(ratio, ratio.flatten()[0].expand_as(ratio), rtol=1e-3, atol=0)
    first, last = (weight - weight.mean(1, keepdim=True) for weight in both[-1])  # each output's get a constant added
    scale = (first * last).sum() / (first * first).sum()
    torch.testing.assert_close(last, scale * first, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_all_outputs_fire_at_first_and_none_is_without_a_gradient(seed: int) -> None:
    """Of ten outputs with weights as drawn, three to five fired once in 64 pictures or never; they were not learnt."""
    shape = (2, 34, 34)
    _, module = sized.sized_network("speck2f", "small", shape, 10, STEPS, seed)
    frames = torch.cat([drawn_frames(shape, STEPS, torch.Generator().manual_seed(9 + i)) for i in range(3)])
    assert (bptt.spike_counts(module, frames.float()).mean(0) > 0.1).all()
    weight = [each for each in module.parameters() if each.dim() > 1][-1]
    with torch.no_grad():
        weight.copy_(-0.01 * weight.abs())  # all potentials a little below 0
    counts = bptt.spike_counts(module, frames.float())
    assert counts.sum() == 0
    (gradient,) = torch.autograd.grad(counts.sum(), weight)
    assert (gradient != 0).any(dim=1).all()


def test_the_same_seed_gives_the_same_bits() -> None:
    made = [sized.sized_network("speck2f", "medium", (2, 12, 12), 3, STEPS, seed)[1] for seed in (1, 1, 2)]
    first, same, other = (list(network.parameters()) for network in made)
    assert all(map(torch.equal, first, same))
    assert not all(map(torch.equal, first, other))


def test_a_network_that_is_no_square_ends_in_one_place() -> None:
    plan, module = sized.sized_network("speck2f", "small", (2, 11, 30), 7, STEPS)
    assert plan.layers[-1].kernel
    assert bptt.spike_counts(module, torch.zeros(1, STEPS, 2, 11, 30)).shape == (1, 7)


def test_what_cannot_be_built_is_refused() -> None:
    with pytest.raises(InputError, match="no chip 'abacus'"):
        sized.recipes_for("abacus")
    with pytest.raises(UnsupportedError, match="input height is 129"):
        sized.sized_network("speck2f", "small", (2, 129, 64), 3, STEPS)


def test_deep_networks_are_trained_at_a_lower_rate() -> None:
    samples = FrameSamples(np.zeros((2, STEPS, 2, 40, 40), np.uint8), np.arange(2))
    data = data_of(samples, samples, ("a", "b"))
    shallow, deep = (sized_recipe("speck2f", name, data, 0).config for name in ("small", "large"))
    assert shallow.optimising.learning_rate == Optimising().learning_rate
    assert deep.optimising.learning_rate == DEEP_RATE < shallow.optimising.learning_rate
    assert deep.merged == MERGED > shallow.merged == 0
