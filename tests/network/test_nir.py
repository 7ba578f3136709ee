"""NIR files: what Sinabs writes is read, what we write others read, and hostile files end in one line."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from nir_files import nir_read

from i2e_deploy.chips import get
from i2e_deploy.cli.app import run
from i2e_deploy.errors import FileFormatError, InputError, UnsupportedError
from i2e_deploy.network import (
    Add,
    Conv2d,
    Flatten,
    IntegrateAndFire,
    Layer,
    Linear,
    Network,
    Op,
    Pool2d,
    Sensor,
    chain,
    from_sinabs,
    read_nir,
    write_nir,
)

nir = pytest.importorskip("nir")
sl = pytest.importorskip("sinabs.layers")
# Sinabs 3.1.3 calls functions of nirtorch that are on their way out.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:nirtorch", "ignore::DeprecationWarning:sinabs")


def weights(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).normal(0.1, 0.4, shape).astype(np.float32)


def every_kind() -> Network:
    """Conv with bias, groups, dilation; both pools; a sum of two branches; both linears; metadata of neurons."""
    return Network(
        (2, 12, 12),
        (
            Layer("a", Conv2d(weights(4, 1, 3, 3), weights(4), (1, 1), (2, 2), (2, 2), 2), ("input",)),
            Layer("b", Conv2d(weights(4, 2, 3, 3), None, (1, 1), (1, 1)), ("input",)),
            Layer("both", Add(), ("a", "b")),
            Layer("neurons", IntegrateAndFire(1.5, -0.5, 2, "zero"), ("both",)),
            Layer("sums", Pool2d((2, 2), "sum"), ("neurons",)),
            Layer("means", Pool2d((3, 3), "average"), ("sums",)),
            Layer("flat", Flatten(), ("means",)),
            Layer("dense", Linear(weights(5, 16), weights(5)), ("flat",)),
            Layer("free", IntegrateAndFire(1.0, None), ("dense",)),
            Layer("readout", Linear(weights(3, 5)), ("free",)),
            Layer("last", IntegrateAndFire(1.0, -1.0), ("readout",)),
        ),
    )


def assert_equal(found: Network, wanted: Network) -> None:
    assert found.input_shape == wanted.input_shape
    for ours, theirs in zip(found.layers, wanted.layers, strict=True):
        assert (ours.name.removesuffix("_sum"), type(ours.op)) == (
            theirs.name if not isinstance(theirs.op, Add) else "neurons",
            type(theirs.op),
        )
        for name, value in vars(theirs.op).items():
            np.testing.assert_array_equal(getattr(ours.op, name), value)


def test_round_trip(tmp_path: Path) -> None:
    write_nir(every_kind(), tmp_path / "n.nir")
    assert_equal(read_nir(tmp_path / "n.nir"), every_kind())
    assert set(nir_read(tmp_path / "n.nir").nodes) >= {"a", "b", "neurons", "last"}


def test_what_sinabs_writes(tmp_path: Path) -> None:
    from sinabs.nir import to_nir

    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Conv2d(2, 3, 3, bias=True), sl.IAFSqueeze(batch_size=1, min_v_mem=-1.0), sl.SumPool2d(2),
        torch.nn.Flatten(), torch.nn.Linear(27, 4), sl.IAFSqueeze(batch_size=1, min_v_mem=-1.0),
    )  # fmt: skip
    for name, parameter in model.named_parameters():
        if name.endswith("weight"):
            parameter.data.abs_()  # so that the output spikes
    graph = to_nir(model, torch.ones(1, 2, 8, 8))
    graph.infer_types()  # or nir.write fails on the input shape that Sinabs leaves out
    nir.write(tmp_path / "n.nir", graph)
    frames = np.random.default_rng(0).integers(0, 9, (2, 20, 2, 8, 8)).astype(np.int32)
    found, expected = (
        get("speck2f").lower(network).run(frames).output
        for network in (read_nir(tmp_path / "n.nir"), from_sinabs(model, (2, 8, 8)))
    )
    np.testing.assert_array_equal(found, expected)
    assert found.any()


def test_sinabs_reads_what_we_write(tmp_path: Path) -> None:
    from sinabs.nir import from_nir

    neuron = IntegrateAndFire(1.0, -1.0)
    ops: dict[str, Op] = {
        "c": Conv2d(weights(3, 2, 3, 3), weights(3)),
        "cn": neuron,
        "p": Pool2d((2, 2), "sum"),
        "f": Flatten(),
        "d": Linear(weights(4, 27), weights(4)),
        "dn": neuron,
    }
    write_nir(chain((2, 8, 8), ops), tmp_path / "n.nir")
    theirs = from_nir(nir.read(tmp_path / "n.nir"), batch_size=1)
    assert_equal_outputs(theirs, chain((2, 8, 8), ops))


def assert_equal_outputs(theirs: Any, network: Network) -> None:
    """Sinabs' module and our records as a Sinabs model give the same spikes."""
    frames = torch.randint(0, 3, (6, 2, 8, 8), generator=torch.Generator().manual_seed(0)).float()
    ours = torch.nn.Sequential(
        torch.nn.Conv2d(2, 3, 3), sl.IAFSqueeze(batch_size=1, min_v_mem=-1.0), sl.SumPool2d(2),
        torch.nn.Flatten(), torch.nn.Linear(27, 4), sl.IAFSqueeze(batch_size=1, min_v_mem=-1.0),
    )  # fmt: skip
    ops = {layer.name: layer.op for layer in network.layers}
    for module, name in ((ours[0], "c"), (ours[4], "d")):
        op = ops[name]
        assert isinstance(op, Conv2d | Linear)
        assert op.bias is not None
        module.weight.data, module.bias.data = torch.from_numpy(op.weight), torch.from_numpy(op.bias)
    with torch.no_grad():
        expected, found = ours(frames), theirs(frames)
    found = found[0] if isinstance(found, tuple) else found
    assert expected.any()
    assert torch.equal(found, expected)


