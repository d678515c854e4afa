"""Arithmetic on signals: sums, differences, products with constants, and sums along axes."""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import Tensor

from snnconv.graph.graph import Node
from snnconv.graph.operators.base import Arguments, Carries, Classification, Operator, Role, Spread, register
from snnconv.graph.operators.bilinear import BilinearOperator, total_of_products
from snnconv.graph.operators.remedies import remedy_for
from snnconv.graph.reach import Reach, unit_vectors

#: What Python repeats where it is multiplied.
_SEQUENCES = (str, list, tuple)


def _zero(value: Any) -> Any:
    return torch.zeros_like(value) if isinstance(value, Tensor) else 0


class _Elementwise(Operator):
    pointwise = True

    def spread(self, node: Node, before: tuple[int, ...], after: tuple[int, ...]) -> Spread:
        return Spread.ELEMENTWISE if before == after else Spread.ONE_TO_MANY  # a shape that grew was broadcast

    def reach(self, arguments: Arguments) -> Reach:
        operands = [arguments[key] for key in ("self", "other") if key in arguments]
        shapes = [operand.shape for operand in operands if hasattr(operand, "shape")]
        shape = torch.broadcast_shapes(*shapes)  # type: ignore[no-untyped-call]
        signals = [operand.broadcast_to(shape) for operand in operands if isinstance(operand, Reach)]
        return functools.reduce(Reach.union, signals)


@register
class Sum(_Elementwise):
    """``self + alpha * other`` and ``self - alpha * other``; either side may be a constant."""

    names = ("add", "sub", "rsub")

    def classify(self, node: Node, carries: Carries) -> Classification:
        return Classification(Role.LINEAR)

    def evaluate(self, arguments: Arguments) -> Any:
        left, right, alpha = arguments["self"], arguments["other"], arguments["alpha"]
        if self.op == "rsub":
            left, right = right, left
        # Python adds and repeats text too, and whole numbers without end, which a file could ask for.
        if not any(isinstance(each, Tensor) for each in (left, right)) or isinstance(right, _SEQUENCES):
            raise TypeError(f"{self.op} adds a tensor, and a tensor or a number, not {type(right).__name__}")
        if isinstance(alpha, _SEQUENCES):
            raise TypeError(f"alpha of {self.op} is {type(alpha).__name__}, and no number")
        scaled = right if alpha == 1 else right * alpha
        return left + scaled if self.op == "add" else left - scaled

    def homogeneous(self, arguments: Arguments, carries: Carries) -> Arguments:
        kept = {key: arguments[key] if carries[key] else _zero(arguments[key]) for key in ("self", "other")}
        return {**arguments, **kept}

    def paths(self, arguments: Arguments, carries: Carries) -> Any:
        kept = self.homogeneous(arguments, carries)
        return kept["self"] + kept["other"]


@register
class Product(_Elementwise, BilinearOperator):
    """Product of two signals, or of a signal with a constant, element by element."""

    names = ("mul",)

    def evaluate(self, arguments: Arguments) -> Any:
        return torch.mul(arguments["self"], arguments["other"])

    def paths(self, arguments: Arguments, carries: Carries) -> Any:
        ones = {key: value if carries[key] else _one(value) for key, value in arguments.items()}
        return self.evaluate(ones)

    def total(self, arguments: Arguments, largest: float) -> float:
        return total_of_products(arguments["self"], arguments["other"], largest)


@register
class Quotient(_Elementwise):
    """A signal divided by a constant."""

    names = ("div",)

    def classify(self, node: Node, carries: Carries) -> Classification:
        if carries["other"]:
            known = remedy_for(self.op)
            return Classification(Role.READOUT, known.reason, known.remedy)
        if node.arguments.get("rounding_mode") is not None:
            return Classification(Role.READOUT, "it rounds", "divide without rounding_mode before an activation")
        return Classification(Role.LINEAR)

    def evaluate(self, arguments: Arguments) -> Any:
        return torch.div(arguments["self"], arguments["other"], rounding_mode=arguments.get("rounding_mode"))

    def paths(self, arguments: Arguments, carries: Carries) -> Any:
        return torch.div(arguments["self"], _one(arguments["other"]))


@register
class Negation(_Elementwise):
    """The negative of a signal."""

    names = ("neg",)

    def classify(self, node: Node, carries: Carries) -> Classification:
        return Classification(Role.LINEAR)

    def evaluate(self, arguments: Arguments) -> Any:
        return torch.neg(arguments["self"])

    def paths(self, arguments: Arguments, carries: Carries) -> Any:
        return arguments["self"]


@register
class Reduction(Operator):
    """Sum or mean along axes; over no named axis it runs over all, the batch too, and is refused."""

    names = ("sum", "mean")

    def classify(self, node: Node, carries: Carries) -> Classification:
        if not node.arguments.get("dim"):
            return Classification(
                Role.REFUSED, "it runs over the batch axis", f"name the axes: {self.op}(dim=...) without axis 0"
            )
        if node.arguments.get("dtype") is not None:
            return Classification(Role.REFUSED, "it changes the precision", "leave dtype at its default")
        return Classification(Role.LINEAR)

    def evaluate(self, arguments: Arguments) -> Any:
        function = torch.mean if self.op == "mean" else torch.sum
        if "dim" not in arguments:  # over everything, which only a constant may be
            return function(arguments["self"])
        return function(arguments["self"], dim=arguments["dim"], keepdim=arguments["keepdim"])

    def paths(self, arguments: Arguments, carries: Carries) -> Any:
        return torch.sum(arguments["self"], dim=arguments["dim"], keepdim=arguments["keepdim"])

    def reach(self, arguments: Arguments) -> Reach:
        found: Reach = arguments["self"]
        shape = torch.sum(torch.empty(found.shape, device="meta"), arguments["dim"], arguments["keepdim"]).shape
        for dim in arguments["dim"]:
            found = found.along(dim, torch.ones(found.shape[dim], 1, dtype=torch.float32))
        return found.view(shape)

    def spread(self, node: Node, before: tuple[int, ...], after: tuple[int, ...]) -> Spread:
        return Spread.MANY_TO_ONE

    def channel_axis(self, node: Node, axis: int | None, shape: tuple[int, ...]) -> int | None:
        reduced = {dim % len(shape) for dim in node.arguments["dim"]}
        if axis is None or axis in reduced:
            return None
        return axis if node.arguments["keepdim"] else axis - sum(dim < axis for dim in reduced)


@register
class CumulativeSum(Operator):
    """Sum of all elements up to each one along an axis."""

    names = ("cumsum",)

    def classify(self, node: Node, carries: Carries) -> Classification:
        if node.arguments.get("dtype") is not None:
            return Classification(Role.REFUSED, "it changes the precision", "leave dtype at its default")
        return Classification(Role.LINEAR)

    def evaluate(self, arguments: Arguments) -> Any:
        return torch.cumsum(arguments["self"], arguments["dim"])

    def reach(self, arguments: Arguments) -> Reach:
        found: Reach = arguments["self"]
        return found.along(arguments["dim"], unit_vectors(found.shape[arguments["dim"]]).cumsum(1))


def _one(value: Any) -> Any:
    return torch.ones_like(value) if isinstance(value, Tensor) else 1
