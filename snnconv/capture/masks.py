"""Masks of a softmax: what forbids pairs, by minus infinity or a number as low, apart from finite biases."""

from __future__ import annotations

import math
from collections.abc import MutableMapping
from typing import NamedTuple

import torch
from torch import Tensor

from snnconv.capture.expansion import Parts, uniform_number
from snnconv.graph.graph import Argument, Graph, Node, Ref
from snnconv.graph.operators import OPERATORS
from snnconv.graph.operators.base import SelectionOperator
from snnconv.graph.operators.sample_masks import FORBIDDING
from snnconv.graph.operators.shape import View

#: Operations behind which a masked score is still one, of another size.
PASSING = frozenset({"add", "sub", "mul", "div", "clamp", "clamp_min", "maximum"})


class Mask(NamedTuple):
    """Which pairs are ``allowed``, and what forbids others in every sample, where it is true.

    Where it is ``infinite``, all that is not allowed is forbidden by minus infinity.
    """

    allowed: Tensor
    infinite: bool
    of_samples: tuple[Ref, ...] = ()


def unmasked(
    graph: Graph, scores: Ref, parts: Parts, constants: MutableMapping[str, Tensor]
) -> tuple[Ref, Mask | None]:
    """``scores`` without the masks that were added to them or filled into them, and these masks, if there are any.

    What takes the place of a sum with a mask is added to ``parts`` and ``constants``.
    """
    node = graph.nodes.get(scores.name)
    if node is None or node.name not in graph.signals():
        return scores, None
    if node.op in ("add", "sub") and node.arguments["alpha"] == 1:
        return _of_sum(graph, node, parts, constants)
    if isinstance(OPERATORS.get(node.op), View):
        before = graph.nodes.get(node.arguments["self"].name) if "self" in node.arguments else None
        if before is not None and before.shape is not None and before.shape == node.shape:  # it changes nothing
            return unmasked(graph, Ref(before.name), parts, constants)
        return _of_view(graph, node, parts, constants)
    found = _filled(graph, node)
    if found is None:
        return scores, None
    inner, others = unmasked(graph, found[0], parts, constants)
    return inner, _both(found[1], others)


def _of_view(graph: Graph, node: Node, parts: Parts, constants: MutableMapping[str, Tensor]) -> tuple[Ref, Mask | None]:
    before = graph.nodes.get(node.arguments["self"].name) if "self" in node.arguments else None
    if before is None or before.shape is None or node.shape is None:
        return Ref(node.name), None
    free = graph.batch_axis == 0  # there the mask is that of every sample
    if free and before.shape[:1] != node.shape[:1]:
        return Ref(node.name), None
    inner, mask = unmasked(graph, Ref(before.name), parts, constants)
    if mask is None:
        return Ref(node.name), None
    full, viewed = ((1, *shape[1:]) if free else shape for shape in (before.shape, node.shape))
    found = parts.add(node.op, **{**node.arguments, "self": inner})

    def moved(forbidden: Ref) -> Ref:
        whole = parts.add("expand", self=forbidden, size=[-1, *full[1:]], implicit=False)
        return parts.add(node.op, **{**node.arguments, "self": whole})

    allowed = mask.allowed.expand(full).reshape(viewed)
    return found, mask._replace(allowed=allowed, of_samples=tuple(moved(each) for each in mask.of_samples))


def _of_sum(graph: Graph, node: Node, parts: Parts, constants: MutableMapping[str, Tensor]) -> tuple[Ref, Mask | None]:
    signals = graph.signals()
    one, other = node.arguments["self"], node.arguments["other"]
    if node.op == "add" and not (isinstance(one, Ref) and one.name in signals):
        one, other = other, one
    if not (isinstance(one, Ref) and one.name in signals) or (isinstance(other, Ref) and other.name in signals):
        return Ref(node.name), None
    inner, others = unmasked(graph, one, parts, constants)
    constant = constant_of(graph, other)
    added = constant if constant is None or node.op == "add" else -constant
    if added is not None and bool((forbidden := added <= FORBIDDING).any()):
        mask = _both(Mask(~forbidden, bool(added[forbidden].isinf().all())), others)
        finite = torch.where(forbidden, 0.0, added)
        if not bool(finite.any()):
            return inner, mask
        name = f"{node.name}.bias"
        constants[name] = finite
        return parts.add("add", self=inner, other=Ref(name), alpha=1), mask
    if others is None:
        return Ref(node.name), None
    return parts.add(node.op, self=inner, other=other, alpha=1), others


def _filled(graph: Graph, node: Node) -> tuple[Ref, Mask] | None:
    """The scores into which a node fills a mask, and this mask."""
    given = node.arguments
    if node.op == "masked_fill":
        condition, kept, filled, keeps = given["mask"], given["self"], given["value"], False
    elif node.op == "where":
        keeps = uniform_number(graph, given["self"]) is None
        condition = given["condition"]
        kept, filled = (given["self"], given["other"]) if keeps else (given["other"], given["self"])
    else:
        return None
    number, mask = uniform_number(graph, filled), constant_of(graph, condition)
    if number is None or number > FORBIDDING or not isinstance(kept, Ref):
        return None
    if node.op == "masked_fill" and isinstance(condition, Ref) and condition.name in graph.masks:
        return kept, Mask(torch.ones((), dtype=torch.bool), number == -math.inf, (condition,))
    if mask is None:
        return None
    return kept, Mask(mask.bool() if keeps else ~mask.bool(), number == -math.inf)


def constant_of(graph: Graph, value: Argument) -> Tensor | None:
    """The constant that ``value`` is, if it is one, or that it repeats for every sample of a batch."""
    if not isinstance(value, Ref):
        return None
    if value.name in graph.constants:
        return graph.constants[value.name]
    node = graph.nodes.get(value.name)
    if node is None or value.name in graph.signals() or node.op != "expand":
        return None
    return constant_of(graph, node.arguments["self"])


def masked_before(graph: Graph, scores: Ref) -> Node | None:
    """A node that masks something that sums, factors and moves lead to ``scores``, if there is one."""
    pending, seen = [scores.name], set[str]()
    while pending:
        node = graph.nodes.get(pending.pop())
        if node is None or node.name in seen or node.name not in graph.signals():
            continue
        seen.add(node.name)
        if node.op in ("add", "sub"):
            added = constant_of(graph, node.arguments["other"])
            if added is None:
                added = constant_of(graph, node.arguments["self"])
            sign = -1.0 if node.op == "sub" else 1.0
            if added is not None and bool((added * sign <= FORBIDDING).any()):
                return node
        elif _filled(graph, node) is not None:
            return node
        if node.op in PASSING or isinstance(OPERATORS.get(node.op), SelectionOperator):
            pending.extend(node.refs())
    return None


def _both(one: Mask, other: Mask | None) -> Mask:
    if other is None:
        return one
    both = one.of_samples + other.of_samples
    return Mask(one.allowed & other.allowed, one.infinite and other.infinite, both)
