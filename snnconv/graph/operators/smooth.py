"""Smooth functions of one signal: in front of weights they become tables (``Tabulated``), at the output they stay."""

from __future__ import annotations

import torch
from torch import Tensor

from snnconv.graph.graph import Node
from snnconv.graph.operators.base import Arguments, Carries, Classification, Operator, Role, register
from snnconv.graph.operators.remedies import COMPARED, remedy_for


@register
class SmoothFunction(Operator):
    """A smooth function of one signal, element by element, as ATen defines it."""

    names = (
        "sigmoid",
        "tanh",
        "exp",
        "log",
        "sqrt",
        "square",
        "pow",
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
        "erf",
        "erfc",
        "sin",
        "cos",
        "tan",
        "atan",
        "sinh",
        "cosh",
        "asinh",
        "asin",
        "acos",
        "acosh",
        "atanh",
        "sinc",
        "logit",
        "erfinv",
        "lgamma",
        "digamma",
        "polygamma",
        "mvlgamma",
        "i0",
        "special_i0e",
        "special_i1",
        "special_i1e",
        "special_entr",
        "special_erfcx",
        "special_log_ndtr",
        "special_ndtri",
    )
    pointwise = True

    def classify(self, node: Node, carries: Carries) -> Classification:
        known = COMPARED if len([*node.refs()]) == 1 else remedy_for(self.op)
        return Classification(Role.READOUT, known.reason, known.remedy)

    def evaluate(self, arguments: Arguments) -> Tensor:
        result: Tensor = getattr(torch.ops.aten, self.op)(**arguments)
        return result

    def channel_axis(self, node: Node, axis: int | None, shape: tuple[int, ...]) -> int | None:
        return axis
