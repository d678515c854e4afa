"""Lines that are no part of the spiking network: functions of its decoded output."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from tests.support.random_networks.rule import Written, an_axis, rule, with_axes
from tests.support.random_networks.script import Signal

_TEXTS = {
    "sigmoid": "torch.sigmoid({0})",
    "tanh": "torch.tanh({0})",
    "exp": "torch.exp(0.1 * {0})",
    "square": "torch.square({0})",
    "pow": "{0} ** 3",
    "sqrt": "torch.sqrt(torch.square({0}) + 1)",
    "log": "torch.log(torch.square({0}) + 1)",
    "gelu": "F.gelu({0})",
    "silu": "F.silu({0})",
    "elu": "F.elu({0})",
    "softplus": "F.softplus({0})",
    "hardswish": "F.hardswish({0})",
    "mish": "F.mish({0})",
    "gt": "({0} > 0.4)",
    "ge": "({0} >= 0.4)",
    "lt": "({0} < 0.4)",
    "le": "({0} <= 0.4)",
    "eq": "({0} == 0.4)",
    "ne": "({0} != 0.4)",
    "sign": "torch.sign({0})",
    "hardshrink": "F.hardshrink({0})",
}


@rule(*_TEXTS)
def function(draw: DrawFn, operator: str, x: Signal, signals: Sequence[Signal]) -> Written:
    return Written(_TEXTS[operator], (x,))


@rule("softmax", "log_softmax", "argmax", takes=with_axes(1))
def along_an_axis(draw: DrawFn, operator: str, x: Signal, signals: Sequence[Signal]) -> Written:
    options = f", keepdim={draw(st.booleans())}" if operator == "argmax" else ""
    return Written(f"{{0}}.{operator}({an_axis(draw, x.shape)}{options})", (x,))
