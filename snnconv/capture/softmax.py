"""Softmax along an axis as a gate, a table of exp and a ratio; masks in it are structure, not currents."""

from __future__ import annotations

from collections.abc import Iterable, Set
from dataclasses import replace

from torch import Tensor

from snnconv.capture.expansion import Parts, expanded
from snnconv.capture.masks import Mask, masked_before, unmasked
from snnconv.capture.problems import Preflight, Problem, UnsupportedModelError
from snnconv.capture.quotients import RATIO
from snnconv.capture.sample_masks import SOFTMAXES
from snnconv.graph.graph import Graph, Node, Ref
from snnconv.graph.operators.roles import before_stations

_NOTHING_ALLOWED = (
    "its mask forbids all of a row, by a finite number",
    "mask by -inf, for which scaled_dot_product_attention gives 0, or let every row have something: its own place",
)
_MASKED_TOO_EARLY = (
    "what is masked for it is scaled, clamped or moved before it gets there",
    "scale and move scores first, and mask them last: (scores / d).masked_fill(mask, -math.inf).softmax(-1)",
)
#: What stands where no neuron is needed: no table of exp reaches as far down.
_FAR_BELOW = -1e4


def softmaxes_as_ratios(graph: Graph, real_valued: Set[str] = frozenset()) -> Graph:
    """Every softmax that weights or populations depend on, as exp(s - max(s)) divided by its sum.

    s are signed neurons with the identity, the maximum is a gate over their spikes, exp a table, and the quotient a
    ratio population. Where a mask forbids a pair, nothing of it reaches the maximum, the table and the sum.
    """
    signals = graph.signals()
    if not any(node.op in SOFTMAXES for node in graph.nodes.values()):
        return graph
    needed, _ = before_stations(graph, signals, real_valued)
    constants = dict(graph.constants)

    def expand(node: Node) -> Iterable[Node]:
        if node.op not in SOFTMAXES or node.name not in needed & signals or _over_samples(graph, node):
            return [node]
        return _written_out(graph, node, constants)

    found = expanded(graph, expand)
    return replace(found, constants=constants).without_dead_nodes()


def _written_out(graph: Graph, node: Node, constants: dict[str, Tensor]) -> list[Node]:
    axis, parts = node.arguments["dim"], Parts(node)
    scores, found = unmasked(graph, node.arguments["self"], parts, constants)
    if masked_before(graph, scores) is not None:
        raise UnsupportedModelError(Preflight((), (Problem(node.op, node.source, *_MASKED_TOO_EARLY),)))
    if found is None:
        inside = parts.add("identity_population", self=scores)
        largest = parts.add("amax", self=inside, dim=[axis], keepdim=True)
        weights = parts.add("exp", self=parts.add("sub", self=inside, other=largest, alpha=1))
    else:
        if not found.infinite and not bool(_some(found.allowed, node).all()):
            raise UnsupportedModelError(Preflight((), (Problem(node.op, node.source, *_NOTHING_ALLOWED),)))
        mask = _of_samples(node, found, parts, constants) if found.of_samples else _kept(node, found, constants)
        inside = parts.add("masked_scores", self=scores, allowed=mask, value=0.0)
        inside = parts.add("identity_population", self=inside)
        largest = parts.add("masked_amax", self=inside, allowed=mask, dim=[axis], keepdim=True)
        below = parts.add("sub", self=inside, other=largest, alpha=1)
        below = parts.add("masked_scores", self=below, allowed=mask, value=_FAR_BELOW)
        weights = parts.add("where", condition=mask, self=parts.add("exp", self=below), other=0.0)
    total = parts.add("sum", self=weights, dim=[axis], keepdim=True, dtype=None)
    parts.add(RATIO, self=weights, divisor=total)
    return parts.nodes


def _kept(node: Node, found: Mask, constants: dict[str, Tensor]) -> Ref:
    mask = Ref(f"{node.name}.allowed")
    constants[mask.name] = found.allowed
    return mask


def _of_samples(node: Node, found: Mask, parts: Parts, constants: dict[str, Tensor]) -> Ref:
    """What is allowed in every sample; its rows are empty only where the softmax of them is 0."""
    constant = None if bool(found.allowed.all()) else _kept(node, found, constants)
    axis, empty = node.arguments["dim"], found.infinite and node.op == "_safe_softmax"
    axis = axis if axis < 0 else axis - len(node.shape or ())
    return parts.add("allowed_pairs", forbidden=[*found.of_samples], allowed=constant, dim=axis, empty=empty)


def _over_samples(graph: Graph, node: Node) -> bool:
    """Whether a softmax runs over the samples of a batch, for which it is refused by its own name."""
    return graph.batch_axis is not None and node.arguments["dim"] in (0, -len(node.shape or ()))


def _some(allowed: Tensor, node: Node) -> Tensor:
    """Whether a mask allows something along the axis of a softmax."""
    axis = node.arguments["dim"]
    if axis >= 0:
        axis -= len(node.shape or ())
    return allowed.any(axis) if -axis <= allowed.dim() else allowed
