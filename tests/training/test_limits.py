"""Limits of a training are the rates of the cores under the layers, and layers are held under them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from sinabs.activation import Heaviside
from sinabs.layers import IAFSqueeze
from torch import Tensor, nn
from training_data import SIDE, STEPS, bar_data, bars, small_network

from i2e_deploy.chips import get
from i2e_deploy.cli.app import run
from i2e_deploy.errors import InputError, UnsupportedError
from i2e_deploy.network import from_sinabs
from i2e_deploy.training import FitConfig, Loss, Optimising, TrainingData, fit
from i2e_deploy.training.activity import watched
from i2e_deploy.training.bptt import SINABS
from i2e_deploy.training.limits import check_limited, limits_of

CHIP = get("speck2f")
#: 30 million operations a second of a core, 100 million of the two parallel ones: in 30 us so many.
STEP_US, PLAIN, PARALLEL = 30, 900.0, 3000.0


def deep_network() -> nn.Sequential:
    """Three layers, so that one of them has no parallel core."""
    torch.manual_seed(1)
    neurons = {"num_timesteps": STEPS, "min_v_mem": -1.0, "surrogate_grad_fn": Heaviside(window=1.0)}
    layers: list[nn.Module] = []
    for given in (2, 6):
        layers += [nn.Conv2d(given, 6, 3, padding=1, bias=False), IAFSqueeze(**neurons)]
    network = nn.Sequential(*layers, nn.Flatten(), nn.Linear(6 * SIDE**2, 2, bias=False), IAFSqueeze(**neurons))
    with torch.no_grad():
        for layer in network:
            if isinstance(layer, nn.Conv2d | nn.Linear):
                layer.weight.mul_(4).add_(0.02)
    return network


def timed(samples: int = 24) -> TrainingData:
    return replace(bar_data(samples), step_us=STEP_US)


def test_limits_are_the_rates_of_the_cores_under_the_layers() -> None:
    """The figures are the profile's; the two layers with the largest load are on the two parallel cores."""
    network, batch = deep_network(), bars(4).batch(np.arange(4), None)
    read = from_sinabs(network, (2, SIDE, SIDE), states="zero")
    program = CHIP.lower(read)
    found = limits_of(CHIP, program, read, batch, STEP_US)
    assert list(found) == list(program.layer_names) == ["0", "2", "5"]
    counts = program.run_events(batch.frames).counts  # type: ignore[attr-defined]
    least = min(counts, key=lambda name: counts[name].synops)
    assert found == {name: PLAIN if name == least else PARALLEL for name in found}
    assert limits_of(CHIP, program, read, batch, 2 * STEP_US) == {name: 2 * limit for name, limit in found.items()}


def test_what_has_no_limits_is_refused() -> None:
    network, batch = deep_network(), bars(4).batch(np.arange(4), None)
    read = from_sinabs(network, (2, SIDE, SIDE), states="zero")
    with pytest.raises(InputError, match="the duration of a step, and the data do not say it: --step-us"):
        limits_of(CHIP, CHIP.lower(read), read, batch, None)
    loihi = get("loihi2")
    with pytest.raises(UnsupportedError, match=r"loihi2 does not offer that .*: its cores wait for each other"):
        limits_of(loihi, loihi.lower(read), read, batch, STEP_US)
    large = nn.Sequential(nn.Flatten(), nn.Linear(2 * SIDE**2, 2000, bias=False), deep_network()[1])
    read = from_sinabs(large, (2, SIDE, SIDE), states="zero")
    with pytest.raises(UnsupportedError, match="the network is on none"):
        limits_of(CHIP, CHIP.lower(read), read, batch, STEP_US)
    frames = torch.from_numpy(batch.frames).float()
    with pytest.raises(UnsupportedError, match="operations of other are not counted in training"):
        check_limited(network, SINABS, {"0": 1e6, "other": 1.0}, frames)
    with pytest.raises(UnsupportedError, match=r"'0' is fed by the input alone and does [0-9,.]+ operations a step"):
        check_limited(network, SINABS, {"0": 1.0}, frames)
    refused: dict[str, Callable[[], Any]] = {
        "need a weight": lambda: Loss(limits="chip"),
        "take no limits beside them": lambda: Loss(limits="chip", activity=1.0, spike_limit=0.1),
        "limits 'none': choose one of given, chip": lambda: Loss(limits="none"),  # type: ignore[arg-type]
        "limits of the chip need the chip": lambda: FitConfig(loss=Loss(limits="chip", activity=1.0)),
    }
    for text, make in refused.items():
        with pytest.raises(InputError, match=text):
            make()


