"""Every neuron of SpikingJelly with drawn options and parameters: the oracle is its own forward."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.random import Generator
from torch import nn

from i2e_deploy.errors import InputError, UnsupportedError
from i2e_deploy.network import LeakyIntegrateAndFire, from_spikingjelly

neuron: Any = pytest.importorskip("spikingjelly.activation_based.neuron")
surrogate: Any = pytest.importorskip("spikingjelly.activation_based.surrogate")

BATCH, STEPS, SHAPE = 2, 12, (3, 2, 2)
#: Draws of each class.
DRAWS = 30
#: Neurons whose float operations are ours, in the same order.
EXACT = ("ActivationAwareIFNode", "CUBALIFNode", "HalfThresholdIFNode", "IFNode", "SimpleIFNode")
LEAKY = ("KLIFNode", "LIFNode", "ParametricLIFNode", "SimpleLIFNode")
SURROGATES = (
    "ATan", "Erf", "FakeNumericalGradient", "LeakyKReLU", "LogTailedReLU", "NonzeroSignLogAbs", "PiecewiseExp",
    "PiecewiseLeakyReLU", "PiecewiseQuadratic", "QPseudoSpike", "Rect", "S2NN", "Sigmoid", "SoftSign",
    "SquarewaveFourierSeries", "SuperSpike",
)  # fmt: skip


def options(rng: Generator, name: str) -> dict[str, Any]:
    """Drawn arguments of a class."""
    found: dict[str, Any] = {
        "v_threshold": float(rng.uniform(0.3, 1.5)),
        "surrogate_function": getattr(surrogate, str(rng.choice(SURROGATES)))(),
    }
    if name != "CUBALIFNode":
        found |= {"detach_reset": bool(rng.integers(2)), "step_mode": str(rng.choice(["s", "m"]))}
    if not name.startswith("Simple") and name != "CUBALIFNode":
        found["store_v_seq"] = bool(rng.integers(2))
    if name != "HalfThresholdIFNode":
        low = 0.0 if name == "KLIFNode" else -0.5
        resets = [0.0, float(rng.uniform(low, 0.25))] + ([] if name == "SimpleLIFNode" else [None])
        found["v_reset"] = resets[rng.integers(len(resets))]
    if name in LEAKY:
        found |= {"decay_input": bool(rng.integers(2))}
        found["init_tau" if name == "ParametricLIFNode" else "tau"] = float(rng.uniform(1.1, 10))
    if name == "KLIFNode":
        found["scale_reset"] = bool(rng.integers(2))
    if name == "CUBALIFNode":
        found |= {"c_decay": float(rng.uniform(0, 1)), "v_decay": float(rng.uniform(0, 1))}
    if name == "ActivationAwareIFNode":
        size, found["channel_dim"] = (3, 1) if rng.integers(2) else (2, -1)
        found["v_threshold"] = torch.tensor(rng.uniform(0.5, 1.5, size), dtype=torch.float32)
        found["v_offset"] = torch.tensor(rng.uniform(-0.5, 0.3), dtype=torch.float32)
    return found


def made(rng: Generator, name: str) -> Any:
    module = getattr(neuron, name)(**options(rng, name))
    with torch.no_grad():
        if name == "ParametricLIFNode":
            module.w.fill_(float(rng.normal()))
        if name == "KLIFNode":
            module.k.fill_(float(rng.uniform(0.5, 2)))
    return module


def own_forward(module: Any, frames: Any) -> Any:
    """What it gives from a fresh state, [B, T, ...]."""
    module.eval().reset()
    steps = torch.from_numpy(frames).transpose(0, 1)
    with torch.no_grad():
        out = module(steps) if module.step_mode == "m" else torch.stack([module(x) for x in steps])
    return out.transpose(0, 1).reshape(len(frames), STEPS, -1).numpy()


@pytest.mark.parametrize("name", [*EXACT, *LEAKY])
def test_every_neuron_of_spikingjelly_computes_what_its_own_forward_does(name: str) -> None:
    """Spikes and membrane potentials; neurons where the last bit of float32 decides are counted."""
    apart, total, fired = 0, 0, 0.0
    for seed in range(DRAWS):
        rng = np.random.default_rng([seed, *name.encode()])
        module = made(rng, name)
        frames = rng.uniform(-0.6, 1.5, (BATCH, STEPS, *SHAPE)).astype(np.float32)
        network = from_spikingjelly(module, SHAPE, frames)
        theirs = own_forward(module, frames)
        trace = network.run(frames)
        wrong = (trace.output != theirs).any(axis=1)
        apart, total, fired = apart + int(wrong.sum()), total + wrong.size, fired + float(theirs.sum())
        ended = trace.states["0"]["v_mem"].reshape(BATCH, -1)
        held = module.v.detach().numpy().reshape(BATCH, -1)
        np.testing.assert_allclose(ended[~wrong], held[~wrong], rtol=1e-4, atol=1e-5)
        assert len([note for note in network.notes if "float32 rounds" in note.text]) == (name in LEAKY)
    assert fired > 100
    assert apart <= (0 if name in EXACT else total / 500), f"float32 decided in {apart} of {total} neurons"


@pytest.mark.parametrize("name", SURROGATES)
def test_every_surrogate_is_the_step_function_in_a_forward_pass(name: str) -> None:
    function = getattr(surrogate, name)()
    module = neuron.IFNode(v_reset=None, surrogate_function=function)
    frames = np.random.default_rng(0).choice([-1.0, 0.5, 1.0, 2.0], (BATCH, STEPS, *SHAPE)).astype(np.float32)
    trace = from_spikingjelly(module, SHAPE, frames).run(frames)
    np.testing.assert_array_equal(trace.output, own_forward(module, frames))
    function.set_spiking_mode(False)
    with pytest.raises(UnsupportedError, match="spiking=False"):
        from_spikingjelly(module, SHAPE, frames)


class Mine(nn.Module):
    """A surrogate of one's own that fires above the threshold only."""

    spiking = True

    def forward(self, x: Any) -> Any:
        return (x > 0).to(x)


