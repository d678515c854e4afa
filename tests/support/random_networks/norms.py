"""Lines that divide a signal by what it is made of: norms, softmax and attention, in front of weights."""

from __future__ import annotations

import math
from collections.abc import Sequence

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from tests.support.random_networks.rule import Written, a_constant, an_axis, rule, with_axes
from tests.support.random_networks.script import Signal


@rule("layer_norm", takes=lambda _, shape: math.prod(shape) > 1)
def normalised(draw: DrawFn, operator: str, x: Signal, signals: Sequence[Signal]) -> Written:
    axis = an_axis(draw, x.shape)
    length = f"torch.sqrt({{0}}.square().mean({axis}, keepdim=True) + 0.5)"
    by_hand = draw(st.sampled_from(["", f" + {{0}} / {length}", f" - 0.7 * {{0}} * torch.reciprocal({length})"]))
    # Equal elements would cancel out, were they not scaled: a structural connection is one of the values too.
    return Written(f"F.layer_norm({{0}} * {{own}}, {{0}}.shape[1:], eps=0.5){by_hand}", (x,), a_constant(x.shape))


@rule("softmax", takes=with_axes(1))
def shares(draw: DrawFn, operator: str, x: Signal, signals: Sequence[Signal]) -> Written:
    axis = an_axis(draw, x.shape)
    return Written(f"{{0}}.softmax({axis})", (x,))


@rule("_safe_softmax", takes=with_axes(2))
def masked_attention(draw: DrawFn, operator: str, x: Signal, signals: Sequence[Signal]) -> Written:
    tokens = "{0}.shape[-2]"
    forbidden = draw(st.sampled_from([f"torch.ones({tokens}, {tokens}).triu(1) > 0", f"torch.arange({tokens}) < 1"]))
    scores = f"({{0}} @ {{0}}.transpose(-1, -2)).masked_fill({forbidden}, -torch.inf)"
    return Written(f"torch.ops.aten._safe_softmax({scores}, -1) @ {{0}}", (x,))