def test_a_training_holds_every_layer_under_its_core() -> None:
    """Without it a layer does more than its core can; with it none does more than that."""
    loads = []
    for weight in (1e-9, 1.0):
        loss = Loss(activity=weight, limits="chip")
        config = FitConfig(
            epochs=6, batch_size=8, chip="speck2f", chip_samples=4, loss=loss, optimising=Optimising(learning_rate=1e-2)
        )
        results = list(fit(deep_network(), timed(48), config))
        loads.append(results[-1].train["load"])
        assert results[-1].row()["train_load"] == loads[-1]
    assert loads[0] > 1.2
    assert loads[1] < 1


class _StepByStep(nn.Module):
    """The same layers, called once a step."""

    def __init__(self, layers: nn.Sequential) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, frames: Tensor) -> Tensor:
        parts: Any = frames.view(-1, STEPS, *frames.shape[1:])
        for layer in self.layers:
            if isinstance(layer, IAFSqueeze):
                sent = layer(parts.flatten(0, 1))
                parts = sent.view(-1, STEPS, *sent.shape[1:])
            else:
                parts = torch.stack([layer(parts[:, t]) for t in range(STEPS)], 1)
        return torch.as_tensor(parts.flatten(0, 1))


def test_a_layer_that_runs_once_a_step_is_one_layer() -> None:
    """What is counted is the same as where it runs once for all of them."""
    network, frames = deep_network(), torch.from_numpy(bars(3).frames).float()
    found = []
    for module in (network, _StepByStep(network)):
        with torch.no_grad(), watched(module, SINABS, STEPS, 3) as activity:
            SINABS.outputs(module, frames)
        found.append([*activity.synops.values(), *activity.spikes.values()])
    assert len(found[0]) == 6
    torch.testing.assert_close(*found)


def test_steps_that_enter_as_one_count_as_many() -> None:
    """What reaches the first layer is the same events; neurons that only add up send the same in the end."""
    first, found = nn.Linear(4, 3, bias=False), []
    network, frames = nn.Sequential(first, small_network()[1]), torch.ones(2, STEPS, 4)
    nn.init.constant_(first.weight, 0.25)  # a threshold is reached in every step
    for given, merged in ((frames, False), (frames.sum(1, keepdim=True), True)):
        with torch.no_grad(), watched(network, SINABS, STEPS, 2, merged) as activity:
            SINABS.outputs(network, given)
        found.append((float(activity.synops["0"]), float(activity.spikes["1"])))
    assert found == [(12.0, 1.0)] * 2


def test_limits_of_the_chip_on_the_command_line(tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    data = tmp_path / "bars.npz"
    train = bars(20)
    np.savez(data, frames=train.frames, labels=train.targets)
    arguments = ["train", str(data), "--chip", "speck2f", "--limits", "chip", "--epochs", "1", "--out", str(tmp_path)]
    assert run(arguments) == 2
    assert "the data do not say it: --step-us" in capsys.readouterr().err
    assert run([*arguments, "--step-us", "1000"]) == 0
    assert "busiest core at" in capsys.readouterr().out


def test_small_networks_stay_within_their_cores() -> None:
    """At 1 ms a step the limits are far away, and the loss has nothing of them."""
    loss = Loss(activity=1.0, limits="chip")
    plain = FitConfig(epochs=1, batch_size=8, chip="speck2f", chip_samples=4)
    data = replace(bar_data(), step_us=1000)
    (held,) = fit(small_network(), data, replace(plain, loss=loss))
    (free,) = fit(small_network(), data, plain)
    assert held.train["load"] < 0.1
    assert held.loss == free.loss
