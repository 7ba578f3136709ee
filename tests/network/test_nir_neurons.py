"""Neurons of NIR files: what the file does not say is chosen or noted, and each choice is a simulator's own run.

Oracles: Sinabs' own export and import; SpikingJelly's own export (where it is installed, see `make oracles`); and the
definition in NIR's documentation, in NumPy.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from nir_files import nir_write
from numpy.typing import NDArray
from public_data import record

from i2e_deploy.errors import InputError, UnsupportedError
from i2e_deploy.network import IntegrateAndFire, Linear, chain, read_nir, write_nir
from i2e_deploy.network.nir.choices import nir_readings
from i2e_deploy.network.nir.read import READ_OPTIONS

nir = pytest.importorskip("nir")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

DRAWS = 20


def drawn(rng: np.random.Generator, *shape: int) -> NDArray[np.float32]:
    return rng.choice([-0.5, 0.25, 0.5, 1], shape).astype(np.float32)


def one_layer(path: Path, weight: NDArray[Any], rate: float = 1.0, **values: Any) -> Path:
    """Input, Linear, IF, Output."""
    size, threshold = len(weight), values.pop("threshold", 1.0)
    node = nir.IF(r=np.full(size, rate), v_threshold=np.full(size, threshold, np.float32), **values)
    nodes = {"in": nir.Input({"input": np.array(weight.shape[1:])}), "w": nir.Linear(weight), "n": node}
    nodes["out"] = nir.Output({"output": np.array([size])})
    return nir_write(path, nodes, [("in", "w"), ("w", "n"), ("n", "out")])


def by_definition(weight: NDArray[Any], threshold: float, frames: NDArray[Any]) -> NDArray[Any]:
    """NIR's IF with v_reset = 0, one spike a step, at >= as every simulator has it."""
    v, rows = np.zeros((len(frames), len(weight))), []
    for t in range(frames.shape[1]):
        v = v + frames[:, t] @ weight.T
        fired = v >= threshold
        v = np.where(fired, 0, v)
        rows.append(fired)
    return np.stack(rows, axis=1)


def doubtful(network: Any) -> list[str]:
    return [note.text for note in network.notes if note.doubtful]


