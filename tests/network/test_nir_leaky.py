"""Leaky nodes of NIR: read by each program's method, equal to it; written and read back; loops and graphs in graphs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from nir_files import nir_write
from numpy.typing import NDArray
from public_data import trained
from simulators import DT, SIMULATORS, traced

from i2e_deploy import network as nw
from i2e_deploy.errors import InputError, UnsupportedError
from i2e_deploy.network import LeakyIntegrateAndFire, read_nir, write_nir
from i2e_deploy.network.neurons import parameter

nir = pytest.importorskip("nir")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")


@pytest.mark.parametrize("simulator", SIMULATORS)
def test_the_trace_of_one_neuron(simulator: str) -> None:
    """A LIF neuron, 34 spikes in 1,000 steps: four spikes in the same steps, voltages equal where the method is."""
    method, reset, late, unit, apart = SIMULATORS[simulator]
    table = np.loadtxt(trained(f"nir/lif_{simulator}.csv"), delimiter=",")
    path = trained("nir/lif_norse.nir")
    network = read_nir(path, dt=DT, method=method, reset=reset, max_spikes=1, min_v="none")  # type: ignore[arg-type]
    voltages, spikes = traced(network, (table[:, 0] > 0).astype(float))
    theirs = table[:, 2] > 0
    np.testing.assert_array_equal(np.roll(spikes, late), theirs)
    assert theirs.sum() == 4
    assert np.abs(np.roll(voltages, late) - table[:, 1] / unit).max() < apart


def lif_values(rng: np.random.Generator, shape: tuple[int, ...]) -> dict[str, Any]:
    one = np.ones(shape, np.float32)
    return {
        "tau": (one * rng.uniform(2e-3, 2e-2, shape)).astype(np.float32),
        "r": one.copy(),
        "v_leak": (rng.choice([0, 0.1]) * one).astype(np.float32),
        "v_threshold": (one * rng.uniform(0.05, 0.3)).astype(np.float32),
    }


@pytest.mark.parametrize("cuba", [False, True])
def test_drawn_neurons_are_those_of_norse(tmp_path: Path, cuba: bool) -> None:
    norse = pytest.importorskip("norse.torch")
    rng, fired, rounded = np.random.default_rng(2), 0, 0
    for _ in range(15):
        values = lif_values(rng, (5,))
        if cuba:
            values["v_leak"][:] = 0  # Norse gives the leak to the current too
            values["tau_mem"] = values.pop("tau")
            values |= {"tau_syn": lif_values(rng, (5,))["tau"], "w_in": np.full(5, 2, np.float32)}
        node = nir.CubaLIF(**values) if cuba else nir.LIF(**values)
        ends = {"in": nir.Input({"input": np.array([5])}), "out": nir.Output({"output": np.array([5])})}
        path = nir_write(tmp_path / "n.nir", {**ends, "n": node}, [("in", "n"), ("n", "out")])
        network = read_nir(path, dt=1e-3, method="euler", reset="zero", max_spikes=1, min_v="none")
        frames = rng.uniform(0, 3, (2, 30, 5)).astype(np.float32)
        theirs, state = [], None
        module = norse.from_nir(nir.read(path), dt=1e-3, ignore_warnings=True)
        with torch.no_grad():
            for t in range(30):
                out, state = module(torch.from_numpy(frames[:, t]), state)
                theirs.append(out.numpy())
        expected = np.stack(theirs, axis=1)
        differ = (network.run(frames).output != expected).any(axis=1)
        rounded += int(differ.sum())
        fired += int(expected.sum())
    assert fired > 300
    assert rounded <= 2  # neurons of 150: the last bit of float32 decided a spike


@pytest.mark.parametrize("cuba", [False, True])
def test_norse_runs_what_is_written(tmp_path: Path, cuba: bool) -> None:
    """Its from_nir at the same dt: equal spikes. Of a LIF node it ignores r (and logs that), so the gain is the leak's;
    it starts from v_leak."""
    norse = pytest.importorskip("norse.torch")
    rng, fired, rounded = np.random.default_rng(4), 0, 0
    for _ in range(10):
        dt = float(rng.choice([1e-4, 1e-3, 2e-3]))
        decay, threshold = rng.uniform(0.5, 0.98, 5), parameter(rng.uniform(0.1, 0.5, 5))
        lif = LeakyIntegrateAndFire(
            parameter(decay), threshold, parameter(1 - decay), parameter(0.05 * (1 - decay)), reset="value",
            strict=True, start=parameter(0.05),
        )  # fmt: skip
        if cuba:  # Norse gives v_leak to the current too
            current, gain = parameter(rng.uniform(0.2, 0.9, 5)), parameter(rng.uniform(0.1, 0.5, 5))
            weight = parameter(rng.uniform(0.2, 1))
            lif = replace(lif, gain=gain, bias=None, start=None, current_decay=current, current_gain=weight)
        affine = nw.Linear(rng.normal(0.3, 0.6, (5, 6)).astype(np.float32), rng.normal(0, 0.1, 5).astype(np.float32))
        network, frames = nw.chain((6,), {"a": affine, "n": lif}), rng.integers(0, 3, (2, 30, 6)).astype(np.float32)
        write_nir(network, tmp_path / "n.nir", dt=dt)
        theirs, state = [], None
        module = norse.from_nir(nir.read(tmp_path / "n.nir"), dt=dt, ignore_warnings=True)
        with torch.no_grad():
            for t in range(30):
                out, state = module(torch.from_numpy(frames[:, t]), state)
                theirs.append(out.numpy())
        expected = np.stack(theirs, axis=1)
        rounded += int((network.run(frames).output != expected).any(axis=1).sum())
        fired += int(expected.sum())
    assert fired > 300
    assert rounded <= 2  # neurons of 100: the last bit of float32 decided a spike


def test_drawn_neurons_are_those_of_sinabs(tmp_path: Path) -> None:
    """Sinabs' time constants are in steps, and it subtracts and fires several times: method="sinabs"."""
    pytest.importorskip("sinabs")
    from sinabs.nir import from_nir

    rng, fired, rounded = np.random.default_rng(3), 0, 0
    for _ in range(15):
        values = lif_values(rng, (5,)) | {"v_leak": np.zeros(5, np.float32)}
        values["tau"] = (1000 * values["tau"]).astype(np.float32)
        ends = {"in": nir.Input({"input": np.array([5])}), "out": nir.Output({"output": np.array([5])})}
        path = nir_write(tmp_path / "n.nir", {**ends, "n": nir.LIF(**values)}, [("in", "n"), ("n", "out")])
        network = read_nir(path, method="sinabs", reset="subtract", max_spikes="any", min_v="none")
        frames = rng.uniform(0, 0.4, (2, 30, 5)).astype(np.float32)
        graph = nir.read(path)
        lif = graph.nodes["n"]
        lif.v_leak, lif.tau = torch.from_numpy(lif.v_leak), torch.from_numpy(lif.tau)
        lif.v_threshold = torch.from_numpy(lif.v_threshold)
        module = from_nir(graph, batch_size=2)
        with torch.no_grad():
            expected = module(torch.from_numpy(frames).flatten(0, 1))
        expected = (expected[0] if isinstance(expected, tuple) else expected).reshape(2, 30, 5).numpy()
        rounded += int((network.run(frames).output != expected).any(axis=1).sum())
        fired += int(expected.sum())
    assert fired > 300
    assert rounded <= 2


