"""Every neuron of snnTorch with every option and drawn parameters, against its own forward: spikes equal, states close.

Where the last bit of float32 decides whether a neuron fires, spikes may differ; such neurons are counted.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from i2e_deploy.errors import InputError, UnsupportedError
from i2e_deploy.network import LeakyIntegrateAndFire, from_snntorch

snn: Any = pytest.importorskip("snntorch")

BATCH, STEPS, DRAWS = 2, 16, 12
Generator = np.random.Generator


def spread(rng: Generator, low: float, high: float, shape: tuple[int, ...]) -> Any:
    """One number, one a channel or one a neuron; learnt or not is drawn elsewhere."""
    kinds = [(), (1,), shape, (shape[0], *[1] * (len(shape) - 1))]
    size = kinds[rng.integers(len(kinds))]
    return torch.from_numpy(np.asarray(rng.uniform(low, high, size), np.float32))


def common(rng: Generator, shape: tuple[int, ...], reset: str) -> dict[str, Any]:
    surrogates = (None, snn.surrogate.fast_sigmoid(), snn.surrogate.straight_through_estimator())
    return {
        "threshold": spread(rng, 0.3, 1.5, shape),
        "reset_mechanism": reset,
        "learn_threshold": bool(rng.random() < 0.5),
        "spike_grad": surrogates[rng.integers(3)],
        "surrogate_disable": bool(rng.random() < 0.3),
    }


def leaky(rng: Generator, shape: tuple[int, ...], reset: str, delay: bool) -> Any:
    factor = 1.0 if rng.random() < 0.5 else spread(rng, 0.5, 2.0, shape)
    learnt = {"learn_beta": True, "learn_graded_spikes_factor": bool(rng.random() < 0.5)}
    beta = spread(rng, -0.1, 1.2, shape)  # beyond 0 and 1, as training may leave it: the forward clamps it
    options = common(rng, shape, reset)
    return snn.Leaky(beta, reset_delay=delay, graded_spikes_factor=factor, **learnt, **options)


def synaptic(rng: Generator, shape: tuple[int, ...], reset: str, delay: bool) -> Any:
    factors = (spread(rng, -0.1, 1.1, shape), spread(rng, -0.1, 1.1, shape))
    return snn.Synaptic(*factors, reset_delay=delay, learn_alpha=bool(rng.random() < 0.5), **common(rng, shape, reset))


def lapicque(rng: Generator, shape: tuple[int, ...], reset: str, delay: bool) -> Any:
    options = common(rng, shape, reset)
    kind = rng.integers(3)
    if kind == 0:
        return snn.Lapicque(beta=float(rng.uniform(0.3, 0.95)), **options)
    if kind == 1:
        return snn.Lapicque(R=float(rng.uniform(0.5, 3)), C=float(rng.uniform(1.5, 4)), time_step=0.7, **options)
    return snn.Lapicque(beta=float(rng.uniform(0.3, 0.95)), R=float(rng.uniform(0.5, 3)), **options)


def alpha(rng: Generator, shape: tuple[int, ...], reset: str, delay: bool) -> Any:
    slow, fast = float(rng.uniform(0.6, 0.95)), float(rng.uniform(0.1, 0.55))
    return snn.Alpha(slow, fast, **common(rng, shape, reset))


def recurrent(rng: Generator, shape: tuple[int, ...]) -> dict[str, Any]:
    if rng.random() < 0.4:
        return {"all_to_all": False, "V": spread(rng, -0.5, 0.5, shape), "learn_recurrent": bool(rng.random() < 0.5)}
    if len(shape) == 1:
        return {"linear_features": shape[0]}
    return {"conv2d_channels": shape[0], "kernel_size": int(rng.choice([1, 3]))}


def rleaky(rng: Generator, shape: tuple[int, ...], reset: str, delay: bool) -> Any:
    options = {**common(rng, shape, reset), **recurrent(rng, shape)}
    return snn.RLeaky(beta=spread(rng, 0.2, 1.0, shape), reset_delay=delay, **options)


def rsynaptic(rng: Generator, shape: tuple[int, ...], reset: str, delay: bool) -> Any:
    options = {**common(rng, shape, reset), **recurrent(rng, shape)}
    return snn.RSynaptic(spread(rng, 0.2, 0.9, shape), spread(rng, 0.2, 0.9, shape), **options)


#: Class: how it is drawn, whether it has `reset_delay`, its resets.
KINDS: dict[str, tuple[Any, bool, tuple[str, ...]]] = {
    "Leaky": (leaky, True, ("subtract", "zero", "none")),
    "Synaptic": (synaptic, True, ("subtract", "zero", "none")),
    "Lapicque": (lapicque, False, ("subtract", "zero", "none")),
    "Alpha": (alpha, False, ("none",)),
    "RLeaky": (rleaky, True, ("subtract", "zero", "none")),
    "RSynaptic": (rsynaptic, False, ("subtract", "zero", "none")),
}


def cases() -> Iterator[tuple[str, str, bool]]:
    for kind, (_, delays, resets) in KINDS.items():
        yield from ((kind, reset, delay) for reset, delay in itertools.product(resets, (True, False)[: 1 + delays]))


def own_run(neuron: Any, frames: Any) -> tuple[Any, Any]:
    """Spikes [B, T, ...] and the last membrane potential of its own forward."""
    neuron.reset_mem()
    with torch.no_grad():
        spikes = [neuron(frames[:, t]) for t in range(frames.shape[1])]
    return torch.stack([s if isinstance(s, torch.Tensor) else s[0] for s in spikes], 1).numpy(), neuron.mem.numpy()


@pytest.mark.parametrize(("kind", "reset", "delay"), list(cases()))
def test_drawn_neurons_fire_as_in_their_own_forward(kind: str, reset: str, delay: bool) -> None:
    make, _, _ = KINDS[kind]
    total = rounded = fired = 0
    for seed in range(DRAWS):
        rng = np.random.default_rng([seed, *map(ord, kind + reset), delay])
        shape = ((5,), (3, 4, 4))[seed % 2]
        torch.manual_seed(seed)
        neuron = make(rng, shape, reset, delay)
        neuron.init_hidden = bool(rng.random() < 0.5)
        frames = torch.from_numpy(rng.normal(0.3, 0.7, (BATCH, STEPS, *shape)).astype(np.float32))
        network = from_snntorch(neuron, shape, example=frames, layout="step")
        trace = network.run(frames)
        ours = trace.output.reshape(BATCH, STEPS, *shape)
        theirs, membrane = own_run(neuron, frames)
        same = (ours == theirs).all(axis=1)
        total, rounded, fired = total + same.size, rounded + int((~same).sum()), fired + int(theirs.any(axis=1).sum())
        compare_states(network, trace.states, membrane, theirs[:, -1], same)
    assert fired > 0.2 * total
    assert rounded <= 0.004 * total, f"rounding decided spikes in {rounded} of {total} neurons"


def compare_states(network: Any, states: Any, membrane: Any, last: Any, same: Any) -> None:
    """Close where all spikes were equal; Leaky's reset to zero is done at once here, at the next step there."""
    name, op = next((layer.name, layer.op) for layer in reversed(network.layers) if hasattr(layer.op, "late_reset"))
    v = states[name]["v_mem"]
    assert isinstance(op, LeakyIntegrateAndFire)
    fired = (last != 0) & (op.reset == "value") & (not op.late_reset)
    here = same & ~fired
    scale = max(1.0, float(np.abs(membrane).max()))
    np.testing.assert_allclose(v[here], membrane[here], atol=2e-5 * scale)
    assert not v[fired].any()