def test_without_metadata_the_bound_is_that_of_sinabs(tmp_path: Path) -> None:
    write_nir(every_kind(), tmp_path / "n.nir")
    with h5py.File(tmp_path / "n.nir", "a") as file:
        del file["node/nodes/last/metadata"]
    assert read_nir(tmp_path / "n.nir").layers[-1].op == IntegrateAndFire(1.0, -1.0)


def node(path: Path, name: str, **values: Any) -> Path:
    """Set entries of a node of a good file."""
    write_nir(every_kind(), path)
    with h5py.File(path, "a") as file:
        group = file["node/nodes"].require_group(name)
        for key, value in values.items():
            if key in group:
                del group[key]
            group[key] = value
    return path


@pytest.mark.parametrize(
    ("name", "values", "error", "text"),
    [
        ("neurons", {"type": "LIF"}, UnsupportedError, "is a LIF, which is of continuous time.*--read dt=1e-4"),
        ("neurons", {"type": "Izhikevich"}, UnsupportedError, "'neurons' is a Izhikevich"),
        ("neurons", {"r": np.full((4, 12, 12), 2.0)}, UnsupportedError, "neurons/r is 2, not 1.*dt=0.5"),
        ("neurons", {"v_threshold": np.full(3, np.nan)}, FileFormatError, "NaN"),
        ("neurons", {"v_threshold": np.full(3, -1.0)}, FileFormatError, "above 0"),
        ("sums", {"stride": np.array([1, 1])}, FileFormatError, "takes 16 inputs"),
        ("flat", {"start_dim": 1}, UnsupportedError, "multiplies the last of the axes.*put a Flatten"),
        ("flat", {"start_dim": 5}, FileFormatError, "flattens dimensions 5 to -1"),
        ("dense", {"weight": weights(5, 17)}, FileFormatError, "takes 17 inputs"),
        ("dense", {"weight": h5py.ExternalLink("other.h5", "/x")}, FileFormatError, "links are refused"),
        ("dense", {"weight": h5py.SoftLink("/node/nodes/a/weight")}, FileFormatError, "links are refused"),
        ("a", {"padding": "same"}, FileFormatError, "takes its input|adds inputs|'same'"),
        ("a", {"padding": "wide"}, FileFormatError, "'wide'"),
    ],
)  # fmt: skip
def test_refused(tmp_path: Path, name: str, values: dict[str, Any], error: type[Exception], text: str) -> None:
    path = node(tmp_path / "n.nir", name, **values)
    if values.get("padding") == "same":  # what it means here is what stands there: padding 2
        assert_equal(read_nir(path), every_kind())
        return
    with pytest.raises(error, match=text) as caught:
        read_nir(path)
    assert "\n" not in str(caught.value)


