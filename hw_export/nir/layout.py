"""The nodes of any NIR graph in order of execution: nested graphs flattened, cycles cut at their neuron."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from coding.optional import imported
from hw_export.nir.files import DAMAGE
from snnconv.errors import StorageError

if TYPE_CHECKING:
    import nir

Edge = tuple[str, str]

_DEPTH = 16
#: Nodes that fire, by the name of their class.
FIRING = frozenset({"IF", "LIF", "CubaLIF", "Threshold"})


@dataclass(frozen=True)
class Layout:
    """Nodes by name in order of execution, arrays of numpy in them; ``late`` edges carry the spikes of the step before.

    The nodes in a nested graph have its name and a point before theirs; its own input and output pass on what they get.
    """

    place: str
    nodes: dict[str, Any]
    edges: tuple[Edge, ...]
    late: frozenset[Edge]
    input: str
    output: str

    def sources(self) -> dict[str, list[str]]:
        """The nodes that every node gets the results of, in the order of the edges."""
        found: dict[str, list[str]] = {name: [] for name in self.nodes}
        for source, target in self.edges:
            found[target].append(source)
        return found

    def of_one_sample(self) -> Layout | None:
        """This where input and output count samples first, as norse writes them; none where they do not."""
        ends = (self.nodes[self.input].input_type, self.nodes[self.output].output_type)
        shapes = [np.atleast_1d(np.asarray(next(iter(each.values())))) for each in ends]
        if any(shape.size < 2 for shape in shapes) or shapes[0][0] != shapes[1][0]:
            return None
        kinds = imported("nir", "snnconv[nir]")
        made = (kinds.Input(shapes[0][1:]), kinds.Output(shapes[1][1:]))
        for node, name in zip(made, (self.input, self.output), strict=True):
            node.metadata = self.nodes[name].metadata
        return replace(self, nodes=self.nodes | dict(zip((self.input, self.output), made, strict=True)))


@contextmanager
def at_node(place: str, name: str, node: Any) -> Iterator[None]:
    """What goes wrong within is a ``StorageError`` that says where."""
    try:
        yield
    except (StorageError, *DAMAGE) as error:
        said = str(error) or type(error).__name__
        raise StorageError(f"{place}: node {name} ({type(node).__name__}) cannot be run: {said}") from error


def layout_of(graph: nir.NIRGraph, place: str) -> Layout:
    """The nodes of ``graph``, read from ``place``, in order; raises ``StorageError`` for one that has no meaning.

    A cycle has one where exactly one node in it fires: its spikes reach the rest of the cycle one step late, as in the
    recurrent cells of snntorch and norse.
    """
    kinds = imported("nir", "snnconv[nir]")
    if not isinstance(graph, kinds.NIRGraph):
        raise StorageError(f"{place} holds a {type(graph).__name__}, not a NIR graph")
    nodes: dict[str, Any] = {}
    edges: list[Edge] = []
    start, end = _unnested(graph, place, "", nodes, edges, 0)
    if len(set(edges)) != len(edges):
        twice = sorted(edge for edge, times in Counter(edges).items() if times > 1)
        raise StorageError(f"{place}: the edge from {twice[0][0]} to {twice[0][1]} is there twice")
    if any(source == end for source, _ in edges) or any(target == start for _, target in edges):
        raise StorageError(f"{place}: an edge leads into the input {start}, or out of the output {end}")
    late = _late(nodes, edges, place)
    names = _ordered(nodes, [edge for edge in edges if edge not in late], start, place)
    _check_reached(nodes, edges, start, place)
    if sum(target == end for _, target in edges) != 1:
        raise StorageError(f"{place}: output {end} must have one incoming edge")
    return Layout(place, {name: nodes[name] for name in names}, tuple(edges), late, start, end)


def _unnested(
    graph: Any, place: str, prefix: str, nodes: dict[str, Any], edges: list[Edge], depth: int
) -> tuple[str, str]:
    """Add what is in ``graph`` to ``nodes`` and ``edges``; returns the names of its input and of its output."""
    kinds = imported("nir", "snnconv[nir]")
    where = f"{place}: graph {prefix[:-1]}" if prefix else place
    if depth > _DEPTH:
        raise StorageError(f"{where} is nested more than {_DEPTH} deep")
    ends = {}
    for kind in (kinds.Input, kinds.Output):
        found = [name for name, node in graph.nodes.items() if isinstance(node, kind)]
        if len(found) != 1:
            raise StorageError(f"{where} has {len(found)} {kind.__name__} nodes; one can be read")
        ends[kind] = prefix + found[0]
    inner: dict[str, tuple[str, str]] = {}
    for name, node in graph.nodes.items():
        full = f"{prefix}{name}"
        if isinstance(node, kinds.NIRGraph):
            inner[name] = _unnested(node, place, f"{full}.", nodes, edges, depth + 1)
            continue
        if full in nodes:
            raise StorageError(f"{place} has two nodes that are called {full}")
        nodes[full] = _plain(node, full, place)
    for edge in graph.edges:
        for name in edge:
            if name not in graph.nodes:
                raise StorageError(f"{where} has an edge from {edge[0]} to {edge[1]}, and no node {name}")
        source, target = edge
        outer = inner[source][1] if source in inner else f"{prefix}{source}"
        edges.append((outer, inner[target][0] if target in inner else f"{prefix}{target}"))
    return ends[kinds.Input], ends[kinds.Output]


def _plain(node: Any, name: str, place: str) -> Any:
    """A copy of ``node`` with arrays of its own in place of tensors; raises ``StorageError`` for what is no number."""
    plain = copy.copy(node)
    for key, value in vars(node).items():
        if key in ("input_type", "output_type", "metadata"):
            continue
        if isinstance(value, Tensor):
            value = value.detach().cpu()
            value = (value.float() if value.dtype is torch.bfloat16 else value.resolve_conj().resolve_neg()).numpy()
        if isinstance(value, np.ndarray):
            if value.dtype.kind not in "biuf" or value.dtype.itemsize > 8:
                raise StorageError(
                    f"{place}: {key} of node {name} ({type(node).__name__}) has the type {value.dtype}; real "
                    "numbers of at most 64 bits can be read"
                )
            if not np.isfinite(value).all():
                raise StorageError(
                    f"{place}: {key} of node {name} ({type(node).__name__}) holds values that are not finite numbers"
                )
            value = np.array(value, dtype=value.dtype.newbyteorder("="), order="C")
        setattr(plain, key, value)
    plain.metadata = node.metadata if isinstance(node.metadata, dict) else {}
    return plain


def _late(nodes: dict[str, Any], edges: list[Edge], place: str) -> frozenset[Edge]:
    """The edges by which the one neuron of every cycle reaches the rest of it."""
    position = {name: i for i, name in enumerate(nodes)}
    pairs = np.array([(position[a], position[b]) for a, b in edges], dtype=np.int64).reshape(-1, 2)
    matrix = csr_array((np.ones(len(pairs), np.int8), (pairs[:, 0], pairs[:, 1])), shape=(len(nodes), len(nodes)))
    labels = connected_components(matrix, connection="strong")[1]
    group = {name: int(labels[i]) for name, i in position.items()}
    members: dict[int, list[str]] = {group[a]: [] for a, b in edges if group[a] == group[b]}
    for name in nodes:
        if group[name] in members:
            members[group[name]].append(name)
    said, neurons = {}, {}
    for each, names in members.items():
        said[each] = f"{place}: the cycle of {', '.join(f'{n} ({type(nodes[n]).__name__})' for n in names[:9])}"
        firing = [name for name in names if type(nodes[name]).__name__ in FIRING]
        if len(firing) != 1:
            raise StorageError(
                f"{said[each]} has {len(firing)} nodes that fire ({', '.join(firing[:9]) or 'none'}); with exactly one "
                "it is clear which signal arrives one step late, otherwise the cycle has no meaning in discrete time"
            )
        neurons[each] = firing[0]
    late = set()
    for a, b in edges:
        each = group[a]
        if each in members and group[b] == each and a == neurons[each]:
            late.add((a, b))
        elif each in members and group[b] != each and a != neurons[each]:
            raise StorageError(
                f"{said[each]} is left at {a}, towards {b}: only its neuron {neurons[each]} may feed the rest of the "
                "graph, as the others run on spikes of the step before"
            )
    return frozenset(late)


def _ordered(nodes: dict[str, Any], edges: list[Edge], start: str, place: str) -> list[str]:
    waiting = Counter(target for _, target in edges)
    targets: dict[str, list[str]] = {name: [] for name in nodes}
    for source, target in edges:
        targets[source].append(target)
    order = [start, *(name for name in nodes if not waiting[name] and name != start)]
    for name in order:
        for target in targets[name]:
            waiting[target] -= 1
            if not waiting[target]:
                order.append(target)
    left = sorted(set(nodes) - set(order))
    if left:
        raise StorageError(
            f"{place}: {', '.join(left[:9])} are in, or behind, a cycle that does not pass its one neuron, so that "
            "nothing in it is a step late"
        )
    return order


def _check_reached(nodes: dict[str, Any], edges: list[Edge], start: str, place: str) -> None:
    targets: dict[str, list[str]] = {name: [] for name in nodes}
    for source, target in edges:
        targets[source].append(target)
    reached, pending = {start}, [start]
    while pending:
        for target in targets[pending.pop()]:
            if target not in reached:
                reached.add(target)
                pending.append(target)
    left = sorted(set(nodes) - reached)
    if left:
        raise StorageError(f"{place}: nothing reaches {', '.join(left[:9])} from the input {start}")