def sequence_neuron(kind: str, rng: Generator) -> Any:
    threshold, beta = spread(rng, 0.3, 1.0, (6,)).reshape(-1)[:1], float(rng.uniform(0.3, 0.95))
    if kind == "LeakyParallel":
        return snn.LeakyParallel(4, 6, beta=beta, threshold=threshold, bias=bool(rng.random() < 0.5))
    if kind == "StateLeaky":
        betas = torch.from_numpy(rng.uniform(0.3, 0.95, 4).astype(np.float32)) if rng.random() < 0.5 else beta
        factor = float(rng.choice([1.0, 1.5]))
        return snn.StateLeaky(betas, 4, threshold=threshold, graded_spikes_factor=factor, output=rng.random() < 0.7)
    return snn.LinearLeaky(beta, 4, 6, threshold=threshold, bias=bool(rng.random() < 0.5))


@pytest.mark.filterwarnings("ignore:StateLeaky. spike-related settings")
@pytest.mark.parametrize("kind", ["LeakyParallel", "StateLeaky", "LinearLeaky"])
def test_neurons_of_whole_sequences_fire_as_in_their_own_forward(kind: str) -> None:
    total = rounded = fired = 0
    for seed in range(2 * DRAWS):
        rng = np.random.default_rng([seed, len(kind)])
        torch.manual_seed(seed)
        module = nn.Sequential(sequence_neuron(kind, rng))
        frames = torch.from_numpy(rng.normal(0.4, 0.7, (BATCH, STEPS, 4)).astype(np.float32))
        with torch.no_grad():
            found = module(frames.transpose(0, 1))
        theirs = (found if isinstance(found, torch.Tensor) else found[0]).transpose(0, 1).numpy()
        ours = from_snntorch(module, (4,), example=frames).run(frames).output
        differ = (np.abs(ours - theirs) > 1e-5).any(axis=1)
        total, rounded, fired = total + differ.size, rounded + int(differ.sum()), fired + int(theirs.any(axis=1).sum())
    assert fired > 0.2 * total
    assert rounded <= 0.004 * total


