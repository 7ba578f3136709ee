"""Training through the chip: the forward pass is its integers', exactly; the gradient is the float neurons'."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sinabs_networks import conv, linear, neurons
from torch import nn

from i2e_deploy.chips import get
from i2e_deploy.chips.dynapcnn import DynapcnnChip
from i2e_deploy.chips.dynapcnn.reference.event_options import EventOptions
from i2e_deploy.chips.dynapcnn.reference.injection import inject
from i2e_deploy.errors import InputError, UnsupportedError
from i2e_deploy.events.array import empty_events
from i2e_deploy.events.windows import into_steps
from i2e_deploy.network import from_sinabs
from i2e_deploy.training import Batch, FitConfig, FrameSamples, Loss, Optimising, data_of, fit
from i2e_deploy.training.bptt import SINABS, spike_counts
from i2e_deploy.training.judging import Entering, in_common_steps
from i2e_deploy.training.running import Running
from i2e_deploy.training.through import Through, check_through, semantics_of

CHIP = DynapcnnChip("speck2f")
STEPS, SIDE = 4, 8
GENTLE = Optimising(learning_rate=1e-2, schedule="constant", warm_up=0, weight_decay=0)
CONFIG = FitConfig(
    epochs=4, batch_size=16, optimising=GENTLE, loss=Loss(scale=1, label_smoothing=0), chip="speck2f", through="event"
)


def first_layer(generator: torch.Generator) -> list[nn.Module]:
    return [conv(generator, 2, 6, 3, stride=2, padding=1, gain=5.0), neurons(batch_size=None, num_timesteps=STEPS)]


def event_counts(module: Any, frames: NDArray[np.uint8], options: EventOptions, recordings: Any = None) -> torch.Tensor:
    """Output spikes through the event semantics: [B, classes]."""
    batch = Batch(frames, np.zeros(len(frames), np.int64), recordings)
    through = Through(CHIP, "event", SINABS, Entering(options))
    found = through.trace(module, batch)
    return through.outputs(module, batch, found, torch.from_numpy(frames).float()).sum(1)


def network() -> Any:
    generator = torch.Generator().manual_seed(0)
    last = linear(generator, 6 * 16, 2, gain=6.0)
    return nn.Sequential(*first_layer(generator), nn.Flatten(), last, neurons(batch_size=None, num_timesteps=STEPS))


def bars(samples: int, seed: int = 0) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Noise with more events in the upper (class 0) or lower half."""
    generator = np.random.default_rng(seed)
    labels = np.arange(samples) % 2
    rate = np.full((samples, 1, 1, SIDE, 1), 0.1)
    for label, half in ((0, slice(SIDE // 2)), (1, slice(SIDE // 2, None))):
        rate[labels == label, :, :, half] = 0.5
    frames = generator.random((samples, STEPS, 2, SIDE, SIDE)) < rate
    return frames.astype(np.uint8), labels.astype(np.int64)


@pytest.mark.parametrize("order", ["spread", "raster", "shuffled"])
def test_the_forward_pass_is_the_event_engine(order: Any) -> None:
    """EXACT: what the second layer gets, step by step, and the counts at the output."""
    module, (frames, _), options = network(), bars(6), EventOptions(order=order)
    plain = from_sinabs(module, frames.shape[2:])
    program = CHIP.lower(plain)
    trace = program.run(frames, "event", options=options)
    time_stepped = spike_counts(module, torch.from_numpy(frames).float())
    seen: list[Any] = []

    class Seeing(nn.Flatten):  # a hook would be refused, as it may change what is computed
        stands_for = "Flatten"

        def forward(self, given: Any) -> Any:
            seen.append(given.detach().numpy())
            return super().forward(given)

    module[2] = Seeing()
    counts = event_counts(module, frames, options)
    first = trace.spikes[program.layer_names[0]]
    np.testing.assert_array_equal(seen[0].reshape(first.shape), first)
    np.testing.assert_array_equal(counts.detach().numpy(), trace.output.sum(axis=1))
    assert not torch.equal(counts, time_stepped)
    again = spike_counts(module, torch.from_numpy(frames).float())
    assert torch.equal(again, time_stepped)  # nothing of the chip stays behind


def test_the_gradient_is_that_of_the_time_steps() -> None:
    """One layer: the very same. Two: the second's is that of time steps fed with the first one's events."""
    frames, _ = bars(6)
    inputs = torch.from_numpy(frames).float()
    single: Any = nn.Sequential(*first_layer(torch.Generator().manual_seed(0)))
    gradients = []
    for counts in (event_counts(single, frames, EventOptions()), spike_counts(single, inputs)):
        single.zero_grad()
        counts.sum().backward()  # type: ignore[no-untyped-call]
        gradients.append(single[0].weight.grad.clone())
    assert gradients[0].abs().max() > 0
    assert torch.equal(*gradients)

    double = network()
    event_counts(double, frames, EventOptions()).sum().backward()  # type: ignore[no-untyped-call]
    first, second = (child.weight.grad.clone() for child in double if hasattr(child, "weight"))
    assert first.isfinite().all()
    assert first.abs().max() > 0
    program = CHIP.lower(from_sinabs(double, frames.shape[2:]))
    events = torch.from_numpy(program.run(frames, "event").spikes[program.layer_names[0]]).float()
    double.zero_grad()
    spike_counts(double[2:], events).sum().backward()  # type: ignore[no-untyped-call]
    assert torch.equal(double[3].weight.grad, second)


def test_recordings_are_injected_as_they_came() -> None:
    """EXACT: the events of the frames in raster order, given as recordings, whatever order the options name."""
    module, (frames, labels) = network(), bars(8)
    raster, spread = EventOptions(order="raster"), EventOptions(order="spread")
    recordings = []
    for sample in frames:
        stimuli = inject(sample, raster, ticks=False)
        events = empty_events(len(stimuli))
        for name, field in (("t", "t"), ("p", "c"), ("y", "y"), ("x", "x")):
            events[name] = stimuli[field]
        recordings.append(events)
    as_recorded = event_counts(module, frames, spread, recordings)
    assert torch.equal(as_recorded, event_counts(module, frames, raster))
    assert not torch.equal(as_recorded, event_counts(module, frames, spread))
    loss = nn.functional.cross_entropy(as_recorded * 0.25, torch.from_numpy(labels))
    samples = FrameSamples(frames, labels, recordings)
    config = replace(CONFIG, epochs=1, batch_size=8, loss=Loss(label_smoothing=0))
    (result,) = fit(module, data_of(samples, samples, step_us=1000), config)
    assert result.loss == pytest.approx(float(loss.detach()))  # the samples come in another order


@given(st.integers(0, 2**31), st.integers(1, 9), st.lists(st.integers(0, 50), min_size=1, max_size=4))
def test_recordings_of_any_length_share_their_steps(seed: int, steps: int, sizes: list[int]) -> None:
    """The order stays, and each event is in the step in which the frames of the trainer's data have it."""
    generator, recordings = np.random.default_rng(seed), []
    for size in sizes:
        events = empty_events(size)
        events["t"] = np.sort(generator.integers(0, 10 ** generator.integers(1, 6), size))
        recordings.append(events)
    moved, step_us = in_common_steps(recordings, steps)
    for events, new in zip(recordings, moved, strict=True):
        assert (np.diff(new["t"]) >= 0).all()
        assert new["t"].max(initial=0) < steps * step_us
        counted = [last - first for first, last in into_steps(events, steps)]
        assert np.bincount(new["t"] // step_us, minlength=steps).tolist() == counted
        for name in ("x", "y", "p"):
            assert np.array_equal(new[name], events[name])


def tuned(seed: int) -> tuple[list[NDArray[Any]], list[float]]:
    """Weights, and losses of four epochs."""
    module, data = network(), data_of(FrameSamples(*bars(48)), FrameSamples(*bars(12, 1)))
    losses = [result.loss for result in fit(module, data, replace(CONFIG, seed=seed))]
    return [weight.detach().numpy() for name, weight in module.named_parameters() if "weight" in name], losses


def test_the_loss_falls_and_a_seed_gives_the_same_bits() -> None:
    weights, losses = tuned(seed=3)
    assert len(losses) == 4
    assert losses[-1] < 0.6 * losses[0]
    again, same = tuned(seed=3)
    assert same == losses
    for one, other in zip(weights, again, strict=True):
        np.testing.assert_array_equal(one, other)
    assert tuned(seed=4)[1] != losses


def test_weights_stay_within_their_limit() -> None:
    module = network()
    assert max(float(layer.weight.detach().abs().max()) for layer in (module[0], module[3])) > 0.5
    samples = FrameSamples(*bars(4))
    config = replace(CONFIG, epochs=1, optimising=replace(GENTLE, weight_limit=0.25))
    list(fit(module, data_of(samples, samples), config))
    for layer in (module[0], module[3]):
        assert float(layer.weight.detach().abs().max()) == 0.25


def test_a_network_that_the_chip_cannot_hold_is_refused() -> None:
    """Without a lower bound the whole 16-bit range goes to it, and the threshold of 1 rounds to 0."""
    module = network()
    module[1] = neurons(batch_size=None, num_timesteps=STEPS, min_v_mem=None, spike_threshold=torch.tensor(0.4))
    samples = FrameSamples(*bars(4))
    with pytest.raises(UnsupportedError, match="rounds to 0"):
        list(fit(module, data_of(samples, samples), CONFIG))


@pytest.mark.parametrize("semantics", ["chip", "timestep"])
def test_the_forward_pass_is_loihis_fixed_point(semantics: str) -> None:
    """EXACT: the output in every step, which the program sends some steps later."""
    chip, module, (frames, labels) = get("loihi2"), network(), bars(6)
    program = chip.lower(from_sinabs(module, frames.shape[2:]))
    late = program.latencies[program.layer_names[-1]]
    assert late > 0
    padded = np.pad(frames, ((0, 0), (0, late), (0, 0), (0, 0), (0, 0)))
    wanted = program.run(padded, semantics).output[:, late:]
    through = Through(chip, semantics, SINABS)
    batch, floats = Batch(frames, labels), torch.from_numpy(frames).float()
    outputs = through.outputs(module, batch, through.trace(module, batch), floats)
    np.testing.assert_array_equal(outputs.detach().numpy(), wanted)
    (outputs.sum() + 0).backward()  # type: ignore[no-untyped-call]
    assert all(layer.weight.grad.abs().max() > 0 for layer in (module[0], module[3]))


def test_training_through_loihi_learns() -> None:
    module, data = network(), data_of(FrameSamples(*bars(48)), FrameSamples(*bars(20, 1)))
    results = list(fit(module, data, replace(CONFIG, chip="loihi2", through="loihi2")))
    assert results[-1].loss < 0.6 * results[0].loss
    assert results[-1].chip["accuracy"] > 0.8


def test_what_cannot_go_through_the_chip_is_said() -> None:
    program = CHIP.lower(from_sinabs(network(), (2, SIDE, SIDE)))
    assert [semantics_of(CHIP, program, name) for name in ("", "speck2f", "event")] == ["timestep", "timestep", "event"]
    with pytest.raises(InputError, match="--through lava: programs of speck2f run in timestep, event"):
        semantics_of(CHIP, program, "lava")
    with pytest.raises(UnsupportedError, match="layers of other networks cannot be given the chip's spikes"):
        check_through(network(), Running("other", SINABS.outputs, SINABS.read, SINABS.neurons), program)
    with pytest.raises(UnsupportedError, match="3 layers of neurons and its program 2 layers"):
        check_through(nn.Sequential(network(), neurons(batch_size=None, num_timesteps=STEPS)), SINABS, program)
    with pytest.raises(InputError, match="needs the chip"):
        FitConfig(through="event")