@pytest.mark.parametrize("name", ["noDelay_bias_zero", "noDelay_noBias_subtract"])
def test_recurrent_networks_of_braille_letters(name: str) -> None:
    """NIR paper, task 3: a recurrent network, beside its equations written out as snnTorch's RSynaptic has them."""
    path = trained(f"nir/braille_{name}.nir")
    reset: Any = name.rpartition("_")[2]
    network = read_nir(path, dt=DT, method="euler", reset=reset, max_spikes=1, min_v="none")
    assert any("closes a loop" in note.text for note in network.notes)
    x = (np.random.default_rng(5).random((3, 60, 12)) < 0.2).astype(np.float64)
    graph = nir.read(path)
    trace = network.run(x, dtype="float64")
    np.testing.assert_array_equal(trace.output, by_hand(graph, x, reset))
    assert trace.output.any()


def by_hand(graph: Any, x: NDArray[Any], reset: str) -> NDArray[Any]:
    nodes = graph.nodes

    def affine(name: str, given: NDArray[Any]) -> NDArray[Any]:
        weight = np.asarray(nodes[name].weight, np.float32).astype(np.float64)
        bias = np.asarray(getattr(nodes[name], "bias", 0.0), np.float64)
        return np.asarray(given @ weight.T + bias)

    def step(name: str, state: list[Any], drive: NDArray[Any]) -> NDArray[Any]:
        n = nodes[name]

        def f(value: Any) -> Any:
            return np.float32(value).astype(np.float64)

        state[0] = f(1 - DT / n.tau_syn) * state[0] + f(n.w_in * DT / n.tau_syn) * drive
        state[1] = f(1 - DT / n.tau_mem) * state[1] + f(n.r * DT / n.tau_mem) * state[0]
        spikes = (state[1] > f(n.v_threshold)).astype(np.float64)
        state[1] = state[1] - spikes * f(n.v_threshold) if reset == "subtract" else state[1] * (1 - spikes)
        return np.asarray(spikes)

    first, last, before, out = [0.0, 0.0], [0.0, 0.0], np.zeros((len(x), len(nodes["fc1"].weight))), []
    for t in range(x.shape[1]):
        before = step("lif1.lif", first, affine("fc1", x[:, t]) + affine("lif1.w_rec", before))
        out.append(step("lif2", last, affine("fc2", before)))
    return np.stack(out, axis=1)


