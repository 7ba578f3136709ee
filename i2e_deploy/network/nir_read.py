"""Read a NIR file (Neuromorphic Intermediate Representation, `.nir`) of integrate-and-fire networks.

The file is HDF5 and is treated as hostile (`hdf5_guard`): the reader of the `nir` package follows links out of the
file and believes any shape. Nodes are those of nir 1.0.

| NIR | here |
|---|---|
| Conv2d, Linear, Affine | the same; a bias of zeros is no bias |
| IF | `IntegrateAndFire`; `r` must be 1, the thresholds of a node equal |
| SumPool2d, AvgPool2d | `Pool2d`; stride = kernel, no padding |
| Flatten | of all dimensions |
| several edges into a node | an `Add` layer, as NIR sums its inputs |
| all else | refused: leaky neurons have no counterpart on DYNAP-CNN; Loihi 2 takes SLAYER or `.net` |

NIR's IF has no lower bound, no limit of spikes and no choice of reset. `write_nir` keeps them in the node's
metadata; where they are missing the lower bound is minus the threshold, as in Sinabs' `from_nir`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from i2e_deploy.errors import FileFormatError, InputError, UnsupportedError
from i2e_deploy.hdf5_guard import Guarded, check_file
from i2e_deploy.network.graph import INPUT, Layer, Network
from i2e_deploy.network.layers import Add, Conv2d, Flatten, IntegrateAndFire, Linear, Pool2d, Pooling
from i2e_deploy.network.op import Array, Op, Pair

#: Options of `read_nir` from text; see `chips.read_model`.
READ_OPTIONS: dict[str, Callable[[str], Any]] = {}

MAX_NODES = 4096
#: Sides, strides and paddings.
MAX_SIDE = 2**16


def read_nir(path: str | Path) -> Network:
    """Read a NIR file as a float network.

    Raises:
        InputError: no such file.
        FileFormatError: damaged, lying, or with links; the message names the place.
        UnsupportedError: nodes without an exact counterpart; every one is named, with the reason.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    check_file(path)
    try:
        import h5py

        with h5py.File(path, "r") as file:
            return _network(Guarded(file, path.name).group("node"))
    except (FileFormatError, UnsupportedError):
        raise
    except InputError as error:
        raise FileFormatError(f"{path.name}: {error}") from error
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, MemoryError, OverflowError) as error:
        raise FileFormatError(f"{path.name}: damaged HDF5: {str(error).splitlines()[0][:200]}") from error


def _network(graph: Guarded) -> Network:
    if graph.text("type") != "NIRGraph":
        raise graph.error(f"is a {graph.text('type')}, expected a NIRGraph", "type")
    nodes = graph.group("nodes")
    kinds = {name: nodes.group(name).text("type") for name in nodes.names(MAX_NODES)}
    strange = [f"{name!r} is a {kind}" for name, kind in kinds.items() if kind not in (*_READERS, "Input", "Output")]
    if strange:
        known = ", ".join(_READERS)
        raise UnsupportedError(f"{graph.file}: {'; '.join(strange)}: no exact counterpart here; readable are {known}")
    entries = [name for name, kind in kinds.items() if kind == "Input"]
    if len(entries) != 1:
        raise graph.error(f"has {len(entries)} Input nodes, expected one", "nodes")
    shape = tuple(nodes.group(entries[0]).integers("shape", 1, MAX_SIDE, (None,)).tolist())
    layers: list[Layer] = []
    for name, sources in _in_order(graph, kinds, entries[0]):
        op = _READERS[kinds[name]](nodes.group(name))
        if len(sources) > 1:
            layers.append(Layer(f"{name}_sum", Add(), sources))
            sources = (f"{name}_sum",)  # noqa: PLW2901
        layers.append(Layer(name, op, sources))
    return Network(shape, tuple(layers))


def _in_order(graph: Guarded, kinds: dict[str, str], entry: str) -> list[tuple[str, tuple[str, ...]]]:
    """The nodes between input and output, each after what feeds it, with the names of its inputs."""
    ends = graph.texts("edges", width=2)
    feeds: dict[str, list[str]] = {name: [] for name in kinds}
    for source, target in zip(ends[::2], ends[1::2], strict=True):
        if source not in kinds or target not in kinds:
            raise graph.error(f"has an edge {source!r} to {target!r}: no such node", "edges")
        feeds[target].append(INPUT if source == entry else source)
    found: list[tuple[str, tuple[str, ...]]] = []
    done = {INPUT}
    waiting = [name for name, kind in kinds.items() if kind not in ("Input", "Output")]
    while waiting:
        ready = [name for name in waiting if feeds[name] and done.issuperset(feeds[name])]
        if not ready:
            raise UnsupportedError(
                f"{graph.file}: {', '.join(map(repr, waiting))} are in a loop or get no input: "
                "only feed-forward graphs can be read"
            )
        found += [(name, tuple(feeds[name])) for name in ready]
        done.update(ready)
        waiting = [name for name in waiting if name not in done]
    return found


