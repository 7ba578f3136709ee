"""Losses and augmentation are what their sources say; a schedule goes where it says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from training_data import STEPS, bar_data, bars, small_network

from i2e_deploy.errors import InputError, UnsupportedError
from i2e_deploy.training import FitConfig, FrameSamples, Loss, Mixing, Optimising, fit
from i2e_deploy.training.activity import watched
from i2e_deploy.training.bptt import SINABS, membranes
from i2e_deploy.training.metrics import figures, value_sums
from i2e_deploy.training.mixing import dropped, mixed_batch
from i2e_deploy.training.optimising import make_optimiser, step

seeds = st.integers(0, 2**31)


def drawn(seed: int, *shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


@given(seeds, st.floats(0, 0.5))
def test_cross_entropy_is_torchs_of_the_sum(seed: int, smoothing: float) -> None:
    outputs, targets = drawn(seed, 6, 5, 3), torch.arange(6) % 3
    loss = Loss(scale=0.7, label_smoothing=smoothing)
    wanted = F.cross_entropy(0.7 * outputs.sum(1), targets, reduction="none", label_smoothing=smoothing)
    torch.testing.assert_close(loss.of_samples(outputs, targets), wanted)


@given(seeds, st.floats(0, 1))
def test_tet_is_the_mean_over_the_steps(seed: int, share: float) -> None:
    """Deng et al. 2022, equations 9 to 11, step by step; outputs are scaled so that one step equals the sum's loss."""
    outputs, targets = drawn(seed, 4, 5, 3), torch.arange(4) % 3
    loss = Loss("tet", scale=0.5, label_smoothing=0, tet_share=share, tet_level=0.8)
    wanted = torch.zeros(4)
    for t in range(5):
        logits = 0.5 * 5 * outputs[:, t]
        wanted += (1 - share) * F.cross_entropy(logits, targets, reduction="none") / 5
        wanted += share * ((logits - 0.8) ** 2).mean(1) / 5
    torch.testing.assert_close(loss.of_samples(outputs, targets), wanted)
    one, single = outputs[:, :1], Loss("tet", scale=0.5)
    torch.testing.assert_close(single.of_samples(one, targets), Loss(scale=0.5).of_samples(one, targets))


@given(seeds, st.booleans())
def test_values_are_compared_per_sample_or_per_step(seed: int, steps: bool) -> None:
    outputs = drawn(seed, 4, 7, 2)  # the first two steps are of no sample's
    targets = drawn(seed + 1, 4, 5, 2) if steps else drawn(seed + 1, 4, 2)
    error = 2 * (outputs[:, 2:] if steps else outputs.sum(1)) - targets
    torch.testing.assert_close(Loss("mse", scale=2).of_samples(outputs, targets), (error**2).flatten(1).mean(1))
    torch.testing.assert_close(Loss("mae", scale=2).of_samples(outputs, targets), error.abs().flatten(1).mean(1))


@given(seeds, st.integers(1, 3))
def test_figures_of_values_add_up_over_batches(seed: int, outputs: int) -> None:
    """Against the formulas on all at once; scikit-learn's r2_score has the same mean over the outputs."""
    metrics = pytest.importorskip("sklearn.metrics")
    predicted, wanted = drawn(seed, 20, outputs).double(), drawn(seed + 1, 20, outputs).double()
    parts = [value_sums(predicted[i : i + 7], wanted[i : i + 7]) for i in (0, 7, 14)]
    found = figures(torch.stack(parts).sum(0))
    assert found["mae"] == pytest.approx(metrics.mean_absolute_error(wanted, predicted))
    assert found["rmse"] == pytest.approx(metrics.mean_squared_error(wanted, predicted) ** 0.5)
    assert found["r2"] == pytest.approx(metrics.r2_score(wanted, predicted))


def test_activity_is_what_the_layers_did() -> None:
    """Spikes a neuron and step; operations counted synapse by synapse: without padding the mean fan-out is exact."""
    torch.manual_seed(0)
    first, second = nn.Conv2d(2, 3, 2, stride=2, bias=False), nn.Linear(48, 4, bias=False)
    network = nn.Sequential(first, small_network()[1], nn.Flatten(), second, small_network()[4])
    frames = torch.from_numpy(bars(5).frames).float()
    with watched(network, SINABS, STEPS, 5) as activity, torch.no_grad():
        SINABS.outputs(network, frames)
    assert float(activity.synops["0"]) == pytest.approx(3 * float(frames.sum()) / STEPS / 5)
    spikes = float(activity.spikes["1"].detach()) * 48  # a step and sample
    assert float(activity.synops["3"].detach()) == pytest.approx(4 * spikes)


