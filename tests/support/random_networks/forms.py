"""Lines that give whole signals another form: views, other orders, repetition, upsampling."""

from __future__ import annotations

import math
from collections.abc import Sequence

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from tests.support.random_networks.rule import Shape, Written, an_axis, axes_of, length, maps, rule, with_axes
from tests.support.random_networks.script import Signal


def _a_form(draw: DrawFn, shape: Shape) -> list[int]:
    """Another shape for as many elements, with the batch axis first."""
    size = math.prod(shape)
    first = draw(st.sampled_from([count for count in range(1, size + 1) if size % count == 0]))
    return draw(st.sampled_from([[-1, first, size // first], [-1, size], [-1, *shape[::-1]]]))


@rule("view", "reshape", "_unsafe_view", takes=with_axes(1))
def viewed(draw: DrawFn, operator: str, x: Signal, signals: Sequence[Signal]) -> Written:
    form = _a_form(draw, x.shape)
    if operator == "_unsafe_view":
        return Written(f"torch.ops.aten._unsafe_view({{0}}.contiguous(), {form})", (x,))
    contiguous = ".contiguous()" if operator == "view" else ""
    return Written(f"{{0}}{contiguous}.{operator}({', '.join(map(str, form))})", (x,))


@rule("flatten", takes=with_axes(2))
def flattened(draw: DrawFn, operator: str, x: Signal, signals: Sequence[Signal]) -> Written:
    return Written(f"{{0}}.flatten({draw(st.integers(1, len(x.shape) - 1))})", (x,))


@rule("unflatten", takes=with_axes(1))
def unflattened(draw: DrawFn, operator: str, x: Signal, signals: Sequence[Signal]) -> Written:
    axis = an_axis(draw, x.shape)
    size = length(x.shape, axis)
    first = draw(st.sampled_from([count for count in range(1, size + 1) if size % count == 0]))
    return Written(f"{{0}}.unflatten({axis}, ({first}, {size // first}))", (x,))


@rule("squeeze", takes=lambda _, shape: 1 in shape)
def squeezed(draw: DrawFn, operator: str, x: Signal, signals: Sequence[Signal]) -> Written:
    axis = draw(st.sampled_from([place for place, size in enumerate(x.shape, start=1) if size == 1]))
    return Written(f"{{0}}.squeeze({axis})", (x,))


@rule("unsqueeze", takes=lambda _, shape: len(shape) <= 3)
def unsqueezed(draw: DrawFn, operator: str, x: Signal, signals: Sequence[Signal]) -> Written:
    return Written(f"{{0}}.unsqueeze({draw(st.sampled_from([1, -1, 1 + len(x.shape)]))})", (x,))


@rule("permute", takes=with_axes(2))
def permuted(draw: DrawFn, operator: str, x: Signal, signals: Sequence[Signal]) -> Written:
    order = draw(st.permutations(range(1, 1 + len(x.shape))))
    return Written(f"{{0}}.permute(0, {', '.join(map(str, order))})", (x,))


@rule("transpose", "swapaxes", "movedim", takes=with_axes(2))
def exchanged(draw: DrawFn, operator: str, x: Signal, signals: Sequence[Signal]) -> Written:
    return Written(f"{{0}}.{operator}({an_axis(draw, x.shape)}, {an_axis(draw, x.shape)})", (x,))


@rule("t", takes=lambda _, shape: len(shape) == 1)
def transposed(draw: DrawFn, operator: str, x: Signal, signals: Sequence[Signal]) -> Written:
    return Written("{0}.t().flip(0).t()", (x,))


@rule("flip", takes=with_axes(1))
def flipped(draw: DrawFn, operator: str, x: Signal, signals: Sequence[Signal]) -> Written:
    return Written(f"{{0}}.flip({an_axis(draw, x.shape)})", (x,))


@rule("roll", takes=with_axes(1))
def rolled(draw: DrawFn, operator: str, x: Signal, signals: Sequence[Signal]) -> Written:
    return Written(f"{{0}}.roll({draw(st.integers(-2, 2))}, {an_axis(draw, x.shape)})", (x,))


@rule("expand", takes=lambda _, shape: 1 in shape)
def expanded(draw: DrawFn, operator: str, x: Signal, signals: Sequence[Signal]) -> Written:
    sizes = [draw(st.integers(2, 3)) if size == 1 else -1 for size in x.shape]
    return Written(f"{{0}}.expand(-1, {', '.join(map(str, sizes))})", (x,))


@rule("pixel_shuffle", takes=lambda _, shape: len(shape) == 3 and shape[0] % 4 == 0)
def shuffled(draw: DrawFn, operator: str, x: Signal, signals: Sequence[Signal]) -> Written:
    return Written("F.pixel_shuffle({0}, 2)", (x,))


@rule("pixel_unshuffle", takes=lambda _, shape: len(shape) == 3 and shape[1] % 2 == shape[2] % 2 == 0)
def unshuffled(draw: DrawFn, operator: str, x: Signal, signals: Sequence[Signal]) -> Written:
    return Written("F.pixel_unshuffle({0}, 2)", (x,))


@rule("channel_shuffle", takes=lambda _, shape: len(shape) == 3 and shape[0] % 2 == 0)
def channels_shuffled(draw: DrawFn, operator: str, x: Signal, signals: Sequence[Signal]) -> Written:
    return Written("F.channel_shuffle({0}, 2)", (x,))


#: Modes of interpolation by operator.
_MODES = {
    **{f"upsample_nearest{axes}d": "nearest" for axes in (1, 2, 3)},
    **{f"_upsample_nearest_exact{axes}d": "nearest-exact" for axes in (1, 2, 3)},
    "upsample_linear1d": "linear",
    "upsample_bilinear2d": "bilinear",
    "_upsample_bilinear2d_aa": "bilinear",
    "upsample_bicubic2d": "bicubic",
    "_upsample_bicubic2d_aa": "bicubic",
    "upsample_trilinear3d": "trilinear",
}


@rule(*_MODES, takes=maps)
def resized(draw: DrawFn, operator: str, x: Signal, signals: Sequence[Signal]) -> Written:
    options = f'mode="{_MODES[operator]}"' + (", antialias=True" if operator.endswith("_aa") else "")
    if "linear" in options or "cubic" in options:
        options += f", align_corners={draw(st.booleans())}"
    if draw(st.booleans()):
        return Written(f"F.interpolate({{0}}, scale_factor={draw(st.sampled_from([2, 1.5]))}, {options})", (x,))
    sizes = tuple(draw(st.integers(1, 5)) for _ in range(axes_of(operator)))
    return Written(f"F.interpolate({{0}}, size={sizes}, {options})", (x,))
