"""The graph of a NIR file: which nodes count, in which order, and what leaves the network.

Output nodes decide what leaves. HDF5 sorts the names of nodes, and exporters shuffle the edges (nirtorch keeps them as
a set), so a file says nothing about the order of several outputs: it must be given, unless `write_nir` wrote it.

Graphs in graphs are written out: node `b` of the graph `a` is called `a.b`. A loop is closed by a delay of one step at
the output of a neuron, where frameworks have it too: what feeds back arrives in the next step.
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
#: Graphs in graphs.
MAX_DEPTH = 8
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
        groups: the nodes in the file, by name.
        nodes: names in an order in which each follows what feeds it, with the names of what feeds it; INPUT = the
            Input node. Neither Input nor Output.
        outputs: what leaves, in order: a name of its own, and the names of what is summed there.
        notes: what was left out.
        loops: names of the delays that close loops, which stand before what feeds them, and of these neurons.
    """

    entry: str
    kinds: Mapping[str, str]
    groups: Mapping[str, Guarded]
    nodes: tuple[tuple[str, tuple[str, ...]], ...]
    outputs: tuple[tuple[str, tuple[str, ...]], ...]
    notes: tuple[Note, ...]
    loops: Mapping[str, str]


def read_graph(
    graph: Guarded, known: Collection[str], neurons: Collection[str], chosen: Sequence[str] | None
) -> NirGraph:
    """The graph, without what reaches no output.

    Args:
        graph: group of a NIRGraph.
        known: kinds of nodes that can be read.
        neurons: of these, kinds that fire.
        chosen: names of Output nodes that count, in order; None = all.

    Raises:
        FileFormatError: contradicts itself.
        InputError: `chosen` names something else than Output nodes.
        UnsupportedError: nodes of other kinds, loops, or several outputs whose order nothing says.
    """
    if graph.text("type") != "NIRGraph":
        raise graph.error(f"is a {graph.text('type')}, expected a NIRGraph", "type")
    groups, kinds, pairs = _written_out(graph)
    feeds = _feeds(graph, kinds, pairs)
    ends, notes = _outputs(graph, groups, kinds, feeds, chosen)
    alive = _reaching(ends, feeds)
    _check_kinds(graph, {name: kind for name, kind in kinds.items() if name in alive}, known)
    entry = _entry(graph, kinds, alive)
    if INPUT in alive and entry != INPUT:
        raise UnsupportedError(
            f"{graph.file}: node {INPUT!r} is a {kinds[INPUT]}, and that name stands for the network's input: rename it"
        )
    feeds = {name: [INPUT if n == entry else n for n in sources] for name, sources in feeds.items()}
    inner = {name for name in alive if kinds[name] not in _ENDS}
    order, loops = _in_order(graph, inner, feeds, {name for name in inner if kinds[name] in neurons}, set(kinds))
    outputs = tuple((name, tuple(feeds[name]) if kinds[name] == "Output" else (name,)) for name in ends)
    left = sorted(name for name in kinds if name not in alive)
    if left:
        notes = (*notes, Note("", f"left out, as nothing leads from there to an output: {listed(left)}"))
    for name, neuron in loops.items():
        after = [target for target in order if name in feeds[target]]
        text = f"closes a loop: what {neuron!r} gives reaches {listed(after)} in the next step"
        notes = (*notes, Note(name, text))
    rows = tuple((name, tuple(feeds[name])) for name in order)
    return NirGraph(entry, kinds, groups, rows, outputs, notes, loops)


def free_name(name: str, taken: Collection[str]) -> str:
    """`name`, or with a number that no node has."""
    found, number = name, 1
    while found in taken:
        number += 1
        found = f"{name}_{number}"
    return found


Pairs = list[tuple[str, str]]