def test_limits_hold_layers_back() -> None:
    """With the regulariser a trained network fires less, down towards the limit; without it, it does not."""

    def rate(activity: float) -> float:
        network, data = small_network(), bar_data(48)
        loss = Loss(activity=activity, spike_limit=0.05)
        list(fit(network, data, FitConfig(epochs=4, batch_size=8, loss=loss)))
        with watched(network, SINABS, STEPS, len(data.test)) as found, torch.no_grad():
            SINABS.outputs(network, torch.from_numpy(data.test.batch(np.arange(12), None).frames))
        return float(found.spikes["1"])

    assert rate(0.3) < 0.6 * rate(0)


def test_membranes_are_sinabs_own_with_their_gradient() -> None:
    network, frames = small_network(fused=False), torch.from_numpy(bars(3).frames)
    found = membranes(network, frames)
    assert found.shape == (3, STEPS, 2)
    last = network[4]
    assert isinstance(last, nn.Module)
    assert torch.equal(found[:, -1].detach(), torch.as_tensor(last.v_mem).detach())
    found.sum().backward()  # type: ignore[no-untyped-call]
    gradients = [parameter.grad for parameter in network.parameters() if parameter.requires_grad]
    assert all(gradient is not None and gradient.abs().max() > 0 for gradient in gradients)
    with pytest.raises(UnsupportedError, match="the membrane of FusedIAF is not seen in training"):
        membranes(small_network(), frames)


def test_a_membrane_readout_learns_and_is_read_so_on_the_chip() -> None:
    network, data = small_network(fused=False), bar_data(64, 40)
    config = FitConfig(epochs=6, batch_size=8, loss=Loss(readout="membrane", scale=1.0), chip="speck2f", chip_samples=0)
    results = list(fit(network, data, config))
    assert results[-1].test["accuracy"] > 0.8
    assert abs(results[-1].chip["accuracy"] - results[-1].test["accuracy"]) < 0.15


@given(seeds, st.integers(0, 99), st.floats(0.01, 1))
def test_event_drop_takes_events_away_by_number_and_draw_alone(seed: int, draw: int, most: float) -> None:
    frames = np.random.default_rng(seed).integers(0, 5, (6, 4, 2, 5, 6), dtype=np.uint8)
    mixing = Mixing(drop=0.7, drop_most=most)
    left = dropped(frames, np.arange(6), draw, mixing)
    assert (left <= frames).all()
    assert left.dtype == frames.dtype
    assert np.array_equal(dropped(frames[[4, 1]], np.array([4, 1]), draw, mixing), left[[4, 1]])
    assert dropped(frames, np.arange(6), draw, Mixing()) is frames


def test_mixup_takes_each_event_from_one_of_two() -> None:
    """Counts stay whole; on average as many are left as the shares say."""
    frames = np.zeros((2, 10, 2, 20, 20), np.uint8)
    frames[0, :, 0], frames[1, :, 1] = 2, 2
    samples = FrameSamples(frames, np.array([0, 1]))
    mixed = mixed_batch(samples, np.array([0, 1]), np.array([1, 0]), 7, Mixing(mixup=1.0))
    assert mixed.others is not None
    assert mixed.share is not None
    assert mixed.others.tolist() == [1, 0]
    assert len(set(mixed.share.tolist())) == 2
    for sample, label, share in zip(mixed.batch.frames, (0, 1), mixed.share, strict=True):
        own, other = sample[:, label].mean() / 2, sample[:, 1 - label].mean() / 2
        assert own == pytest.approx(share, abs=0.03)  # of 8,000 events: five standard errors are below 0.028
        assert other == pytest.approx(1 - share, abs=0.03)
    recorded = FrameSamples(frames.astype(np.float32), np.array([0, 1]))
    with pytest.raises(InputError, match="frames are float32: events can be dropped and mixed in counts alone"):
        mixed_batch(recorded, np.array([0]), np.array([1]), 7, Mixing(drop=0.5))


