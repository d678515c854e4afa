"""Lines of pooling: averages, and maxima, which become gates."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from tests.support.random_networks.rule import Written, an_axis, axes_of, each_axis, maps, per_axis, rule, with_axes
from tests.support.random_networks.script import Signal


def _windows(draw: DrawFn, sizes: Sequence[int]) -> tuple[int | tuple[int, ...], str]:
    """A kernel and the text of stride, padding and rounding."""
    kernel = per_axis(draw, [range(min(2, size), min(3, size) + 1) for size in sizes])
    stride = per_axis(draw, [(2, 1)] * len(sizes))
    padding = per_axis(draw, [(0, width // 2) for width in each_axis(kernel, len(sizes))])
    return kernel, f"stride={stride}, padding={padding}, ceil_mode={draw(st.booleans())}"


@rule("avg_pool1d", "avg_pool2d", "avg_pool3d", takes=maps)
def average(draw: DrawFn, operator: str, x: Signal, signals: Sequence[Signal]) -> Written:
    kernel, options = _windows(draw, x.shape[1:])
    counted = draw(st.booleans())
    return Written(f"F.{operator}({{0}}, {kernel}, {options}, count_include_pad={counted})", (x,))


@rule("max_pool1d", "max_pool2d", "max_pool3d", takes=maps)
def maximum(draw: DrawFn, operator: str, x: Signal, signals: Sequence[Signal]) -> Written:
    kernel, options = _windows(draw, x.shape[1:])
    fits = all(2 * (width - 1) < size for width, size in zip(each_axis(kernel, 3), x.shape[1:], strict=False))
    dilation = draw(st.sampled_from([1, 2] if fits else [1]))
    return Written(f"F.{operator}({{0}}, {kernel}, {options}, dilation={dilation})", (x,))


@rule(
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool3d",
    "adaptive_max_pool1d",
    "adaptive_max_pool2d",
    "adaptive_max_pool3d",
    takes=maps,
)
def adaptive(draw: DrawFn, operator: str, x: Signal, signals: Sequence[Signal]) -> Written:
    size = per_axis(draw, [range(1, 4)] * axes_of(operator))
    return Written(f"F.{operator}({{0}}, {size})", (x,))


@rule("amax", takes=with_axes(1))
def largest(draw: DrawFn, operator: str, x: Signal, signals: Sequence[Signal]) -> Written:
    axes: int | tuple[int, ...] = an_axis(draw, x.shape)
    if len(x.shape) >= 2 and draw(st.booleans()):
        axes = (-2, -1)
    return Written(f"{{0}}.amax({axes}, keepdim={draw(st.booleans())})", (x,))