@pytest.mark.parametrize("name", ["noDelay_bias_zero", "noDelay_noBias_subtract"])
def test_norse_runs_the_braille_networks_alike(name: str) -> None:
    """Norse's own module of the file; snnTorch 1.0 does not get through nirtorch 2 with it."""
    norse = pytest.importorskip("norse.torch")
    from norse.torch.functional.reset import reset_subtract, reset_value

    path = trained(f"nir/braille_{name}.nir")
    reset: Any = name.rpartition("_")[2]
    network = read_nir(path, dt=DT, method="euler", reset=reset, max_spikes=1, min_v="none")
    method = reset_subtract if reset == "subtract" else reset_value
    module = norse.from_nir(nir.read(path), dt=DT, ignore_warnings=True, reset_method=method)
    x = (np.random.default_rng(6).random((2, 80, 12)) < 0.25).astype(np.float32)
    state, rows = None, []
    with torch.no_grad():
        for t in range(80):
            out, state = module(torch.from_numpy(x[:, t]), state)
            rows.append(out.numpy())
    theirs = np.stack(rows, axis=1)
    np.testing.assert_array_equal(network.run(x).output, theirs)
    assert theirs.any()


def a_network(rng: np.random.Generator) -> nw.Network:
    """Every kind of leaky node, a scale, a delay, rows, and a loop."""
    lif = LeakyIntegrateAndFire(parameter(0.8), parameter(0.5), reset="value", strict=True)
    slow = replace(
        lif, current_decay=parameter(rng.uniform(0.3, 0.9, 6)), current_gain=parameter(0.7), bias=parameter(0.02)
    )
    rows = (
        nw.Layer("again", nw.Delay(parameter(1), shape=(6,)), ("cuba",)),
        nw.Layer("rec", nw.Linear(rng.normal(0, 0.3, (6, 6)).astype(np.float32)), ("again",)),
        nw.Layer("first", nw.Conv1d(rng.normal(0.3, 0.3, (3, 2, 3)).astype(np.float32), padding=1), (nw.INPUT,)),
        nw.Layer("lif", replace(lif, reset="subtract", max_spikes=None, min_v=parameter(-0.5)), ("first",)),
        nw.Layer("scaled", nw.Scale(parameter(rng.uniform(0.5, 1, (3, 1)))), ("lif",)),
        nw.Layer("late", nw.Delay(parameter(2)), ("scaled",)),
        nw.Layer("flat", nw.Flatten(), ("late",)),
        nw.Layer("sum", nw.Add(), ("flat", "rec")),
        nw.Layer("cuba", slow, ("sum",)),
        nw.Layer("li", LeakyIntegrateAndFire(parameter(0.9), gain=parameter(0.3)), ("cuba",)),
        nw.Layer("above", LeakyIntegrateAndFire(parameter(0), parameter(0.2), strict=True, reset="none"), ("li",)),
    )
    return nw.Network((2, 2), rows)


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    for _ in range(5):
        network, x = a_network(rng), rng.uniform(0, 1.5, (2, 25, 2, 2))
        write_nir(network, tmp_path / "n.nir", dt=1e-3)
        again = read_nir(tmp_path / "n.nir")
        assert not [note for note in again.notes if note.doubtful]
        wanted = network.run(x)
        np.testing.assert_array_equal(again.run(x).output, wanted.output)
        for name in ("lif", "cuba", "li"):
            op, read = (next(row.op for row in net.layers if row.name == name) for net in (network, again))
            for field in LeakyIntegrateAndFire.arrays:
                ours, theirs = getattr(op, field), getattr(read, field)
                if ours is not None:
                    first, second = np.broadcast_arrays(theirs, ours)
                    np.testing.assert_array_equal(first, second, f"{name}.{field}")
    assert wanted.layers["cuba"].any()
    assert {type(node).__name__ for node in nir.read(tmp_path / "n.nir").nodes.values()} >= {
        "Conv1d", "LIF", "CubaLIF", "LI", "Scale", "Delay", "Threshold", "Linear",
    }  # fmt: skip


