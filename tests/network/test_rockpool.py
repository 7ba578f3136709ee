"""Rockpool's neurons with every option and drawn parameters: the float run beside Rockpool's own evolution."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from i2e_deploy import network as nw

with pytest.MonkeyPatch.context() as patch:
    patch.setitem(sys.modules, "samna", None)  # the one of the public index runs pip when it is imported
    modules = pytest.importorskip("rockpool.nn.modules")
    combinators = pytest.importorskip("rockpool.nn.combinators")
    lif_torch = pytest.importorskip("rockpool.nn.modules.torch.lif_torch")
    ahp = pytest.importorskip("rockpool.nn.modules.torch.ahp_lif_torch")
    parameters = pytest.importorskip("rockpool.parameters")

BATCH, STEPS, NEURONS = 2, 30, 5
DRAWS = 15


def tensor(rng: np.random.Generator, low: float, high: float, *shapes: tuple[int, ...]) -> Any:
    """Drawn values of one of the shapes."""
    return torch.tensor(rng.uniform(low, high, shapes[rng.integers(len(shapes))]), dtype=torch.float32)


def leak(rng: np.random.Generator, mode: str, synapses: int) -> dict[str, Any]:
    """Time constants, decays or bit shifts: of one kind, as `leak_mode` wants."""
    of_mem, of_syn = [(), (NEURONS,)], [(), (NEURONS, synapses), (1, synapses)]
    if mode == "taus":
        return {"tau_mem": tensor(rng, 2e-3, 30e-3, *of_mem), "tau_syn": tensor(rng, 1e-3, 20e-3, *of_syn)}
    return {}


def set_leak(module: Any, rng: np.random.Generator, mode: str) -> None:
    """Other modes are initialised by their defaults, and trained: Rockpool's constructor takes no tensor of several."""
    if mode == "decays":
        module.alpha.data = tensor(rng, 0.3, 0.98, tuple(module.alpha.shape))
        module.beta.data = tensor(rng, 0.2, 0.95, tuple(module.beta.shape))
    if mode == "bitshifts":
        module.dash_mem.data = tensor(rng, 0.5, 5, tuple(module.dash_mem.shape))
        module.dash_syn.data = tensor(rng, 0.5, 4, tuple(module.dash_syn.shape))


def drawn_lif(kind: str, rng: np.random.Generator) -> Any:
    """LIFTorch, LIFBitshiftTorch or aLIFTorch with drawn options."""
    synapses, recurrent = int(rng.integers(1, 4)), bool(rng.integers(2))
    mode = str(rng.choice(["taus", "decays", "bitshifts"])) if kind != "LIFBitshiftTorch" else "taus"
    named: dict[str, Any] = {
        "shape": (NEURONS * synapses, NEURONS),
        "leak_mode": mode,
        "bias": tensor(rng, -0.1, 0.2, (), (NEURONS,)),
        "threshold": tensor(rng, 0.4, 1.2, (), (NEURONS,)),
        "has_rec": recurrent,
        "spike_generation_fn": [lif_torch.StepPWL, lif_torch.PeriodicExponential][rng.integers(2)],
        "max_spikes_per_dt": torch.tensor(float(rng.choice([1, 2, 31, 2**16]))),
        "dt": float(rng.choice([0.5e-3, 1e-3, 2e-3])),
        **leak(rng, mode, synapses),
    }
    if recurrent:
        named["w_rec"] = tensor(rng, -0.15, 0.05, (NEURONS, NEURONS * synapses))
    if kind == "aLIFTorch":
        named |= {"tau_ahp": tensor(rng, 5e-3, 50e-3, (), (NEURONS,)), "w_ahp": tensor(rng, -0.5, -0.1, (NEURONS,))}
    module = {"aLIFTorch": ahp.aLIFTorch, "LIFTorch": modules.LIFTorch, "LIFBitshiftTorch": modules.LIFBitshiftTorch}[
        kind
    ](**named)
    set_leak(module, rng, mode)
    return module