def test_loops_and_strange_edges(tmp_path: Path) -> None:
    for extra, error, text in (
        ((b"flat", b"sums"), UnsupportedError, "in a loop"),
        ((b"last", b"ghost"), FileFormatError, "no such node"),
    ):
        path = tmp_path / "n.nir"
        write_nir(every_kind(), path)
        with h5py.File(path, "a") as file:
            edges = np.vstack([file["node/edges"][()], [extra]])
            del file["node/edges"]
            file["node"].create_dataset("edges", data=edges, dtype=h5py.string_dtype())
        with pytest.raises(error, match=text):
            read_nir(path)


def test_claims_without_data(tmp_path: Path) -> None:
    path = node(tmp_path / "n.nir", "dense")
    with h5py.File(path, "a") as file:
        del file["node/nodes/dense/weight"]
        file["node/nodes/dense"].create_dataset("weight", (2**20, 2**14), "f4", chunks=(1024, 1024))
    with pytest.raises(FileFormatError, match="dense/weight claims 68719476736 bytes"):
        read_nir(path)
    (tmp_path / "text.nir").write_text("no HDF5")
    with pytest.raises(FileFormatError, match="not an HDF5 file"):
        read_nir(tmp_path / "text.nir")
    with pytest.raises(InputError, match="no such file"):
        read_nir(tmp_path / "none.nir")


def test_command_line_takes_nir(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    neuron = IntegrateAndFire(1.0, -1.0)
    write_nir(chain((2, 8, 8), {"c": Conv2d(weights(3, 2, 3, 3)), "n": neuron}), tmp_path / "n.nir")
    np.save(tmp_path / "f.npy", np.ones((1, 4, 2, 8, 8), np.uint8))
    assert run(["check", str(tmp_path / "n.nir"), "--chip", "speck2f"]) == 0
    command = ["simulate", str(tmp_path / "n.nir"), "--chip", "speck2f", "--input", str(tmp_path / "f.npy")]
    assert run([*command, "--out", str(tmp_path / "t.npz")]) == 0
    assert np.load(tmp_path / "t.npz")["layer0"].shape == (1, 4, 3, 6, 6)
    capsys.readouterr()


def test_what_cannot_be_written(tmp_path: Path) -> None:
    conv = Conv2d(weights(2, 2, 3, 3))
    twice = Network((2, 8, 8), (Layer("a", conv, ("input",)), Layer("b", Add(), ("a", "a"))))
    with pytest.raises(UnsupportedError, match="'b' adds an input twice"):
        write_nir(twice, tmp_path / "n.nir")
    for name in ("a/b", ".", "", "ä" * 128, "a\0b", "\udcff"):
        with pytest.raises(InputError, match="a name that no node of NIR can have"):
            write_nir(chain((2, 8, 8), {name: conv}), tmp_path / "n.nir")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["output", "output_2", "features.0.conv", "größe 3", "ä" * 127, "type", "..", "2"])
def test_names_that_are_written_are_read(tmp_path: Path, name: str) -> None:
    network = chain((2, 8, 8), {name: Conv2d(weights(2, 2, 3, 3)), "n": IntegrateAndFire(1.0)})
    write_nir(network, tmp_path / "n.nir")
    assert [layer.name for layer in read_nir(tmp_path / "n.nir").layers] == [name, "n"]
    assert set(nir_read(tmp_path / "n.nir").nodes) >= {name, "n"}


def test_a_sensor_has_no_node(tmp_path: Path) -> None:
    network = chain((2, 8, 8), {"camera": Sensor((2, 2)), "c": Conv2d(weights(2, 2, 3, 3)), "n": IntegrateAndFire()})
    with pytest.raises(UnsupportedError, match="'camera' is a Sensor: NIR has no node for it"):
        write_nir(network, tmp_path / "a.nir")
    assert not list(tmp_path.iterdir())


def test_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Every block of Python of docs/nir.md, one after the other."""
    page = (Path(__file__).parents[2] / "docs" / "nir.md").read_text()
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"np": np}
    for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL):
        exec(block, names)
    assert names["network"].layers[-1].op == IntegrateAndFire(20.0, -20.0)
    capsys.readouterr()
