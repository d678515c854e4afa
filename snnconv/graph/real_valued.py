"""What runs in real numbers behind the last population, as text."""

from __future__ import annotations

from snnconv.graph.analysis import analysis_of
from snnconv.graph.graph import Graph, Node

#: Names that are listed before the rest is counted.
_LISTED = 6


def share_text(count: float, whole: float) -> str:
    """How many of the ``whole`` multiply-accumulates of an original network stay real-valued, and their share."""
    return f"{count:.4g} of {whole:.4g} multiply-accumulates ({100 * count / whole:.1f} %) stay real-valued"


def operation_text(node: Node) -> str:
    """A weighted operation by what ``analog`` takes as its name: its module, or itself where it has none."""
    return f"{node.op} in {node.source.module}" if node.source.module else node.name


def listed(names: list[str]) -> str:
    """The first of ``names``, and how many more there are."""
    left = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (f" and {left} more" if left > 0 else "")


def analog_text(graph: Graph) -> str:
    """The weighted operations of ``graph`` that stay real-valued, and the functions that are the reason."""
    analysis = analysis_of(graph)
    operations = [operation_text(graph.nodes[name]) for name in analysis.analog_operations]
    functions = dict.fromkeys(
        graph.nodes[name].op for name in analysis.analog if name not in analysis.analog_operations
    )
    behind = f" behind {listed(list(functions))}" if functions else ""
    return f"{listed(operations)}{behind}"


def readout_text(graph: Graph) -> str:
    """The operators that run on decoded values, each named once; empty where there are none."""
    analysis = analysis_of(graph)
    names = [name for name in analysis.classifications if name in analysis.readout & analysis.signals]
    return listed([*dict.fromkeys(graph.nodes[name].op for name in names)])
