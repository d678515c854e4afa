"""Lines of sums, differences, products with constants, and sums along axes."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from tests.support.random_networks.rule import Shape, Written, a_constant, a_number, an_axis, rule, with_axes
from tests.support.random_networks.script import Signal


def _broadcast(one: Shape, other: Shape) -> bool:
    """Whether two signals of as many axes can be added."""
    return len(one) == len(other) and all(a == b or 1 in (a, b) for a, b in zip(one, other, strict=True))


def _some_axes(draw: DrawFn, shape: Shape) -> tuple[int, ...]:
    """The shape of a constant that broadcasts against a signal: some axes of length 1, some left out in front."""
    kept = tuple(draw(st.sampled_from([size, 1])) for size in shape)
    return kept[draw(st.integers(0, len(shape))) :]


@rule("add", "sub", "rsub")
def total(draw: DrawFn, operator: str, x: Signal, signals: Sequence[Signal]) -> Written:
    alpha = draw(st.sampled_from([None, 0.7, 1.9]))
    options = "" if alpha is None else f", alpha={alpha}"
    kind = draw(st.sampled_from(["signal", "constant", "number"]))
    if kind == "signal":
        others = [signal for signal in signals if _broadcast(signal.shape, x.shape)]
        other = draw(st.sampled_from(others[::-1]))  # the signal itself is always among them
        if operator != "add" and alpha is None:
            options = ", alpha=0.7"  # nothing cancels: a structural connection is one of the values too
        return Written(f"torch.{operator}({{0}}, {{1}}{options})", (x, other))
    if kind == "constant":
        shape = _some_axes(draw, x.shape)
        return Written(f"torch.{operator}({{0}}, {{own}}{options})", (x,), a_constant(shape))
    return Written(f"torch.{operator}({{0}}, {a_number(draw)}{options})", (x,))


@rule("mul")
def product(draw: DrawFn, operator: str, x: Signal, signals: Sequence[Signal]) -> Written:
    if draw(st.booleans()):
        return scaled(draw, operator, x, signals)
    others = [signal for signal in signals if _broadcast(signal.shape, x.shape)]
    return Written("{0} * {1}", (x, draw(st.sampled_from(others))))  # the signal itself is always among them


@rule("div")
def scaled(draw: DrawFn, operator: str, x: Signal, signals: Sequence[Signal]) -> Written:
    sign = "*" if operator == "mul" else "/"
    if draw(st.booleans()):
        return Written(f"{{0}} {sign} {{own}}", (x,), a_constant(_some_axes(draw, x.shape)))
    return Written(f"{{0}} {sign} {a_number(draw)}", (x,))


@rule("neg")
def negative(draw: DrawFn, operator: str, x: Signal, signals: Sequence[Signal]) -> Written:
    return Written("-{0}", (x,))


@rule("sum", "mean", takes=with_axes(1))
def reduced(draw: DrawFn, operator: str, x: Signal, signals: Sequence[Signal]) -> Written:
    axes: int | tuple[int, ...] = an_axis(draw, x.shape)
    if len(x.shape) >= 3 and draw(st.booleans()):
        axes = (1, -1)
    return Written(f"{{0}}.{operator}({axes}, keepdim={draw(st.booleans())})", (x,))
