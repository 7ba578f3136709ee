"""A training goes on from network files, checkpoints and files of torch; what cannot be trained on is refused."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sinabs.layers import IAFSqueeze
from torch import nn
from training_data import SIDE, STEPS, bar_data, bars, same, small_network, weights_of

from i2e_deploy.chips import write_model
from i2e_deploy.cli.app import run
from i2e_deploy.errors import InputError, UnsupportedError
from i2e_deploy.network import IntegrateAndFire, Layer, LeakyIntegrateAndFire, Network, from_sinabs
from i2e_deploy.training import FitConfig, FusedIAF, fit, load_weights
from i2e_deploy.training.bptt import SINABS
from i2e_deploy.training.from_file import is_network, module_of
from i2e_deploy.training.starting import take_weights


def written(folder: Path, network: nn.Module | None = None) -> Path:
    read = from_sinabs(network or small_network(), (2, SIDE, SIDE), states="zero")
    write_model(read, path := folder / "network.safetensors")
    return path


def test_a_network_file_is_trained_on_as_it_is(tmp_path: Path) -> None:
    """EXACT: the module sends what the one that was written sends, from layers that run fused; then it learns."""
    frames = torch.from_numpy(bars(5).frames).float()
    module, said = module_of(written(tmp_path), bar_data(), 0)
    assert said == []
    assert torch.equal(SINABS.outputs(module, frames), SINABS.outputs(small_network(), frames))
    assert [type(part) for part in SINABS.neurons(module)] == [FusedIAF, FusedIAF]
    before = weights_of(module)
    (result,) = fit(module, bar_data(), FitConfig(epochs=1, batch_size=8, chip="speck2f"))
    assert result.chip["accuracy"] >= 0
    assert not same(before, weights_of(module))


def test_gradients_are_those_of_the_recipes(tmp_path: Path) -> None:
    frames, found = torch.from_numpy(bars(5).frames).float(), []
    for module in (module_of(written(tmp_path), bar_data(), 0)[0], small_network()):
        SINABS.outputs(module, frames).square().sum().backward()  # type: ignore[no-untyped-call]
        found.append([p.grad.clone() for p in module.parameters() if p.grad is not None])
    assert len(found[0]) == 2
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-4)


def test_neurons_that_cannot_run_fused_run_as_sinabs_own(tmp_path: Path) -> None:
    network = small_network(fused=False)
    network[1] = IAFSqueeze(num_timesteps=STEPS, min_v_mem=None, spike_threshold=torch.tensor(0.5))
    module, _ = module_of(written(tmp_path, network), bar_data(), 0)
    assert [type(part) for part in SINABS.neurons(module)] == [IAFSqueeze, FusedIAF]
    frames = torch.from_numpy(bars(5).frames).float()
    assert torch.equal(SINABS.outputs(module, frames), SINABS.outputs(network, frames))


@pytest.mark.parametrize("convolution", [True, False])
def test_another_number_of_classes_gets_a_new_last_layer(tmp_path: Path, convolution: bool) -> None:
    network = small_network()
    if convolution:
        network = nn.Sequential(network[0], network[1], nn.Conv2d(6, 2, 4, bias=False), network[4], nn.Flatten())
    data = bar_data()
    three = type(data)(data.train, data.test, ("a", "b", "c"), data.input_shape, data.steps)
    module, said = module_of(written(tmp_path, network), three, 3)
    name = "2" if convolution else "3"
    assert said == [f"network.safetensors has 2 outputs and the data 3 classes: layer {name} is new"]
    sent = SINABS.outputs(module, torch.from_numpy(bars(4).frames))
    assert sent.shape == (4, STEPS, 3)
    assert 0 < float(sent.mean().detach()) < 1  # it neither is silent nor always fires
    assert np.array_equal(weights_of(module)[0], weights_of(network)[0])
    assert same(weights_of(module), weights_of(module_of(tmp_path / "network.safetensors", three, 3)[0]))
    assert not same(weights_of(module), weights_of(module_of(tmp_path / "network.safetensors", three, 4)[0]))


def test_weights_of_torch_files(tmp_path: Path) -> None:
    """States of neurons in the file are left out; other weights are another network."""
    first, path = small_network(), tmp_path / "weights.pt"
    SINABS.outputs(first, torch.from_numpy(bars(5).frames))
    assert any(name.endswith("v_mem") for name in first.state_dict())
    torch.save({"state_dict": first.state_dict(), "epoch": 3}, path)
    assert not is_network(path)
    other = small_network(seed=5)
    load_weights(other, path)
    assert same(weights_of(other), weights_of(first))
    assert take_weights(small_network(5, seed=4), path) == ["3.weight"]
    torch.save({**first.state_dict(), "9.weight": torch.ones(2, 2)}, path)
    with pytest.raises(InputError, match=r"another network: only one of the two has 9\.weight"):
        load_weights(other, path)


def test_what_cannot_be_trained_on_is_refused_with_the_way_out(tmp_path: Path) -> None:
    data, path = bar_data(), tmp_path / "network.safetensors"
    way_out = "train a module"
    small = type(data)(data.train, data.test, data.classes, (2, SIDE + 1, SIDE), data.steps)
    with pytest.raises(InputError, match="takes 2x8x8, and the data are 2x9x8: prepare them so"):
        module_of(written(tmp_path), small, 0)
    read = from_sinabs(small_network(), (2, SIDE, SIDE), states="zero")
    leaks = LeakyIntegrateAndFire(np.array(0.5, np.float32), np.array(1, np.float32))
    leaky = [
        Layer(layer.name, leaks if isinstance(layer.op, IntegrateAndFire) else layer.op, layer.inputs)
        for layer in read.layers
    ]
    write_model(Network(read.input_shape, tuple(leaky)), path)
    with pytest.raises(UnsupportedError, match=rf"layer '1' is a LeakyIntegrateAndFire.*{way_out}"):
        module_of(path, data, 0)
    with pytest.raises(InputError, match="is a folder: name a file in it"):
        is_network(tmp_path)
    with pytest.raises(InputError, match="no such file"):
        is_network(tmp_path / "none.safetensors")


def test_integers_of_a_chip_are_refused(tmp_path: Path) -> None:
    pytest.importorskip("lava.lib.dl.slayer")
    from i2e_deploy.chips import get
    from i2e_deploy.training import SlayerConfig, build_slayer
    from i2e_deploy.training.slayer import SLAYER

    network = build_slayer(SlayerConfig())
    write_model(SLAYER.read(network, (2, 32, 32), None, get("loihi2")), path := tmp_path / "network.safetensors")
    with pytest.raises(UnsupportedError, match="integers have no gradient: train a module"):
        module_of(path, bar_data(), 0)


def test_init_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, network, out = tmp_path / "bars.npz", written(tmp_path), tmp_path / "out"
    samples = bars(24)
    np.savez(data, frames=samples.frames, labels=samples.targets + (np.arange(24) > 20))
    plain: list[Any] = ["train", data, "--epochs", 1, "--out", out, "--init"]
    assert run([str(word) for word in (*plain, network, "--chip", "speck2f", "--freeze", "0")]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert f"goes on from the network in {network}" in printed
    assert "has 2 outputs and the data 3 classes: layer 3 is new" in printed
    assert run(["check", str(out / "network.safetensors"), "--chip", "speck2f"]) == 0
    capsys.readouterr()
    shutil.copy(network, tmp_path / "other.net")
    for more, text in {
        (network,): "name the chip that it is for with --chip",
        (network, "--chip", "speck2f", "--recipe", "small"): "is a network, and --recipe names another",
        (tmp_path, "--chip", "speck2f"): "is a folder: name a file in it",
    }.items():
        assert run([str(word) for word in (*plain, *more)]) == 2
        said = capsys.readouterr().err
        assert text in said
        assert said.count("\n") == 1
