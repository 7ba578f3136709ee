"""The graph of a NIR file: which nodes count, in which order, and what leaves the network.

Output nodes decide what leaves. HDF5 sorts the names of nodes, and exporters shuffle the edges (nirtorch keeps them as
a set), so a file says nothing about the order of several outputs: it must be given, unless `write_nir` wrote it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from i2e_deploy.errors import InputError, UnsupportedError
from i2e_deploy.hdf5_guard import Guarded
from i2e_deploy.network.graph import INPUT, Note
from i2e_deploy.text import counted, listed

MAX_NODES = 4096
#: Longest name of a node, in bytes of UTF-8.
MAX_NAME = 255
#: Where `write_nir` keeps the place of an output among several: metadata of the Output node.
PLACE = "position"
_ENDS = ("Input", "Output")


@dataclass(frozen=True)
class NirGraph:
    """What is left of a graph: all that lies between its input and the outputs.

    Args:
        entry: name of the Input node.
        kinds: of every node of the file, by name.
        nodes: names in an order in which each follows what feeds it, with the names of what feeds it; INPUT = the
            Input node. Neither Input nor Output.
        outputs: what leaves, in order: a name of its own, and the names of what is summed there.
        notes: what was left out.
    """

    entry: str
    kinds: Mapping[str, str]
    nodes: tuple[tuple[str, tuple[str, ...]], ...]
    outputs: tuple[tuple[str, tuple[str, ...]], ...]
    notes: tuple[Note, ...]


def read_graph(graph: Guarded, known: Collection[str], chosen: Sequence[str] | None) -> NirGraph:
    """The graph, without what reaches no output.

    Args:
        graph: group of a NIRGraph.
        known: kinds of nodes that can be read.
        chosen: names of Output nodes that count, in order; None = all.

    Raises:
        FileFormatError: contradicts itself.
        InputError: `chosen` names something else than Output nodes.
        UnsupportedError: nodes of other kinds, loops, or several outputs whose order nothing says.
    """
    if graph.text("type") != "NIRGraph":
        raise graph.error(f"is a {graph.text('type')}, expected a NIRGraph", "type")
    nodes = graph.group("nodes")
    kinds = {name: nodes.group(name).text("type") for name in nodes.names(MAX_NODES)}
    feeds = _feeds(graph, kinds)
    ends, notes = _outputs(graph, kinds, feeds, chosen)
    alive = _reaching(ends, feeds)
    _check_kinds(graph, {name: kind for name, kind in kinds.items() if name in alive}, known)
    entry = _entry(graph, kinds, alive)
    if INPUT in alive and entry != INPUT:
        raise UnsupportedError(
            f"{graph.file}: node {INPUT!r} is a {kinds[INPUT]}, and that name stands for the network's input: rename it"
        )
    feeds = {name: [INPUT if n == entry else n for n in sources] for name, sources in feeds.items()}
    order = _in_order(graph, {name for name in alive if kinds[name] not in _ENDS}, feeds)
    outputs = tuple((name, tuple(feeds[name]) if kinds[name] == "Output" else (name,)) for name in ends)
    left = sorted(name for name in kinds if name not in alive)
    if left:
        notes = (*notes, Note("", f"left out, as nothing leads from there to an output: {listed(left)}"))
    return NirGraph(entry, kinds, tuple((name, tuple(feeds[name])) for name in order), outputs, notes)


def free_name(name: str, taken: Collection[str]) -> str:
    """`name`, or with a number that no node has."""
    found, number = name, 1
    while found in taken:
        number += 1
        found = f"{name}_{number}"
    return found


def _feeds(graph: Guarded, kinds: Mapping[str, str]) -> dict[str, list[str]]:
    """What feeds each node, in the order of the file's edges."""
    ends = graph.texts("edges", width=2, longest=MAX_NAME)
    pairs = list(zip(ends[::2], ends[1::2], strict=True))
    feeds: dict[str, list[str]] = {name: [] for name in kinds}
    for (source, target), times in Counter(pairs).items():
        if source not in kinds or target not in kinds:
            raise graph.error(f"has an edge {source!r} to {target!r}: no such node", "edges")
        if times > 1:  # as nir 1.0.8; nirtorch 2.6 takes it as one edge, a sum over the list as two
            raise graph.error(f"has the edge {source!r} to {target!r} {times} times: list it once", "edges")
        if kinds[source] == "Output" or kinds[target] == "Input":
            raise graph.error(
                f"has an edge {source!r} ({kinds[source]}) to {target!r} ({kinds[target]}): an Output feeds nothing, "
                "and nothing feeds an Input",
                "edges",
            )
        feeds[target].append(source)
    return feeds