class Potential(nn.Module):
    """Hands on the membrane potential of its neurons, the last of their outputs."""

    def __init__(self, neuron: Any) -> None:
        super().__init__()
        self.neuron = neuron

    def forward(self, x: Any) -> Any:
        return self.neuron(x)[-1]


@pytest.mark.parametrize("kind", ["Leaky", "Synaptic", "Lapicque", "Alpha"])
def test_membrane_potentials_of_neurons_without_reset_are_integrators(kind: str) -> None:
    for seed in range(DRAWS):
        rng = np.random.default_rng([seed, 7])
        neuron = KINDS[kind][0](rng, (5,), "none", True)
        frames = torch.from_numpy(rng.normal(0.3, 0.7, (BATCH, STEPS, 5)).astype(np.float32))
        network = from_snntorch(Potential(neuron), (5,), example=frames, layout="step")
        neuron.reset_mem()
        with torch.no_grad():
            theirs = torch.stack([neuron(frames[:, t])[-1] for t in range(STEPS)], 1).numpy()
        np.testing.assert_allclose(network.run(frames).output, theirs, atol=1e-4 * np.abs(theirs).max())


def test_potentials_of_recurrent_neurons_are_no_output() -> None:
    neuron = snn.RLeaky(0.5, linear_features=4, reset_mechanism="none")
    with pytest.raises(UnsupportedError, match="'neuron' hands on a state, while its spikes come back"):
        from_snntorch(Potential(neuron), (4,), layout="step")


def stochastic(x: Any) -> Any:
    return (torch.rand_like(x) < torch.sigmoid(x)).float()


def changed(neuron: Any, **values: Any) -> Any:
    for name, value in values.items():
        setattr(neuron, name, value)
    return neuron


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: snn.Leaky(0.5, inhibition=True), r"'0' lets only its largest neuron fire \(inhibition=True\)"),
        (lambda: snn.Leaky(0.5, state_quant=lambda v: v.round()), r"'0' rounds its states \(state_quant\)"),
        (lambda: snn.Leaky(0.5, spike_grad=stochastic), "'0' fires by a spike_grad whose forward is no step"),
        (lambda: snn.Leaky(0.5, spike_grad=torch.sigmoid), "'0' fires by a spike_grad whose forward is no step"),
        (lambda: snn.Alpha(0.8, 0.5), "'0' is an Alpha that a spike resets.*use Synaptic"),
        (lambda: changed(snn.Leaky(0.5), reset_mechanism="zero"), "'0' was made with another reset than .*'zero'"),
        (lambda: snn.RSynaptic(0.5, 0.5, linear_features=4, reset_delay=False), r"fails in layer '0' \(RSynaptic\)"),
        (lambda: snn.Leaky(0.5, reset_delay=False, graded_spikes_factor=0.0), "graded spikes of factor 0"),
        (lambda: snn.SLSTM(4, 4), "'0' is a SLSTM of snntorch.*no exact counterpart"),
        (lambda: snn.DeltaLeaky(beta=0.5), "'0' is a DeltaLeaky of snntorch.*no exact counterpart"),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore")
def test_what_has_no_counterpart_is_refused_with_the_way_out(make: Any, words: str) -> None:
    neuron = make()
    neuron.init_hidden = True
    with pytest.raises(UnsupportedError, match=words):
        from_snntorch(nn.Sequential(neuron), (4,), layout="step")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: snn.Leaky(0.5, threshold=0.0), "'0': spike threshold is 0"),
        (lambda: snn.Leaky(0.5, threshold=-1.0), "'0': spike threshold is -1"),
        (lambda: snn.Leaky(torch.tensor(float("nan"))), "'0': a parameter is not finite"),
        (lambda: snn.Leaky(0.5, threshold=torch.ones(3)), "'0'"),
    ],
)
def test_values_that_mean_nothing_are_one_line(make: Any, words: str) -> None:
    neuron = make()
    neuron.init_hidden = True
    with pytest.raises((InputError, UnsupportedError), match=words) as caught:
        from_snntorch(nn.Sequential(neuron), (4,), layout="step")
    assert "\n" not in str(caught.value)


def test_a_neuron_class_with_a_forward_of_its_own_is_refused() -> None:
    class Leaky(snn.Leaky):  # type: ignore[misc]
        def forward(self, x: Any, mem: Any = None) -> Any:
            return super().forward(2 * x, mem)

    with pytest.raises(UnsupportedError, match=r"a snntorch\.Leaky with forward of its own"):
        from_snntorch(nn.Sequential(Leaky(0.5, init_hidden=True)), (4,))
