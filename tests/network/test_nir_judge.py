"""The judges of NIR files: recorded data of another simulator (`nir.write_data`), and frameworks that read the file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from nir_files import nir_write
from numpy.typing import NDArray

from i2e_deploy.errors import FileFormatError, InputError, UnsupportedError
from i2e_deploy.network import (
    Add,
    Conv2d,
    Flatten,
    IntegrateAndFire,
    Layer,
    Linear,
    Network,
    Pool2d,
    chain,
    read_nir,
    write_nir,
)
from i2e_deploy.network.nir.data import read_nir_data
from i2e_deploy.network.nir.frameworks import judge_nir_with
from i2e_deploy.network.nir.judge import judge_nir

nir = pytest.importorskip("nir")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
DT = 1e-3


def weights(rng: np.random.Generator, *shape: int) -> NDArray[np.float32]:
    return rng.normal(0.1, 0.4, shape).astype(np.float32)


def network(rng: np.random.Generator, most: int | None = 1) -> Network:
    neuron = IntegrateAndFire(1.0, -1.0, most)
    ops: dict[str, Any] = {"c": Conv2d(weights(rng, 3, 2, 3, 3)), "n": neuron, "p": Pool2d((2, 2), "sum")}
    return chain((2, 8, 8), {**ops, "f": Flatten(), "d": Linear(weights(rng, 4, 27)), "m": neuron})


def in_torch(rng: np.random.Generator, path: Path, most: int | None) -> tuple[Network, Any, Mapping[str, Any]]:
    """A network, frames, and what Sinabs gives for each layer of neurons when it runs the file that we wrote."""
    torch, sl = pytest.importorskip("torch"), pytest.importorskip("sinabs.layers")
    from sinabs.activation import MultiSpike, SingleSpike

    made = network(rng, most)
    write_nir(made, path)
    ops: dict[str, Any] = {layer.name: layer.op for layer in made.layers}
    fire = SingleSpike if most == 1 else MultiSpike
    x = frames = rng.integers(0, 3, (2, 6, 2, 8, 8)).astype(np.float32)
    found = {}
    with torch.no_grad():
        values = torch.from_numpy(x).flatten(0, 1)
        values = torch.conv2d(values, torch.from_numpy(ops["c"].weight)).unflatten(0, (2, 6))
        values = sl.IAF(spike_threshold=1.0, min_v_mem=-1.0, spike_fn=fire)(values)
        found["n"] = values.numpy()
        values = sl.SumPool2d(2)(values.flatten(0, 1)).flatten(1) @ torch.from_numpy(ops["d"].weight).T
        found["m"] = sl.IAF(spike_threshold=1.0, min_v_mem=-1.0, spike_fn=fire)(values.unflatten(0, (2, 6))).numpy()
    return made, frames, found


def write_data(path: Path, **nodes: Any) -> Path:
    """A file of the layout of `nir.write_data`; with nir 1.0.8, its own writing is compared below."""
    with h5py.File(path, "w") as file:
        file.attrs["__type__"] = "NIRGraphData"
        for name, values in nodes.items():
            group = file.create_group(f"nodes/{name}")
            group.attrs["__type__"] = "NIRNodeData"
            for observable, entries in (values if isinstance(values, dict) else {"spikes": values}).items():
                held = group.create_group(f"observables/{observable}")
                held.attrs["__type__"], held.attrs["dt"] = "TimeGriddedData", DT
                held.create_dataset("data", data=entries.reshape(*entries.shape[:2], -1), compression="gzip")
    return path


@pytest.mark.parametrize("most", [None, 1])
def test_data_of_another_simulator_agrees(tmp_path: Path, most: int | None) -> None:
    for seed in range(5):
        made, frames, found = in_torch(np.random.default_rng(seed), tmp_path / "n.nir", most)
        assert found["n"].any()
        spikes = {"n": {"spikes": found["n"], "v": found["n"]}, "m": found["m"], "v1": found["n"]}
        data = write_data(tmp_path / "d.h5", input=frames, **spikes)
        notes = judge_nir(read_nir(tmp_path / "n.nir"), data).notes
        assert "compared with d.h5 on 2 samples of 6 steps: 2 layers, 1,344 values" in notes[-2].text
        assert notes[-1].text == "d.h5: not compared, as no layer gives it: n.v, v1"
        assert judge_nir(made, data, frames).notes == notes


def test_the_first_layer_that_differs_is_named(tmp_path: Path) -> None:
    for seed in range(5):
        _, frames, found = in_torch(np.random.default_rng(seed), tmp_path / "n.nir", None)
        data = write_data(tmp_path / "d.h5", input=frames, **found)
        for options in ({"reset": "zero"}, {"max_spikes": 1}, {"min_v": 0.0}):
            wrong = read_nir(tmp_path / "n.nir", **options)
            with pytest.raises(UnsupportedError, match=r"layer 'n' .* first at step \d.*choose with reset="):
                judge_nir(wrong, data)
        found["m"][1, 3, 2] += 1
        with pytest.raises(UnsupportedError, match=r"layer 'm' .*first at step 3, sample 1, \(2,\)"):
            judge_nir(read_nir(tmp_path / "n.nir"), write_data(tmp_path / "d.h5", input=frames, **found))


def test_yes_or_no_is_not_taken_for_a_count(tmp_path: Path) -> None:
    """nirtorch writes spikes as booleans: what fires twice in a step is one there."""
    for most in (1, None):
        made, frames, found = in_torch(np.random.default_rng(0), tmp_path / "n.nir", most)
        data = write_data(tmp_path / "d.h5", input=frames, n=found["n"].astype(bool))
        if most == 1:
            assert "1 layer" in judge_nir(made, data).notes[-1].text
            continue
        with pytest.raises(UnsupportedError, match=r"'n' fires \d+ times in a step.*yes or no.*max_spikes=1"):
            judge_nir(made, data)


def test_what_nir_writes_and_events_with_times(tmp_path: Path) -> None:
    if not hasattr(nir, "write_data"):
        pytest.skip("this release of nir writes no data")
    made, frames, found = in_torch(np.random.default_rng(1), tmp_path / "n.nir", 1)
    for dt in (1e-4, 1e-3, 1 / 3):
        flat = {name: value.reshape(2, 6, -1).astype(bool) for name, value in found.items()}
        grid = {name: nir.NIRNodeData({"spikes": nir.TimeGriddedData(value, dt)}) for name, value in flat.items()}
        nir.write_data(tmp_path / "grid.h5", nir.NIRGraphData(grid))
        events = {
            name: nir.NIRNodeData({"spikes": nir.TimeGriddedData(value, dt).to_event(int(value.sum()), shift * dt)})
            for (name, value), shift in zip(flat.items(), (0, 0.5), strict=True)
        }
        nir.write_data(tmp_path / "events.h5", nir.NIRGraphData(events))
        of_grid, of_events = read_nir_data(tmp_path / "grid.h5"), read_nir_data(tmp_path / "events.h5", dt)
        for name, value in flat.items():
            np.testing.assert_array_equal(of_grid.nodes[name].data, value)
            np.testing.assert_array_equal(of_events.nodes[name].data, value)
        for file, step in (("grid.h5", None), ("events.h5", dt)):
            assert "2 layers" in judge_nir(made, tmp_path / file, frames, step).notes[-1].text
        with pytest.raises(InputError, match="holds events with times: give dt"):
            judge_nir(made, tmp_path / "events.h5", frames)


def test_nothing_to_compare_is_an_error(tmp_path: Path) -> None:
    made, frames, found = in_torch(np.random.default_rng(0), tmp_path / "n.nir", None)
    for nodes, given, text in (
        ({"n": found["n"]}, None, "holds no node 'input': give the frames"),
        ({"x": found["n"]}, frames, "holds no spikes of a layer of the network: x"),
        ({"n": found["n"][:, :5]}, frames, "2 samples of 5 steps, the frames 2 of 6"),
        ({"n": found["m"]}, frames, "has 4 neurons, the layer 108"),
        ({"input": frames[..., 0], "n": found["n"]}, None, "'input' has 16 neurons, the layer 128"),
    ):
        with pytest.raises(InputError, match=text):
            judge_nir(made, write_data(tmp_path / "d.h5", **nodes), given)


def test_hostile_data(tmp_path: Path) -> None:
    def change(file: h5py.File, kind: str) -> None:
        held = file["nodes/n/observables/spikes"]
        if kind == "root":
            file.attrs["__type__"] = "NIRGraph"
        elif kind == "none":
            del file.attrs["__type__"]
        elif kind == "array":
            held.attrs["__type__"] = np.ones(3000)
        elif kind == "long":
            held.attrs["__type__"] = "x" * 1000
        elif kind == "nested":
            file["nodes/n"].attrs["__type__"] = "NIRGraphData"
        elif kind == "link":
            del held["data"]
            held["data"] = h5py.ExternalLink("other.h5", "/x")
        elif kind in ("times", "neurons", "steps"):
            held.attrs["__type__"], held.attrs["t_max"] = "EventData", 1e12 if kind == "steps" else 6 * DT
            held.attrs["n_neurons"] = 1.5 if kind == "neurons" else 108
            held["idx"], held["time"] = np.zeros((2, 3), int), np.full((2, 3), 1.0)

    texts = {
        "root": "'NIRGraph', expected NIRGraphData", "none": "'__type__' is missing", "array": "expected one short",
        "long": "expected one short|short string", "nested": "a graph in the graph", "link": "links are refused",
        "times": "times outside 0..0.006 s", "neurons": "n_neurons 1.5", "steps": "at most 67108864 values|n_neurons",
    }  # fmt: skip
    made, frames, found = in_torch(np.random.default_rng(0), tmp_path / "n.nir", None)
    for kind, text in texts.items():
        with h5py.File(write_data(tmp_path / "d.h5", n=found["n"]), "a") as file:
            change(file, kind)
        with pytest.raises((FileFormatError, UnsupportedError), match=text) as caught:
            judge_nir(made, tmp_path / "d.h5", frames, DT)
        assert "\n" not in str(caught.value)
    (tmp_path / "text.h5").write_text("no HDF5")
    with pytest.raises(FileFormatError, match="not an HDF5 file"):
        judge_nir(made, tmp_path / "text.h5", frames)
    with pytest.raises(InputError, match="no such file"):
        judge_nir(made, tmp_path / "nothing.h5", frames)


def test_sinabs_judges_a_file(tmp_path: Path) -> None:
    pytest.importorskip("sinabs")
    rng = np.random.default_rng(2)
    frames = rng.integers(0, 3, (2, 6, 2, 8, 8))
    made = network(rng, None)
    write_nir(made, tmp_path / "n.nir")
    ops = {layer.name: layer.op for layer in made.layers}
    bias = np.zeros(4, np.float32)
    affine = nir.Affine(ops["d"].weight, bias)  # type: ignore[attr-defined]
    graph = nir_with(tmp_path / "n.nir", d=affine)  # Sinabs has no Linear
    notes = judge_nir_with("sinabs", read_nir(graph), graph, frames).notes
    assert "compared with sinabs on 2 samples of 6 steps: 6 layers" in notes[-1].text
    with pytest.raises(UnsupportedError, match=r"layer 'n' .* where sinabs gives .*choose with reset="):
        judge_nir_with("sinabs", read_nir(graph, reset="zero"), graph, frames)


def nir_with(path: Path, **nodes: Any) -> Path:
    """Our file, written again by nir with other nodes."""
    from nir_files import nir_read

    graph = nir_read(path)
    return nir_write(path, {**graph.nodes, **nodes}, graph.edges)


def test_a_judge_that_cannot_run_the_file_says_so(tmp_path: Path) -> None:
    """nirtorch 2.0 and 2.6 run a sum before its terms: what Sinabs gives then is no judgement."""
    pytest.importorskip("sinabs")
    rng = np.random.default_rng(3)
    conv = [Layer(name, Conv2d(weights(rng, 3, 2, 3, 3)), ("input",)) for name in ("a", "b")]
    layers = (*conv, Layer("s", Add(), ("a", "b")), Layer("n", IntegrateAndFire(1.0, -1.0), ("s",)))
    frames = rng.integers(0, 3, (1, 4, 2, 8, 8))
    for name, branches in (("two", layers), ("average", (*layers[:1], Layer("p", Pool2d((2, 2)), ("a",))))):
        write_nir(Network((2, 8, 8), branches), tmp_path / f"{name}.nir")
    with pytest.raises(UnsupportedError, match=r"nirtorch runs node 'n' before '.', which feeds it.*another framework"):
        judge_nir_with("sinabs", read_nir(tmp_path / "two.nir"), tmp_path / "two.nir", frames)
    with pytest.raises(UnsupportedError, match=r"sinabs.* (has no module for node|fails on).*another framework"):
        judge_nir_with("sinabs", read_nir(tmp_path / "average.nir"), tmp_path / "average.nir", frames)
    with pytest.raises(InputError, match="framework is 'norse': choose one of sinabs, spikingjelly"):
        judge_nir_with("norse", read_nir(tmp_path / "two.nir"), tmp_path / "two.nir", frames)