def drawn_native(rng: np.random.Generator) -> Any:
    synapses, recurrent = int(rng.integers(1, 4)), bool(rng.integers(2))
    named: dict[str, Any] = {
        name: tensor(rng, low, high, *shapes).double().numpy()
        for name, low, high, shapes in (
            ("tau_mem", 2e-3, 30e-3, [(), (NEURONS,)]),
            ("tau_syn", 1e-3, 20e-3, [(), (NEURONS, synapses), (1, synapses)]),
            ("bias", -0.1, 0.2, [(), (NEURONS,)]),
            ("threshold", 0.4, 1.2, [(), (NEURONS,)]),
        )
    }
    if recurrent:
        named["w_rec"] = rng.uniform(-0.15, 0.05, (NEURONS, NEURONS * synapses))
    most = float(rng.choice([1, 3, 2**16]))
    return modules.LIF((NEURONS * synapses, NEURONS), has_rec=recurrent, max_spikes_per_dt=most, **named)


def drawn(kind: str, rng: np.random.Generator) -> Any:
    torch.manual_seed(int(rng.integers(1 << 30)))
    if kind == "LIF":
        return drawn_native(rng)
    if kind == "LIFNeuronTorch":
        return modules.LIFNeuronTorch(
            (NEURONS,),
            tau_mem=tensor(rng, 2e-3, 30e-3, (), (NEURONS,)),
            threshold=tensor(rng, 0.4, 1.2, (), (NEURONS,)),
            bias=tensor(rng, -0.1, 0.2, (), (NEURONS,)),
            max_spikes_per_dt=torch.tensor(float(rng.choice([1, 31]))),
        )
    if kind == "ExpSynTorch":
        return modules.ExpSynTorch(NEURONS, tau=tensor(rng, 1e-3, 20e-3, (), (NEURONS,)))
    if kind == "ExpSyn":
        return modules.ExpSyn(NEURONS, tau=rng.uniform(1e-3, 20e-3, NEURONS))
    if kind == "LinearTorch":
        return modules.LinearTorch((NEURONS, 3), has_bias=bool(rng.integers(2)))
    if kind == "Linear":
        return modules.Linear((NEURONS, 3), has_bias=bool(rng.integers(2)))
    return drawn_lif(kind, rng)


KINDS = (
    "LIFTorch", "LIFBitshiftTorch", "aLIFTorch", "LIFNeuronTorch", "LIF", "ExpSynTorch", "ExpSyn", "LinearTorch",
    "Linear",
)  # fmt: skip


def own(module: Any, frames: NDArray[Any]) -> tuple[NDArray[Any], Mapping[str, Any]]:
    """What Rockpool gives from a fresh state: [B, T, N], and what it recorded of the states [B, T, ...]."""
    module.reset_state()
    given = torch.from_numpy(frames) if isinstance(module, torch.nn.Module) else frames.astype(float)
    with torch.no_grad():
        out, _, record = module.evolve(given, record=True)
    module.reset_state()
    return np.asarray(out), record


@pytest.mark.parametrize("kind", KINDS)
def test_every_module_with_every_option_equals_rockpool(kind: str) -> None:
    """Agreement: equal spikes and states to float tolerance, but where the last bit of float32 decides a spike."""
    rng = np.random.default_rng(KINDS.index(kind))
    neurons, decided, fired = 0, 0, 0
    for _ in range(DRAWS):
        module = drawn(kind, rng)
        inputs = module.size_in
        frames = rng.normal(0.2, 0.7, (BATCH, STEPS, inputs)).astype(np.float32)
        theirs, record = own(module, frames)
        trace = nw.from_rockpool(module, (inputs,), example=frames).run(frames)  # the judge finds the same
        fired += int((theirs != 0).sum())
        if "LIF" not in kind:
            np.testing.assert_allclose(trace.output, theirs, rtol=1e-4, atol=2e-4)
        else:
            apart = (trace.output != theirs).any(axis=1)
            neurons, decided = neurons + apart.size, decided + int(apart.sum())
            if not apart.any():
                v = np.asarray(record["vmem"])[:, -1]
                np.testing.assert_allclose(trace.states[trace.outputs[-1]]["v_mem"], v, rtol=1e-4, atol=5e-5)
    print(f"{kind}: float32 decided in {decided} of {neurons} neurons, {fired} spikes or values")
    assert decided <= 0.02 * neurons
    assert fired > 100