def test_training_with_all_of_it_learns() -> None:
    mixing = Mixing(drop=0.3, mixup=0.2)
    config = FitConfig(epochs=6, batch_size=8, mixing=mixing, optimising=Optimising("sgd", 0.05, clip=1.0))
    results = list(fit(small_network(), bar_data(96, 40), config))
    assert results[-1].test["accuracy"] > 0.8


@given(st.integers(1, 300), st.floats(0, 0.9), st.sampled_from(["one_cycle", "cosine", "constant"]))
def test_a_schedule_rises_and_falls_within_its_bounds(steps: int, warm_up: float, schedule: Any) -> None:
    chosen = Optimising(schedule=schedule, warm_up=warm_up)
    factors = [chosen.factor(i, steps) for i in range(steps)]
    assert all(0 <= factor <= 1 for factor in factors)
    top = int(np.argmax(factors))
    assert all(np.diff(factors[: top + 1]) >= 0)
    assert all(np.diff(factors[top:]) <= 1e-12)
    if steps > 20:
        assert max(factors) > 0.9
        assert {"one_cycle": factors[-1] < 0.01, "cosine": factors[-1] < 0.2, "constant": factors[-1] > 0.9}[schedule]


def test_one_cycle_is_torchs_but_for_where_its_peak_is() -> None:
    """torch 2.13 puts the peak at `pct_start * total - 1`, and divides by zero where that is step 0."""
    parameter = nn.Parameter(torch.ones(1))
    optimiser = torch.optim.SGD([parameter], 1.0)
    total = 400
    options: dict[str, Any] = {"pct_start": 0.25, "cycle_momentum": False, "div_factor": 10, "final_div_factor": 100}
    torchs = torch.optim.lr_scheduler.OneCycleLR(optimiser, 1.0, total, **options)
    for now in range(total):
        assert Optimising().factor(now, total) == pytest.approx(optimiser.param_groups[0]["lr"], abs=0.02)
        optimiser.step()
        torchs.step()


def test_clipping_and_recurrent_weights() -> None:
    class Feedback(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.recurrent_synapse, self.other = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)

    network = Feedback()
    before = [float(p.detach()) for p in network.parameters()]
    chosen = Optimising("sgd", 1.0, "constant", 0, 0, 0, clip=5.0, feedback_rate=0.1)
    for parameter in network.parameters():
        parameter.grad = torch.full_like(parameter, 30.0)
    assert step(network, make_optimiser(network, chosen), chosen, 0, 10) == 1.0
    moved = [b - float(p.detach()) for b, p in zip(before, network.parameters(), strict=True)]
    assert moved == pytest.approx([0.1 * 5 / 2**0.5, 5 / 2**0.5])  # the norm of both together is 5


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Loss("hinge"), "loss 'hinge' of 'spikes': kinds are cross_entropy"),  # type: ignore[arg-type]
        (lambda: Loss(scale=0), "scale is 0"),
        (lambda: Loss(label_smoothing=1), "label_smoothing 1"),
        (lambda: Loss(activity=-1), "activity -1"),
        (lambda: Loss("tet", "membrane"), "tet judges every step by what is sent"),
        (lambda: Optimising("adam"), "optimisers are adamw, sgd"),  # type: ignore[arg-type]
        (lambda: Optimising(learning_rate=0), "must be above 0"),
        (lambda: Optimising(clip=0), "must be above 0"),
        (lambda: Optimising(warm_up=1), "warm_up and momentum"),
        (lambda: Mixing(drop=2), "mixing: drop 2"),
        (lambda: FitConfig(epochs=0), "training: epochs 0"),
        (lambda: FitConfig(seed=-1), "seed is -1"),
        (lambda: FitConfig(precision="float16"), "'float16': small gradients become 0 in float16: choose"),  # type: ignore[arg-type]
        (lambda: FitConfig(chip="x", through="event", loss=Loss(readout="membrane")), "the loss sees spikes"),
    ],
)
def test_settings_out_of_range_are_refused(make: Any, text: str) -> None:
    with pytest.raises(InputError, match=text):
        make()
