"""Lines that take pieces of signals or put them together."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from tests.support.random_networks.rule import Shape, Written, a_constant, an_axis, length, rule, with_axes
from tests.support.random_networks.script import Signal


def _long(operator: str, shape: Shape) -> bool:
    return max(shape, default=0) >= 2


@rule("slice", takes=_long)
def part(draw: DrawFn, operator: str, x: Signal, signals: Sequence[Signal]) -> Written:
    axis = draw(st.sampled_from([place for place, size in enumerate(x.shape) if size >= 2]))
    start = draw(st.integers(0, x.shape[axis] - 1))
    end = draw(st.integers(start + 1, x.shape[axis] - (start == 0)))  # a slice of everything is nothing
    step = draw(st.integers(1, 2))
    return Written(f"{{0}}[{':, ' * (axis + 1)}{start}:{end}:{step}]", (x,))


@rule("narrow", takes=with_axes(1))
def narrowed(draw: DrawFn, operator: str, x: Signal, signals: Sequence[Signal]) -> Written:
    axis = an_axis(draw, x.shape)
    size = draw(st.integers(1, length(x.shape, axis)))
    start = draw(st.integers(-length(x.shape, axis), -size) | st.integers(0, length(x.shape, axis) - size))
    return Written(f"{{0}}.narrow({axis}, {start}, {size})", (x,))


@rule("select", takes=with_axes(1))
def position(draw: DrawFn, operator: str, x: Signal, signals: Sequence[Signal]) -> Written:
    axis = draw(st.integers(0, len(x.shape) - 1))
    place = draw(st.integers(-x.shape[axis], x.shape[axis] - 1))
    return Written(f"{{0}}[{':, ' * (axis + 1)}{place}]", (x,))


@rule("split", "split_with_sizes", "chunk", "tensor_split", takes=_long)
def pieces(draw: DrawFn, operator: str, x: Signal, signals: Sequence[Signal]) -> Written:
    axis = an_axis(draw, x.shape, least=2)
    first = draw(st.integers(1, length(x.shape, axis) - 1))
    option = {
        "split": str(first),
        "split_with_sizes": f"[{first}, {length(x.shape, axis) - first}]",
        "chunk": "2",
        "tensor_split": draw(st.sampled_from(["2", f"({first},)"])),
    }[operator]
    call = f"torch.{operator}({{0}}, {option}, {axis})"
    if draw(st.booleans()):
        return Written(f"torch.cat({call}[::-1], {axis})", (x,))
    return Written(f"{call}[{draw(st.sampled_from([0, -1]))}]", (x,))


@rule("unbind", "getitem", takes=with_axes(1))
def entries(draw: DrawFn, operator: str, x: Signal, signals: Sequence[Signal]) -> Written:
    axis = an_axis(draw, x.shape)
    return Written(f"{{0}}.unbind({axis})[{draw(st.integers(0, length(x.shape, axis) - 1))}]", (x,))


@rule("cat", "stack", takes=with_axes(1))
def joined(draw: DrawFn, operator: str, x: Signal, signals: Sequence[Signal]) -> Written:
    axis = an_axis(draw, x.shape)
    place = axis % (1 + len(x.shape)) - 1

    def without(shape: Shape) -> Shape:
        return shape if operator == "stack" else (*shape[:place], *shape[place + 1 :])

    alike = [
        signal for signal in signals if len(signal.shape) == len(x.shape) and without(signal.shape) == without(x.shape)
    ]
    if draw(st.booleans()):
        other = draw(st.sampled_from(alike[::-1]))  # the signal itself is always among them
        return Written(f"torch.{operator}([{{0}}, {{1}}], {axis})", (x, other))
    constant = "{own}.expand({0}.shape[0]" + ", -1" * len(x.shape) + ")"
    return Written(f"torch.{operator}([{{0}}, {constant}], {axis})", (x,), a_constant(x.shape))


@rule("pad", takes=with_axes(1))
def padded(draw: DrawFn, operator: str, x: Signal, signals: Sequence[Signal]) -> Written:
    axes = draw(st.integers(1, len(x.shape)))
    if 2 <= len(x.shape) <= 4 and draw(st.booleans()):  # modes pad all axes of positions
        mode = draw(st.sampled_from(["replicate", "circular", "reflect"]))
        most = 2 if mode == "replicate" else min(x.shape[1:]) - int(mode == "reflect")
        widths = [draw(st.integers(0, min(2, most))) for _ in range(2 * (len(x.shape) - 1))]
        return Written(f"F.pad({{0}}, {tuple(widths)}, mode={mode!r})", (x,))
    widths = []
    for axis in range(1, axes + 1):
        widths += [draw(st.integers(-1 if x.shape[-axis] > 1 else 0, 2)), draw(st.integers(0, 2))]
    value = draw(st.sampled_from([0.0, 0.5]))
    return Written(f"F.pad({{0}}, {tuple(widths)}, value={value})", (x,))


@rule("constant_pad_nd", takes=with_axes(1))
def padded_by_constant(draw: DrawFn, operator: str, x: Signal, signals: Sequence[Signal]) -> Written:
    widths = [draw(st.integers(0, 2)), draw(st.integers(0, 2))]
    return Written(f"torch.constant_pad_nd({{0}}, {widths}, {draw(st.sampled_from([0.0, -0.5]))})", (x,))


@rule("where")
def chosen(draw: DrawFn, operator: str, x: Signal, signals: Sequence[Signal]) -> Written:
    others = [signal for signal in signals if signal.shape == x.shape]
    return Written("torch.where({own} > 1.0, {0}, {1})", (x, draw(st.sampled_from(others[::-1]))), a_constant(x.shape))
