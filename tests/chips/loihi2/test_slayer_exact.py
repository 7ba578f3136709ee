"""Parameters of SLAYER's blocks with drawn values: exact as the program computes, or refused, live against SLAYER."""

from __future__ import annotations

import re
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from children import needs_lava
from slayer_beside import agrees, lateness, own_output
from slayer_draws import Drawn
from torch import nn

import i2e_deploy as i2e
from i2e_deploy.chips.loihi2 import BlockNetwork, from_slayer, read_netx, write_netx
from i2e_deploy.chips.loihi2.program import SigmaDelta
from i2e_deploy.errors import UnsupportedError
from i2e_deploy.lava_shim import import_lava

pytestmark = needs_lava
CUBA = {"threshold": 1.0, "current_decay": 0.25, "voltage_decay": 0.1}
DELTA = {"threshold": 0.25, "activation": nn.functional.relu}


def slayer() -> Any:
    import_lava()
    return import_module("lava.lib.dl.slayer")


class Row(nn.Sequential):
    """Blocks one after the other, after one batch."""

    def __init__(self, *blocks: Any, shape: tuple[int, ...] = (8,)) -> None:
        super().__init__(*blocks)
        self.shape = shape
        with torch.no_grad():
            self(torch.zeros(2, *shape, 3))


def frames_for(rng: np.random.Generator, shape: tuple[int, ...], sigma_delta: bool) -> Any:
    size = (2, 24, *shape)
    if sigma_delta:
        return (2 * rng.integers(-24, 24, size) / 64 * (rng.random(size) < 0.4)).astype(np.float32)
    return (rng.random(size) < 0.35).astype(np.float32)


def compared(module: Any, rng: np.random.Generator, sigma_delta: bool, **options: Any) -> BlockNetwork:
    """Read with an example; exact on other frames too, and the module does something."""
    network = from_slayer(module, example=frames_for(rng, module.shape, sigma_delta), **options)
    other, case = frames_for(rng, module.shape, sigma_delta), Drawn(module, module.shape, sigma_delta, "")
    assert agrees(network, case, other)
    assert np.count_nonzero(own_output(module, other)) > 5
    return network


def refused(module: Any, rng: np.random.Generator, sigma_delta: bool, text: str) -> None:
    for example in (frames_for(rng, module.shape, sigma_delta), None):
        with pytest.raises(UnsupportedError, match=re.escape(text)):
            from_slayer(module, module.shape, example=example)


def doubts(network: BlockNetwork) -> str:
    return " | ".join(note.text for note in network.notes if note.doubtful)


def dense_sd(*widths: int, **options: Any) -> Any:
    block, neuron = slayer().block.sigma_delta, {**DELTA, **options}
    dense = [block.Dense(dict(neuron), a, b, weight_scale=2) for a, b in pairwise(widths[:-1])]
    first = {k: v for k, v in neuron.items() if k != "norm"}
    return Row(block.Input(first), *dense, block.Output(first, *widths[-2:], weight_scale=2))


def dense_cuba(*widths: int, delay: bool = False, kind: str = "Dense", **options: Any) -> Any:
    """The last block has no delay."""
    make = getattr(slayer().block.cuba, kind)
    neuron, last = {**CUBA, **options}, len(widths) - 2
    pairs = pairwise(widths)
    return Row(*(make(dict(neuron), a, b, weight_scale=3, delay=delay and i < last) for i, (a, b) in enumerate(pairs)))


def normed(rng: np.random.Generator, module: Any, spread: float, variance: float = 0.0) -> Any:
    """Means of all norms drawn from a spread, and a variance."""
    for part in module.modules():
        if type(part).__name__.endswith("BatchNorm"):
            part.running_mean = torch.from_numpy(rng.uniform(-spread, spread, part.num_features)).float()
            part.running_var = torch.tensor([variance])
        if type(part).__name__ == "Delay":
            part.delay.data = torch.from_numpy(rng.uniform(0, 6, part.delay.shape)).float()
    return module


def mean_norm() -> Any:
    return slayer().neuron.norm.MeanOnlyBatchNorm


