"""Residual networks on Loihi 2: sums that are carried, maxima of values, branches in time; exact where they can be."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from lowering_nets import CHIP, aligned, even, float_spikes, frames_of
from residual_nets import lif, residual_network

from i2e_deploy.chips import LowerOptions
from i2e_deploy.chips.loihi2.chip import Loihi2Chip
from i2e_deploy.chips.loihi2.engine.run import run
from i2e_deploy.chips.loihi2.lowering.lower import beside, lower
from i2e_deploy.chips.loihi2.lowering.values import with_values
from i2e_deploy.chips.loihi2.relay import Relay
from i2e_deploy.network import Conv2d, Layer, MaxPool2d, chain
from i2e_deploy.network.ms_resnet import from_ms_resnet
from i2e_deploy.training.ms_resnet import ms_resnet


@pytest.mark.parametrize("part", range(6))
def test_numbers_that_the_chip_has_give_every_spike_and_every_value_of_the_float_run(part: int) -> None:
    """Exact: spikes of every layer and step, and every value that a population carries, in its own unit."""
    fired = carried = maxima = shared = 0
    for seed in range(part, 60, 6):
        network = residual_network(seed, wide=seed % 3 > 0)
        lowered, frames = lower(network), frames_of(network, seed)
        losses = {loss.layer: loss for loss in lowered.losses}
        for loss in losses.values():
            assert max(loss.weight_error, loss.threshold_error, loss.leak_error, loss.bias_error) < 1e-4, (seed, loss)
        blocks = {block.name: block for block in lowered.network.blocks}
        values = with_values(network)
        wanted = values.run(frames, dtype="float64").layers
        for name, sent in aligned(lowered, frames).items():
            neuron = blocks[name].neuron
            if isinstance(neuron, Relay):
                worth = losses[name].scale / 2**neuron.shift
                np.testing.assert_array_equal(sent / worth, wanted[name].reshape(sent.shape))
                carried += name.endswith("carried")
                maxima += " row " in name or " column " in name
            else:
                np.testing.assert_array_equal(sent, float_spikes(network, name, frames))
                fired += int(sent.sum())
        shared += len(network.layers) - len([x for x in values.layers if x.name in {y.name for y in network.layers}])
    assert fired > 500
    assert min(carried, maxima) > 3
    assert shared > 0


@pytest.mark.parametrize("seed", range(12))
def test_the_network_with_populations_for_values_computes_the_same(seed: int) -> None:
    """The float run, with windows of any size, stride and padding that has a place inside the image."""
    rng = np.random.default_rng(seed)
    network = residual_network(seed)
    frames = frames_of(network, seed, 3)
    np.testing.assert_array_equal(
        with_values(network).run(frames, dtype="float64").output, network.run(frames, dtype="float64").output
    )
    kernel = tuple(int(n) for n in rng.integers(1, 5, 2))
    padding = tuple(int(rng.integers(0, (k - 1) // 2 + 1)) for k in kernel)
    pool = MaxPool2d(kernel, tuple(int(n) for n in rng.integers(1, 4, 2)), padding)  # type: ignore[arg-type]
    plain = chain((2, 9, 8), {"a": Conv2d(even(rng, 3, 2, 3, 3)), "p": pool, "n": lif(rng)})
    many = frames_of(plain, seed, 3)
    np.testing.assert_array_equal(
        with_values(plain).run(many, dtype="float64").layers["p"], plain.run(many, dtype="float64").layers["p"]
    )


def test_a_drawn_ms_resnet_runs_on_the_integers_as_in_float() -> None:
    """Not exact: 8-bit weights. The stem's values and the first neurons come close; a step of delay for each layer."""
    module = ms_resnet((1, 1), 4, width=8, generator=torch.Generator().manual_seed(3)).eval()
    network = from_ms_resnet(module.state_dict(), (2, 32, 32))
    frames = (np.random.default_rng(0).random((2, 6, 2, 32, 32)) < 0.1).astype(np.uint8)
    found = beside(network, frames)
    losses = {loss.layer: loss for loss in found.losses}
    for name in ("maxpool values", "maxpool column 0", "maxpool row 2", "maxpool carried"):
        assert 0 < (losses[name].value_error or 0) < 3
        assert losses[name].cut == 0
    first = losses["layer1.0.sn1"].spikes
    assert first is not None
    assert first.wanted > 100
    assert first.differing / first.wanted < 0.05
    blocks = {block.name: block for block in found.network.blocks}
    assert blocks["layer1.0.sn1"].latency == 7  # stem, two columns, two rows, their sum, and itself
    program = CHIP.lower(network)
    fast, slow = (program.run(frames, engine=engine) for engine in ("fast", "reference"))
    np.testing.assert_array_equal(fast.output, slow.output)
    assert fast.counts == slow.counts
    report = CHIP.check(network)
    assert any(f.rule == "programmable neuron" and f.layer == "maxpool carried" for f in report.findings)
    assert not CHIP.native_files(program, ())


