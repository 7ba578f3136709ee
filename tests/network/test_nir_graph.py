"""What leaves a NIR graph: Output nodes, sums, dead ends, several outputs; and shapes that contradict each other.

Files are written with the `nir` package. Values are compared with NumPy on the drawn weights.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from nir_files import neurons, nir_read, nir_write
from numpy.typing import NDArray

from i2e_deploy.chips import get
from i2e_deploy.errors import FileFormatError, InputError, UnsupportedError
from i2e_deploy.network import Add, Conv2d, Flatten, IntegrateAndFire, Layer, Linear, Network, read_nir, write_nir

nir = pytest.importorskip("nir")

ALL = {"reset": "subtract", "max_spikes": "any", "min_v": "none"}
DRAWS = 20


def drawn(rng: np.random.Generator, *shape: int) -> NDArray[np.float32]:
    return rng.choice([-0.5, 0.25, 0.5, 1], shape).astype(np.float32)


def linear_graph(
    path: Path, weights: dict[str, Any], edges: list[tuple[str, str]], sizes: tuple[int, int, int] = (3, 4, 4)
) -> Path:
    """Linear nodes by name; what edges name beside them are Output nodes."""
    outs = {b for _, b in edges if b not in weights}
    nodes: dict[str, Any] = {"in": nir.Input({"input": np.array([sizes[0]])})}
    nodes |= {name: nir.Linear(weight) for name, weight in weights.items()}
    nodes |= {name: nir.Output({"output": np.array([sizes[1]])}) for name in outs}
    return nir_write(path, nodes, edges)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_two_branches_into_one_output_are_summed(tmp_path: Path, rng: np.random.Generator) -> None:
    for _ in range(DRAWS):
        a, b, x = drawn(rng, 4, 3), drawn(rng, 4, 3), rng.integers(0, 3, (1, 2, 3))
        edges = [("in", "a"), ("in", "b"), ("a", "out"), ("b", "out")]
        network = read_nir(linear_graph(tmp_path / "n.nir", {"a": a, "b": b}, edges))
        np.testing.assert_array_equal(network.run(x).output, x @ (a + b).T)
        assert any("the sum of a, b" in note.text for note in network.notes)


def test_a_dead_end_is_left_out_aloud_and_a_hidden_output_leaves(tmp_path: Path, rng: np.random.Generator) -> None:
    """Today's reading took the dead end as the output and lost the one that the file names."""
    for _ in range(DRAWS):
        a, b, x = drawn(rng, 4, 3), drawn(rng, 5, 4), rng.integers(0, 3, (1, 2, 3))
        edges = [("in", "a"), ("a", "out"), ("a", "dead")]
        path = linear_graph(tmp_path / "n.nir", {"a": a, "dead": b}, edges)
        network = read_nir(path)
        np.testing.assert_array_equal(network.run(x).output, x @ a.T)
        assert [layer.name for layer in network.layers] == ["a"]
        assert any("left out, as nothing leads from there to an output: dead" in note.text for note in network.notes)


def test_an_output_that_also_feeds_a_layer_gets_a_copy(tmp_path: Path, rng: np.random.Generator) -> None:
    for _ in range(DRAWS):
        a, b, x = drawn(rng, 4, 3), drawn(rng, 4, 4), rng.integers(0, 3, (1, 2, 3))
        edges = [("in", "a"), ("a", "b"), ("a", "middle"), ("b", "end")]
        path = linear_graph(tmp_path / "n.nir", {"a": a, "b": b}, edges)
        network = read_nir(path, outputs=("middle", "end"))
        hidden = x @ a.T
        np.testing.assert_array_equal(network.run(x).output, np.concatenate([hidden, hidden @ b.T], axis=2))
        assert any(note.layer == "middle" and "a copy of 'a'" in note.text for note in network.notes)


