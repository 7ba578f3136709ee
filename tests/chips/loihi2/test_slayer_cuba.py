"""CUBA blocks with drawn values: exact as the program computes, or refused, live against SLAYER."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from children import needs_lava
from slayer_beside import lateness
from slayer_blocks import (
    CUBA,
    Row,
    compared,
    dense_cuba,
    dense_sd,
    doubts,
    frames_for,
    mean_norm,
    normed,
    refused,
    slayer,
)  # fmt: skip

import i2e_deploy as i2e
from i2e_deploy.chips.loihi2 import from_slayer
from i2e_deploy.errors import InputError, UnsupportedError

pytestmark = needs_lava


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
    assert [b.neuron.reset for b in ours.blocks] == [b.neuron.reset for b in by_hand.blocks]
    for block in module:
        block.delay_shift = False
    network = compared(module, rng, False, reset_interval=26)
    assert [b.neuron.reset.offset for b in network.blocks if b.neuron.reset is not None] == [2, 3]
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


@pytest.mark.parametrize("kind", ["current_decay", "voltage_decay"])
def test_decays_outside_their_range_are_refused(kind: str) -> None:
    """The jitter of shared_param=False passes 1, and SLAYER then computes with a current that changes its sign."""
    module, rng = dense_cuba(8, 10, 6), np.random.default_rng(0)
    getattr(module[0].neuron, kind).data = torch.tensor([4130.0])
    refused(module, rng, False, f"{kind} is 4130 of 4096 parts")
    module[0].neuron.clamp()
    compared(module, rng, False)


def test_a_threshold_that_float32_cannot_pass_by_a_step_is_refused() -> None:
    """Agreement: exact below 64; from there on SLAYER fires at the threshold too."""
    rng = np.random.default_rng(0)
    torch.manual_seed(0)
    for threshold, fires in ((63.0, 0), (64.0, 1)):
        own = slayer().neuron.cuba.Neuron(threshold, 1.0, 1.0)
        assert own(torch.full((1, 1, 1), threshold)).item() == fires
    neuron: dict[str, Any] = {"current_decay": 0.0, "voltage_decay": 0.0}
    module = dense_cuba(8, 10, threshold=63.0, **neuron)
    module[0].synapse.weight.data[:] = 3.5  # reaches 63 exactly
    compared(module, rng, False)
    refused(dense_cuba(8, 10, threshold=64.0, **neuron), rng, False, "SLAYER's float32 fires at the threshold too")


def test_delays_that_no_synapse_holds_are_refused() -> None:
    module, rng = dense_cuba(8, 10, 6, delay=True), np.random.default_rng(0)
    module[0].delay.max_delay = None
    module[0].delay.delay.data[0] = 70.0
    refused(module, rng, False, "a delay of 70 steps")
    module[0].delay.delay.data[0] = 62.9
    compared(module, rng, False)


def test_dropout_that_evaluation_does_not_switch_off_is_refused() -> None:
    module, rng = dense_cuba(8, 10, 6, dropout=lambda x: x * 0), np.random.default_rng(0)
    with pytest.raises(UnsupportedError, match="a dropout of neuron"):
        from_slayer(module)
    with pytest.raises(UnsupportedError, match="is not layer"):
        from_slayer(module, example=frames_for(rng, (8,), False))
    compared(dense_cuba(8, 10, 6, dropout=slayer().neuron.Dropout(0.5)), rng, False)


def test_a_reset_within_a_sample_is_refused() -> None:
    module, rng = dense_cuba(8, 10, 6), np.random.default_rng(0)
    with pytest.raises(InputError, match="reset_interval is 10 and the example has 24 steps"):
        from_slayer(module, example=frames_for(rng, (8,), False), reset_interval=10)
    with pytest.raises(InputError, match="reset_interval is 0"):
        from_slayer(module, reset_interval=0)


@pytest.mark.parametrize("kind", ["rf", "rf_iz"])
def test_resonators(kind: str) -> None:
    """Agreement: exact."""
    rng, block = np.random.default_rng(0), getattr(slayer().block, kind)
    torch.manual_seed(0)
    neuron = {"threshold": 0.5, "period": 8, "decay": 0.1}
    compared(Row(*(block.Dense(dict(neuron), a, b, weight_scale=3) for a, b in ((8, 10), (10, 5)))), rng, False)


def test_what_netx_and_the_chip_lack_is_refused() -> None:
    rng, block = np.random.default_rng(0), slayer().block.cuba
    refused(Row(block.KWTA(dict(CUBA), 8, 10, 3)), rng, False, "k-winners-take-all")
    refused(Row(block.Dense(CUBA, 8, 10), block.TimeDecimation(2)), rng, False, "skips steps")
    network = from_slayer(Row(block.Dense(CUBA, 8, 10), block.Average(5)), example=frames_for(rng, (8,), False))
    assert any("averages" in note.text for note in network.notes)
