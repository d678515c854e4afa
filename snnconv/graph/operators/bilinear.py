"""Products: operators that are linear in each of two operands by itself."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from snnconv.graph.graph import Node, Ref
from snnconv.graph.operators.base import Arguments, Carries, Classification, Operator, Role


class BilinearOperator(Operator):
    """A product: with one signal it is linear, with two it is a station, at which spikes of both meet.

    Of two signals, both operands are references and nothing else is; then f(a + c, b) = f(a, b) + f(c, b), and the
    same for b, with no constant added.
    """

    def classify(self, node: Node, carries: Carries) -> Classification:
        signals = [key for key in operands(node) if carries[key]]
        return Classification(Role.PRODUCT if len(signals) > 1 else Role.LINEAR)

    def ends(self, node: Node) -> tuple[str, ...]:
        return operands(node)

    def total(self, arguments: Arguments, largest: float) -> float:
        """Sum over all elements of ``evaluate``, for operands of whole numbers from 0 to ``largest``; exact."""
        doubled = {key: value.double() for key, value in arguments.items()}
        return float(self.evaluate(doubled).sum())

    def channel_axis_of_two(self, axes: Sequence[int | None]) -> int | None:
        """Axis of the result along which channels lie, given that of either operand; all of them from the end.

        An operand that is multiplied element by element has the channels of the other.
        """
        return axes[0]


def operands(node: Node) -> tuple[str, ...]:
    """Names of the arguments of a product of two signals that are multiplied."""
    return tuple(key for key, argument in node.arguments.items() if isinstance(argument, Ref))


def summed(counts: Tensor, axes: Sequence[int], largest: float) -> Tensor:
    """Sums along ``axes``, which stay with length one, of whole numbers up to ``largest``: exact, in double."""
    terms = math.prod(counts.shape[axis] for axis in axes)
    exact = counts if terms * largest < 1.0 / torch.finfo(counts.dtype).eps else counts.double()
    return (exact.sum(list(axes), keepdim=True) if axes else exact).double()


def total_of_products(left: Tensor, right: Tensor, largest: float) -> float:
    """Sum of ``left * right``, whole numbers up to ``largest``, with what one of them repeats summed up first."""
    dims = max(left.dim(), right.dim())
    left, right = (each.reshape([1] * (dims - each.dim()) + list(each.shape)) for each in (left, right))
    repeated = [
        [axis for axis in range(dims) if one.shape[axis] == 1 < other.shape[axis]]
        for one, other in ((left, right), (right, left))
    ]
    return float((summed(left, repeated[1], largest) * summed(right, repeated[0], largest)).sum())