def _outputs(
    graph: Guarded, kinds: Mapping[str, str], feeds: Mapping[str, Sequence[str]], chosen: Sequence[str] | None
) -> tuple[tuple[str, ...], tuple[Note, ...]]:
    """The nodes that leave, in order; without an Output node those that feed nothing, as nir 1.0.6 adds them."""
    fed = {name for sources in feeds.values() for name in sources}
    ends = [name for name, kind in kinds.items() if kind == "Output"]
    notes: tuple[Note, ...] = ()
    if not ends:
        ends = [name for name, kind in kinds.items() if name not in fed and kind != "Input"]
        notes = (Note("", f"the file has no Output node: what feeds nothing leaves the network, {listed(ends)}"),)
    if chosen is not None:
        strange = [name for name in chosen if name not in ends]
        if strange or not chosen or len(set(chosen)) < len(chosen):
            raise InputError(f"outputs are {list(chosen)}: choose of {ends}, each once")
        ends = list(chosen)
    empty = [name for name in ends if kinds[name] == "Output" and not feeds[name]]
    if empty or not ends:
        raise graph.error(f"has no edge into {listed(empty)}" if empty else "has no node that could be an output")
    if chosen is None and len(ends) > 1:
        ends = _placed(graph, ends)
    return tuple(ends), notes


def _placed(graph: Guarded, ends: Sequence[str]) -> list[str]:
    """Several outputs in the order that `write_nir` kept; nothing else in a file says it."""
    places = []
    for name in ends:
        node = graph.group("nodes").group(name)
        metadata = node.group("metadata") if "metadata" in node else None
        if metadata is None or PLACE not in metadata:
            raise UnsupportedError(
                f"{graph.file} has {counted(len(ends), 'output')}, {listed(ends)}, and a NIR file does not keep their "
                f"order: say it with outputs={tuple(ends)}, on the command line --read outputs={','.join(ends)}"
            )
        places.append(int(metadata.integers(PLACE, 0, MAX_NODES).reshape(-1)[0]))
    if len(set(places)) < len(places):
        raise graph.error(f"gives outputs {listed(ends)} the places {places}: each its own")
    return [name for _, name in sorted(zip(places, ends, strict=True))]


def _reaching(ends: Collection[str], feeds: Mapping[str, Sequence[str]]) -> set[str]:
    """All nodes from which an edge leads to one of `ends`, and these."""
    found, waiting = set(ends), list(ends)
    while waiting:
        new = [name for name in feeds[waiting.pop()] if name not in found]
        found.update(new)
        waiting += new
    return found


def _check_kinds(graph: Guarded, kinds: Mapping[str, str], known: Collection[str]) -> None:
    strange = [f"{name!r} is a {kind}" for name, kind in kinds.items() if kind not in (*known, *_ENDS)]
    if strange:
        raise UnsupportedError(
            f"{graph.file}: {'; '.join(strange)}: no exact counterpart here; readable are {', '.join(known)}"
        )


def _entry(graph: Guarded, kinds: Mapping[str, str], alive: Collection[str]) -> str:
    entries = [name for name, kind in kinds.items() if kind == "Input" and name in alive]
    if len(entries) != 1:
        raise graph.error(f"has {counted(len(entries), 'Input node')} that lead to an output, expected one", "nodes")
    return entries[0]


def _in_order(graph: Guarded, names: Collection[str], feeds: Mapping[str, Sequence[str]]) -> list[str]:
    """`names`, each after what feeds it."""
    found: list[str] = []
    done, waiting = {INPUT}, sorted(names)
    while waiting:
        ready = [name for name in waiting if feeds[name] and done.issuperset(feeds[name])]
        if not ready:
            raise UnsupportedError(
                f"{graph.file}: {', '.join(map(repr, waiting))} are in a loop or get no input: "
                "only feed-forward graphs can be read"
            )
        found += ready
        done.update(ready)
        waiting = [name for name in waiting if name not in done]
    return found
