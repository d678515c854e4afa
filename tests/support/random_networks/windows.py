"""Lines of windows written out, of running sums, of diagonals and triangles."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from tests.support.random_networks.rule import Written, an_axis, length, rule, with_axes
from tests.support.random_networks.script import Signal


@rule("cumsum", takes=with_axes(1))
def running_sum(draw: DrawFn, operator: str, x: Signal, signals: Sequence[Signal]) -> Written:
    return Written(f"{{0}}.cumsum({an_axis(draw, x.shape)})", (x,))


@rule("unfold", takes=lambda _, shape: 1 <= len(shape) <= 3)
def windows(draw: DrawFn, operator: str, x: Signal, signals: Sequence[Signal]) -> Written:
    axis = an_axis(draw, x.shape)
    size = draw(st.integers(1, length(x.shape, axis)))
    return Written(f"{{0}}.unfold({axis}, {size}, {draw(st.integers(1, 3))})", (x,))


@rule("im2col", takes=lambda _, shape: len(shape) == 3)
def as_columns(draw: DrawFn, operator: str, x: Signal, signals: Sequence[Signal]) -> Written:
    kernel = tuple(draw(st.integers(1, min(3, size))) for size in x.shape[1:])
    options = f"padding={draw(st.integers(0, 1))}, stride={draw(st.integers(1, 2))}"
    return Written(f"F.unfold({{0}}, {kernel}, {options})", (x,))


@rule("col2im", takes=lambda _, shape: len(shape) == 2)
def as_image(draw: DrawFn, operator: str, x: Signal, signals: Sequence[Signal]) -> Written:
    channels, windows = x.shape
    kernel = 2 if channels % 2 == 0 else 1
    stride = draw(st.integers(1, 2))
    size = (1, stride * (windows - 1) + kernel)
    return Written(f"F.fold({{0}}, {size}, (1, {kernel}), stride={stride})", (x,))


@rule("diagonal", takes=lambda _, shape: len(shape) >= 2)
def diagonal(draw: DrawFn, operator: str, x: Signal, signals: Sequence[Signal]) -> Written:
    first, second = draw(st.permutations(range(1, 1 + len(x.shape))))[:2]
    return Written(f"{{0}}.diagonal({draw(st.integers(0, x.shape[second - 1] - 1))}, {first}, {second})", (x,))


@rule("diag_embed", takes=lambda _, shape: 1 <= len(shape) <= 2)
def on_a_diagonal(draw: DrawFn, operator: str, x: Signal, signals: Sequence[Signal]) -> Written:
    return Written(f"{{0}}.diag_embed({draw(st.integers(-1, 1))}, 1, -1)", (x,))


@rule("tril", "triu", takes=with_axes(2))
def triangle(draw: DrawFn, operator: str, x: Signal, signals: Sequence[Signal]) -> Written:
    return Written(f"{{0}}.{operator}({draw(st.integers(-1, 1))})", (x,))
