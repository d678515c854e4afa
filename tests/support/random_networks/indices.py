"""Lines that pick, write or add elements at constant indices."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from tests.support.random_networks.rule import Written, an_axis, length, rule, with_axes
from tests.support.random_networks.script import Signal


def _places(draw: DrawFn, size: int, count: int | None = None, unique: bool = False) -> list[int]:
    """Positions on an axis of this length; ``unique`` for what is written to, where the order of repeats is open."""
    least, most = (1, size if unique else 4) if count is None else (count, count)
    return draw(st.lists(st.integers(0, size - 1), min_size=least, max_size=most, unique=unique))


def _listed(places: Sequence[int]) -> str:
    return f"nn.Buffer(torch.tensor({[*places]}))"


def _everywhere(x: Signal, axis: int) -> str:
    """The constant as an index of as many axes as the signal, its positions along one of them."""
    place = axis % (1 + len(x.shape))
    shape = ["1"] * (1 + len(x.shape))
    shape[place] = "-1"
    sizes = [f"{{0}}.shape[{each}]" for each in range(1 + len(x.shape))]
    sizes[place] = "-1"
    return f"{{own}}.view({', '.join(shape)}).expand({', '.join(sizes)})"


@rule("index_select", takes=with_axes(1))
def selected(draw: DrawFn, operator: str, x: Signal, signals: Sequence[Signal]) -> Written:
    axis = an_axis(draw, x.shape)
    return Written(f"{{0}}.index_select({axis}, {{own}})", (x,), _listed(_places(draw, length(x.shape, axis))))


@rule("gather", takes=with_axes(1))
def gathered(draw: DrawFn, operator: str, x: Signal, signals: Sequence[Signal]) -> Written:
    axis = an_axis(draw, x.shape)
    places = _listed(_places(draw, length(x.shape, axis)))
    return Written(f"{{0}}.gather({axis}, {_everywhere(x, axis)})", (x,), places)


@rule("index", "_unsafe_index", takes=with_axes(1))
def indexed(draw: DrawFn, operator: str, x: Signal, signals: Sequence[Signal]) -> Written:
    axis = draw(st.integers(1, len(x.shape)))
    size = x.shape[axis - 1]
    places = draw(st.sampled_from([_listed(_places(draw, size)), f"nn.Buffer(torch.arange(4).view(2, 2) % {size})"]))
    if operator == "_unsafe_index":
        return Written(f"torch.ops.aten._unsafe_index({{0}}, [{'None, ' * axis}{{own}}])", (x,), places)
    return Written(f"{{0}}[{':, ' * axis}{{own}}]", (x,), places)


@rule("index_add", "index_copy", takes=with_axes(1))
def written_by_list(draw: DrawFn, operator: str, x: Signal, signals: Sequence[Signal]) -> Written:
    axis = an_axis(draw, x.shape)
    size, adds = length(x.shape, axis), operator == "index_add"
    if draw(st.booleans()):  # into a constant
        sizes = ["{0}.shape[0]", *map(str, x.shape)]
        sizes[axis] = str(size + 1)
        places = _places(draw, size + 1, size, unique=not adds)
        into = f"torch.ones({', '.join(sizes)}, dtype={{0}}.dtype)"
        return Written(f"{into}.{operator}({axis}, {{own}}, {{0}})", (x,), _listed(places))
    places = _places(draw, size, size if adds else None, unique=not adds)
    source = f"0.7 * {{0}}.narrow({axis}, 0, {len(places)})"
    return Written(f"{{0}}.{operator}({axis}, {{own}}, {source})", (x,), _listed(places))


@rule("index_put", takes=with_axes(1))
def assigned(draw: DrawFn, operator: str, x: Signal, signals: Sequence[Signal]) -> Written:
    axis = draw(st.integers(1, len(x.shape)))
    places = _places(draw, x.shape[axis - 1], unique=True)
    source = f"0.7 * {{0}}.narrow({axis}, 0, {len(places)})"
    options = f"[{'None, ' * axis}{{own}}], {source}, {draw(st.booleans())}"
    return Written(f"torch.ops.aten.index_put({{0}}, {options})", (x,), _listed(places))


@rule("scatter", "scatter_add", "scatter_reduce", takes=with_axes(1))
def scattered(draw: DrawFn, operator: str, x: Signal, signals: Sequence[Signal]) -> Written:
    axis = an_axis(draw, x.shape)
    size = length(x.shape, axis)
    places = draw(st.permutations(range(size))) if operator == "scatter" else _places(draw, size, size)
    options = ', "sum"' if operator == "scatter_reduce" else ""
    expression = f"{{0}}.{operator}({axis}, {_everywhere(x, axis)}, 0.7 * {{0}}{options})"
    return Written(expression, (x,), _listed(places))


@rule("slice_scatter", takes=with_axes(1))
def slice_written(draw: DrawFn, operator: str, x: Signal, signals: Sequence[Signal]) -> Written:
    axis = draw(st.integers(1, len(x.shape)))
    end = draw(st.integers(1, x.shape[axis - 1]))
    return Written(f"{{0}}.slice_scatter(0.7 * {{0}}.narrow({axis}, 0, {end}), {axis}, 0, {end})", (x,))


@rule("select_scatter", takes=with_axes(1))
def selection_written(draw: DrawFn, operator: str, x: Signal, signals: Sequence[Signal]) -> Written:
    axis = draw(st.integers(1, len(x.shape)))
    place = draw(st.integers(0, x.shape[axis - 1] - 1))
    return Written(f"{{0}}.select_scatter(0.7 * {{0}}.select({axis}, 0), {axis}, {place})", (x,))


@rule("masked_fill", takes=with_axes(1))
def masked(draw: DrawFn, operator: str, x: Signal, signals: Sequence[Signal]) -> Written:
    size = x.shape[-1]
    mask = draw(st.lists(st.booleans(), min_size=size, max_size=size))
    return Written("{0}.masked_fill({own}, 0.6)", (x,), f"nn.Buffer(torch.tensor({mask}))")
