"""Functions that run on the decoded output: exact behind the last population, not converted before one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import torch

from snnconv.graph.graph import Node
from snnconv.graph.operators.base import Arguments, Carries, Classification, Operator, Role, register
from snnconv.graph.operators.remedies import remedy_for


@register
class Readout(Operator):
    """A smooth or discrete function of the output."""

    names = (
        "softmax",
        "log_softmax",
        "sigmoid",
        "tanh",
        "exp",
        "log",
        "sqrt",
        "square",
        "pow",
        "argmax",
        "gelu",
        "silu",
        "elu",
        "softplus",
        "hardswish",
        "mish",
        "selu",
        "celu",
        "log_sigmoid",
        "rsqrt",
        "reciprocal",
        "exp2",
        "expm1",
        "log2",
        "log10",
        "log1p",
        "argmin",
        "layer_norm",
    )
    _functions: ClassVar[dict[str, Callable[..., Any]]] = {
        "softmax": lambda self, dim, dtype: torch.softmax(self, dim),
        "log_softmax": lambda self, dim, dtype: torch.log_softmax(self, dim),
        "sigmoid": torch.sigmoid,
        "tanh": torch.tanh,
        "exp": torch.exp,
        "log": torch.log,
        "sqrt": torch.sqrt,
        "square": torch.square,
        "pow": torch.pow,
        "argmax": torch.argmax,
        "gelu": lambda self, approximate: torch.nn.functional.gelu(self, approximate=approximate),
        "silu": torch.nn.functional.silu,
        "elu": torch.ops.aten.elu,
        "softplus": torch.nn.functional.softplus,
        "hardswish": torch.nn.functional.hardswish,
        "mish": torch.nn.functional.mish,
        "selu": torch.selu,
        "celu": torch.celu,
        "log_sigmoid": torch.nn.functional.logsigmoid,
        "rsqrt": torch.rsqrt,
        "reciprocal": torch.reciprocal,
        "exp2": torch.exp2,
        "expm1": torch.expm1,
        "log2": torch.log2,
        "log10": torch.log10,
        "log1p": torch.log1p,
        "argmin": torch.argmin,
        "layer_norm": torch.layer_norm,
    }

    def classify(self, node: Node, carries: Carries) -> Classification:
        if node.arguments.get("dtype") is not None:
            return Classification(Role.REFUSED, "it changes the precision", "leave dtype at its default")
        known = remedy_for(self.op)
        return Classification(Role.READOUT, known.reason, known.remedy)

    def evaluate(self, arguments: Arguments) -> Any:
        return self._functions[self.op](*arguments.values())

    def channel_axis(self, node: Node, axis: int | None, shape: tuple[int, ...]) -> int | None:
        return None