@pytest.mark.parametrize("seed", range(5))
def test_set_bias_is_read(seed: int, tmp_path: Path) -> None:
    """Agreement: exact, alone and with a norm; `.net` files hold it; a value off the grid is refused."""
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    module = normed(rng, dense_sd(8, 10, 6, 3, norm=mean_norm() if seed % 2 else None), 0.05)
    for block in list(module)[1:-1]:
        bias = torch.from_numpy(rng.integers(-9, 9, tuple(block.neuron.shape)) / 64).float()
        block.neuron.set_bias(bias)
    network = compared(module, rng, True)
    assert all(block.bias is not None and block.bias.any() for block in network.blocks[1:-1])
    assert lateness(network) == 3
    write_netx(network, tmp_path / "bias.net")
    again = read_netx(tmp_path / "bias.net")
    for block, other in zip(network.blocks, again.blocks, strict=True):
        assert (block.bias is None and other.bias is None) or np.array_equal(block.bias, other.bias)  # type: ignore[arg-type]
    module[1].neuron.set_bias(bias := torch.full((10,), 0.1))
    refused(module, rng, True, "set_bias holds 0.1")
    module[1].neuron.set_bias(torch.round(bias * 64) / 64)
    compared(module, rng, True)


@pytest.mark.parametrize("seed", range(3))
def test_set_bias_of_every_neuron_of_an_image(seed: int, tmp_path: Path) -> None:
    """Agreement: exact. A bias a neuron stands in no `.net` file, one a channel does."""
    rng, block = np.random.default_rng(seed), slayer().block.sigma_delta
    torch.manual_seed(seed)
    conv = block.Conv(DELTA, 2, 4, 3, padding=1, weight_scale=3)
    blocks = [block.Input(DELTA), conv, block.Flatten(), block.Output(DELTA, 4 * 5 * 3, 3, weight_scale=2)]
    module: Any = Row(*blocks, shape=(2, 5, 3))
    conv.neuron.set_bias(torch.from_numpy(rng.integers(-9, 9, (4, 5, 3)) / 64).float())
    network = compared(module, rng, True)
    assert network.blocks[1].bias.shape == (60,)  # type: ignore[union-attr]
    folder = tmp_path / "bundle"
    i2e.bundle.write(folder, i2e.chips.get("loihi2"), network, np.zeros((1, 4, 2, 5, 3), np.int64))
    assert i2e.bundle.verify(i2e.bundle.read(folder)).exact
    with pytest.raises(UnsupportedError, match="bias of its own for each neuron"):
        write_netx(network, tmp_path / "x.net")
    conv.neuron.bias.data = torch.from_numpy(rng.integers(-9, 9, (4, 1, 1)) / 64).float()
    network = compared(module, rng, True)
    assert network.blocks[1].bias.shape == (4,)  # type: ignore[union-attr]
    write_netx(network, tmp_path / "x.net")


@pytest.mark.parametrize("seed", range(4))
def test_a_bias_that_reaches_the_threshold_is_a_warning_or_refused(seed: int) -> None:
    """It is sent at t = 1, before SLAYER's layer j starts at 1 + j."""
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    module = normed(rng, dense_sd(8, 10, 6, 3, norm=mean_norm()), 0.2)  # below the threshold of 0.25
    assert "bias alone" not in doubts(compared(module, rng, True))
    normed(rng, module, 0.6)
    network = from_slayer(module)
    assert re.search(r"bias alone sends \d+ channels? in the first 1 step.*bias alone sends \d+", doubts(network))
    with pytest.raises(UnsupportedError, match="the bias alone sends"):
        from_slayer(module, example=frames_for(rng, module.shape, True))


