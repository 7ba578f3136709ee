"""Leaky integrators inside a network on Loihi 2: their potentials go on as messages, exact where they can be."""

from __future__ import annotations

import numpy as np
import pytest
from integrator_nets import integrating_network
from lowering_nets import CHIP, aligned, even, float_spikes, frames_of
from residual_nets import lif

from i2e_deploy.chips import LowerOptions
from i2e_deploy.chips.loihi2.lowering.lower import beside, lower
from i2e_deploy.chips.loihi2.lowering.values import with_values
from i2e_deploy.chips.loihi2.programmable import ProgrammableLif
from i2e_deploy.chips.loihi2.relay import message_step
from i2e_deploy.errors import UnsupportedError
from i2e_deploy.network import INPUT, Add, Conv2d, Delay, Layer, LeakyIntegrateAndFire, Linear, Network, chain
from i2e_deploy.network.neurons import parameter

#: Kinds of `integrating_network` in which every reader takes potentials as they are, without weights of many sizes.
AS_THEY_ARE = (0, 3)


@pytest.mark.parametrize("part", range(6))
def test_numbers_that_the_chip_has_give_the_potentials_and_spikes_of_the_float_run(part: int) -> None:
    """Exact where potentials are read as they are: every message in its own unit, every spike.

    Where weights read them, or spikes come beside them, messages are coarser, as a word must hold the sum: within half
    a step of a message. Where one is clipped, which is counted, it ends.
    """
    sent_on = fired = clipped = 0
    for seed in range(part, 60, 6):
        network = integrating_network(seed)
        frames = frames_of(network, seed)
        lowered = beside(network, frames)
        losses = {loss.layer: loss for loss in lowered.losses}
        values, coarse = with_values(network), {}
        feeds, wanted = values.consumers(), values.run(frames, dtype="float64").layers
        trace = aligned(lowered, frames)
        for block in lowered.network.blocks:
            if block.name not in losses:
                continue  # maxima lose nothing
            loss, sent, step = losses[block.name], trace[block.name], message_step(block.neuron)
            if loss.cut:
                clipped += 1
                break
            assert max(loss.weight_error, loss.threshold_error, loss.leak_error, loss.bias_error) < 1e-4, (seed, loss)
            if step is not None:
                integrates = isinstance(block.neuron, ProgrammableLif)
                layer = feeds[block.name][0].name if integrates and block.name in ("a", "b") else block.name
                off = np.abs(sent * step / loss.scale - wanted[layer].reshape(sent.shape)).max()
                coarse[block.name] = 0 if part in AS_THEY_ARE else step / loss.scale / 2
                reach = 0 if integrates or part in AS_THEY_ARE else reach_of(network)
                assert off <= coarse[block.name] + reach * max(coarse.values()), (seed, block.name)
                sent_on += int(np.count_nonzero(sent))
            elif part in AS_THEY_ARE:
                np.testing.assert_array_equal(sent, float_spikes(network, block.name, frames))
                fired += int(sent.sum())
    assert sent_on > 200
    assert clipped < 3
    assert fired > 50 or part not in AS_THEY_ARE


def reach_of(network: Network) -> float:
    """The largest sum of a neuron's weights, signs left out, of 4 places each: the windows of pooling."""
    weights = [layer.op.weight for layer in network.layers if isinstance(layer.op, (Conv2d, Linear))]
    return 4 * max(float(np.abs(w).reshape(len(w), -1).sum(1).max()) for w in weights)


@pytest.mark.parametrize("seed", range(6))
def test_engine_and_definition_agree_and_the_network_stays_the_same(seed: int) -> None:
    network = integrating_network(seed)
    frames = frames_of(network, seed, 3)
    same = with_values(network).run(frames, dtype="float64")
    np.testing.assert_array_equal(same.output, network.run(frames, dtype="float64").output)
    program = CHIP.lower(network)
    fast, slow = (program.run(frames, engine=engine) for engine in ("fast", "reference"))
    assert fast.counts == slow.counts
    for name, sent in fast.spikes.items():
        np.testing.assert_array_equal(sent, slow.spikes[name])


def trained_like(seed: int) -> Network:
    """Weights of any size and a decay of 0.93, 60 inputs to each neuron after the integrators."""
    rng = np.random.default_rng(seed)
    return chain((40,), {
        "b": Linear(rng.normal(0, 0.2, (60, 40)).astype(np.float32)),
        "li": LeakyIntegrateAndFire(parameter(0.93), None),
        "c": Linear(rng.normal(0, 0.1, (30, 60)).astype(np.float32), rng.normal(0, 0.1, 30).astype(np.float32)),
        "nc": LeakyIntegrateAndFire(parameter(0.8), parameter(1), reset="value", strict=True),
    })  # fmt: skip


