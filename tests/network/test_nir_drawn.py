"""Drawn graphs, written with the `nir` package, read and run, beside an interpreter of NIR and frameworks' own reading.

All numbers are halves and quarters, so that sums are exact and equality means equality. Branches, sums, several
outputs, outputs that feed layers, dead ends, double edges, loops and shuffled names and edges are drawn. A draw that
is refused is counted by its reason; a draw that is read and differs is the defect that this test looks for.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nir_files import neurons, nir_write
from numpy.typing import NDArray

from i2e_deploy.errors import I2EDeployError, UnsupportedError
from i2e_deploy.network import Delay, Network, read_nir
from i2e_deploy.network.nir.frameworks import judge_nir_with

nir = pytest.importorskip("nir")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

#: Refusals that a draw may meet; anything else fails the test.
REASONS = {
    "several outputs": r"does not keep their order",
    "double edge": r"times: list it once",
    "loop": r"are in a loop or get no input",
    "shapes": r"adds inputs of shapes",
}
#: Layers that add up in a row, so that numbers stay exact in float32.
DEEPEST = 3


@dataclass
class Drawn:
    """A graph: nodes, edges, outputs in the drawn order, and how its neurons reset."""

    nodes: dict[str, Any] = field(default_factory=dict)
    edges: list[tuple[str, str]] = field(default_factory=list)
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    depth: dict[str, int] = field(default_factory=dict)
    outputs: list[str] = field(default_factory=list)
    options: dict[str, Any] = field(default_factory=dict)
    entry: str = ""


def some(rng: np.random.Generator, *shape: int) -> NDArray[np.float32]:
    return rng.choice([-0.5, 0, 0.25, 0.5, 1], shape).astype(np.float32)


def a_node(rng: np.random.Generator, shape: tuple[int, ...]) -> tuple[Any, tuple[int, ...], int]:
    """A node that takes `shape`, the shape that it gives, and how much deeper it is."""
    kinds = (
        ["IF", "IF", "Conv2d", "Conv2d", "Flatten", "SumPool2d", "AvgPool2d"] if len(shape) == 3 else ["IF", "Affine"]
    )
    kind = str(rng.choice([*kinds, "Linear"] if len(shape) == 1 else kinds))
    if kind in ("SumPool2d", "AvgPool2d") and min(shape[1:]) >= 2:
        two = np.array((2, 2))
        return getattr(nir, kind)(two, two, np.array((0, 0))), (shape[0], shape[1] // 2, shape[2] // 2), 0
    if kind == "Conv2d":
        out, side = int(rng.integers(1, 3)), int(rng.choice([1, 3]))
        pad, weight = side // 2, some(rng, out, shape[0], side, side)
        return nir.Conv2d(shape[1:], weight, 1, pad, 1, 1, some(rng, out)), (out, *shape[1:]), 1
    if kind == "Flatten":
        return nir.Flatten({"input": np.array(shape)}, 0, -1), (int(np.prod(shape)),), 0
    if kind in ("Affine", "Linear"):
        out = int(rng.integers(1, 5))
        weight = some(rng, out, shape[0])
        return (nir.Affine(weight, some(rng, out)) if kind == "Affine" else nir.Linear(weight)), (out,), 1
    return neurons(shape, float(rng.choice([0.5, 1.0, 2.0]))), shape, -DEEPEST


def draw(rng: np.random.Generator) -> Drawn:
    names = [f"{letter}{number}" for number, letter in enumerate(rng.permutation(list("bdfhjlnprtvxz")))]
    graph = Drawn(entry=str(rng.choice(["input", "a_in", "zz.in"])))
    shape = (int(rng.integers(1, 3)), int(rng.integers(3, 6)), int(rng.integers(3, 6)))
    graph.nodes[graph.entry], graph.shapes[graph.entry], graph.depth[graph.entry] = (
        nir.Input({"input": np.array(shape)}),
        shape,
        0,
    )
    for name in names[: int(rng.integers(2, 9))]:
        sources = some_of_one_shape(rng, graph, [n for n in graph.nodes if graph.depth[n] < DEEPEST])
        node, made, deeper = a_node(rng, graph.shapes[sources[0]])
        graph.nodes[name], graph.shapes[name] = node, made
        graph.depth[name] = max(0, max(graph.depth[n] for n in sources) + deeper)
        graph.edges += [(source, name) for source in sources]
    for number in range(int(rng.choice([1, 1, 1, 2, 3]))):
        name = f"{rng.choice(list('agksy'))}_out{number}"
        late = list(graph.shapes)[1:][-3:]
        sources = some_of_one_shape(rng, graph, late if rng.random() < 0.95 else list(graph.shapes))
        graph.nodes[name] = nir.Output({"output": np.array(graph.shapes[sources[0]])})
        graph.outputs.append(name)
        graph.edges += [(source, name) for source in sources]
    if rng.random() < 0.04:
        graph.edges.append(graph.edges[0])
    if rng.random() < 0.04:
        graph.edges.append((names[1], names[0]) if names[1] in graph.nodes else graph.edges[0])
    graph.edges = [graph.edges[i] for i in rng.permutation(len(graph.edges))]
    graph.options = {
        "reset": str(rng.choice(["subtract", "zero"])),
        "max_spikes": ["any", 1, 2][rng.integers(3)],
        "min_v": ["none", "-threshold", -0.5, 0.0][rng.integers(4)],
    }
    return graph


def some_of_one_shape(rng: np.random.Generator, graph: Drawn, names: list[str]) -> list[str]:
    first = str(rng.choice(names))
    same = [name for name in names if graph.shapes[name] == graph.shapes[first] and name != first]
    more = rng.permutation(same)[: int(rng.choice([0, 0, 1, 2]))].tolist() if same else []
    return [first, *more]


class Interpreter:
    """What NIR says, in NumPy, one sample, a step at a time; sums at every node, Output nodes too."""

    def __init__(self, graph: Drawn) -> None:
        self.graph = graph
        self.v: dict[str, Any] = {}
        self.late: set[tuple[str, str]] = set()
        self.before: dict[str, Any] = {}

    def value(self, name: str, found: dict[str, Any]) -> Any:
        if name not in found:
            sources = [a for a, b in self.graph.edges if b == name]
            found[name] = self.apply(name, sum(self.given(source, name, found) for source in sources))
        return found[name]

    def given(self, source: str, name: str, found: dict[str, Any]) -> Any:
        """What an edge brings: in a loop, what its neurons gave in the step before."""
        if (source, name) in self.late:
            return self.before.get(source, np.zeros(self.graph.shapes[source]))
        return self.value(source, found)

    def apply(self, name: str, x: Any) -> Any:
        node = self.graph.nodes[name]
        kind = type(node).__name__
        if kind in ("Affine", "Linear"):
            return node.weight.astype(float) @ x + (node.bias if kind == "Affine" else 0)
        if kind == "Flatten":
            return x.reshape(-1)
        if kind in ("SumPool2d", "AvgPool2d"):
            c, h, w = x.shape
            windows = x[:, : h // 2 * 2, : w // 2 * 2].reshape(c, h // 2, 2, w // 2, 2)
            return windows.sum((2, 4)) if kind == "SumPool2d" else windows.mean((2, 4))
        if kind == "Conv2d":
            pad = node.weight.shape[2] // 2
            padded = np.pad(x, ((0, 0), (pad, pad), (pad, pad)))
            kernel: tuple[int, int] = node.weight.shape[2:]
            windows = np.lib.stride_tricks.sliding_window_view(padded, (1, *kernel))[:, :, :, 0]
            return np.einsum("oikl,ihwkl->ohw", node.weight.astype(float), windows) + node.bias[:, None, None]
        return self.fire(name, node, x) if kind == "IF" else x

    def fire(self, name: str, node: Any, x: Any) -> Any:
        options, threshold = self.graph.options, node.v_threshold.astype(float)
        v = self.v.get(name, 0) + node.r * x
        spikes = np.floor(np.maximum(v, 0) / threshold)
        if options["max_spikes"] != "any":
            spikes = np.minimum(spikes, options["max_spikes"])
        v = np.where(spikes > 0, 0, v) if options["reset"] == "zero" else v - spikes * threshold
        low = {"none": -np.inf, "-threshold": -threshold}.get(options["min_v"], options["min_v"])
        self.v[name] = np.maximum(v, low)
        return spikes

    def run(self, frames: NDArray[Any], outputs: list[str]) -> NDArray[Any]:
        rows = []
        for x in frames:
            found = {self.graph.entry: x.astype(float)}
            rows.append(np.concatenate([np.ravel(self.value(name, found)) for name in outputs]))
            self.before = {source: self.value(source, found) for source, _ in self.late}
        return np.stack(rows)


def closed_loops(network: Network) -> set[tuple[str, str]]:
    """Edges of the file that bring what their neurons gave in the step before."""
    delays = {layer.name: layer.inputs[0] for layer in network.layers if isinstance(layer.op, Delay)}
    after = {(name, layer.name) for layer in network.layers for name in layer.inputs if name in delays}
    return {(delays[name], target.removesuffix("_sum")) for name, target in after}


def interpreter(graph: Drawn, late: set[tuple[str, str]]) -> Interpreter:
    found = Interpreter(graph)
    found.late = late
    return found


def reason(error: Exception) -> str:
    return next(name for name, text in REASONS.items() if re.search(text, str(error)))


def read_drawn(graph: Drawn, path: Path, counts: Counter[str]) -> Network | None:
    """The network, or None where it is refused for a reason that is known; counted."""
    try:
        try:
            return read_nir(path, **graph.options)
        except UnsupportedError as error:
            if not re.search(REASONS["several outputs"], str(error)):
                raise
            counts["several outputs"] += 1
            return read_nir(path, outputs=graph.outputs, **graph.options)
    except I2EDeployError as error:
        counts[next(name for name, text in REASONS.items() if re.search(text, str(error)))] += 1
        return None


@pytest.mark.parametrize(("draws", "seed"), [(20, 1), pytest.param(400, 2, marks=pytest.mark.slow)])
def test_drawn_graphs_are_read_as_nir_means_them(tmp_path: Path, draws: int, seed: int) -> None:
    counts: Counter[str] = Counter()
    rng = np.random.default_rng(seed)
    for number in range(draws):
        graph = draw(rng)
        network = read_drawn(graph, nir_write(tmp_path / "n.nir", graph.nodes, graph.edges), counts)
        if network is None:
            continue
        frames = rng.integers(0, 3, (2, 5, *network.input_shape))
        late = closed_loops(network)
        wanted = np.stack([interpreter(graph, late).run(sample, graph.outputs) for sample in frames])
        for dtype in ("float32", "float64"):
            np.testing.assert_array_equal(network.run(frames, dtype=dtype).output, wanted, f"draw {number}")
        counts["equal"] += 1
        counts["loop"] += bool(late)
        counts["some output"] += bool(wanted.any())
        counts["dead ends left out"] += any("left out" in note.text for note in network.notes)
        counts["sums"] += any(type(layer.op).__name__ == "Add" for layer in network.layers)
        counts["copies"] += any("a copy of" in note.text for note in network.notes)
    print(dict(counts))  # refusals by reason, with pytest -s
    assert counts["equal"] > 0.8 * draws
    assert counts["some output"] > 0.6 * counts["equal"]
    assert (
        min(counts[name] for name in ("several outputs", "double edge", "loop", "dead ends left out", "sums", "copies"))
        >= draws // 100
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("framework", "options"),
    [("sinabs", {}), ("spikingjelly", {"reset": "zero", "max_spikes": 1, "min_v": "none"})],
)
def test_drawn_graphs_are_what_frameworks_make_of_them(tmp_path: Path, framework: str, options: dict[str, Any]) -> None:
    """Where the framework can run them: its own reading of the file has fewer nodes, and not every sum."""
    pytest.importorskip(framework)
    counts: Counter[str] = Counter()
    wrong: list[str] = []
    rng = np.random.default_rng(3)
    for _ in range(150):
        graph = draw(rng)
        graph.options = options
        path = nir_write(tmp_path / "n.nir", graph.nodes, graph.edges)
        network = read_drawn(graph, path, counts)
        if network is None:
            continue
        try:
            judge_nir_with(framework, network, path, rng.integers(0, 3, (2, 5, *network.input_shape)))
        except UnsupportedError as error:
            wrong += [str(error)] if re.search("was read wrongly| as read, ", str(error)) else []
            counts[re.sub("'[^']*'", "...", str(error))[:70]] += 1
            continue
        counts["equal"] += 1
    print(dict(counts))
    assert not wrong
    assert counts["equal"] >= 10