@pytest.mark.parametrize("seed", range(4))
def test_learned_thresholds(seed: int) -> None:
    """Agreement: exact on the grid of 1/64; an input's is rounded up, which is exact; others off it are refused."""
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    module = dense_sd(8, 10, 6, 3)
    for block, value in zip(module, (rng.uniform(0.01, 0.3), *rng.integers(3, 30, 2) / 64, 0.7), strict=True):
        block.neuron.delta.threshold.data = torch.tensor([float(value)])
    network = compared(module, rng, True)
    assert isinstance(network.blocks[1].neuron, SigmaDelta)
    assert network.blocks[1].neuron.threshold == 64 * module[1].neuron.delta.threshold.item()
    module[2].neuron.delta.threshold.data = torch.tensor([0.1234])
    refused(module, rng, True, "threshold 0.1234 is between steps of 1/64, and Lava would take 7/64")


def test_thresholds_of_each_channel() -> None:
    rng = np.random.default_rng(0)
    module = dense_sd(8, 10, 6, 3, shared_param=False)
    compared(module, rng, True)
    module[1].neuron.delta.threshold.data[3] = 0.5
    refused(module, rng, True, "2 thresholds from 16/64 to 32/64 (shared_param=False)")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"scale": 32}, "scale=32"),
        ({"activation": torch.sigmoid}, "activation 'sigmoid'"),
    ],
)
def test_sigma_delta_that_the_chip_does_not_have(options: dict[str, Any], text: str) -> None:
    refused(dense_sd(8, 10, 3, **options), np.random.default_rng(0), True, text)


class Skips(nn.Module):
    """Sums over ways of different length, in one family of blocks."""

    def __init__(self, sigma_delta: bool, shifts: Any) -> None:
        super().__init__()
        block = slayer().block.sigma_delta if sigma_delta else slayer().block.cuba
        neuron, self.shape = (DELTA if sigma_delta else CUBA), (2, 5, 4)
        extra = [{} if shift is None else {"delay_shift": bool(shift)} for shift in shifts]
        self.start = block.Input(neuron) if sigma_delta else nn.Identity()
        self.a = block.Conv(neuron, 2, 4, 3, padding=1, weight_scale=3, **extra[0])
        self.b = block.Conv(neuron, 4, 4, 3, padding=1, weight_scale=2, **extra[1])
        self.c = block.Conv(neuron, 4, 4, 3, padding=1, weight_scale=2, groups=2, **extra[2])
        self.flat = block.Flatten()
        self.d = block.Dense(neuron, 80, 80, weight_scale=2, **extra[3])
        self.e = block.Dense(neuron, 80, 5, weight_scale=2)
        with torch.no_grad():
            self(torch.zeros(2, *self.shape, 3))

    def forward(self, x: Any) -> Any:
        x = self.a(self.start(x))
        y = self.b(x)
        x = self.flat(x + y + self.c(y))
        return self.e(x + self.d(x))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("sigma_delta", [True, False])
def test_sums_meet_whatever_the_delay_shift(sigma_delta: bool, seed: int) -> None:
    """Agreement: exact; delay_shift=False is what every Sigma-Delta block has if not told otherwise."""
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    shifts = [None] * 4 if seed == 0 else rng.integers(0, 2, 4)
    compared(Skips(sigma_delta, shifts), rng, sigma_delta)


@pytest.mark.parametrize("variance", [1e-6, 0.2, 3.0, 300.0])
@pytest.mark.parametrize("seed", range(3))
def test_weight_scale_batch_norm_where_the_current_decays_fully(seed: int, variance: float) -> None:
    """Agreement: exact: SLAYER limits the exponent to 3 and divides the bias too. Else it rounds: refused."""
    rng, norm = np.random.default_rng(seed), slayer().neuron.norm.WgtScaleBatchNorm
    torch.manual_seed(seed)
    exponent = int(np.clip(np.ceil(np.log2(np.sqrt(variance + 1e-5))), -3, 3))
    module = normed(
        rng, dense_cuba(8, 10, 6, norm=norm, current_decay=1.0, threshold=1.5 * 2.0**-exponent), 0.5, variance
    )
    for block in module:  # a grid that the division keeps
        step = 2.0 ** max(exponent, 0) * 2 / 64
        block.synapse.weight.data = torch.round(block.synapse.weight.data * 2.0 ** min(exponent, 0) / step) * step
        block.neuron.norm.running_mean = torch.round(block.neuron.norm.running_mean / step) * step
    network = compared(module, rng, False, reset_interval=24)
    used = module[0].neuron.quantize_8bit(module[0].synapse.weight).detach().numpy().reshape(10, 8) * 64
    assert np.array_equal(network.blocks[0].connections[0].synapse.weight * 2.0**exponent, used)  # type: ignore[union-attr]
    for block in module:
        block.neuron.current_decay.data = torch.tensor([1024.0])
    if exponent:
        refused(module, rng, False, f"WgtScaleBatchNorm divides the current by 2^{exponent}")
    else:
        compared(module, rng, False, reset_interval=24)