def test_the_copy_runs_on_a_chip(tmp_path: Path, rng: np.random.Generator) -> None:
    signs = [rng.choice([-1.0, 1.0], (3, n, 3, 3)).astype(np.float32) for n in (2, 3)]  # 8 bits hold them exactly
    ops = [Conv2d(signs[0]), IntegrateAndFire(1.0, -1.0), Conv2d(signs[1])]
    layers = [Layer("a", ops[0], ("input",)), Layer("n", ops[1], ("a",)), Layer("b", ops[2], ("n",))]
    layers += [Layer("m", ops[1], ("b",)), Layer("copy", Flatten(), ("n",))]
    frames = rng.integers(0, 2, (2, 5, 2, 8, 8))
    write_nir(Network((2, 8, 8), tuple(layers)), tmp_path / "n.nir")
    network = read_nir(tmp_path / "n.nir")
    np.testing.assert_array_equal(get("speck2f").lower(network).run(frames).output, network.run(frames).output)


def test_several_outputs_are_asked_for_their_order(tmp_path: Path, rng: np.random.Generator) -> None:
    """HDF5 sorts names, and exporters shuffle edges: nothing in the file says the order."""
    a, b, x = drawn(rng, 4, 3), drawn(rng, 4, 3), rng.integers(0, 3, (1, 2, 3))
    edges = [("in", "a"), ("in", "b"), ("a", "z_first"), ("b", "a_second")]
    path = linear_graph(tmp_path / "n.nir", {"a": a, "b": b}, edges)
    assert list(nir_read(path).outputs) == ["a_second", "z_first"]  # so nir cannot say it either
    with pytest.raises(UnsupportedError, match=r"2 outputs, a_second, z_first.*--read outputs=a_second,z_first"):
        read_nir(path)
    for outputs, parts in ((("z_first", "a_second"), (a, b)), (("a_second", "z_first"), (b, a)), (("z_first",), (a,))):
        found = read_nir(path, outputs=outputs).run(x).output
        np.testing.assert_array_equal(found, np.concatenate([x @ part.T for part in parts], axis=2))
    for strange in (("a",), (), ("z_first", "z_first")):
        with pytest.raises(InputError, match="choose of"):
            read_nir(path, outputs=strange)


def test_what_we_write_keeps_the_order_of_outputs(tmp_path: Path, rng: np.random.Generator) -> None:
    for _ in range(DRAWS):
        names = rng.permutation(list("abcdefg"))[: int(rng.integers(2, 6))].tolist()
        layers = tuple(Layer(name, Linear(drawn(rng, 2, 3)), ("input",)) for name in names)
        network, x = Network((3,), layers), rng.integers(0, 3, (1, 2, 3))
        write_nir(network, tmp_path / "n.nir")
        found = read_nir(tmp_path / "n.nir")
        assert [layer.name for layer in found.layers][-len(names) :] == names
        np.testing.assert_array_equal(found.run(x).output, network.run(x).output)


def test_a_sum_that_leaves_is_written_so_that_all_add_it_up(tmp_path: Path, rng: np.random.Generator) -> None:
    """nirtorch's interpreter returns the terms side by side where they feed an Output node."""
    for _ in range(DRAWS):
        a, b, x = drawn(rng, 4, 3), drawn(rng, 4, 3), rng.integers(0, 3, (1, 2, 3))
        layers = (Layer("a", Linear(a), ("input",)), Layer("b", Linear(b), ("input",)), Layer("s", Add(), ("a", "b")))
        write_nir(Network((3,), layers), tmp_path / "n.nir")
        np.testing.assert_array_equal(read_nir(tmp_path / "n.nir").run(x).output, x @ (a + b).T)
        graph = nir_read(tmp_path / "n.nir")
        assert [a for a, b in graph.edges if b in graph.outputs] == ["s"]
        np.testing.assert_array_equal(torch_output(graph, x), x @ (a + b).T)


