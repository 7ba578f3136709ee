"""Leaky neurons, delays and loops: the run beside plain NumPy loops, and what files keep."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from i2e_deploy import network as nw
from i2e_deploy.errors import InputError
from i2e_deploy.network.neurons import parameter


def drawn(rng: np.random.Generator, shape: tuple[int, ...]) -> nw.LeakyIntegrateAndFire:
    """Neurons with every option drawn, parameters for all, a channel or a neuron."""

    def values(low: float, high: float) -> Any:
        sizes: list[tuple[int, ...]] = [(), (shape[0], *[1] * (len(shape) - 1)), shape]
        return parameter(rng.uniform(low, high, sizes[rng.integers(3)]))

    some: Mapping[str, Any] = {
        "threshold": None if rng.random() < 0.15 else values(0.3, 1),
        "gain": None if rng.random() < 0.5 else values(0.5, 1),
        "bias": None if rng.random() < 0.5 else values(-0.1, 0.2),
        "max_spikes": [None, 1, 2][rng.integers(3)],
        "strict": bool(rng.integers(2)),
        "reset": ["subtract", "value", "none"][rng.integers(3)],
        "reset_value": None if rng.random() < 0.5 else values(0.1, 0.3),
        "late_reset": bool(rng.integers(2)),
        "min_v": None if rng.random() < 0.5 else values(-0.5, 0),
        "start": None if rng.random() < 0.5 else values(-0.5, 0.5),
    }
    if rng.integers(2):
        gain = None if rng.random() < 0.5 else values(0.5, 1)
        some |= {"current_decay": values(0, 0.9), "current_gain": gain, "old_current": bool(rng.integers(2))}  # type: ignore[operator]
    if rng.integers(2) and some["threshold"] is not None:
        some |= {"adaptation_decay": values(0, 0.9), "adaptation_step": values(0, 0.3)}  # type: ignore[operator]
    return nw.LeakyIntegrateAndFire(values(0, 1), **some)


def plain(op: nw.LeakyIntegrateAndFire, x: NDArray[Any]) -> NDArray[Any]:
    """The equations of the class in float64, a neuron after the other."""
    out = np.zeros(x.shape)
    of = {name: getattr(op, name) for name in op.arrays}
    spread = {name: None if array is None else np.broadcast_to(array, x.shape[2:]) for name, array in of.items()}
    for b, *place in np.ndindex(x.shape[0], *x.shape[2:]):
        p = {name: None if array is None else float(array[tuple(place)]) for name, array in spread.items()}
        v, current, adaptation, before, passed = p["start"] or 0.0, 0.0, 0.0, 0, 0.0
        for t in range(x.shape[1]):
            drive, value = float(x[(b, t, *place)]), p["reset_value"]
            if p["current_decay"] is not None:
                old = current
                current = (
                    p["current_decay"] * current + (1.0 if p["current_gain"] is None else p["current_gain"]) * drive
                )
                drive = old if op.old_current else current
            assert p["decay"] is not None
            v = p["decay"] * v + (1.0 if p["gain"] is None else p["gain"]) * drive + (p["bias"] or 0.0)
            if p["threshold"] is None:
                v = v if p["min_v"] is None else max(v, p["min_v"])
                out[(b, t, *place)] = v
                continue
            if op.late_reset and op.reset == "subtract":
                v -= before * (passed if value is None else value)
            if op.late_reset and op.reset == "value" and before:
                v = value or 0.0
            bound = p["threshold"] + (adaptation if p["adaptation_step"] is not None else 0.0)
            spikes = 0
            while (v > (spikes + 1) * bound or (v == (spikes + 1) * bound and not op.strict)) and (
                op.max_spikes is None or spikes < op.max_spikes
            ):
                spikes += 1
            if not op.late_reset and op.reset == "subtract":
                v -= spikes * (bound if value is None else value)
            if not op.late_reset and op.reset == "value" and spikes:
                v = value or 0.0
            v = v if p["min_v"] is None else max(v, p["min_v"])
            if p["adaptation_decay"] is not None and p["adaptation_step"] is not None:
                adaptation = p["adaptation_decay"] * adaptation + p["adaptation_step"] * spikes
            before, passed = spikes, bound
            out[(b, t, *place)] = spikes
    return out


@pytest.mark.parametrize("shape", [(3, 2, 2), (5,)])
def test_leaky_neurons_are_their_equations(shape: tuple[int, ...]) -> None:
    rng, fired = np.random.default_rng(7), 0
    for _ in range(40):
        op, x = drawn(rng, shape), rng.uniform(-0.6, 1.2, (2, 12, *shape))
        trace = nw.chain(shape, {"n": op}).run(x, dtype="float64")
        if op.threshold is None:
            np.testing.assert_allclose(trace.output, plain(op, x).reshape(trace.output.shape), atol=1e-12)
        else:
            np.testing.assert_array_equal(trace.output, plain(op, x).reshape(trace.output.shape))
            fired += int(trace.output.sum())
    assert fired > 1000


def test_a_run_goes_on_from_its_states() -> None:
    rng = np.random.default_rng(8)
    for _ in range(20):
        network, x = nw.chain((4,), {"n": drawn(rng, (4,))}), rng.uniform(-0.6, 1.2, (2, 10, 4))
        whole, first = network.run(x), network.run(x[:, :6])
        np.testing.assert_array_equal(network.run(x[:, 6:], states=first.states).output, whole.output[:, 6:])


def recurrent(rng: np.random.Generator, steps: float = 1) -> nw.Network:
    """Four neurons that feed themselves through weights."""
    neurons = nw.LeakyIntegrateAndFire(parameter(0.8), parameter(0.7))
    weight = rng.normal(0, 0.6, (4, 4)).astype(np.float32)
    layers = (
        nw.Layer("again", nw.Delay(parameter(steps), shape=(4,)), ("n",)),
        nw.Layer("w", nw.Linear(weight), ("again",)),
        nw.Layer("sum", nw.Add(), (nw.INPUT, "w")),
        nw.Layer("n", neurons, ("sum",)),
    )
    return nw.Network((4,), layers)


@pytest.mark.parametrize("steps", [1, 3])
def test_a_loop_runs_through_a_delay(steps: int) -> None:
    rng = np.random.default_rng(9)
    network, x = recurrent(rng, steps), rng.uniform(0, 0.8, (2, 20, 4)).astype(np.float32)
    layer = network.layers[1].op
    assert isinstance(layer, nw.Linear)
    v, out = np.zeros((2, 4)), np.zeros((2, 20, 4))
    for t in range(20):
        fed = out[:, t - steps] @ layer.weight.T.astype(np.float64) if t >= steps else 0.0
        v = np.float64(np.float32(0.8)) * v + x[:, t] + fed
        out[:, t] = v >= np.float32(0.7)
        v -= out[:, t] * np.float64(np.float32(0.7))
    trace = network.run(x, dtype="float64")
    np.testing.assert_array_equal(trace.output, out)
    assert 0 < out.mean() < 1
    first = network.run(x[:, :7], dtype="float64")
    np.testing.assert_array_equal(network.run(x[:, 7:], states=first.states, dtype="float64").output, out[:, 7:])


def test_a_delay_a_value() -> None:
    x = np.random.default_rng(10).normal(size=(2, 9, 3))
    out = nw.chain((3,), {"d": nw.Delay(parameter([0, 2, 5]))}).run(x, dtype="float64").output
    for channel, steps in enumerate((0, 2, 5)):
        np.testing.assert_array_equal(out[:, steps:, channel], x[:, : 9 - steps, channel])
        assert not out[:, :steps, channel].any()


def test_a_file_keeps_every_kind(tmp_path: Path) -> None:
    rng = np.random.default_rng(11)
    weights = rng.normal(size=(2, 2, 3)).astype(np.float32)
    layers = (
        nw.Layer("pool", nw.MaxPool2d((2, 2), (1, 1), (1, 1)), (nw.INPUT,)),
        nw.Layer("both", nw.Concat(), ("pool", "pool")),
        nw.Layer("scale", nw.Scale(parameter(2), parameter(rng.normal(size=(4, 1, 1)))), ("both",)),
        nw.Layer("n", drawn(rng, (4, 4, 4)), ("scale",)),
        nw.Layer("rows", nw.Reshape((2, 32)), ("n",)),
        nw.Layer("conv", nw.Conv1d(weights, padding=1, stride=2), ("rows",)),
        nw.Layer("late", nw.Delay(parameter(2)), ("conv",)),
    )
    network = nw.Network((2, 3, 3), layers)
    nw.write(network, tmp_path / "n.safetensors")
    again, x = nw.read(tmp_path / "n.safetensors"), rng.normal(size=(2, 8, 2, 3, 3))
    np.testing.assert_array_equal(again.run(x).output, network.run(x).output)
    assert network.run(x).output.any()
    loop = recurrent(rng)
    nw.write(loop, tmp_path / "loop.safetensors")
    x = rng.uniform(0, 1, (1, 9, 4))
    np.testing.assert_array_equal(nw.read(tmp_path / "loop.safetensors").run(x).output, loop.run(x).output)


def test_what_does_not_fit_is_refused() -> None:
    lif = nw.LeakyIntegrateAndFire(parameter(0.5), parameter(1))
    with pytest.raises(InputError, match="threshold of shape"):
        nw.chain((3, 2, 2), {"n": replace(lif, threshold=parameter([1, 2, 3]))})
    with pytest.raises(InputError, match="above 0"):
        replace(lif, threshold=parameter(0))
    with pytest.raises(InputError, match="current_gain is given without current_decay"):
        replace(lif, current_gain=parameter(1))
    with pytest.raises(InputError, match="a loop needs a Delay"):
        nw.Network((4,), (nw.Layer("w", nw.Add(), (nw.INPUT, "n")), nw.Layer("n", lif, ("w",))))
    with pytest.raises(InputError, match="at least one step"):
        nw.Delay(parameter(0), shape=(4,))