@pytest.mark.parametrize("calibrated", [False, True])
def test_weights_of_eight_bits_move_potentials_little(calibrated: bool) -> None:
    """Not exact. Rounding moves these weights by about 0.9 %, and nothing before them differs."""
    network = trained_like(3)
    frames = (np.random.default_rng(5).random((4, 30, 40)) < 0.2).astype(np.int64)
    integers = lower(network, LowerOptions(calibration=frames)).network if calibrated else None
    losses = {loss.layer: loss for loss in beside(network, frames, integers=integers).losses}
    assert 0 < (losses["b"].value_error or 0) < 2 * losses["b"].weight_error
    assert (
        0 < (losses["c carried"].value_error or 0) < 2 * (losses["b"].weight_error + losses["c carried"].weight_error)
    )
    assert losses["b"].cut == losses["c carried"].cut == 0
    spikes = losses["nc"].spikes
    assert spikes is not None
    assert spikes.wanted > 100
    assert spikes.differing / spikes.wanted < 0.1
    blocks = {block.name: block for block in lower(network).network.blocks}
    assert blocks["b"].message_bits >= 8  # fewer steps than a weight has would waste its bits


def test_potentials_of_unlike_decays_that_meet_keep_their_ratio() -> None:
    """As snnTorch's Alpha, whose neurons see a small difference of two large potentials. Not exact: 8-bit weights."""
    rng = np.random.default_rng(1)
    weight = rng.normal(0, 0.1, (30, 20)).astype(np.float32)
    layers = (
        Layer("a", Linear(weight), (INPUT,)), Layer("b", Linear(-weight), (INPUT,)),
        Layer("up", LeakyIntegrateAndFire(parameter(0.9), None), ("a",)),
        Layer("down", LeakyIntegrateAndFire(parameter(0.8), None), ("b",)), Layer("sum", Add(), ("up", "down")),
        Layer("n", LeakyIntegrateAndFire(parameter(0), parameter(0.3), reset="none", strict=True), ("sum",)),
    )  # fmt: skip
    frames = (rng.random((4, 20, 20)) < 0.3).astype(np.int64)
    losses = {loss.layer: loss for loss in beside(Network((20,), layers), frames).losses}
    spikes = losses["n"].spikes
    assert spikes is not None
    assert spikes.wanted > 150
    assert spikes.differing / spikes.wanted < 0.03


def test_what_an_integrator_cannot_send_is_refused_with_the_way_out() -> None:
    rng = np.random.default_rng(0)
    li = LeakyIntegrateAndFire(parameter(0.5), None)
    inside = chain((3,), {"a": Linear(even(rng, 3, 3)), "li": li, "n": lif(rng)})
    with pytest.raises(UnsupportedError, match="'a' sends values, which no standard neuron does"):
        lower(inside, LowerOptions(standard_neurons=True))
    started = chain((3,), {"li": LeakyIntegrateAndFire(parameter(0.5), None, start=parameter(1)), "n": lif(rng)})
    with pytest.raises(UnsupportedError, match="'li' sends potentials that start elsewhere than at 0: start it at 0"):
        lower(started)
    layers = (
        Layer("back", Delay(parameter(1), (3,)), ("li",)), Layer("sum", Add(), (INPUT, "back")),
        Layer("li", li, ("sum",)), Layer("n", lif(rng), ("li",)),
    )  # fmt: skip
    with pytest.raises(UnsupportedError, match="'li' feeds its own potential back: only spikes go round"):
        lower(Network((3,), layers))
    report = CHIP.check(inside)
    needs = [f for f in report.findings if f.rule == "programmable neuron" and f.layer == "a"]
    assert needs
    assert "sends its voltage in every step" in str(needs[0].value)
    assert not CHIP.native_files(CHIP.lower(inside), ())
    assert not [f for f in report.findings if f.rule == "threshold" and f.layer == "a"]  # it compares nothing


def test_an_integrator_that_is_the_output_stays_a_neuron_that_is_read() -> None:
    rng = np.random.default_rng(0)
    network = chain((3,), {"a": Linear(even(rng, 3, 3)), "li": LeakyIntegrateAndFire(parameter(0.5), None)})
    assert with_values(network) is not None
    (block,) = lower(network).network.blocks
    assert message_step(block.neuron) is None
