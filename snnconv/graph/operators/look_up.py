"""Rows of constant tables, looked up by whole numbers, and what makes such numbers and masks of others.

In front of a network they make real inputs of whole numbers (see ``Graph.front``); behind it they run on its output.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor

from snnconv.graph.graph import WHOLE_TYPES, Node
from snnconv.graph.operators.base import Arguments, Carries, Classification, Operator, Role, register
from snnconv.graph.operators.remedies import remedy_for


class _OfWholeNumbers(Operator):
    """An operator on whole numbers or masks."""

    def classify(self, node: Node, carries: Carries) -> Classification:
        known = remedy_for(self.op)
        return Classification(Role.READOUT, known.reason, known.remedy)


class _RowsOfTables(_OfWholeNumbers):
    """An operator that makes a row of every whole number."""

    def channel_axis(self, node: Node, axis: int | None, shape: tuple[int, ...]) -> int | None:
        return None if node.shape is None else len(node.shape) - 1


class LookUp(_RowsOfTables):
    """An operator that takes rows of the table ``weight`` at the whole numbers ``indices``."""


@register
class Embedding(LookUp):
    """One row for every number."""

    names = ("embedding",)

    def evaluate(self, arguments: Arguments) -> Tensor:
        return torch.nn.functional.embedding(arguments["indices"], arguments["weight"])


@register
class EmbeddingBag(LookUp):
    """Sum, mean or maximum of the rows of every bag of numbers; ``offsets`` are the places at which bags begin."""

    names = ("embedding_bag",)

    def evaluate(self, arguments: Arguments) -> Tensor:
        given = {**arguments, "scale_grad_by_freq": False, "sparse": False}
        result: Tensor = torch.ops.aten.embedding_bag(**given)[0]
        return result


@register
class OneHot(_RowsOfTables):
    """A row of zeros for every number, with a one at its place."""

    names = ("one_hot",)

    def evaluate(self, arguments: Arguments) -> Tensor:
        return torch.nn.functional.one_hot(arguments["self"], arguments["num_classes"])


@register
class Cast(_OfWholeNumbers):
    """Whole numbers, or a mask, as whole numbers of the type ``dtype``."""

    names = ("whole_cast",)
    pointwise = True

    def evaluate(self, arguments: Arguments) -> Tensor:
        result: Tensor = arguments["self"].to(WHOLE_TYPES[arguments["dtype"]])
        return result


@register
class Logic(_OfWholeNumbers):
    """Masks combined."""

    _functions: ClassVar[dict[str, Callable[..., Tensor]]] = {
        "logical_not": torch.logical_not,
        "logical_and": torch.logical_and,
        "logical_or": torch.logical_or,
        "bitwise_not": torch.bitwise_not,
        "bitwise_and": torch.bitwise_and,
        "bitwise_or": torch.bitwise_or,
        "__and__": torch.bitwise_and,
        "__or__": torch.bitwise_or,
    }
    names = (*_functions,)
    pointwise = True

    def evaluate(self, arguments: Arguments) -> Tensor:
        return self._functions[self.op](*arguments.values())
