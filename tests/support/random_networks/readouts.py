"""Lines that are no part of the spiking network: functions of its decoded output."""

from __future__ import annotations

import math
from collections.abc import Sequence

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from tests.support.random_networks.rule import Written, a_constant, an_axis, rule, with_axes
from tests.support.random_networks.script import Signal

_TEXTS = {
    "gt": "({0} > 0.4)",
    "ge": "({0} >= 0.4)",
    "lt": "({0} < 0.4)",
    "le": "({0} <= 0.4)",
    "eq": "({0} == 0.4)",
    "ne": "({0} != 0.4)",
    "logical_not": "torch.logical_not({0} > 0.4)",
    "logical_and": "torch.logical_and({0} > 0.4, {0} < 0.9)",
    "logical_or": "torch.logical_or({0} > 0.9, {0} < 0.4)",
    "bitwise_not": "torch.bitwise_not({0} > 0.4)",
    "bitwise_and": "torch.bitwise_and({0} > 0.4, {0} < 0.9)",
    "bitwise_or": "torch.bitwise_or({0} > 0.9, {0} < 0.4)",
    "__and__": "(({0} > 0.4) & ({0} < 0.9))",
    "__or__": "(({0} > 0.9) | ({0} < 0.4))",
    "whole_cast": "({0} > 0.4).long()",
    "sign": "torch.sign({0})",
    "hardshrink": "F.hardshrink({0})",
}


@rule(*_TEXTS)
def function(draw: DrawFn, operator: str, x: Signal, signals: Sequence[Signal]) -> Written:
    return Written(_TEXTS[operator], (x,))


@rule("one_hot", "embedding", "embedding_bag", takes=with_axes(1))
def looked_up(draw: DrawFn, operator: str, x: Signal, signals: Sequence[Signal]) -> Written:
    numbers = f"{{0}}.flatten(1).argmax(1{', keepdim=True' if operator == 'embedding_bag' else ''})"
    rows = math.prod(x.shape)
    if operator == "one_hot":
        return Written(f"F.one_hot({numbers}, {rows})", (x,))
    return Written(f"F.{operator}({numbers}, {{own}})", (x,), a_constant((rows, 3)))


@rule("log_softmax", "argmax", "argmin", takes=with_axes(1))
def along_an_axis(draw: DrawFn, operator: str, x: Signal, signals: Sequence[Signal]) -> Written:
    options = f", keepdim={draw(st.booleans())}" if operator.startswith("arg") else ""
    return Written(f"{{0}}.{operator}({an_axis(draw, x.shape)}{options})", (x,))
