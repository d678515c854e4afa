"""Operations on sizes and constants: they carry no signal, but may depend on the size of the batch."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, ClassVar

import torch

from snnconv.graph.graph import Node
from snnconv.graph.operators.base import Arguments, Carries, Classification, Operator, Role, register


class _Constant(Operator):
    def classify(self, node: Node, carries: Carries) -> Classification:
        return Classification(Role.REFUSED, "its result depends on the values of the input", "compute it from sizes")


@register
class Size(_Constant):
    """The length of one axis."""

    names = ("sym_size",)

    def classify(self, node: Node, carries: Carries) -> Classification:
        return Classification(Role.CONSTANT)

    def evaluate(self, arguments: Arguments) -> int:
        return int(arguments["self"].shape[arguments["dim"]])


@register
class SizeArithmetic(_Constant):
    """Arithmetic on lengths: shape expressions."""

    names = ("size_add", "size_sub", "size_mul", "size_floordiv", "size_mod", "size_neg")
    _functions: ClassVar[dict[str, Callable[..., Any]]] = {
        "size_add": operator.add,
        "size_sub": operator.sub,
        "size_mul": operator.mul,
        "size_floordiv": operator.floordiv,
        "size_mod": operator.mod,
        "size_neg": operator.neg,
    }

    def evaluate(self, arguments: Arguments) -> int:
        return int(self._functions[self.op](*arguments.values()))


@register
class Fill(_Constant):
    """A tensor of one repeated number; sizes may be expressions."""

    names = ("zeros", "ones", "full")

    def evaluate(self, arguments: Arguments) -> torch.Tensor:
        value = arguments["fill_value"] if self.op == "full" else float(self.op == "ones")
        return torch.full(arguments["size"], value, dtype=arguments["like"].dtype, device=arguments["like"].device)