def _changed() -> type:
    class Halved(neuron.LIFNode):  # type: ignore[misc]
        def single_step_forward(self, x: Any) -> Any:
            return super().single_step_forward(x / 2)

    return Halved


@pytest.mark.parametrize(
    ("module", "words"),
    [
        (neuron.QIFNode, "is a QIFNode, which has a quadratic membrane equation; train with LIFNode"),
        (neuron.EIFNode, "is a EIFNode, which has a membrane potential that grows exponentially"),
        (neuron.IzhikevichNode, "is a IzhikevichNode, which has a quadratic"),
        (lambda: neuron.GatedLIFNode(T=4), "is a GatedLIFNode, which has gates"),
        (neuron.ComplementaryLIFNode, "is a ComplementaryLIFNode, which resets by a second variable"),
        (lambda: neuron.PSN(T=4), "is a PSN, which mixes all steps"),
        (lambda: neuron.SlidingPSN(k=2), "is a SlidingPSN, which mixes steps"),
        (lambda: neuron.MaskedPSN(k=2, T=4), "is a MaskedPSN, which mixes steps"),
        (neuron.TernaryIFNode, "is a TernaryIFNode, which gives spikes of -1 too"),
        (neuron.NonSpikingLIFNode, "is a NonSpikingLIFNode, which gives membrane potentials as a list"),
        (lambda: neuron.LIAFNode(torch.relu, False), "is a LIAFNode, which gives a value"),
        (lambda: neuron.IFNode(surrogate_function=Mine()), "fires by Mine .*only SpikingJelly's own surrogates"),
        (lambda: neuron.IFNode(surrogate_function=surrogate.PoissonPass()), "fires by PoissonPass"),
        (lambda: neuron.IFNode(v_threshold=-1.0), "spike threshold is -1"),
        (_changed(), "with single_step_forward of its own"),
    ],
)  # fmt: skip
def test_what_has_no_counterpart_is_refused_with_its_reason(module: Callable[[], nn.Module], words: str) -> None:
    with pytest.raises((UnsupportedError, InputError), match=f"'0' ?.*{words}"):
        from_spikingjelly(nn.Sequential(module()), (4,))


def test_the_record_says_what_spikingjelly_computes() -> None:
    """LIF with a reset value, by hand: v + (x - (v - v_reset)) / tau, from v_reset."""
    op = from_spikingjelly(neuron.LIFNode(tau=4.0, v_reset=-0.5), (3,)).layers[0].op
    assert isinstance(op, LeakyIntegrateAndFire)
    found = [op.decay, op.gain, op.bias, op.threshold, op.reset_value, op.start]
    assert [None if value is None else float(value) for value in found] == [0.75, 0.25, -0.125, 1.0, -0.5, -0.5]
    assert (op.max_spikes, op.reset, op.strict, op.late_reset) == (1, "value", False, False)


def test_a_module_is_left_as_it_was_with_its_states() -> None:
    module: Any = nn.Sequential(nn.Linear(3, 4), neuron.LIFNode(), neuron.IFNode(v_reset=None)).train()
    module(torch.ones(2, 3))
    before = [part.v.clone() for part in module[1:]]
    from_spikingjelly(module, (3,))
    assert module.training
    for part, held in zip(module[1:], before, strict=True):
        assert torch.equal(part.v, held)
