"""Names of what may stay real-valued: modules of the model, and operations as the report on it calls them."""

from __future__ import annotations

from collections.abc import Sequence

from snnconv.errors import ConfigurationError
from snnconv.graph.analysis import analysis_of
from snnconv.graph.graph import Graph, Node

_READABLE = 6


def may_stay_real_valued(graph: Graph, names: Sequence[str]) -> set[str]:
    """The analog operations of ``graph`` that ``names`` allow, by node.

    A module's name, as in ``named_modules``, allows all that runs inside it; where a module and an operation have one
    name, the module is meant. Raises ``ConfigurationError`` for a name that allows nothing.
    """
    if isinstance(names, str) or not all(isinstance(name, str) for name in names):
        raise ConfigurationError(f'analog must be a list of names, such as analog=["head"], got {names!r}')
    analog = [graph.nodes[name] for name in analysis_of(graph).analog_operations]
    allowed: set[str] = set()
    for name in names:
        found = {node.name for node in _named(name, analog, graph)}
        if not found:
            raise ConfigurationError(_without_effect(name, graph, analog))
        allowed |= found
    return allowed


def names_that_allow(nodes: Sequence[Node]) -> list[str]:
    """What to give as ``analog`` for ``nodes`` to be allowed: their modules, or they themselves where they have none.

    Modules that hold several of them stand for these where there would be too many names to read.
    """
    paths = [(node.source.module or node.name).split(".") for node in nodes]
    depth = max(map(len, paths), default=0)
    while depth > 1 and len({tuple(path[:depth]) for path in paths}) > _READABLE:
        depth -= 1
    return [*dict.fromkeys(".".join(path[:depth]) for path in paths)]


def _named(name: str, nodes: Sequence[Node], graph: Graph) -> list[Node]:
    """Those of ``nodes`` that run in the module ``name``, or else the one that has this name itself."""

    def inside(node: Node) -> bool:
        return bool(name) and f"{node.source.module}.".startswith(f"{name}.")

    if any(inside(node) for node in graph.nodes.values()):
        return [node for node in nodes if inside(node)]
    return [node for node in nodes if node.name == name]


def _without_effect(name: str, graph: Graph, analog: Sequence[Node]) -> str:
    known = _named(name, [*graph.nodes.values()], graph)
    why = "nothing in it would stay real-valued" if known else "no module or operation of the model has this name"
    names = ", ".join(names_that_allow(analog))
    return f"analog={name!r}: {why}; " + (f"what would stay real-valued: {names}" if names else "leave it out")
