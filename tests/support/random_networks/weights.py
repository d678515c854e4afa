"""Lines with weights: convolutions, linear layers, matrix products, batch normalisation."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from tests.support.random_networks.rule import Written, axes_of, each_axis, maps, per_axis, rule, with_axes
from tests.support.random_networks.script import Signal


@rule("linear", takes=with_axes(1))
def linear(draw: DrawFn, operator: str, x: Signal, signals: Sequence[Signal]) -> Written:
    outputs, bias = draw(st.integers(1, 5)), draw(st.booleans())
    return Written("{own}({0})", (x,), f"nn.Linear({x.shape[-1]}, {outputs}, bias={bias})")


@rule("conv1d", "conv2d", "conv3d", takes=maps)
def convolution(draw: DrawFn, operator: str, x: Signal, signals: Sequence[Signal]) -> Written:
    axes, (channels, *sizes) = axes_of(operator), x.shape
    padding = per_axis(draw, [(0, 1)] * axes)
    room = [size + 2 * border for size, border in zip(sizes, each_axis(padding, axes), strict=True)]
    kernel = per_axis(draw, [range(1, min(3, size) + 1) for size in room])
    fits = [
        [step for step in (1, 2) if step * (width - 1) < size]
        for width, size in zip(each_axis(kernel, axes), room, strict=True)
    ]
    stride, dilation = per_axis(draw, [(1, 2)] * axes), per_axis(draw, fits)
    groups = draw(st.sampled_from([count for count in (1, 2, channels) if channels % count == 0]))
    outputs, bias = groups * draw(st.integers(1, max(1, 4 // groups))), draw(st.booleans())
    options = f"stride={stride}, padding={padding}, dilation={dilation}, groups={groups}, bias={bias}"
    return Written("{own}({0})", (x,), f"nn.Conv{axes}d({channels}, {outputs}, {kernel}, {options})")


@rule("conv_transpose1d", "conv_transpose2d", "conv_transpose3d", takes=maps)
def transposed_convolution(draw: DrawFn, operator: str, x: Signal, signals: Sequence[Signal]) -> Written:
    axes, channels = axes_of(operator), x.shape[0]
    kernel, stride = per_axis(draw, [(1, 2, 3)] * axes), per_axis(draw, [(1, 2)] * axes)
    dilation = per_axis(draw, [(1, 2)] * axes)
    room = [
        range(1 if step * (width - 1) + (size - 1) * pace > 2 else 0, -1, -1)
        for step, width, pace, size in zip(
            each_axis(dilation, axes), each_axis(kernel, axes), each_axis(stride, axes), x.shape[1:], strict=True
        )
    ]
    padding = per_axis(draw, [sorted(each) for each in room])
    extra = per_axis(draw, [range(pace) for pace in each_axis(stride, axes)])
    groups = draw(st.sampled_from([count for count in (1, 2, channels) if channels % count == 0]))
    outputs, bias = groups * draw(st.integers(1, max(1, 4 // groups))), draw(st.booleans())
    options = f"stride={stride}, padding={padding}, output_padding={extra}, dilation={dilation}, groups={groups}"
    layer = f"nn.ConvTranspose{axes}d({channels}, {outputs}, {kernel}, {options}, bias={bias})"
    return Written("{own}({0})", (x,), layer)


@rule("matmul", takes=with_axes(1))
def matrix_product(draw: DrawFn, operator: str, x: Signal, signals: Sequence[Signal]) -> Written:
    outputs = draw(st.integers(1, 4))
    if len(x.shape) >= 2 and draw(st.booleans()):
        return Written("{0} @ {1}.transpose(-1, -2)", (x, draw(st.sampled_from(_multiplied(x, signals)))))
    if len(x.shape) >= 2 and draw(st.booleans()):
        return Written("{own} @ {0}", (x,), f"nn.Parameter(torch.rand({outputs}, {x.shape[-2]}))")
    return Written("{0} @ {own}", (x,), f"nn.Parameter(torch.rand({x.shape[-1]}, {outputs}))")


@rule("mm", takes=lambda _, shape: len(shape) == 1)
def product_of_matrices(draw: DrawFn, operator: str, x: Signal, signals: Sequence[Signal]) -> Written:
    return Written("torch.mm({0}, {own})", (x,), f"nn.Parameter(torch.rand({x.shape[-1]}, {draw(st.integers(1, 4))}))")


@rule("bmm", takes=lambda _, shape: len(shape) == 2)
def batched_product(draw: DrawFn, operator: str, x: Signal, signals: Sequence[Signal]) -> Written:
    if draw(st.booleans()):
        other = draw(st.sampled_from(_multiplied(x, signals)))
        return Written("torch.bmm({0}, {1}.transpose(1, 2))", (x, other))
    weight = f"nn.Parameter(torch.rand({x.shape[-1]}, {draw(st.integers(1, 4))}))"
    return Written("torch.bmm({0}, {own}.expand({0}.shape[0], -1, -1))", (x,), weight)


def _multiplied(x: Signal, signals: Sequence[Signal]) -> list[Signal]:
    """Signals of which the rows may be multiplied with those of ``x``, itself among them."""
    alike = [signal for signal in signals if len(signal.shape) == len(x.shape) and signal.shape[-1] == x.shape[-1]]
    return [signal for signal in alike if signal.shape[:-2] == x.shape[:-2]]


@rule("batch_norm", takes=lambda _, shape: 1 <= len(shape) <= 4)
def batch_norm(draw: DrawFn, operator: str, x: Signal, signals: Sequence[Signal]) -> Written:
    axes, affine = max(1, len(x.shape) - 1), draw(st.booleans())
    return Written("{own}({0})", (x,), f"nn.BatchNorm{axes}d({x.shape[0]}, affine={affine})")
