"""Networks with leaky neurons, delays, loops, graphs in graphs, and programmable neurons, for `fuzz_kinds`.

A mutation seldom gets past the lengths in a safetensors file, and seldom leaves JSON. So for two kinds the seed is the
JSON of its header, and for two a list of values to change in it: the file is put together when it is read.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from fuzz_kind import Kind, Read


def later_networks(folder: Path) -> list[Kind]:
    """A kind for each."""
    from i2e_deploy import network as nw
    from i2e_deploy.chips import read_model
    from i2e_deploy.chips.models import write_model
    from i2e_deploy.network.file import write_network

    def model(path: Path) -> str:
        read_model(path)
        return "read"

    def timed(path: Path) -> str:
        read_model(path, options={"dt": "1e-3"})
        return "read"

    nw.write_nir(leaky_network(), folder / "leaky.nir", dt=1e-3)
    _nested(folder / "nested.nir")
    write_network(all_layers(), folder / "layers.safetensors")
    write_model(programmable(), folder / "blocks.safetensors")
    nir = tuple((folder / f"{name}.nir").read_bytes() for name in ("leaky", "nested"))
    layers, blocks = ((folder / f"{name}.safetensors").read_bytes() for name in ("layers", "blocks"))
    return [
        Kind("network nir leaky", "networks", ".nir", nir[:1], model),
        Kind("network nir nested", "networks", ".nir", nir[1:], timed),
        Kind("network layers", "networks", ".safetensors", (layers,), model),
        Kind("network blocks", "networks", ".safetensors", (blocks,), model),
        Kind("network layers json", "networks", ".json", (_header(layers),), _around(layers, folder, model)),
        Kind("network blocks json", "networks", ".json", (_header(blocks),), _around(blocks, folder, model)),
        Kind("network layers values", "networks", ".edits", (b"\xff" * 64,), _edited(layers, folder, model)),
        Kind("network blocks values", "networks", ".edits", (b"\xff" * 64,), _edited(blocks, folder, model)),
    ]


def _parts(data: bytes) -> tuple[dict[str, Any], bytes]:
    """Header and tensors of a safetensors file."""
    (length,) = struct.unpack_from("<Q", data)
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def _header(data: bytes) -> bytes:
    """The JSON of ours in the header."""
    (text,) = _parts(data)[0]["__metadata__"].values()
    return bytes(text, "utf-8")


def _around(data: bytes, folder: Path, read: Read) -> Read:
    """A reader of such JSON: in the file that it came from."""
    header, tensors = _parts(data)
    (key,) = header["__metadata__"]

    def whole(path: Path) -> str:
        header["__metadata__"][key] = path.read_bytes().decode("utf-8", "replace")
        text = json.dumps(header).encode()
        made = folder / "around.safetensors"
        made.write_bytes(struct.pack("<Q", len(text)) + text + tensors)
        return read(made)

    return whole


#: What a value of the JSON is changed to.
_VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, 2, 3, 7, 64, 65_536, 2**31, 2**63, 2**64, 10**400, -1, -2**63, 0.5, 1e308, float("nan"),
    float("inf"), "", "x", "input", "Delay", "LeakyIntegrateAndFire", "Linear", "ProgrammableLif", "CubaLif",
    "DenseSynapse", "ConvSynapse", "subtract", "value", "set", "none", "any", "spikes", "voltage", [], [1], [0, 0],
    [2, 4, 4], [2**20, 2**20, 2**20], [[1]], {}, {"interval": 0, "offset": 1}, {"interval": 3, "offset": 1},
)  # fmt: skip


def _edited(data: bytes, folder: Path, read: Read) -> Read:
    """A reader of pairs of bytes: which value of the JSON of `data`, and what becomes of it (255: it stays)."""
    around = _around(data, folder, read)

    def edited(path: Path) -> str:
        held, edits = json.loads(_header(data)), path.read_bytes()
        for which, what in zip(edits[::2], edits[1::2], strict=False):
            places = list(_places(held))
            if what == 255 or not places:
                continue
            parent, key = places[which % len(places)]
            if what == 254:
                del parent[key]
            elif what >= 200 and len(places) < 2000:
                parent[key] = [parent[key], deepcopy(parent[key])]
            else:
                parent[key] = deepcopy(_VALUES[what % len(_VALUES)])
        made = folder / "edited.json"
        made.write_text(json.dumps(held))
        return around(made)

    return edited


def _places(held: Any) -> Iterator[tuple[Any, Any]]:
    """Every value of JSON, as what holds it and where."""
    for key in list(held) if isinstance(held, dict) else range(len(held)):
        yield held, key
        if isinstance(held[key], dict | list):
            yield from _places(held[key])


def leaky_network() -> Any:
    """Leaky nodes of every kind, a scale, a delay, and a loop, over rows [2, 2]."""
    from i2e_deploy import network as nw
    from i2e_deploy.network.neurons import LeakyIntegrateAndFire, parameter

    rng = np.random.default_rng(3)
    lif = LeakyIntegrateAndFire(parameter(0.8), parameter(0.5), reset="value", strict=True)
    slow = replace(lif, current_decay=parameter(rng.uniform(0.3, 0.9, 6)), current_gain=parameter(0.7))
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


def all_layers() -> Any:
    """The layers that NIR has no word for, over images [2, 8, 8]: pooling, reshaping, neurons with every parameter."""
    from i2e_deploy import network as nw
    from i2e_deploy.network.layers import Concat, Reshape
    from i2e_deploy.network.neurons import LeakyIntegrateAndFire, parameter

    lif = LeakyIntegrateAndFire(
        parameter(0.9), parameter(1.0), parameter(0.5), parameter(0.01), 3, reset_value=parameter(0.5), late_reset=True,
        min_v=parameter(-2), start=parameter(0.1), current_decay=parameter(0.5), current_gain=parameter(2),
        old_current=True, adaptation_decay=parameter(0.5), adaptation_step=parameter(0.1), current_start=parameter(0.2),
    )  # fmt: skip
    owing = LeakyIntegrateAndFire(parameter(0.9), parameter(1.0), backlog=True)
    rows = (
        nw.Layer("max", nw.MaxPool2d((2, 2), (2, 2)), (nw.INPUT,)),
        nw.Layer("mean", nw.Pool2d((2, 2)), (nw.INPUT,)),
        nw.Layer("both", Concat(), ("max", "mean")),
        nw.Layer("lif", lif, ("both",)),
        nw.Layer("shaped", Reshape((16, 2, 2)), ("lif",)),
        nw.Layer("flat", nw.Flatten(), ("shaped",)),
        nw.Layer("late", nw.Delay(parameter(np.arange(64) % 3)), ("flat",)),
        nw.Layer("owing", owing, ("late",)),
    )
    return nw.Network((2, 8, 8), rows)


def programmable() -> Any:
    """Integer blocks of ProgrammableLif, with delays, a recurrence and latency."""
    from i2e_deploy.chips.loihi2 import ProgrammableLif
    from i2e_deploy.chips.loihi2.program import Block, BlockNetwork, Connection, ConvSynapse, DenseSynapse

    rng = np.random.default_rng(4)
    decay = np.array([400])
    several = ProgrammableLif(decay, decay, np.array([80]), max_spikes="any", fires=">=")
    adaptive = ProgrammableLif(
        decay, np.full(5, 100), np.full(5, 90), "set", np.array([3]), "next",
        adaptation_decay=decay, adaptation_step=np.array([7]),
    )  # fmt: skip
    readout = ProgrammableLif(decay, decay, np.array([1]), sends="voltage")
    conv = ConvSynapse(rng.integers(-20, 20, (3, 2, 3, 3)), padding=(1, 1))
    dense = DenseSynapse(rng.integers(-20, 20, (5, 48)), rng.integers(0, 4, (5, 48)))
    again, last = DenseSynapse(rng.integers(-9, 9, (5, 5))), DenseSynapse(rng.integers(-9, 9, (2, 5)))
    blocks = (
        Block("conv", several, (3, 4, 4), (Connection("input", conv),), np.arange(3), 8),
        Block("rec", adaptive, (5,), (Connection("conv", dense), Connection("rec", again)), None, 0, 1),
        Block("out", readout, (2,), (Connection("rec", last),), None, 24, 2),
    )
    return BlockNetwork((2, 4, 4), blocks)


def _nested(path: Path) -> None:
    """A graph in a graph, a loop through it, and LIF neurons of which the file does not say the step."""
    import h5py

    with h5py.File(path, "w") as file:
        _graph(file.create_group("node"), [("in", "part"), ("part", "lif"), ("lif", "back"), ("back", "part"),
                                           ("lif", "out")])  # fmt: skip
        nodes = file["node/nodes"]
        _ends(nodes, "in", "out")
        inner = nodes.create_group("part")
        _graph(inner, [("input", "w"), ("w", "output")])
        _ends(inner["nodes"], "input", "output")
        for group in (inner["nodes"].create_group("w"), nodes.create_group("back")):
            group["type"], group["weight"] = "Linear", np.full((3, 3), 0.2, np.float32)
        lif = nodes.create_group("lif")
        lif["type"] = "LIF"
        for name, value in {"tau": 0.02, "r": 1.0, "v_leak": 0.0, "v_threshold": 0.5, "v_reset": 0.0}.items():
            lif[name] = np.full(3, value, np.float32)


def _graph(group: Any, edges: list[tuple[str, str]]) -> None:
    group["type"] = "NIRGraph"
    group["edges"] = np.array([[end.encode() for end in edge] for edge in edges])
    group.create_group("nodes")


def _ends(nodes: Any, first: str, last: str) -> None:
    for name, kind in ((first, "Input"), (last, "Output")):
        node = nodes.create_group(name)
        node["type"], node["shape"] = kind, np.array([3])
