"""Masks that come with every sample: what whole numbers alone decide, and forbids pairs of a softmax, is structure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence, Set
from contextlib import suppress
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from snnconv.capture.expansion import Parts, expanded, uniform_number
from snnconv.capture.masks import PASSING
from snnconv.capture.problems import Preflight, Problem, UnsupportedModelError
from snnconv.graph.analysis import analysis_of
from snnconv.graph.graph import Argument, Graph, Node, Ref
from snnconv.graph.interpreter import Environment, Program
from snnconv.graph.operators import OPERATORS
from snnconv.graph.operators.base import SelectionOperator
from snnconv.graph.operators.look_up import LookUp
from snnconv.graph.operators.sample_masks import FORBIDDING

#: Operators that compute a softmax.
SOFTMAXES = ("softmax", "_safe_softmax")
_OF_REAL_NUMBERS = (
    "it adds a mask that comes with every sample as real numbers to scores: as a current it would leak, since no code "
    "carries a number as low",
    "give the mask as booleans or whole numbers, and make real numbers of it in forward: "
    "(1 - mask.to(scores.dtype)) * -1e9; or name one that is the same for all samples in constants=",
)


class _Added(NamedTuple):
    """What a sum adds to scores, with which sign, and what that is in the example."""

    scores: Ref
    mask: Ref
    sign: float
    values: Tensor


def masks_of_samples(graph: Graph, example: Sequence[Tensor]) -> tuple[Graph, frozenset[str], frozenset[str]]:
    """``graph`` with masks of samples in one form, and the names of these masks, and of where they are filled in.

    The form is ``masked_fill`` by a node that is true where a pair is forbidden, computed from whole numbers alone. A
    number that is added is a mask where it is as low as those, or 0 everywhere, on ``example``.

    Raises ``UnsupportedModelError`` for one of real numbers that the user gives.
    """
    leading = _leading_to_softmax(graph)
    whole, real = only_whole(graph), _only_inputs(graph)
    if not any(name in leading for name in graph.nodes):
        return graph, frozenset(), frozenset()
    values = _values(graph, whole | real, example)
    forbidden: dict[tuple[object, ...], str] = {}
    filled: set[str] = set()

    def expand(node: Node) -> Iterable[Node]:
        if node.name not in leading or node.name in whole | real:
            return [node]
        if node.op in ("masked_fill", "where"):
            return _of_choice(graph, node, whole, forbidden, filled)
        if node.op not in ("add", "sub") or node.arguments["alpha"] != 1:
            return [node]
        if (added := _added(graph, node, whole | real, values)) is None or not _forbids(added):
            return [node]
        if added.mask.name not in whole:
            raise UnsupportedModelError(Preflight((), (Problem(node.op, node.source, *_OF_REAL_NUMBERS),)))
        return _of_sum(node, added, forbidden, filled)

    found = expanded(graph, expand)
    return found, frozenset(forbidden.values()), frozenset(filled)


def only_whole(graph: Graph) -> set[str]:
    """Names of inputs that are whole numbers, and of what is computed from these alone, but for look-ups."""
    signals, found = analysis_of(graph).signals, set(graph.whole)
    for node in graph.nodes.values():
        known, arriving = OPERATORS.get(node.op), [name for name in node.refs() if name in signals]
        weighted = known is not None and known.weighted
        if node.name in signals and not weighted and found.issuperset(arriving) and not isinstance(known, LookUp):
            found.add(node.name)
    return found


def _only_inputs(graph: Graph) -> set[str]:
    """Names of real inputs, and of what operations without weights make of them."""
    signals, found = analysis_of(graph).signals, graph.inputs.keys() - graph.whole.keys()
    for node in graph.nodes.values():
        known, arriving = OPERATORS.get(node.op), [name for name in node.refs() if name in signals]
        if node.name in signals and known is not None and not known.weighted and found >= {*arriving}:
            found.add(node.name)
    return found


def _leading_to_softmax(graph: Graph) -> set[str]:
    """Names of sums, fillings, moves and changes of size whose results reach a softmax through such alone."""
    found: set[str] = set()
    for node in reversed([*graph.nodes.values()]):
        passes = node.op in PASSING or isinstance(OPERATORS.get(node.op), SelectionOperator)
        if node.op in SOFTMAXES:
            found.add(node.arguments["self"].name)
        elif passes and node.name in found:
            found.update(node.refs())
    return found


def _values(graph: Graph, names: Set[str], example: Sequence[Tensor]) -> Environment:
    """What the nodes of ``names`` are on ``example``, as far as they can be computed."""
    environment: Environment = {**graph.constants, **dict(zip(graph.inputs, example, strict=True))}
    signals = graph.signals()
    for node in graph.nodes.values():
        if (node.name in names or node.name not in signals) and node.op in OPERATORS:
            with torch.no_grad(), suppress(KeyError, IndexError, RuntimeError, TypeError, ValueError):
                Program([node], [node.name]).run(environment)
    return environment


def _of_choice(
    graph: Graph, node: Node, whole: Set[str], forbidden: dict[tuple[object, ...], str], filled: set[str]
) -> list[Node]:
    given = node.arguments
    if node.op == "masked_fill":
        condition, scores, value, negated = given["mask"], given["self"], given["value"], False
    else:
        negated = uniform_number(graph, given["other"]) is not None
        scores, value = (given["self"], given["other"]) if negated else (given["other"], given["self"])
        condition = given["condition"]
    number = uniform_number(graph, value)
    if condition.name not in whole or number is None or number > FORBIDDING or not isinstance(scores, Ref):
        return [node]
    made = []
    key = ("negated" if negated else "as it is", condition.name)
    if key not in forbidden:
        forbidden[key] = name = f"{node.name}_forbidden"
        op = "logical_not" if negated else "whole_cast"
        rest = {} if negated else {"dtype": str(torch.bool)}
        made.append(Node(name, op, {"self": condition, **rest}, None, node.source))
    filled.add(node.name)
    arguments: dict[str, Argument] = {"self": scores, "mask": Ref(forbidden[key]), "value": number}
    return [*made, replace(node, op="masked_fill", arguments=arguments)]


def _added(graph: Graph, node: Node, names: Set[str], values: Environment) -> _Added | None:
    one, other = node.arguments["self"], node.arguments["other"]
    if node.op == "add" and isinstance(one, Ref) and one.name in names:
        one, other = other, one
    known = isinstance(one, Ref) and isinstance(other, Ref) and other.name in names
    if not known or one.name in names or one.name not in graph.signals():
        return None
    value = values.get(other.name)
    if not isinstance(value, Tensor) or not value.is_floating_point():
        return None
    sign = 1.0 if node.op == "add" else -1.0
    return _Added(one, other, sign, sign * value)


def _forbids(added: _Added) -> bool:
    return bool((added.values <= FORBIDDING).any()) or not bool(added.values.any())


def _of_sum(node: Node, added: _Added, forbidden: dict[tuple[object, ...], str], filled: set[str]) -> list[Node]:
    low = added.values <= FORBIDDING
    biased = bool(added.values.masked_fill(low, 0.0).any())
    infinite = bool(low.any()) and bool((added.values[low] == -math.inf).all())
    key = ("added", added.mask.name, added.sign)
    made, scores = [], added.scores
    if key not in forbidden:
        forbidden[key] = name = f"{node.name}_forbidden"
        rest = {"sign": added.sign, "biased": biased, "infinite": infinite}
        made.append(Node(name, "forbidden_pairs", {"self": added.mask, **rest}, None, node.source))
    mask = Ref(forbidden[key])
    if biased:
        parts = Parts(node)
        finite = parts.add("where", condition=mask, self=0.0, other=added.mask)
        scores = parts.add(node.op, self=scores, other=finite, alpha=1)
        parts.add("masked_fill", self=scores, mask=mask, value=_lowest(infinite))
        filled.add(node.name)
        return [*made, *parts.nodes]
    filled.add(node.name)
    arguments = {"self": scores, "mask": mask, "value": _lowest(infinite)}
    return [*made, replace(node, op="masked_fill", arguments=arguments)]


def _lowest(infinite: bool) -> float:
    return -math.inf if infinite else torch.finfo(torch.float32).min
