"""Choice between two tensors, element by element, and the comparisons that one may choose by."""

from __future__ import annotations

import operator
from typing import Any

import torch
from torch import Tensor

from snnconv.graph.graph import Node
from snnconv.graph.operators.base import (
    Arguments,
    Carries,
    Classification,
    Operator,
    Role,
    SelectionOperator,
    Spread,
    register,
)
from snnconv.graph.operators.remedies import COMPARED, remedy_for


def _jumping(op: str) -> Classification:
    known = remedy_for(op)
    return Classification(Role.READOUT, known.reason, known.remedy)


@register
class Choice(SelectionOperator):
    """``self`` where a constant condition holds, ``other`` elsewhere; either may be a constant."""

    names = ("where",)
    pointwise = True

    def classify(self, node: Node, carries: Carries) -> Classification:
        if carries["condition"]:
            return _jumping("gt")
        return super().classify(node, carries)

    def evaluate(self, arguments: Arguments) -> Tensor:
        return torch.where(arguments["condition"], arguments["self"], arguments["other"])

    def homogeneous(self, arguments: Arguments, carries: Carries) -> Arguments:
        added = {key for key in ("self", "other") if not carries[key]}
        return {key: _zero(value) if key in added else value for key, value in arguments.items()}

    def spread(self, node: Node, before: tuple[int, ...], after: tuple[int, ...]) -> Spread:
        return Spread.ONE_TO_ONE if before == after else Spread.ONE_TO_MANY


@register
class MaskedScores(SelectionOperator):
    """``self`` where ``allowed``, a mask, holds; elsewhere ``value``, at which neurons are silent, and none is needed.

    Scales and tables are fitted to what is allowed.
    """

    names = ("masked_scores",)

    def evaluate(self, arguments: Arguments) -> Tensor:
        return torch.where(arguments["allowed"], arguments["self"], arguments["value"])

    def homogeneous(self, arguments: Arguments, carries: Carries) -> Arguments:
        return {**arguments, "value": 0.0}

    def spread(self, node: Node, before: tuple[int, ...], after: tuple[int, ...]) -> Spread:
        return Spread.ONE_TO_ONE if before == after else Spread.ONE_TO_MANY


@register
class Comparison(Operator):
    """Whether a signal is above, below or at something."""

    names = ("gt", "ge", "lt", "le", "eq", "ne")
    pointwise = True

    def classify(self, node: Node, carries: Carries) -> Classification:
        return _jumping(self.op)

    def evaluate(self, arguments: Arguments) -> Tensor:
        result: Tensor = getattr(operator, self.op)(arguments["self"], arguments["other"])
        return result


@register
class Step(Operator):
    """A function that jumps."""

    names = ("hardshrink", "sign")
    pointwise = True

    def classify(self, node: Node, carries: Carries) -> Classification:
        return Classification(Role.READOUT, COMPARED.reason, COMPARED.remedy)

    def evaluate(self, arguments: Arguments) -> Tensor:
        if self.op == "sign":
            return torch.sign(arguments["self"])
        return torch.nn.functional.hardshrink(arguments["self"], arguments["lambd"])


def _zero(value: Any) -> Any:
    return torch.zeros_like(value) if isinstance(value, Tensor) else 0.0
