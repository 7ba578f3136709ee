"""Programmable neurons beside the programs whose neurons they stand for: Lava's ATRLIF, Sinabs, snnTorch; pooling.

Where decays are 0, 1/2 or 1 and inputs are multiples of 2^8, twelve steps leave no rest below a state's unit of 1/64,
and floats are exact too: then equal means equal.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from children import needs_lava_run, run_script

from i2e_deploy.chips.loihi2.pooling import max_pool_block
from i2e_deploy.chips.loihi2.program import SOURCE, Block, BlockNetwork, Connection
from i2e_deploy.chips.loihi2.programmable import UNBOUNDED, ProgrammableLif
from i2e_deploy.chips.loihi2.runnable import LoihiProgram
from i2e_deploy.chips.trace import Trace
from i2e_deploy.errors import InputError, UnsupportedError
from i2e_deploy.network.neurons import LeakyIntegrateAndFire, parameter

torch = pytest.importorskip("torch")
STEPS, SIZE, GRID = 12, 16, 2**8
HALVES = (0, 2048, 4096)
#: Of the float network's neurons, in units of the grid.
DRAWN = {"threshold": (1, 8), "reset_value": (-2, 3), "min_v": (-4, 1), "adaptation_step": (0, 4)}


def kept(decay: int) -> Any:
    return torch.tensor(1 - decay / 4096, dtype=torch.float64)


def ours(neuron: ProgrammableLif, given: Any) -> Trace:
    block = Block("a", neuron, (SIZE,), (Connection(SOURCE, None),), message_bits=24)
    return LoihiProgram(BlockNetwork((SIZE,), (block,), 32)).run(given[None])


def draw_given(rng: np.random.Generator, low: int = -3, high: int = 9) -> Any:
    return rng.integers(low, high, (STEPS, SIZE)) * GRID


def floats(given: Any) -> Any:
    return torch.tensor(given[None].astype(np.float64))


@needs_lava_run
@pytest.mark.slow
def test_the_adaptive_threshold_is_lavas() -> None:
    """Agreement: exact, spikes, current, voltage and threshold of ATRLIF, its refractory state forgotten at once."""
    found = json.loads(run_script(Path(__file__).parent / "lava" / "adaptive.py", "40").splitlines()[-1])
    assert [case for case in found if case["different spikes"] or case["different states"]] == []
    assert sum(case["spikes"] for case in found) > 2000
    assert sum(case["grown"] for case in found) > 100
    assert sum(case["wraps"] for case in found) > 0


@pytest.mark.parametrize("adapts", [False, True])
@pytest.mark.parametrize("most", [1, 2, "any"])
@pytest.mark.parametrize("resets", ["subtract", "amount", "set"])
def test_sinabs(adapts: bool, most: Any, resets: Any) -> None:
    """Agreement: exact, spikes and voltages of LIF and ALIF: several spikes, `>=`, both resets, the lower bound."""
    activation = pytest.importorskip("sinabs.activation")
    functional = pytest.importorskip("sinabs.layers.functional")
    spike = {1: activation.SingleSpike, 2: activation.MaxSpike(2), "any": activation.MultiSpike}[most]
    total = largest = 0
    for seed in range(12):
        rng = np.random.default_rng([seed, 3])
        current, voltage = int(rng.choice(HALVES[1:])), int(rng.choice(HALVES))
        threshold, scale = (int(n) * GRID for n in rng.integers(1, 6, 2))
        lowest = None if rng.random() < 0.5 else -int(rng.integers(0, 4)) * GRID
        amount = int(rng.integers(1, 8)) * GRID
        given = draw_given(rng)
        state = {name: torch.zeros(1, SIZE, dtype=torch.float64) for name in ("v_mem", "b", "i_syn")}
        state["spike_threshold"] = torch.full((1, SIZE), float(threshold), dtype=torch.float64)
        state["max_num_spikes_per_bin"] = torch.tensor(2)
        # the current is alpha (i + x): with alpha 1/2 half of the input comes in; no synaptic current is alpha 0 here
        synaptic = None if current == 4096 else kept(current)
        common: dict[str, Any] = {
            "input_data": floats(given), "alpha_mem": kept(voltage), "alpha_syn": synaptic, "state": state,
            "spike_fn": spike, "reset_fn": {
                "subtract": activation.MembraneSubtract(), "set": activation.MembraneReset(),
                "amount": activation.MembraneSubtract(float(amount))}[resets],
            "surrogate_grad_fn": activation.SingleExponential(), "min_v_mem": lowest, "norm_input": False,
        }  # fmt: skip
        if adapts:
            half = kept(2048)
            spikes, after, _ = functional.alif_forward(
                **common, alpha_adapt=half, adapt_scale=float(scale), b0=float(threshold)
            )
        else:
            spikes, after, _ = functional.lif_forward(**common, spike_threshold=float(threshold))
        neuron = ProgrammableLif(
            np.array([current]), np.array([voltage]), np.array([threshold]), resets,
            np.array([amount if resets == "amount" else 0]), max_spikes=most, fires=">=",
            lowest=np.array([UNBOUNDED if lowest is None else lowest]),
            adaptation_decay=np.array([2048]), adaptation_step=np.array([scale if adapts else 0]),
        )  # fmt: skip
        trace = ours(neuron, given if synaptic is None else given // 2)
        np.testing.assert_array_equal(trace.output[0], spikes[0].numpy())
        np.testing.assert_array_equal(trace.states["a"]["v"][0] / 64, after["v_mem"][0].numpy())
        total, largest = total + int(spikes.sum()), max(largest, int(spikes.max()))
    assert total > 200
    assert largest == (1 if most == 1 else 2) or (most == "any" and largest > 2)


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("resets", ["subtract", "zero", "none"])
def test_snntorchs_leaky(resets: str, late: bool) -> None:
    """Agreement: exact, spikes and voltages. Its late reset to zero zeroes before the next decay: what it shows in
    the step of the spike is the voltage before, all else is as with a reset at once.

    Inputs do not exceed the threshold: its `reset_delay=False` takes twice off a voltage that is still above.
    """
    snn = pytest.importorskip("snntorch")
    after: Any = {"subtract": "subtract", "zero": "set", "none": "none"}[resets]
    total = 0
    for seed in range(12):
        rng = np.random.default_rng([seed, 4])
        voltage, threshold = int(rng.choice(HALVES)), int(rng.integers(3, 9)) * GRID
        given = draw_given(rng).clip(None, threshold)
        leaky = snn.Leaky(kept(voltage), float(threshold), reset_mechanism=resets, reset_delay=late).double()
        spikes, shown = _steps(leaky, given, states=1)
        step: Any = "next" if late and resets == "subtract" else "same"
        neuron = ProgrammableLif(np.array([4096]), np.array([voltage]), np.array([threshold]), after, reset_step=step)
        trace = ours(neuron, given)
        np.testing.assert_array_equal(trace.output[0], spikes)
        if late and resets == "zero":
            shown[-1] *= 1 - spikes[-1]
        np.testing.assert_array_equal(trace.states["a"]["v"][0] / 64, shown[-1])
        total += int(spikes.sum())
    assert total > 100


@pytest.mark.parametrize("resets", ["subtract", "zero", "none"])
def test_snntorchs_synaptic_with_a_late_reset(resets: str) -> None:
    """Agreement: exact, spikes and voltages; its reset to zero in the next step loses the input of that step."""
    snn = pytest.importorskip("snntorch")
    after: Any = {"subtract": "subtract", "zero": "set", "none": "none"}[resets]
    total = 0
    for seed in range(12):
        rng = np.random.default_rng([seed, 5])
        current, voltage = (int(n) for n in rng.choice(HALVES, 2))
        threshold, given = int(rng.integers(3, 20)) * GRID, draw_given(rng)[:6]
        synaptic = snn.Synaptic(kept(current), kept(voltage), float(threshold), reset_mechanism=resets).double()
        spikes, shown = _steps(synaptic, given, states=2)
        decays = np.array([current]), np.array([voltage])
        trace = ours(ProgrammableLif(*decays, np.array([threshold]), after, reset_step="next"), given)
        np.testing.assert_array_equal(trace.output[0], spikes)
        np.testing.assert_array_equal(trace.states["a"]["v"][0] / 64, shown[-1])
        total += int(spikes.sum())
    assert total > 100


def _steps(module: Any, given: Any, states: int) -> tuple[Any, Any]:
    """Spikes and membranes [T, N] of a module of snnTorch, which is given its states."""
    held = [torch.zeros(1, SIZE, dtype=torch.float64) for _ in range(states)]
    spikes, shown = [], []
    for row in floats(given)[0]:
        spike, *held = module(row[None], *held)
        spikes.append(spike[0].detach().numpy())
        shown.append(held[-1][0].detach().numpy())
    return np.stack(spikes), np.stack(shown)


def test_the_float_networks_leaky_neurons() -> None:
    """Agreement: exact, spikes and voltages of `network.neurons`, any option with any other.

    Its adaptation fades after the comparison, ours before it: of the same step 1/2 is left, so ours is twice as large.
    """
    total = several = 0
    for seed in range(120):
        rng = np.random.default_rng([seed, 7])
        given = draw_given(rng)[:9]
        state: Any = {}
        words: dict[str, Any] = {
            "max_spikes": [1, 1, 3, None][rng.integers(4)], "strict": bool(rng.random() < 0.5),
            "late_reset": bool(rng.random() < 0.5), "reset": str(rng.choice(["subtract", "value", "none"])),
        }  # fmt: skip
        numbers = {name: rng.integers(low, high, SIZE) * GRID for name, (low, high) in DRAWN.items()}
        decays = {name: rng.choice(HALVES, SIZE) for name in ("decay", "current_decay")}
        drawn = {name: values for name, values in numbers.items() if name == "threshold" or rng.random() < 0.5}
        if words["reset"] == "none":
            drawn.pop("reset_value", None)
        if words["reset"] == "subtract" and "reset_value" in drawn:
            drawn["reset_value"] = abs(drawn["reset_value"])  # a negative amount leads out of 24 bits
        if "adaptation_step" in drawn:
            drawn["adaptation_decay"] = np.array(0.5)
        factors = {name: 1 - decay / 4096 for name, decay in decays.items()}
        arrays: dict[str, Any] = {name: parameter(values) for name, values in (factors | drawn).items()}
        op = LeakyIntegrateAndFire(**words, **arrays)
        spikes = []
        for row in floats(given)[0]:
            sent, state = op.step([row[None]], state)
            spikes.append(sent[0].numpy())
        resets = {"subtract": "amount" if "reset_value" in drawn else "subtract", "value": "set", "none": "none"}
        neuron = ProgrammableLif(
            decays["current_decay"], decays["decay"], drawn["threshold"],
            resets[words["reset"]],  # type: ignore[arg-type]
            drawn.get("reset_value", np.array([0])),
            "next" if words["late_reset"] else "same",
            words["max_spikes"] or "any",
            ">" if words["strict"] else ">=",
            drawn.get("min_v", np.array([UNBOUNDED])),
            np.array([2048]),
            2 * drawn.get("adaptation_step", np.array([0])),
        )  # fmt: skip
        trace = ours(neuron, given)
        assert trace.counts["a"].saturations == 0
        np.testing.assert_array_equal(trace.output[0], np.stack(spikes))
        np.testing.assert_array_equal(trace.states["a"]["v"][0] / 64, state["v_mem"][0].numpy())
        total, several = total + int(np.sum(spikes)), several + int(np.max(spikes) > 1)
    assert total > 2000
    assert several > 20


def test_max_pooling_of_spikes_is_torchs_a_step_later() -> None:
    """Agreement: exact, any kernel, stride, padding and dilation, by standard neurons, which Lava has too."""
    total = 0
    for seed in range(30):
        rng = np.random.default_rng([seed, 6])
        shape = tuple(int(n) for n in (rng.integers(1, 4), *rng.integers(4, 12, 2)))
        kernel, stride, dilation = (tuple(int(n) for n in rng.integers(*r, 2)) for r in ((1, 4), (1, 4), (1, 3)))
        padding = tuple(int(rng.integers(0, k // 2 + 1)) for k in kernel)
        frames = (rng.random((2, 8, *shape)) < 0.2).astype(np.int64)
        try:
            block = max_pool_block("pool", SOURCE, shape, 0, kernel, stride, padding, dilation)  # type: ignore[arg-type]
        except InputError:
            sides = zip(shape[1:], padding, dilation, kernel, strict=True)
            assert min(n + 2 * p - d * (k - 1) for n, p, d, k in sides) < 1
            continue
        trace = LoihiProgram(BlockNetwork(shape, (block,))).run(frames)
        images = torch.tensor(frames.reshape(-1, *shape), dtype=torch.float32)
        pooled = torch.nn.functional.max_pool2d(images, kernel, stride, padding, dilation).numpy()
        expected = pooled.reshape(2, 8, *pooled.shape[1:])
        np.testing.assert_array_equal(trace.spikes["pool"][:, 1:], expected[:, :-1])
        on_lava = LoihiProgram(BlockNetwork(shape, (block,))).run(frames, "lava")
        np.testing.assert_array_equal(on_lava.output, trace.output)
        total += int(expected.sum())
    assert total > 1000


def test_max_pooling_of_values_is_refused_with_the_way_out() -> None:
    with pytest.raises(UnsupportedError, match=r"add up, so the largest is lost\. Let it send one spike a step"):
        max_pool_block("pool", "a", (2, 8, 8), 24, (2, 2), (2, 2))
    with pytest.raises(InputError, match="no window"):
        max_pool_block("pool", "a", (2, 2, 2), 0, (3, 3), (2, 2))
    with pytest.raises(InputError, match=r"pooling takes \(C, H, W\)"):
        max_pool_block("pool", "a", (8,), 0, (2, 2), (2, 2))