def test_a_note_says_how_branches_meet_and_what_relays_would_take() -> None:
    """By hand: the input, 2 x 12 x 12, reaches the sum at the end over the shortcut two synapses before the branch."""
    module = ms_resnet((1,), 4, width=8, small_stem=True, generator=torch.Generator().manual_seed(5)).eval()
    lowered = lower(from_ms_resnet(module.state_dict(), (2, 12, 12))).network
    (note,) = (note.text for note in lowered.notes if "wait" in note.text)
    assert "up to 2 steps in 1 layer; relays in their place would be 2 populations of 576 neurons in all" in note
    straight = chain(
        (2, 4, 4), {"a": Conv2d(even(np.random.default_rng(0), 3, 2, 3, 3)), "n": lif(np.random.default_rng(1))}
    )
    assert not lower(straight).network.notes


def test_values_that_leave_their_messages_are_counted_and_said() -> None:
    """A stem a thousand times as large as the thresholds can use: saturations, as a finding that says where."""
    network = residual_network(1)
    stem = network.layers[0]
    assert isinstance(stem.op, Conv2d)
    loud = Layer("stem", replace(stem.op, weight=stem.op.weight, bias=np.full(6, 120, np.float32)), stem.inputs)
    chip = Loihi2Chip("loihi2")
    found = chip.findings_on(replace(network, layers=(loud, *network.layers[1:])), np.full((1, 40, 2, 8, 8), 2000))
    clipped = [f for f in found if f.rule == "values that were clipped"]
    assert clipped
    assert all(f.severity == "warning" and f.fix for f in clipped)


def test_calibration_clips_weights_of_values_that_nothing_uses_and_shortens_messages() -> None:
    """Large weights of a polarity that never comes leave few steps for the others; by range they decide the scale."""
    module = ms_resnet((1,), 4, width=8, generator=torch.Generator().manual_seed(5)).eval()
    with torch.no_grad():
        module.conv1.weight[:, 1] *= 6
    network = from_ms_resnet(module.state_dict(), (2, 16, 16))
    frames = (np.random.default_rng(1).random((2, 6, 2, 16, 16)) < 0.2).astype(np.uint8)
    frames[:, :, 1] = 0
    ranged, chosen = lower(network).network, lower(network, LowerOptions(calibration=frames)).network
    carriers = [block.name for block in chosen.blocks if isinstance(block.neuron, Relay)]
    assert len(carriers) > 1
    losses = [{loss.layer: loss for loss in beside(network, frames, integers=each).losses} for each in (ranged, chosen)]
    first, other = (each[carriers[0]] for each in losses)
    assert (other.value_error or 0) < 0.7 * (first.value_error or 0)
    assert all(losses[1][name].cut == 0 for name in carriers)
    later = np.pad(frames, ((0, 0), (0, 16), *[(0, 0)] * 3)).astype(np.int64)
    sent = run(chosen, later).spikes
    long, short = ({b.name: b.message_bits for b in each.blocks if b.name in carriers} for each in (ranged, chosen))
    for name in carriers:
        largest = int(np.abs(sent[name]).max())
        assert largest < 2 ** (short[name] - 1)
        assert short[name] <= 1 + (2 * largest).bit_length()  # no longer than twice as much needs
    assert sum(short.values()) < sum(long.values())
    louder = run(chosen, 200 * later)
    assert any(louder.counts[name].saturations for name in carriers)
