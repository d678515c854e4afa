"""Lines that compute with the size of the batch, or make tensors of that size."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from tests.support.random_networks.rule import Written, rule, with_axes
from tests.support.random_networks.script import Signal

_TEXTS = {
    "sym_size": "{0}.reshape({0}.shape[0], -1)",
    "size_add": "{0} + torch.ones({0}.shape[0] + 2, %s, dtype={0}.dtype)[2:]",
    "size_sub": "{0} + torch.ones(2 * {0}.shape[0] - 1, %s, dtype={0}.dtype)[-{0}.shape[0]:]",
    "size_mul": "{0}.reshape({0}.shape[0] * %s).reshape({0}.shape[0], -1)",
    "size_floordiv": "{0} + torch.ones({0}.shape[0] + {0}.shape[0] // 2, %s, dtype={0}.dtype)[{0}.shape[0] // 2:]",
    "size_mod": "{0} + torch.ones({0}.shape[0] + {0}.shape[0] %% 3, %s, dtype={0}.dtype)[-{0}.shape[0]:]",
    "size_neg": "{0} + torch.ones(3 + {0}.shape[0], %s, dtype={0}.dtype)[-{0}.shape[0]:]",
    "size_truediv": "{0} / ({0}.shape[0] / 2) * {0}.shape[0]",
    "size_pow": "{0} / {0}.shape[0] ** 2 * {0}.shape[0] * {0}.shape[0]",
    "size_float": "{0} / torch.sym_float({0}.shape[0]) * {0}.shape[0]",
    "size_min": "{0} + torch.sym_min({0}.shape[0], 3) - torch.sym_min(3, {0}.shape[0])",
    "size_max": "{0} + torch.sym_max({0}.shape[0], 3) - torch.sym_max(3, {0}.shape[0])",
    "arange": "({0}.movedim(0, -1) + 0 * torch.arange({0}.shape[0], dtype={0}.dtype)).movedim(-1, 0)",
    "eye": "({0}.movedim(0, -1) + torch.eye({0}.shape[0], dtype={0}.dtype).sum(0)).movedim(-1, 0)",
}


@rule(*_TEXTS, takes=with_axes(1))
def computed_size(draw: DrawFn, operator: str, x: Signal, signals: Sequence[Signal]) -> Written:
    text = _TEXTS[operator]
    if "%s" not in text:
        return Written(text, (x,))
    sizes = ", ".join(map(str, x.shape))
    return Written(text % (sizes.replace(", ", " * ") if operator == "size_mul" else sizes), (x,))


@rule("zeros", "ones", "full")
def filled(draw: DrawFn, operator: str, x: Signal, signals: Sequence[Signal]) -> Written:
    value = ", 0.7" if operator == "full" else ""
    return Written(f"{{0}} + torch.{operator}_like({{0}}{value}){draw(st.sampled_from(['', ' * 0.4']))}", (x,))