def _written_out(graph: Guarded, depth: int = 0) -> tuple[dict[str, Guarded], dict[str, str], Pairs]:
    """The nodes, their kinds and the edges of a graph, with the graphs in it written out."""
    if depth > MAX_DEPTH:
        raise graph.error(f"has graphs in graphs, more than {MAX_DEPTH} deep")
    nodes = graph.group("nodes")
    groups = {name: nodes.group(name) for name in nodes.names(MAX_NODES)}
    kinds = {name: node.text("type") for name, node in groups.items()}
    ends = graph.texts("edges", width=2, longest=MAX_NAME)
    pairs = list(zip(ends[::2], ends[1::2], strict=True))
    for name in [name for name, kind in kinds.items() if kind == "NIRGraph"]:
        part = groups.pop(name)
        del kinds[name]
        more, their_kinds, edges = _written_out(part, depth + 1)
        gates = {}
        for gate in ("Input", "Output"):
            found = [inner for inner, kind in their_kinds.items() if kind == gate]
            if len(found) != 1:
                raise UnsupportedError(
                    f"{part.error(f'has {len(found)} nodes of kind {gate}')}: a graph in a graph has one of each"
                )
            gates[gate] = found[0]
        called = {inner: free_name(f"{name}.{inner}", {*groups, *kinds}) for inner in their_kinds}
        groups |= {called[inner]: group for inner, group in more.items() if inner not in gates.values()}
        kinds |= {called[inner]: kind for inner, kind in their_kinds.items() if inner not in gates.values()}
        pairs = _joined(
            pairs, name, [(called[a], called[b]) for a, b in edges], {k: called[v] for k, v in gates.items()}
        )
        if len(kinds) > MAX_NODES or len(pairs) > MAX_NODES**2:
            raise graph.error(f"has {len(kinds)} nodes with those of graphs in it, at most {MAX_NODES} are read")
    return groups, kinds, pairs


def _joined(pairs: Pairs, name: str, edges: Pairs, gates: Mapping[str, str]) -> Pairs:
    """The edges with those of the graph `name` in its place: what enters it goes where its Input leads."""
    before = [a for a, b in pairs if b == name]
    after = [b for a, b in pairs if a == name]
    begin, end = gates["Input"], gates["Output"]
    inner = [pair for pair in edges if begin not in pair and end not in pair]
    through = [(a, b) for a, b in pairs if name not in (a, b)]
    through += [(a, target) for a in before for source, target in edges if source == begin and target != end]
    through += [(source, b) for b in after for source, target in edges if target == end and source != begin]
    if (begin, end) in edges:
        through += [(a, b) for a in before for b in after]
    return [*through, *inner]


def _feeds(graph: Guarded, kinds: Mapping[str, str], pairs: Pairs) -> dict[str, list[str]]:
    """What feeds each node, in the order of the file's edges."""
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
    graph: Guarded,
    groups: Mapping[str, Guarded],
    kinds: Mapping[str, str],
    feeds: Mapping[str, Sequence[str]],
    chosen: Sequence[str] | None,
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
        ends = _placed(graph, groups, ends)
    return tuple(ends), notes


def _placed(graph: Guarded, groups: Mapping[str, Guarded], ends: Sequence[str]) -> list[str]:
    """Several outputs in the order that `write_nir` kept; nothing else in a file says it."""
    places = []
    for name in ends:
        node = groups[name]
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
        new = [name for name in feeds.get(waiting.pop(), ()) if name not in found]
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


def _in_order(
    graph: Guarded, names: Collection[str], feeds: dict[str, list[str]], neurons: Collection[str], taken: set[str]
) -> tuple[list[str], dict[str, str]]:
    """`names`, each after what feeds it; loops are cut after neurons, at delays that come first (see `NirGraph.loops`),
    which replace these neurons in `feeds`.
    """
    found: list[str] = []
    loops: dict[str, str] = {}
    done, waiting = {INPUT}, sorted(names)
    while waiting:
        ready = [name for name in waiting if feeds[name] and done.issuperset(feeds[name])]
        if not ready and (cut := _where_to_cut(waiting, feeds, done, neurons)) is not None:
            ready = [cut]
            for source in [source for source in feeds[cut] if source not in done]:
                delay = next((name for name, neuron in loops.items() if neuron == source), None)
                if delay is None:
                    delay = free_name(f"{source}_before", {*taken, *loops, INPUT})
                    loops[delay] = source
                feeds[cut] = [delay if name == source else name for name in feeds[cut]]
        if not ready:
            raise UnsupportedError(
                f"{graph.file}: {', '.join(map(repr, waiting))} are in a loop or get no input: a loop must run "
                "through neurons, whose answer then comes in the next step"
            )
        found += ready
        done.update(ready)
        waiting = [name for name in waiting if name not in done]
    feeds |= {delay: [neuron] for delay, neuron in loops.items()}
    return [*loops, *found], loops


def _where_to_cut(
    waiting: Sequence[str], feeds: Mapping[str, Sequence[str]], done: Collection[str], neurons: Collection[str]
) -> str | None:
    """A node in a loop that waits for neurons alone, which it leads to; one that is no neuron first."""
    for name in sorted(waiting, key=lambda name: (name in neurons, name)):
        missing = [source for source in feeds[name] if source not in done]
        if missing and all(source in neurons and name in _reaching([source], feeds) for source in missing):
            return name
    return None
