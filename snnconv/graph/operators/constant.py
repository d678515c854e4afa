"""Operations on sizes and constants: they carry no signal, but may depend on the size of the batch."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, ClassVar

import torch

from snnconv.graph.graph import WHOLE_TYPES, Node
from snnconv.graph.operators.base import Arguments, Carries, Classification, Operator, Role, register

#: Bits of the largest size, without its sign.
_BITS = 63


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
    """Arithmetic on lengths: shape expressions, and numbers made from them."""

    _functions: ClassVar[dict[str, Callable[..., Any]]] = {
        "size_add": operator.add,
        "size_sub": operator.sub,
        "size_mul": operator.mul,
        "size_floordiv": operator.floordiv,
        "size_mod": operator.mod,
        "size_neg": operator.neg,
        "size_truediv": operator.truediv,
        "size_pow": operator.pow,
        "size_float": float,
        "size_min": min,
        "size_max": max,
    }
    names = (*_functions,)

    def evaluate(self, arguments: Arguments) -> int | float:
        values = [*arguments.values()]
        if self.op == "size_pow" and values[1] > _BITS:  # before it is computed, which may take forever
            raise OverflowError(f"{values[0]} to the power of {values[1]} is no size")
        result: int | float = self._functions[self.op](*values)
        if isinstance(result, int) and result.bit_length() > _BITS:
            raise OverflowError(f"a number of {result.bit_length()} bits is no size")
        return result


@register
class Fill(_Constant):
    """A tensor that sizes alone determine: one number everywhere, counted up, or an identity.

    Sizes may be expressions. It has the precision of ``like``, or the type of whole numbers that ``dtype`` names.
    """

    names = ("zeros", "ones", "full", "arange", "eye")

    def evaluate(self, arguments: Arguments) -> torch.Tensor:
        like = arguments["like"]
        kind = {"dtype": WHOLE_TYPES[arguments["dtype"]] if "dtype" in arguments else like.dtype, "device": like.device}
        if self.op == "arange":
            return torch.arange(arguments.get("start", 0), arguments["end"], arguments.get("step", 1), **kind)
        if self.op == "eye":
            return torch.eye(arguments["n"], arguments.get("m", arguments["n"]), **kind)
        value = arguments["fill_value"] if self.op == "full" else int(self.op == "ones")
        return torch.full(arguments["size"], value, **kind)