def _pair(node: Guarded, name: str, low: int) -> Pair:
    values = node.integers(name, low, MAX_SIDE).reshape(-1).tolist()
    if len(values) not in (1, 2):
        raise node.error(f"holds {len(values)} numbers, expected one or two", name)
    return values[0], values[-1]


def _array(node: Guarded, name: str) -> Array:
    with np.errstate(over="ignore"):
        return node.numbers(name).astype(np.float32)


def _bias(node: Guarded) -> Array | None:
    bias = _array(node, "bias") if "bias" in node else None
    return bias if bias is not None and bias.any() else None


def _conv(node: Guarded) -> Op:
    weight, stride, dilation = _array(node, "weight"), _pair(node, "stride", 1), _pair(node, "dilation", 1)
    groups = int(node.integers("groups", 1, MAX_SIDE).reshape(-1)[0])
    return Conv2d(weight, _bias(node), stride, _padding(node, weight, stride, dilation), dilation, groups)


def _padding(node: Guarded, weight: Array, stride: Pair, dilation: Pair) -> Pair:
    """NIR allows the words of torch beside numbers."""
    try:
        word = node.text("padding")
    except FileFormatError:
        return _pair(node, "padding", 0)
    reach = [d * (k - 1) for k, d in zip(weight.shape[2:], dilation, strict=True)]
    if word == "valid":
        return 0, 0
    if word != "same" or stride != (1, 1) or any(n % 2 for n in reach):
        raise node.error(
            f"is {word!r}: it can be numbers, 'valid', or 'same' with an odd kernel and stride 1", "padding"
        )
    return reach[0] // 2, reach[1] // 2


def _linear(node: Guarded) -> Op:
    return Linear(_array(node, "weight"), _bias(node))


def _pool(kind: Pooling) -> Callable[[Guarded], Op]:
    def read(node: Guarded) -> Op:
        kernel, stride, padding = _pair(node, "kernel_size", 1), _pair(node, "stride", 1), _pair(node, "padding", 0)
        if stride != kernel or padding != (0, 0):
            raise UnsupportedError(
                f"{node.error(f'pools {kernel} with stride {stride}, padding {padding}')}: "
                "windows must not overlap (stride = kernel, no padding)"
            )
        return Pool2d(kernel, kind)

    return read


def _flatten(node: Guarded) -> Op:
    start, end = (int(node.integers(name, -8, 8).reshape(-1)[0]) for name in ("start_dim", "end_dim"))
    if start != 0 or end not in (-1, 2):
        raise UnsupportedError(f"{node.error(f'flattens dimensions {start} to {end}')}: all of them, 0 to -1, can be")
    return Flatten()


def _integrate_and_fire(node: Guarded) -> Op:
    if (node.numbers("r") != 1).any():
        raise UnsupportedError(f"{node.error('is not 1', 'r')}: multiply the weights before the node by it")
    thresholds = np.unique(node.numbers("v_threshold"))
    if len(thresholds) != 1:
        raise UnsupportedError(
            f"{node.error(f'holds {len(thresholds)} different values', 'v_threshold')}: a core has one; make them equal"
        )
    if "v_reset" in node and node.numbers("v_reset").any():
        raise UnsupportedError(f"{node.error('is not 0', 'v_reset')}: neurons reset by subtraction or to zero")
    threshold = float(np.float32(thresholds[0]))
    if "metadata" not in node:
        return IntegrateAndFire(threshold, -threshold)
    return _with_metadata(threshold, node.group("metadata"))


def _with_metadata(threshold: float, notes: Guarded) -> Op:
    bounded = "min_v" in notes
    reset = notes.text("reset") if "reset" in notes else "subtract"
    if reset not in ("subtract", "zero"):
        raise notes.error(f"is {reset!r}, expected 'subtract' or 'zero'", "reset")
    return IntegrateAndFire(
        threshold,
        float(np.float32(notes.numbers("min_v").reshape(-1)[0]))
        if bounded
        else (None if "reset" in notes else -threshold),
        int(notes.integers("max_spikes", 1, 2**31).reshape(-1)[0]) if "max_spikes" in notes else None,
        "zero" if reset == "zero" else "subtract",
    )


_READERS: dict[str, Callable[[Guarded], Op]] = {
    "Conv2d": _conv,
    "Linear": _linear,
    "Affine": _linear,
    "IF": _integrate_and_fire,
    "SumPool2d": _pool("sum"),
    "AvgPool2d": _pool("average"),
    "Flatten": _flatten,
}

#: Kinds of nodes that can be read.
KINDS: Sequence[str] = tuple(_READERS)
