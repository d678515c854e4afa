"""Lines that become populations."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from tests.support.random_networks.rule import Written, rule
from tests.support.random_networks.script import Signal

_TEXTS = {
    "relu": ["torch.relu({0})", "F.relu({0})", "{0}.relu()"],
    "leaky_relu": ["F.leaky_relu({0}, 0.1)", "F.leaky_relu({0})", "F.leaky_relu({0}, 0.5)"],
    "relu6": ["F.relu6({0})"],
    "hardtanh": ["F.hardtanh({0})", "F.hardtanh({0}, 0.0, 0.8)", "F.hardtanh({0}, -0.5, 0.5)"],
    "clamp": ["{0}.clamp(0.0, 1.0)", "{0}.clamp(min=0.1)", "{0}.clamp(max=0.4)", "{0}.clamp(-0.3, 0.9)"],
    "clip": ["torch.clip({0}, 0.0, 1.0)", "{0}.clip(-0.2, 0.7)"],
    "clamp_min": ["torch.clamp_min({0}, 0.0)", "torch.clamp_min({0}, -0.3)"],
    "clamp_max": ["torch.clamp_max({0}, 0.5)", "torch.clamp_max({0}, 0.0)"],
    "threshold": ["F.threshold({0}, 0.0, 0.0)"],
}


@rule(*_TEXTS)
def activation(draw: DrawFn, operator: str, x: Signal, signals: Sequence[Signal]) -> Written:
    return Written(draw(st.sampled_from(_TEXTS[operator])), (x,))