@pytest.mark.parametrize("seed", range(4))
def test_a_bias_with_delays_or_a_kept_state(seed: int) -> None:
    """Agreement: exact with reset_interval: delays then act where the spikes arrive. Without it a warning says so."""
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    options = {"norm": mean_norm(), "threshold": 1.5, "persistent_state": seed % 2 == 0}
    module = normed(rng, dense_cuba(8, 12, 10, 6, delay=True, **options), 0.3)
    assert "bias acts before" not in doubts(compared(module, rng, False, reset_interval=24))
    assert "reset_interval=T" in doubts(from_slayer(module))
    last = normed(rng, Row(slayer().block.cuba.Dense({**CUBA, **options}, 8, 6, delay=True, weight_scale=3)), 0.3)
    refused(last, rng, False, "the last block has delays")


@pytest.mark.parametrize("seed", range(3))
def test_a_bias_with_delays_before_a_convolution(seed: int) -> None:
    """Agreement: exact; also where convolutions and pooling follow, whose synapses are parted by their delays."""
    rng, block = np.random.default_rng(seed), slayer().block.cuba
    torch.manual_seed(seed)
    biased = {**CUBA, "norm": mean_norm(), "threshold": 1.5}
    blocks = [
        block.Conv(dict(biased), 2, 4, 3, padding=1, weight_scale=3, delay=True),
        block.Conv(dict(biased), 4, 4, 3, padding=1, groups=2, weight_scale=3, delay=True),
        block.Pool({**CUBA, "threshold": 0.5}, 2, weight_scale=20, delay=True),
        block.Flatten(),
        block.Dense(CUBA, 4 * 3 * 2, 5, weight_scale=3),
    ]
    module = normed(rng, Row(*blocks, shape=(2, 6, 4)), 0.2)
    compared(module, rng, False, reset_interval=24)


@pytest.mark.parametrize("seed", range(3))
def test_feedback_with_delays_and_with_a_bias(seed: int) -> None:
    """Agreement: exact with delays, and with a bias where the current decays fully; else refused."""
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    compared(normed(rng, dense_cuba(8, 10, 6, kind="Recurrent", delay=True), 0.0), rng, False)
    options = {"norm": mean_norm(), "threshold": 0.75}
    module = normed(rng, dense_cuba(8, 10, 6, kind="Recurrent", current_decay=1.0, **options), 0.3)
    compared(module, rng, False, reset_interval=24)
    module[0].neuron.current_decay.data = torch.tensor([3000.0])
    refused(module, rng, False, "a norm in a recurrent block")


@pytest.mark.parametrize("seed", range(3))
def test_a_bias_behind_an_input_block_needs_no_reset(seed: int) -> None:
    """Agreement: exact: SLAYER's input block takes a step that the program's does not."""
    rng, block = np.random.default_rng(seed), slayer().block.cuba
    torch.manual_seed(seed)
    options = {**CUBA, "norm": mean_norm(), "threshold": 1.5}
    dense = [block.Dense(dict(options), a, b, weight_scale=3) for a, b in ((8, 10), (10, 6))]
    module = normed(rng, Row(block.Input({**CUBA, "threshold": 0.5}), *dense), 0.3)
    network = compared(module, rng, False)
    assert lateness(network) == -1
    assert not doubts(network)