def torch_output(graph: Any, x: NDArray[Any]) -> NDArray[Any]:
    """What nirtorch makes of a graph of linear nodes (2.6 and later add up several edges)."""
    import torch

    nirtorch = pytest.importorskip("nirtorch", minversion="2.6")
    flatten = {nir.Flatten: lambda node: torch.nn.Flatten(1)}
    out, _ = nirtorch.nir_to_torch(graph, flatten)(torch.from_numpy(x.reshape(-1, x.shape[-1])).float())
    return out.detach().numpy().reshape(*x.shape[:2], -1)  # type: ignore[no-any-return]


def test_an_edge_listed_twice_is_refused(tmp_path: Path, rng: np.random.Generator) -> None:
    edges = [("in", "a"), ("a", "out"), ("in", "a")]
    with pytest.raises(FileFormatError, match=r"edge 'in' to 'a' 2 times: list it once"):
        read_nir(linear_graph(tmp_path / "n.nir", {"a": drawn(rng, 4, 3)}, edges))


def test_names_of_sums_do_not_collide(tmp_path: Path, rng: np.random.Generator) -> None:
    weights = {"x": drawn(rng, 4, 4), "x_sum": drawn(rng, 4, 3), "b": drawn(rng, 4, 3)}
    edges = [("in", "x_sum"), ("in", "b"), ("x_sum", "x"), ("b", "x"), ("x", "out")]
    network, x = read_nir(linear_graph(tmp_path / "n.nir", weights, edges)), rng.integers(0, 3, (1, 2, 3))
    assert [layer.name for layer in network.layers] == ["b", "x_sum", "x_sum_2", "x"]
    wanted = x @ (weights["x_sum"] + weights["b"]).T @ weights["x"].T
    np.testing.assert_array_equal(network.run(x).output, wanted)