def test_what_nir_cannot_say_is_refused(tmp_path: Path) -> None:
    lif = LeakyIntegrateAndFire(parameter(0.8), parameter(0.5), reset="value")
    above = LeakyIntegrateAndFire(parameter(0), parameter(0.5), strict=True, reset="none")
    for op, text in (
        (replace(lif, late_reset=True), "a reset in the next step"),
        (replace(lif, adaptation_decay=parameter(0.5), adaptation_step=parameter(0.1)), "an adaptive threshold"),
        (replace(lif, reset="none"), "spikes without a reset"),
        (replace(lif, reset="subtract", backlog=True), "a backlog of spikes"),
        (replace(lif, current_decay=parameter(0.5), current_start=parameter(1)), "a current to start from"),
        (replace(lif, threshold=None, min_v=parameter(-1)), "a lower bound without spikes"),
        (LeakyIntegrateAndFire(parameter(1), start=parameter(0.7)), "an integrator's start"),
        (LeakyIntegrateAndFire(parameter(1), min_v=parameter(0)), "a lower bound without spikes"),
        (
            replace(above, adaptation_decay=parameter(0.5), adaptation_step=parameter(0.1)),
            "no gain, bias, current or adaptation",
        ),
        (replace(lif, decay=parameter(1.1)), "decay of 0 or above and below 1"),
    ):
        with pytest.raises(UnsupportedError, match=text):
            write_nir(nw.chain((3,), {"n": op}), tmp_path / "n.nir", dt=1e-3)
    with pytest.raises(InputError, match=r"write_nir\(..., dt=1e-3\)"):
        write_nir(nw.chain((3,), {"n": lif}), tmp_path / "n.nir")
    with pytest.raises(UnsupportedError, match="pool by the average"):
        write_nir(nw.chain((1, 4, 4), {"p": nw.MaxPool2d((2, 2), (2, 2))}), tmp_path / "n.nir")
    assert not (tmp_path / "n.nir").exists()


def test_what_is_assumed_is_said(tmp_path: Path) -> None:
    values = lif_values(np.random.default_rng(1), (3,))
    ends = {"in": nir.Input({"input": np.array([3])}), "out": nir.Output({"output": np.array([3])})}
    path = nir_write(tmp_path / "n.nir", {**ends, "n": nir.LIF(**values)}, [("in", "n"), ("n", "out")])
    with pytest.raises(UnsupportedError, match=r"continuous time.*--read dt=1e-4"):
        read_nir(path)
    (note,) = [note for note in read_nir(path, dt=1e-4).notes if note.doubtful]
    assert "method=euler, reset=zero, max_spikes=1, min_v=none" in note.text
    with pytest.raises(UnsupportedError, match="Euler's steps overshoot"):
        read_nir(path, dt=1.0)
    with pytest.raises(InputError, match="method is 'magic'"):
        read_nir(path, dt=1e-4, method="magic")  # type: ignore[arg-type]


def test_a_graph_in_a_graph_is_written_out(tmp_path: Path) -> None:
    rng = np.random.default_rng(8)
    first, second = (rng.normal(size=(3, 3)).astype(np.float32) for _ in range(2))
    size = {"input": np.array([3])}
    inner = nir.NIRGraph(
        {"input": nir.Input(size), "w": nir.Linear(second), "output": nir.Output({"output": np.array([3])})},
        [("input", "w"), ("w", "output")],
    )
    nodes = {"in": nir.Input(size), "a": nir.Linear(first), "part": inner, "out": nir.Output({"output": np.array([3])})}
    path = nir_write(tmp_path / "n.nir", nodes, [("in", "a"), ("a", "part"), ("part", "out")])
    network, x = read_nir(path), rng.normal(size=(1, 4, 3))
    assert [layer.name for layer in network.layers] == ["a", "part.w"]
    wanted = x @ first.T.astype(np.float64) @ second.T.astype(np.float64)
    np.testing.assert_allclose(network.run(x, dtype="float64").output, wanted, rtol=1e-12)


