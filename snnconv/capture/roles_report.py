"""The report on a captured graph: the role of every operation, and all that cannot be converted at once."""

from __future__ import annotations

from collections.abc import Sequence

from snnconv.capture.analog_names import may_stay_real_valued, names_that_allow
from snnconv.capture.problems import Line, Preflight, Problem
from snnconv.graph.analysis import analysis_of
from snnconv.graph.front import nodes_in_front
from snnconv.graph.graph import Graph, Node, Source
from snnconv.graph.operators import OPERATORS, Classification, Role
from snnconv.graph.operators.expression import expression
from snnconv.graph.operators.roles import misplaced
from snnconv.graph.operators.sample_masks import AllowedPairs
from snnconv.graph.real_valued import operation_text

_SPARSE = Classification(
    Role.REFUSED,
    "it takes a sparse constant, and only products do",
    "multiply with the constant (adj @ h), or make it dense outside the model: adj.to_dense()",
)
_MASKED = Classification(
    Role.REFUSED,
    "it fills in a mask that comes with every sample, and such masks are understood right in front of a softmax",
    "mask scores last, right in front of their softmax, and elsewhere multiply by the mask in real numbers: "
    "x * mask.unsqueeze(-1).to(x.dtype)",
)
_OF_WHOLE_NUMBERS = (
    "it computes with whole numbers, and is not among the operators that may stand in front of a network",
    "compute it outside the model, and give the result as one more input",
)
#: What to do as well where nothing spiking follows, but weighted operations do.
_ALLOW = "; or let these operations stay real-valued, and be counted as such: analog=[{names}]"


def inspect(graph: Graph, analog: Sequence[str] = ()) -> Preflight:
    """The report on a captured graph, of which ``analog`` names what may stay real-valued.

    Raises ``ConfigurationError`` for a name that allows nothing.
    """
    analysis = analysis_of(graph)
    allowed = may_stay_real_valued(graph, analog)
    names = names_that_allow([graph.nodes[name] for name in analysis.analog_operations])
    allow = _ALLOW.format(names=", ".join(f'"{name}"' for name in names))
    spiking = analysis.before_stations
    sparse = {node.name for node in misplaced(graph)}
    lines, problems = _in_front(graph)
    masks = {name for name in graph.masks if not spiking.isdisjoint(analysis.consumers[name])}
    for node in graph.nodes.values():
        found = _SPARSE if node.name in sparse else analysis.classifications[node.name]
        if node.name in analysis.signals & spiking and not masks.isdisjoint(node.refs()):
            found = _MASKED
        behind = [graph.nodes[name] for name in analysis.analog.get(node.name, ()) if name not in allowed]
        if found.role is Role.REFUSED or (found.role is Role.READOUT and (node.name in spiking or behind)):
            role = Role.REFUSED
        elif node.name in allowed:
            role = Role.ANALOG
        elif node.name in analysis.readout and found.role is not Role.CONSTANT and node.name not in spiking:
            role = Role.READOUT
        else:
            role = Role.MASK if node.op in AllowedPairs.names else found.role
        if role is Role.REFUSED:
            remedy = found.remedy + _binding(node, graph)
            if behind and node.name not in spiking:
                remedy += allow
            weighted = tuple(operation_text(each) for each in behind)
            problems.append(Problem(node.op, node.source, found.reason, remedy, weighted))
        lines.append(Line(node.name, _called(node), role, node.source))
    if not problems and not any(line.role in (Role.ACTIVATION, Role.PRODUCT) for line in lines):
        problems.append(
            Problem(
                "model",
                Source(),
                "it has no activation that could become a population of neurons",
                "convert a model with relu, silu, gelu or another function of one signal between its layers",
            )
        )
    return Preflight(tuple(lines), tuple(problems))


def _called(node: Node) -> str:
    """What the report calls an operation: a function that is looked up by its own name."""
    return expression(node.arguments["function"]).name if node.op == "tabulated" else node.op


def _in_front(graph: Graph) -> tuple[list[Line], list[Problem]]:
    """Lines and problems of what makes real inputs, and masks, of whole numbers."""
    lines, problems = [], []
    for nodes, role in zip(nodes_in_front(graph), (Role.FRONT, Role.MASK), strict=True):
        for node in nodes:
            known = node.op in OPERATORS
            if not known:
                problems.append(Problem(node.op, node.source, *_OF_WHOLE_NUMBERS))
            lines.append(Line(node.name, node.op, role if known else Role.REFUSED, node.source))
    return lines, problems


def _binding(node: Node, graph: Graph) -> str:
    """What to add to the remedy of a node that directly takes one of several inputs: it may be meant as a constant."""
    given = graph.inputs if graph.front is None else graph.front.inputs
    taken = [name for name in given if name in set(node.refs())]
    if graph.front is not None and not graph.inputs.keys().isdisjoint(node.refs()) and not taken:
        return (
            "; masks and counts of whole numbers go in front of the first weights: mask what the embedding gives, or "
            "multiply by the mask in real numbers: x * mask.unsqueeze(-1).to(x.dtype)"
        )
    if len(given) < 2 or not taken:
        return ""
    return f'; if {taken[-1]} belongs to the network, name it: constants={{"{taken[-1]}": {taken[-1]}}}'
