"""Masks that come with every sample: which pairs of a softmax they forbid, and which are left."""

from __future__ import annotations

import math

from torch import Tensor

from snnconv.errors import InputError
from snnconv.graph.graph import Graph, Node
from snnconv.graph.operators.base import Arguments, Carries, Classification, Operator, Role, register
from snnconv.graph.operators.choice import MaskedScores
from snnconv.graph.operators.remedies import remedy_for

#: What is added to a score, or put in its place, to forbid a pair: this, or anything below.
FORBIDDING = -1e3


class _OfMasks(Operator):
    """An operator on masks, which are no signals."""

    def classify(self, node: Node, carries: Carries) -> Classification:
        known = remedy_for("logical_not")
        return Classification(Role.READOUT, known.reason, known.remedy)


@register
class ForbiddenPairs(_OfMasks):
    """Where ``self``, added to scores with this ``sign``, forbids pairs.

    Raises ``InputError`` where it is something else than 0 elsewhere, unless it is ``biased``, and where it should be
    ``infinite`` and forbids by a number.
    """

    names = ("forbidden_pairs",)

    def evaluate(self, arguments: Arguments) -> Tensor:
        added: Tensor = arguments["self"] * arguments["sign"]
        forbidden = added <= FORBIDDING
        if added.is_meta:
            return forbidden
        if not arguments["biased"] and bool((added.masked_fill(forbidden, 0.0) != 0).any()):
            raise InputError(
                "a mask adds numbers to scores that forbid nothing, which it did not with the samples of the "
                "conversion: convert with samples like these"
            )
        if arguments["infinite"] and bool((forbidden & (added != -math.inf)).any()):
            raise InputError(
                "a mask forbids by a number, and by -inf with the samples of the conversion: convert with samples like "
                "these"
            )
        return forbidden


@register
class AllowedPairs(_OfMasks):
    """What is left of ``allowed``, a constant (``None``: everything), where none of ``forbidden`` holds.

    Raises ``InputError`` where nothing is left of a row along ``dim``, unless rows may be ``empty``, of which the
    softmax is 0.
    """

    names = ("allowed_pairs",)

    def evaluate(self, arguments: Arguments) -> Tensor:
        masks: list[Tensor] = arguments["forbidden"]
        left = masks[0].logical_not()
        for mask in masks[1:]:
            left = left & mask.logical_not()
        if arguments["allowed"] is not None:
            left = left & arguments["allowed"]
        if not left.is_meta and not arguments["empty"] and not bool((some := left.any(arguments["dim"])).all()):
            sample = int(some.reshape(len(some), -1).all(1).logical_not().nonzero()[0])
            raise InputError(
                f"the mask of sample {sample} forbids all of a row of a softmax: leave such samples out, let every row "
                "have something (its own place), or mask by -inf in scaled_dot_product_attention, which gives 0 there"
            )
        return left


def masked_scores_of(graph: Graph, population: Node) -> Node | None:
    """What says where neurons of ``population`` are needed, by its argument ``allowed``; ``None``: everywhere."""
    source = graph.nodes.get(population.arguments["self"].name)
    return source if source is not None and source.op in MaskedScores.names else None


def presence_of(graph: Graph, population: Node) -> str | None:
    """The name of what says where neurons of ``population`` are needed, which broadcasts over its currents."""
    source = masked_scores_of(graph, population)
    return None if source is None else str(source.arguments["allowed"].name)


def fires_if_shifted(graph: Graph, population: Node) -> bool:
    """Whether neurons of ``population`` that are not needed would fire if they were given a shift."""
    source = masked_scores_of(graph, population)
    return source is not None and source.arguments["value"] == 0.0