@pytest.mark.parametrize(
    ("edges", "error", "text"),
    [
        ([("in", "a"), ("a", "out"), ("out", "a")], FileFormatError, "an Output feeds nothing"),
        ([("in", "a"), ("a", "in"), ("a", "out")], FileFormatError, "nothing feeds an Input"),
        ([("a", "out")], FileFormatError, "0 Input nodes that lead to an output"),
        ([("in", "a"), ("a", "b"), ("b", "a"), ("b", "out")], UnsupportedError, "'a', 'b' are in a loop"),
        ([("in", "a"), ("b", "out"), ("a", "out")], UnsupportedError, "'b' are in a loop or get no input"),
    ],
)
def test_graphs_that_contradict_themselves(
    tmp_path: Path, rng: np.random.Generator, edges: list[tuple[str, str]], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        read_nir(linear_graph(tmp_path / "n.nir", {"a": drawn(rng, 4, 4), "b": drawn(rng, 4, 4)}, edges, (4, 4, 4)))


def test_an_output_without_an_edge_and_a_file_without_outputs(tmp_path: Path, rng: np.random.Generator) -> None:
    a, x = drawn(rng, 4, 3), rng.integers(0, 3, (1, 2, 3))
    nodes = {"in": nir.Input({"input": np.array([3])}), "a": nir.Linear(a)}
    network = read_nir(nir_write(tmp_path / "n.nir", nodes, [("in", "a")]))
    np.testing.assert_array_equal(network.run(x).output, x @ a.T)
    nodes["out"] = nir.Output({"output": np.array([4])})
    with pytest.raises(FileFormatError, match="has no edge into out"):
        read_nir(nir_write(tmp_path / "n.nir", nodes, [("in", "a")]))


def test_a_node_called_as_our_input_is_refused(tmp_path: Path, rng: np.random.Generator) -> None:
    edges = [("in", "input"), ("input", "out")]
    with pytest.raises(UnsupportedError, match="node 'input' is a Linear"):
        read_nir(linear_graph(tmp_path / "n.nir", {"input": drawn(rng, 4, 3)}, edges))


def conv_graph(path: Path, shape: tuple[int, ...], **entries: dict[str, Any]) -> Path:
    """Conv 2->3, IF, on 2x6x8; `entries` replaces data sets of nodes in the file."""
    weight = np.full((3, 2, 3, 3), 0.25, np.float32)
    nodes = {
        "in": nir.Input({"input": np.array(shape)}),
        "c": nir.Conv2d((6, 8), weight, 1, 0, 1, 1, np.zeros(3, np.float32)),
        "n": neurons((3, 4, 6)),
        "out": nir.Output({"output": np.array((3, 4, 6))}),
    }
    nir_write(path, nodes, [("in", "c"), ("c", "n"), ("n", "out")])
    with h5py.File(path, "a") as file:
        for name, values in entries.items():
            for entry, value in values.items():
                del file[f"node/nodes/{name}/{entry}"]
                file[f"node/nodes/{name}/{entry}"] = value
    return path


@pytest.mark.parametrize(
    ("shape", "entries", "text"),
    [
        ((2, 8, 6), {}, r"c/input_shape states shape \[6, 8\].*give \[8, 6\]: height and width are exchanged"),
        ((2, 6, 8), {"n": {"v_threshold": np.ones((3, 6, 4))}}, "n/v_threshold.*height and width are exchanged"),
        ((2, 6, 8), {"n": {"r": np.ones((3, 4, 5))}}, r"n/r states shape \[3, 4, 5\]"),
        ((2, 6, 8), {"n": {"v_threshold": np.ones(5)}}, r"states shape \[5\]"),
        ((2, 6, 8), {"out": {"shape": np.array((3, 6, 4))}}, "out/shape.*height and width are exchanged"),
        ((2, 6, 8), {"out": {"shape": np.array((5,))}}, r"out/shape states shape \[5\]"),
        ((2, 6, 8), {"c": {"stride": np.array((1.5, 1))}}, "c/stride holds 1..1.5: whole numbers"),
        ((2, 6, 8), {"c": {"groups": np.array((1, 1))}}, "c/groups holds 2 numbers, expected one"),
        ((2, 6, 8), {"c": {"bias": np.float32(0)}}, r"c bias is float32 \(\)"),
        ((4, 2, 6, 8), {}, r"in/shape is \[4, 2, 6, 8\]: a shape is \(C, H, W\) or \(N,\), without a batch size"),
        ((2, 3, 6, 8, 1), {}, "without a batch size"),
    ],
)
def test_shapes_that_contradict_each_other(
    tmp_path: Path, shape: tuple[int, ...], entries: dict[str, Any], text: str
) -> None:
    with pytest.raises((FileFormatError, UnsupportedError), match=text):
        read_nir(conv_graph(tmp_path / "n.nir", shape, **entries))


def test_scalars_float16_and_a_batch_of_one_are_read(tmp_path: Path, rng: np.random.Generator) -> None:
    x = rng.integers(0, 3, (2, 4, 2, 6, 8))
    wanted = read_nir(conv_graph(tmp_path / "n.nir", (2, 6, 8))).run(x).output
    assert wanted.any()
    for shape, entries in (
        ((1, 2, 6, 8), {}),
        ((2, 6, 8), {"n": {"r": np.float32(1), "v_threshold": np.float64(1)}}),
        ((2, 6, 8), {"n": {"v_threshold": np.ones((1, 3, 4, 6), np.float16)}}),
        ((2, 6, 8), {"c": {"weight": np.full((3, 2, 3, 3), 0.25, np.float16), "stride": 1, "padding": "valid"}}),
        ((2, 6, 8), {"out": {"shape": np.array((72,))}}),
    ):
        network = read_nir(conv_graph(tmp_path / "n.nir", shape, **entries))
        assert network.input_shape == (2, 6, 8)
        np.testing.assert_array_equal(network.run(x).output, wanted)
    assert any(
        "begins with a batch of 1: left out" in n.text
        for n in read_nir(conv_graph(tmp_path / "n.nir", (1, 2, 6, 8))).notes
    )
