"""Roles: what each operation of a graph is to the spiking network, and where sparse constants may not stand."""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Any, NamedTuple

import torch

from snnconv.graph.graph import Graph, Node, refs_in
from snnconv.graph.operators.affine import MatrixProduct
from snnconv.graph.operators.base import OPERATORS, Classification, Role, carried
from snnconv.graph.operators.piecewise_linear import OutputFunction
from snnconv.graph.operators.remedies import remedy_for
from snnconv.graph.operators.shape import Permute
from snnconv.graph.sparse import is_sparse

_OF_NO_SPIKES = Classification(
    Role.READOUT,
    "it multiplies two signals, one of which is no spikes",
    "make what stands in front of it convertible: then spikes of both are multiplied",
)
_BESIDE_NO_SPIKES = Classification(
    Role.READOUT,
    "it multiplies two signals, and the weights behind it take what is no spikes",
    "make what else leads to these weights convertible: then spikes of both are multiplied",
)
_OF_THE_OUTPUT = Classification(
    Role.READOUT,
    "it multiplies two signals behind the last weights",
    "keep one factor constant, or put a linear layer or a convolution behind it: then spikes of both are multiplied",
)


def classify(node: Node, signals: Set[str]) -> Classification:
    """Role of one node; nodes that no signal reaches are constants."""
    operator = OPERATORS.get(node.op)
    if operator is None and is_random(node.op, node.arguments):
        return Classification(
            Role.REFUSED,
            "it draws random numbers",
            "leave it out at inference (dropout: training=self.training), or draw once and keep it in a buffer",
        )
    if operator is None and signals.isdisjoint(node.refs()):
        return Classification(
            Role.REFUSED,
            "it depends on the size of the batch",
            "make it for one sample, without axis 0, and let broadcasting or expand repeat it",
        )
    if operator is None:
        counting = node.op == "linalg_vector_norm" and node.arguments.get("ord") == 0  # of what is not 0
        known = remedy_for("ne" if counting else node.op)
        return Classification(Role.REFUSED, known.reason, known.remedy)
    if node.name not in signals:
        return Classification(Role.CONSTANT)
    return operator.classify(node, carried(node, signals))


def is_random(op: str, arguments: Mapping[str, Any]) -> bool:
    """Whether the operator of this name in ATen's library draws random numbers, given its arguments."""
    packet = getattr(torch.ops.aten, op, None)
    names: list[str] = [] if packet is None else packet.overloads()
    seeded = any(torch.Tag.nondeterministic_seeded in getattr(packet, name).tags for name in names)
    share = arguments.get("dropout_p", arguments.get("dropout", 1.0))  # of attention, of recurrent layers
    return seeded and bool(share) and arguments.get("training", arguments.get("train", True)) is not False


def classifications(graph: Graph, signals: Set[str]) -> dict[str, Classification]:
    """The role of every node.

    A function that may be the output's own is a population in front of weights or of another population, and where the
    graph has no other; elsewhere it is a readout. Behind a readout that holds of all populations and maxima: a clamp of
    a softmax cuts what was decoded. So it does between such a function and a readout, where no weights stand between,
    as the clamp in x / |x|.sum().clamp(eps). A product of two signals is a readout, too, where no constant weights
    stand behind it, or a readout in front of it.
    """
    found = {node.name: classify(node, signals) for node in graph.nodes.values()}
    products = {name for name, each in found.items() if each.role is Role.PRODUCT}
    real = graph.behind(name for name, each in found.items() if each.role is Role.READOUT)
    weights = {
        name for name, each in found.items() if each.role is Role.LINEAR and OPERATORS[graph.nodes[name].op].weighted
    }
    converted = products & _in_front_of(weights - real, graph, real)
    beside = _in_front_of(weights & real, graph, set())
    for name in products - converted:
        found[name] = _OF_NO_SPIKES if name in real else _BESIDE_NO_SPIKES if name in beside else _OF_THE_OUTPUT
    needs = _needs_of(graph, signals, found)
    if needs.spiking or converted:
        found |= {name: Classification(Role.READOUT, "it is the output's own function") for name in needs.own}
    return found


def before_stations(graph: Graph, signals: Set[str], real_valued: Set[str]) -> tuple[Set[str], bool]:
    """Names of what weighted operations, populations and maxima depend on, and whether there are populations.

    Operations that are ``real_valued`` are taken to have no weights.
    """
    found = {node.name: classify(node, signals) for node in graph.nodes.values()}
    needs = _needs_of(graph, signals, found, real_valued)
    return needs.needed, needs.spiking


class _Needs(NamedTuple):
    """What weights and stations depend on, populations that may be the output's own functions, others if any."""

    needed: Set[str]
    own: list[str]
    spiking: bool


def _needs_of(
    graph: Graph, signals: Set[str], found: Mapping[str, Classification], real_valued: Set[str] = frozenset()
) -> _Needs:
    decoded = _decoded(graph, found)
    needed: set[str] = set()
    own: list[str] = []
    spiking = False
    for node in reversed([*graph.nodes.values()]):
        role, operator = found[node.name].role, OPERATORS.get(node.op)
        of_output = _may_be_of_output(node, role)
        of_output |= role in (Role.ACTIVATION, Role.POOL) and node.name in decoded
        if of_output and node.name not in needed:
            own.append(node.name)
            continue
        spiking |= role is Role.ACTIVATION
        weighted = operator is not None and operator.weighted and node.name in signals - real_valued
        if weighted or role in (Role.ACTIVATION, Role.POOL) or node.name in needed:
            needed.update(node.refs())
    return _Needs(needed, own, spiking)


def _decoded(graph: Graph, found: Mapping[str, Classification]) -> set[str]:
    """What stands behind a readout, or between what may be the output's own function and readouts alone."""
    behind: set[str] = set()
    for node in graph.nodes.values():
        role = found[node.name].role
        passes = role in (Role.ACTIVATION, Role.POOL, Role.SELECTION, Role.LINEAR) and not OPERATORS[node.op].weighted
        if _may_be_of_output(node, role) or (passes and not behind.isdisjoint(node.refs())):
            behind.add(node.name)
    shown = set(refs_in(graph.output))
    for node in reversed([*graph.nodes.values()]):
        if node.name in shown and found[node.name].role is not Role.READOUT:
            shown.update(node.refs())
    return (behind - shown).union(graph.behind(name for name, each in found.items() if each.role is Role.READOUT))


def _may_be_of_output(node: Node, role: Role) -> bool:
    return role is Role.ACTIVATION and isinstance(OPERATORS.get(node.op), OutputFunction)


def _in_front_of(names: Set[str], graph: Graph, real: Set[str]) -> set[str]:
    """What ``names`` depend on, but for what is ``real``, as it stands behind a readout."""
    found: set[str] = set()
    for node in reversed([*graph.nodes.values()]):
        if node.name in names or (node.name in found and node.name not in real):
            found.update(node.refs())
    return found - real


def misplaced(graph: Graph) -> list[Node]:
    """Nodes that take a sparse constant although they are no product with it, nor a transposition."""
    sparse = {name for name, tensor in graph.constants.items() if is_sparse(tensor)}
    found = []
    for node in graph.nodes.values():
        used = [name in sparse for name in node.refs()]
        operator = OPERATORS.get(node.op)
        if isinstance(operator, (MatrixProduct, Permute)):
            if used and all(used):
                sparse.add(node.name)
        elif any(used):
            found.append(node)
    return found