def test_without_metadata_it_is_noted_what_was_assumed(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    path = one_layer(tmp_path / "n.nir", drawn(rng, 4, 3), threshold=2.0)
    network = read_nir(path)
    assert network.layers[-1].op == IntegrateAndFire(2.0, -2.0)
    (text,) = doubtful(network)
    assert "read as reset=subtract, max_spikes=any, min_v=-threshold, as Sinabs reads NIR" in text
    (text,) = doubtful(read_nir(path, max_spikes=1))
    assert "read as reset=subtract, min_v=-threshold" in text
    said = read_nir(path, reset="subtract", max_spikes="any", min_v="-threshold")
    assert not said.notes
    assert said.layers[-1].op == network.layers[-1].op


def test_a_choice_of_sinabs_is_what_sinabs_computes(tmp_path: Path) -> None:
    """Every combination of reset, spikes and bound that Sinabs has, whose `to_nir` writes the same fields for all."""
    sl, torch = pytest.importorskip("sinabs.layers"), pytest.importorskip("torch")
    from sinabs.activation import MembraneReset, MembraneSubtract, MultiSpike, SingleSpike

    rng = np.random.default_rng(1)
    for _ in range(DRAWS):
        weight, threshold = drawn(rng, 5, 3), float(rng.choice([0.5, 1, 2]))
        reset, spikes, low = (
            ["subtract", "zero"][rng.integers(2)],
            ["any", 1][rng.integers(2)],
            [None, -0.5, -1.0][rng.integers(3)],
        )
        layer = sl.IAF(
            spike_threshold=threshold, min_v_mem=low,
            reset_fn=MembraneSubtract() if reset == "subtract" else MembraneReset(),
            spike_fn=MultiSpike if spikes == "any" else SingleSpike,
        )  # fmt: skip
        frames = rng.integers(0, 3, (2, 12, 3))
        with torch.no_grad():
            wanted = layer(torch.from_numpy(frames @ weight.T).float()).numpy()
        path = one_layer(tmp_path / "n.nir", weight, threshold=threshold)
        options: dict[str, Any] = {"reset": reset, "max_spikes": spikes, "min_v": "none" if low is None else low}
        np.testing.assert_array_equal(read_nir(path, **options).run(frames).output, wanted)


def test_a_rate_of_one_over_dt_is_one_with_that_dt(tmp_path: Path) -> None:
    """Scaling the weights, the advice of before, gives 1 / dt times too much input."""
    rng = np.random.default_rng(2)
    for _ in range(DRAWS):
        weight, dt = drawn(rng, 5, 3), float(rng.choice([1e-4, 1e-3, 1 / 3]))
        path = one_layer(tmp_path / "n.nir", weight, rate=1 / dt)
        with pytest.raises(UnsupportedError, match=r"if it is 1 / dt of a program that counts seconds, give dt="):
            read_nir(path)
        network, frames = read_nir(path, dt=dt), rng.integers(0, 3, (2, 12, 3))
        np.testing.assert_array_equal(network.run(frames).output, by_definition(weight, 1.0, frames))
        assert "read as reset=zero, max_spikes=1, min_v=none, as NIR defines it" in doubtful(network)[0]
        for other in (dt / 2, dt * 1.001):
            with pytest.raises(UnsupportedError, match="leave dt out where r is 1, or give the dt"):
                read_nir(path, dt=other)


def test_other_rates_and_resets_are_refused(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    path = one_layer(tmp_path / "n.nir", drawn(rng, 4, 3), rate=0.5)
    with pytest.raises(UnsupportedError, match=r"n/r is 0\.5, not 1: multiply weights and biases"):
        read_nir(path)
    path = one_layer(tmp_path / "n.nir", drawn(rng, 4, 3))
    with h5py.File(path, "a") as file:
        if "v_reset" in file["node/nodes/n"]:
            del file["node/nodes/n/v_reset"]
        file["node/nodes/n/v_reset"] = np.full(4, 0.5)
    with pytest.raises(UnsupportedError, match="v_reset is not 0"):
        read_nir(path)


def test_what_spikingjelly_exports(tmp_path: Path) -> None:
    """It writes r = 1 / dt and v_reset; neurons reset to zero, fire once a step and have no lower bound."""
    torch, sj = pytest.importorskip("torch"), pytest.importorskip("spikingjelly.activation_based")
    from spikingjelly.activation_based import functional, layer, neuron
    from spikingjelly.activation_based.nir_exchange import export_to_nir

    del sj
    rng = np.random.default_rng(4)
    for draw in range(8):
        torch.manual_seed(draw)
        threshold, dt = float(rng.choice([0.5, 1.0])), float(rng.choice([1e-4, 1e-3]))
        net = torch.nn.Sequential(
            layer.Conv2d(2, 3, 3, bias=bool(draw % 2)), neuron.IFNode(v_threshold=threshold), layer.AvgPool2d(2, 2),
            layer.Flatten(), layer.Linear(27, 4), neuron.IFNode(v_threshold=threshold),
        )  # fmt: skip
        for parameter in net.parameters():
            parameter.data = torch.round(parameter.data * 16 + 1) / 16  # sums of sixteenths are exact
        export_to_nir(net, torch.rand(1, 2, 8, 8), tmp_path / "n.nir", dt=dt)
        functional.reset_net(net)
        frames = rng.integers(0, 3, (2, 10, 2, 8, 8))
        with torch.no_grad():
            rows = [net(torch.from_numpy(frames[:, t]).float()) for t in range(10)]
        network = read_nir(tmp_path / "n.nir", dt=dt)
        np.testing.assert_array_equal(network.run(frames).output, torch.stack(rows, 1).numpy())


def test_what_the_file_says_is_taken_and_can_be_overruled(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    for op in (IntegrateAndFire(1.0, None), IntegrateAndFire(1.0, -0.5, 3, "zero"), IntegrateAndFire(1.0, 0.0, 1)):
        write_nir(chain((3,), {"w": Linear(drawn(rng, 4, 3)), "n": op}), tmp_path / "n.nir")
        assert read_nir(tmp_path / "n.nir").layers[-1].op == op
        assert not read_nir(tmp_path / "n.nir").notes
    network = read_nir(tmp_path / "n.nir", reset="zero", min_v="none", max_spikes=1)
    assert network.layers[-1].op == IntegrateAndFire(1.0, None, 1, "zero")
    texts = [note.text for note in network.notes]
    assert texts == [
        "the file's reset=subtract by reset=zero, as asked",
        "the file's min_v=0.0 by min_v=none, as asked",
    ]


@pytest.mark.parametrize(
    "options",
    [{"reset": "hard"}, {"max_spikes": 0}, {"max_spikes": True}, {"max_spikes": 1.0}, {"min_v": 0.5},
     {"min_v": float("nan")}, {"min_v": "low"}, {"dt": 0.0}, {"dt": float("inf")}, {"dt": -1e-3}],
)  # fmt: skip
def test_options_that_cannot_be(tmp_path: Path, options: dict[str, Any]) -> None:
    path = one_layer(tmp_path / "n.nir", drawn(np.random.default_rng(0), 4, 3))
    with pytest.raises(InputError, match=f"{next(iter(options))} is .*(choose|give)"):
        read_nir(path, **options)


def test_options_of_the_command_line() -> None:
    texts = {"reset": "zero", "max_spikes": "any", "min_v": "-threshold", "dt": "1e-4", "outputs": "b,a"}
    found = {name: READ_OPTIONS[name](text) for name, text in texts.items()}
    assert found == {**texts, "dt": 1e-4, "outputs": ("b", "a")}
    assert READ_OPTIONS["max_spikes"]("2") == 2
    assert READ_OPTIONS["min_v"]("-0.5") == -0.5
    for name, text in (("max_spikes", "1.5"), ("min_v", "low"), ("dt", "fast")):
        with pytest.raises(ValueError, match=r"could not convert|invalid literal"):
            READ_OPTIONS[name](text)


def test_each_choice_is_what_read_nir_gives_with_it(tmp_path: Path) -> None:
    rng = np.random.default_rng(6)
    for given, expected in (({}, 8), ({"reset": "zero"}, 4), ({"reset": "zero", "max_spikes": 1}, 2)):
        path = one_layer(tmp_path / "n.nir", drawn(rng, 6, 3) - np.float32(0.25))
        frames = rng.integers(0, 4, (2, 20, 3))
        choices = nir_readings(path, frames, **given)
        assert len({tuple(choice.options.items()) for choice in choices}) == expected
        assert [choice.assumed for choice in choices] == [True, *[False] * (expected - 1)]
        for choice in choices:
            run = read_nir(path, **given, **choice.options).run(frames)  # type: ignore[arg-type]
            assert (choice.output, choice.spikes) == (run.output.sum(), run.layers["n"].sum())
        assert choices[0].output == read_nir(path, **given).run(frames).output.sum()
    assert nir_readings(path, frames, reset="zero", max_spikes=1, min_v="none") == ()


def test_choices_differ_on_a_published_network() -> None:
    """The files of others say nothing of resets, and the readings are far apart."""
    path = record("speck2f_nmnist/cnn_sinabs.nir")
    frames = np.random.default_rng(7).poisson(0.3, (1, 10, 2, 34, 34))
    outputs = [choice.output for choice in nir_readings(path, frames, reset=None)]
    assert max(outputs) > 1.2 * min(outputs)


def test_neurons_of_nodes_that_say_different_things(tmp_path: Path) -> None:
    """One node with our metadata, one without: only the second is open."""
    rng = np.random.default_rng(8)
    op = IntegrateAndFire(1.0, None, 1, "zero")
    ops: dict[str, Any] = {"a": Linear(drawn(rng, 4, 3)), "n": op, "b": Linear(drawn(rng, 4, 4)), "m": op}
    write_nir(chain((3,), ops), tmp_path / "n.nir")
    with h5py.File(tmp_path / "n.nir", "a") as file:
        del file["node/nodes/m/metadata"]
    network = read_nir(tmp_path / "n.nir")
    assert [layer.op for layer in network.layers[1::2]] == [op, IntegrateAndFire(1.0, -1.0)]
    assert "1 layer of neurons (m)" in doubtful(network)[0]
    frames = rng.integers(0, 3, (1, 8, 3))
    assert nir_readings(tmp_path / "n.nir", frames)[0].output == network.run(frames).output.sum()
