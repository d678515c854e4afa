"""Lines that become populations."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from tests.support.random_networks.rule import Written, a_constant, rule, with_axes
from tests.support.random_networks.script import Signal

_TEXTS = {
    "relu": ["torch.relu({0})", "F.relu({0})", "{0}.relu()"],
    "leaky_relu": [
        "F.leaky_relu({0}, 0.1)",
        "F.leaky_relu({0})",
        "F.leaky_relu({0}, 0.5)",
        "F.leaky_relu({0}, -0.5)",
        "torch.where({0} > 0, {0}, 0.1 * {0})",
        "torch.where({0} >= 0, {0}, -0.5 * {0})",
        "torch.where({0} < 0, 0.2 * {0}, {0})",
        "torch.where({0} <= 0.2, {0}, 2 * {0} - 0.2)",
    ],
    "rrelu": ["F.rrelu({0})", "F.rrelu({0}, 0.2, 0.6)"],
    "relu6": ["F.relu6({0})"],
    "hardtanh": ["F.hardtanh({0})", "F.hardtanh({0}, 0.0, 0.8)", "F.hardtanh({0}, -0.5, 0.5)"],
    "clamp": ["{0}.clamp(0.0, 1.0)", "{0}.clamp(min=0.1)", "{0}.clamp(max=0.4)", "{0}.clamp(-0.3, 0.9)"],
    "clip": ["torch.clip({0}, 0.0, 1.0)", "{0}.clip(-0.2, 0.7)"],
    "clamp_min": ["torch.clamp_min({0}, 0.0)", "torch.clamp_min({0}, -0.3)"],
    "clamp_max": ["torch.clamp_max({0}, 0.5)", "torch.clamp_max({0}, 0.0)"],
    "threshold": ["F.threshold({0}, 0.0, 0.0)", "F.threshold({0}, 0.3, 0.3)"],
    "abs": ["{0}.abs()"],
    "hardsigmoid": ["F.hardsigmoid({0})"],
    "softshrink": ["F.softshrink({0})", "F.softshrink({0}, 0.2)"],
}


@rule(*_TEXTS)
def activation(draw: DrawFn, operator: str, x: Signal, signals: Sequence[Signal]) -> Written:
    return Written(draw(st.sampled_from(_TEXTS[operator])), (x,))


@rule("prelu", takes=with_axes(1))
def trained_slopes(draw: DrawFn, operator: str, x: Signal, signals: Sequence[Signal]) -> Written:
    return Written("F.prelu({0}, {own})", (x,), a_constant((draw(st.sampled_from([1, x.shape[0]])),)))


@rule("maximum", "minimum", "fmax", "fmin")
def extremum(draw: DrawFn, operator: str, x: Signal, signals: Sequence[Signal]) -> Written:
    others = [signal for signal in signals if signal.shape == x.shape and signal != x]
    if others and draw(st.booleans()):
        # The factor keeps the difference of both, which is computed, from cancelling where they are the same.
        return Written(f"torch.{operator}({{0}}, 0.37 * {{1}})", (x, draw(st.sampled_from(others))))
    return Written(f"torch.{operator}({{0}}, {{own}})", (x,), a_constant(x.shape))