def test_a_delay_must_be_whole_steps(tmp_path: Path) -> None:
    ends = {"in": nir.Input({"input": np.array([2])}), "out": nir.Output({"output": np.array([2])})}
    path = nir_write(tmp_path / "n.nir", {**ends, "d": nir.Delay(np.array([1e-3, 3e-3]))}, [("in", "d"), ("d", "out")])
    op = read_nir(path, dt=1e-3).layers[0].op
    assert isinstance(op, nw.Delay)
    assert op.steps.tolist() == [1, 3]
    with pytest.raises(UnsupportedError, match="no whole number of steps"):
        read_nir(path, dt=7e-4)
    with pytest.raises(UnsupportedError, match="give the length of a step"):
        read_nir(path)


def test_thresholds_of_each_neuron(tmp_path: Path) -> None:
    bounds = np.array([0.5, 1.0, 2.0], np.float32)
    node = nir.IF(r=np.ones(3, np.float32), v_threshold=bounds)
    ends = {"in": nir.Input({"input": np.array([3])}), "out": nir.Output({"output": np.array([3])})}
    path = nir_write(tmp_path / "n.nir", {**ends, "n": node}, [("in", "n"), ("n", "out")])
    network = read_nir(path, reset="subtract", max_spikes="any", min_v="none")
    out = network.run(np.ones((1, 4, 3))).output[0]
    np.testing.assert_array_equal(out.sum(axis=0), [8, 4, 2])


def test_data_is_written_as_nir_writes_it(tmp_path: Path) -> None:
    """nir reads it, and it judges the same network, and another one as wrong."""
    if not hasattr(nir, "read_data"):
        pytest.skip("nir before 1.0.8 has no data")
    rng = np.random.default_rng(9)
    lif = LeakyIntegrateAndFire(parameter(0.8), parameter(0.5), reset="value", strict=True)
    network, x = (
        nw.chain((4,), {"w": nw.Linear(rng.normal(size=(3, 4)).astype(np.float32)), "n": lif}),
        rng.random((2, 9, 4)),
    )
    x = x.astype(np.float32)
    nw.write_nir_data(network.run(x), tmp_path / "d.nir", 1e-3, x)
    data = nir.read_data(tmp_path / "d.nir")
    held = data.nodes["n"].observables["spikes"]
    np.testing.assert_array_equal(held.data, network.run(x).output)
    assert held.dt == 1e-3
    judged = nw.judge_nir(network, tmp_path / "d.nir")
    assert "2 layers" in judged.notes[-1].text
    other = nw.chain((4,), {"w": network.layers[0].op, "n": replace(lif, decay=parameter(0.1))})
    with pytest.raises(UnsupportedError, match=r"layer 'n'.*was read wrongly"):
        nw.judge_nir(other, tmp_path / "d.nir")
    with pytest.raises(InputError, match="dt is 0"):
        nw.write_nir_data(network.run(x), tmp_path / "d.nir", 0)


@pytest.mark.parametrize("cuba", [False, True])
def test_snntorch_runs_what_is_written(tmp_path: Path, cuba: bool, capsys: pytest.CaptureFixture[str]) -> None:
    """snnTorch's own reader, whose step is 0.1 ms: equal spikes, but for what float32's last bit decides."""
    pytest.importorskip("snntorch")
    from snntorch.import_nir import import_from_nir

    rng, fired, differ = np.random.default_rng(4), 0, 0
    for _ in range(10):
        lif = LeakyIntegrateAndFire(parameter(rng.uniform(0.5, 0.95)), parameter(0.5), reset="value", strict=True)
        if cuba:
            lif = replace(lif, current_decay=parameter(rng.uniform(0.3, 0.9)), current_gain=parameter(1))
        network = nw.chain((4,), {"w": nw.Linear(rng.normal(size=(5, 4)).astype(np.float32)), "n": lif})
        write_nir(network, tmp_path / "n.nir", dt=1e-4)
        module, state, rows = import_from_nir(nir.read(tmp_path / "n.nir")), None, []
        frames = rng.random((2, 30, 4)).astype(np.float32)
        with torch.no_grad():
            for t in range(30):
                out, state = module(torch.from_numpy(frames[:, t]), state)
                rows.append(np.asarray(out))
        theirs = np.stack(rows, axis=1)
        differ += int((network.run(frames).output != theirs).any(axis=1).sum())
        fired += int(theirs.sum())
    capsys.readouterr()
    assert fired > 200
    assert differ <= 2  # neurons of 100