@pytest.mark.parametrize("seed", range(3))
def test_reset_interval_is_the_reset_of_all_layers_at_t_2(seed: int) -> None:
    """And with blocks that do not shift, each layer is reset when its block starts: exact."""
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    module = normed(rng, dense_cuba(8, 10, 6, norm=mean_norm(), threshold=1.5), 0.3)
    ours = compared(module, rng, False, reset_interval=24)
    by_hand = from_slayer(module).with_reset(24, 1, staggered=False)
    assert [b.neuron.reset for b in ours.blocks] == [b.neuron.reset for b in by_hand.blocks]  # type: ignore[attr-defined]
    for block in module:
        block.delay_shift = False
    network = compared(module, rng, False, reset_interval=26)
    assert [b.neuron.reset.offset for b in network.blocks] == [2, 3]  # type: ignore[attr-defined]
    assert lateness(network) == 2


@pytest.mark.parametrize("dynamics", [True, False])
@pytest.mark.parametrize("scale", [64, 32])
def test_an_affine_block_gives_its_voltage(dynamics: bool, scale: int) -> None:
    """Agreement: exact, the voltage (or, without dynamics, the sum of the current) after all steps."""
    rng, block = np.random.default_rng(scale), slayer().block.cuba
    torch.manual_seed(scale)
    affine = block.Affine({**CUBA, "scale": scale}, 10, 4, dynamics=dynamics)
    compared(Row(block.Dense(CUBA, 8, 10, weight_scale=3), affine), rng, False)
    refused(Row(affine, block.Dense(CUBA, 4, 4), shape=(10,)), rng, False, "only the last block may")


def test_decays_of_each_channel_of_an_image_are_refused() -> None:
    """SLAYER applies them to columns, which it does not notice where there are as many."""
    block, rng = slayer().block.cuba, np.random.default_rng(0)
    module: Any = Row(block.Conv({**CUBA, "shared_param": False}, 2, 4, 3, padding=1, weight_scale=3), shape=(2, 5, 4))
    module[0].neuron.voltage_decay.data = torch.tensor([100.0, 500.0, 900.0, 2000.0])
    refused(module, rng, False, "_decay of its own for each channel")


def test_weights_that_forward_does_not_use_are_not_read() -> None:
    """`synapse.weight` of weight norm is what the last pass left; a quantiser of one's own is refused."""
    rng, block = np.random.default_rng(0), slayer().block.cuba
    with pytest.warns(FutureWarning):
        module = Row(block.Recurrent(dict(CUBA), 8, 6, weight_norm=True, weight_scale=3))
    for name, value in module.state_dict().items():
        if name.endswith(("weight_g", "weight_v")):
            value.copy_(torch.randn(value.shape) * 2)
    compared(module, rng, False)
    plain: Any = Row(block.Dense(CUBA, 8, 6, weight_scale=3))
    plain[0].synapse.pre_hook_fx = lambda weight, descale=False: weight * (64 if descale else 1)
    refused(plain, rng, False, "the weights that `forward` multiplies with")


def test_check_counts_values_that_a_message_cannot_hold() -> None:
    chip, rng = i2e.chips.get("loihi2"), np.random.default_rng(0)
    spikes = from_slayer(dense_cuba(8, 10, 6))
    frames = rng.integers(0, 3, (2, 20, 8))
    (finding,) = (f for f in chip.findings_on(spikes, frames) if f.rule == "values above 1")  # type: ignore[attr-defined]
    assert (finding.value, finding.severity) == ((frames > 1).sum(), "warning")
    network = from_slayer(dense_sd(8, 10, 6, 3))
    frames = rng.integers(-127, 128, (2, 20, 8)) * 64
    trace = chip.lower(network).run(frames)
    findings = [f for f in chip.findings_on(network, frames) if f.rule == "beyond message bits"]  # type: ignore[attr-defined]
    for finding, (name, sent) in zip(findings, trace.spikes.items(), strict=True):
        assert (finding.layer, finding.value) == (name, ((sent < -(2**15)) | (sent >= 2**15)).sum())
    assert findings[0].severity == "warning"
