"""Training: it can be interrupted, SLAYER's networks deploy exactly, the fused neurons are SLAYER's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from children import needs_lava
from hypothesis import given, settings
from hypothesis import strategies as st
from training_data import same, weights_of

from i2e_deploy.chips.loihi2 import from_slayer
from i2e_deploy.chips.loihi2.runnable import LoihiProgram
from i2e_deploy.cli.app import run
from i2e_deploy.errors import InputError
from i2e_deploy.lava_shim import import_lava
from i2e_deploy.training import FitConfig, Optimising, digits_as_data, fit, recipe_of
from i2e_deploy.training.fused_cuba import fuse
from i2e_deploy.training.slayer import SlayerNetwork, aligned, float_weights, program_frames, slayer_output
from i2e_deploy.training.slayer_networks import RECIPES, CubaNeurons, SlayerConfig, build_slayer

CONFIG = FitConfig(epochs=3, batch_size=10, optimising=Optimising(learning_rate=0.02))


@pytest.mark.parametrize(
    "name", ["sinabs", pytest.param("channel_decays", marks=needs_lava), pytest.param("recurrent", marks=needs_lava)]
)
def test_an_interrupted_training_goes_on_to_the_same_bits(name: str, tmp_path: Path) -> None:
    data = digits_as_data(0, 20, 10)
    networks, results = [], []
    for folder in (None, tmp_path):
        found = []
        for attempt in range(1 if folder is None else 2):
            recipe = recipe_of(name, seed=1)
            for result in fit(recipe.network, data, replace(CONFIG, chip=recipe.chip), folder, running=recipe.running):
                found.append(result)
                if folder is not None and attempt == 0:
                    break  # the process ends here
        networks.append(recipe.network)
        results.append(found)
    assert results[0] == results[1]
    assert [result.epoch for result in results[1]] == [1, 2, 3]
    assert same(weights_of(networks[0]), weights_of(networks[1]))
    assert not same(weights_of(networks[0]), weights_of(recipe_of(name, seed=1).network))


@needs_lava
@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_learns_and_computes_what_its_program_computes(name: str) -> None:
    """Agreement: exact, every output of every step, after one epoch of training."""
    build, config = RECIPES[name]
    data, network = digits_as_data(0, 30, 10), build_slayer(build)
    before = weights_of(network)
    list(fit(network, data, replace(config, epochs=1, batch_size=15)))
    moved = [not np.array_equal(a, b) for a, b in zip(before, weights_of(network), strict=True)]
    kinds = {n.rpartition(".")[2] for (n, _), m in zip(network.named_parameters(), moved, strict=True) if m}
    assert kinds >= {"weight"} | ({"delay"} if name == "delays" else set())
    assert name != "channel_decays" or kinds >= {"current_decay", "voltage_decay"}
    frames = data.test.batch(np.arange(10), None).frames
    slayer = slayer_output(network, frames)
    trace = LoihiProgram(from_slayer(network, (2, 32, 32))).run(program_frames(network, frames))
    assert np.array_equal(aligned(network, trace.output), slayer)
    assert sum(counts.spikes for counts in trace.counts.values()) > 500
    with float_weights(network):
        assert not np.array_equal(slayer_output(network, frames), slayer)
    assert np.array_equal(slayer_output(network, frames), slayer)


@needs_lava
@settings(max_examples=15)
@given(
    decays=st.tuples(*[st.sampled_from([0.0, 0.03, 0.5, 0.999, 1.0])] * 2),
    threshold=st.sampled_from([0.3, 1.0, 7.9]),
    seed=st.integers(0, 99),
)
def test_fused_neurons_are_slayers(decays: tuple[float, float], threshold: float, seed: int) -> None:
    """Forward exact. Gradients to 1e-5 of the largest: SLAYER rounds after each operation, in another order."""
    from importlib import import_module

    import_lava()
    neuron = import_module("lava.lib.dl.slayer").neuron.cuba.Neuron
    options = CubaNeurons(threshold, *decays).parameters()
    ours, theirs = torch.nn.Sequential(neuron(**options)), neuron(**options)
    fuse(ours)
    generator = torch.Generator().manual_seed(seed)
    current = torch.randn(3, 4, 5, 11, generator=generator).requires_grad_()
    gradients, outputs = [], []
    for network in (ours, theirs):
        outputs.append(network(current))
        weights = torch.linspace(-1, 1, outputs[-1].numel()).reshape(outputs[-1].shape)
        (gradient,) = torch.autograd.grad((outputs[-1] * weights).sum(), current)
        gradients.append(gradient)
    assert torch.equal(*outputs)
    assert (gradients[0] - gradients[1]).abs().max() <= 1e-5 * gradients[1].abs().max()


@needs_lava
def test_the_same_seed_builds_the_same_network() -> None:
    def total(seed: int) -> float:
        network: SlayerNetwork = build_slayer(SlayerConfig("dense", hidden=8, delays=True, seed=seed))
        return sum(float(value.detach().double().sum()) for value in network.parameters())

    state = torch.random.get_rng_state()
    assert total(1) == total(1) != total(2)
    assert torch.equal(torch.random.get_rng_state(), state)  # the caller's random numbers are untouched


def test_what_cannot_be_built_is_said() -> None:
    with pytest.raises(InputError, match="choose one of"):
        build_slayer(SlayerConfig("transformer"))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="delays in a conv network"):
        build_slayer(SlayerConfig("conv", delays=True))
    with pytest.raises(InputError, match="choose one of sinabs, conv"):
        recipe_of("nothing", 0)


@needs_lava
def test_train_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "trained"
    arguments = ["train", "--recipe", "delays", "--epochs", "1", "--train-size", "50", "--out", str(out)]
    assert run(arguments) == 0
    assert "epoch  1" in capsys.readouterr().out
    network = (out / "network.safetensors").read_bytes()
    assert run(arguments) == 0  # nothing is left to do, and the same is written
    assert "epoch  1" not in capsys.readouterr().out
    assert (out / "network.safetensors").read_bytes() == network
    assert run(["check", str(out / "network.safetensors"), "--chip", "loihi2"]) == 0
    assert run(["train", "--recipe", "none", "--out", str(out)]) == 2
