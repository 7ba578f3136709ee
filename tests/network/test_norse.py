"""Norse's neurons with every option and drawn parameters: the float run beside Norse's own forward."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from i2e_deploy import network as nw
from i2e_deploy.network.norse.neurons import KINDS

norse = pytest.importorskip("norse.torch")

BATCH, STEPS, NEURONS, INPUTS = 2, 25, 5, 4
DRAWS = 10

#: Leaky integrators, which do not fire.
INTEGRATORS = ("LI", "LIBoxCell", "LICell", "LILinearCell")
RANGES = {
    "tau_mem_inv": (30, 300), "tau_syn_inv": (50, 400), "v_leak": (-0.3, 0.3), "v_th": (0.35, 1),
    "v_reset": (-0.4, 0.2), "tau_adapt_inv": (5, 100), "beta": (0.02, 0.5),
}  # fmt: skip


def single(kind: str) -> set[str]:
    """Parameters of which Norse takes one for all: it fills the states that start from them (`initial_state`)."""
    filled = kind != "IAF" and (KINDS[kind].over_time or "Recurrent" in kind or kind == "LSNNCell")
    return ({"v_leak"} if filled else set()) | ({"v_th"} if kind in ("LSNN", "LSNNRecurrent") else set())


def parameters(kind: str, rng: np.random.Generator) -> Any:
    """Parameters of a class of Norse, all drawn, for all or one a neuron. Some thresholds are below zero."""
    model = next(name for name in ("IAF", "LIFBox", "LIF", "LIBox", "LI", "LSNN") if kind.startswith(name))
    made = getattr(norse, f"{model}Parameters")
    named: dict[str, Any] = {
        name: torch.tensor(
            rng.uniform(*RANGES[name], (NEURONS,) if name not in single(kind) and rng.integers(2) else ()),
            dtype=torch.float32,
        )
        for name in made._fields
        if name in RANGES
    }
    if model not in ("IAF", "LI", "LIBox") and rng.random() < 0.2:
        named |= {name: named[name] - 2 for name in ("v_th", "v_leak", "v_reset")}
    if "v_th" in named:
        named["method"] = str(rng.choice(["heaviside", "super", "triangle", "tanh", "circ", "heavi_erfc"]))
    if model == "LIFBox":
        named["reset_method"] = [norse.reset_value, norse.reset_subtract][rng.integers(2)]
    return made(**named)


def drawn(kind: str, rng: np.random.Generator) -> Any:
    """A module of that class with drawn parameters, step and weights."""
    has_weights = bool(KINDS[kind].weights)
    named: dict[str, Any] = {"p": parameters(kind, rng), "dt": float(rng.uniform(0.5e-3, 2e-3))}
    if kind.startswith("LSNN"):
        named["adjoint"] = bool(rng.integers(2))
    if "recurrent_weights" in KINDS[kind].weights:
        named["autapses"] = bool(rng.integers(2))
    torch.manual_seed(int(rng.integers(1 << 30)))
    return getattr(norse, kind)(*(INPUTS, NEURONS) if has_weights else (), **named)


def own(module: Any, frames: NDArray[Any], over_time: bool) -> tuple[NDArray[Any], Any]:
    """What Norse gives: [B, T, ...], and the state in which it ends."""
    steps = torch.from_numpy(frames).transpose(0, 1)
    with torch.no_grad():
        if over_time:
            out, state = module(steps)
            return out.transpose(0, 1).numpy(), state
        state, rows = None, []
        for x in steps:
            out, state = module(x, state)
            rows.append(out)
    return torch.stack(rows, dim=1).numpy(), state


@pytest.mark.parametrize("kind", KINDS)
def test_every_neuron_with_every_option_equals_norse(kind: str) -> None:
    """Agreement: equal spikes and states to float tolerance, but where the last bit of float32 decides a spike."""
    rng = np.random.default_rng(sorted(KINDS).index(kind))
    neurons, decided, fired = 0, 0, 0
    for _ in range(DRAWS):
        module, over_time = drawn(kind, rng), KINDS[kind].over_time
        inputs = INPUTS if KINDS[kind].weights else NEURONS
        frames = rng.normal(0.3, 1.0, (BATCH, STEPS, inputs)).astype(np.float32)
        theirs, state = own(module, frames, over_time)
        trace = nw.from_norse(module, (inputs,), example=frames).run(frames)  # the judge finds the same as we do here
        spiking = kind not in INTEGRATORS
        apart = (trace.output != theirs).any(axis=1) if spiking else np.zeros((BATCH, NEURONS), bool)
        neurons, decided, fired = neurons + apart.size, decided + int(apart.sum()), fired + int((theirs != 0).sum())
        if spiking:
            assert set(np.unique(theirs)) <= {0.0, 1.0}
        else:
            np.testing.assert_allclose(trace.output, theirs, rtol=1e-4, atol=1e-5)
        if apart.any() and KINDS[kind].weights:
            continue  # one spike reaches all neurons
        compare_states(kind, module, trace.states[trace.outputs[-1]], state, ~apart)
    assert decided <= 0.01 * neurons
    print(f"{kind}: float32 decided in {decided} of {neurons} neurons, {fired} spikes or values")
    assert fired > 100


def compare_states(kind: str, module: Any, ours: Mapping[str, NDArray[Any]], state: Any, equal: NDArray[Any]) -> None:
    """Norse's states, from ours: its current has decayed already, its adaptation is a threshold not yet decayed."""

    def number(name: str) -> NDArray[Any]:
        return np.asarray(getattr(module.p, name), np.float64)

    shift = number("v_leak") if hasattr(module.p, "v_th") and number("v_th").min() <= 0 else 0.0
    np.testing.assert_allclose((ours["v_mem"] + shift)[equal], state.v.numpy()[equal], rtol=1e-4, atol=2e-5)
    if hasattr(state, "i"):
        late = 1.0 if kind.startswith("LSNN") else 1 - module.dt * number("tau_syn_inv")
        np.testing.assert_allclose((ours["current"] * late)[equal], state.i.numpy()[equal], rtol=1e-4, atol=2e-5)
    if hasattr(state, "b"):
        fades = 1 - module.dt * number("tau_adapt_inv")
        theirs = (state.b.numpy() - number("v_th")) * fades
        np.testing.assert_allclose(ours["adaptation"][equal], theirs[equal], rtol=1e-4, atol=2e-5)
