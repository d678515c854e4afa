"""Affine operators: evaluation, homogeneous maps, paths, spread, products of sets and their costs."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from snnconv.capture.normal_form import normal_form
from snnconv.capture.translation import capture
from snnconv.graph.affine_regions import Regions
from snnconv.graph.graph import Graph, Node, Ref
from snnconv.graph.interpreter import evaluate_graph, resolve
from snnconv.graph.operators import OPERATORS, Spread, carried, first_signal
from snnconv.spiking.synapses import count_products
from tests.support.operators import Apply, assert_affine, capture_each


def away_from_zero(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(7)) + 0.5


IMAGE, SEQUENCE, VECTOR, VOLUME = (4, 5, 6), (4, 7), (6,), (2, 3, 4, 3)
Case = tuple[Callable[[], nn.Module], tuple[int, ...]]

#: Affine operators whose map has at most one weighted path between an input and an output element.
SINGLE: dict[str, Case] = {
    "conv1d": (lambda: nn.Conv1d(4, 3, 3), SEQUENCE),
    "conv1d stride, padding": (lambda: nn.Conv1d(4, 3, 3, stride=2, padding=1), SEQUENCE),
    "conv1d same": (lambda: nn.Conv1d(4, 3, 3, padding="same"), SEQUENCE),
    "conv2d": (lambda: nn.Conv2d(4, 3, 3), IMAGE),
    "conv2d stride": (lambda: nn.Conv2d(4, 3, 3, stride=2), IMAGE),
    "conv2d uneven stride, padding": (lambda: nn.Conv2d(4, 3, (3, 2), stride=(2, 1), padding=(0, 1)), IMAGE),
    "conv2d dilation": (lambda: nn.Conv2d(4, 3, 2, dilation=2, padding=1), IMAGE),
    "conv2d groups": (lambda: nn.Conv2d(4, 6, 3, groups=2, padding=1), IMAGE),
    "conv2d depthwise": (lambda: nn.Conv2d(4, 4, 3, groups=4), IMAGE),
    "conv2d no bias": (lambda: nn.Conv2d(4, 3, 1, bias=False), IMAGE),
    "conv3d": (lambda: nn.Conv3d(2, 3, 2, padding=1), VOLUME),
    "linear": (lambda: nn.Linear(6, 5), VECTOR),
    "linear no bias": (lambda: nn.Linear(6, 5, bias=False), VECTOR),
    "linear on the last of four axes": (lambda: nn.Linear(6, 5), IMAGE),
    "matmul by a constant": (lambda: Apply(lambda x, c: x @ c, away_from_zero(6, 3)), VECTOR),
    "matmul of a constant": (lambda: Apply(lambda x, c: c @ x, away_from_zero(3, 5)), IMAGE),
    "bmm by a constant": (lambda: Apply(lambda x, c: torch.matmul(x, c), away_from_zero(6, 3)), (5, 6)),
    "batch norm of vectors": (lambda: nn.BatchNorm1d(6), VECTOR),
    "batch norm of images": (lambda: nn.BatchNorm2d(4), IMAGE),
    "batch norm without weights": (lambda: nn.BatchNorm2d(4, affine=False), IMAGE),
    "add a constant": (lambda: Apply(lambda x, c: x + c, away_from_zero(6)), VECTOR),
    "add a number": (lambda: Apply(lambda x: x + 1.5), VECTOR),
    "add to a constant with alpha": (lambda: Apply(lambda x, c: torch.add(c, x, alpha=2.5), away_from_zero(6)), VECTOR),
    "add a constant with alpha": (lambda: Apply(lambda x, c: torch.add(x, c, alpha=2.5), away_from_zero(6)), VECTOR),
    "sub a constant": (lambda: Apply(lambda x, c: x - c, away_from_zero(6)), VECTOR),
    "sub from a constant": (lambda: Apply(lambda x, c: c - x, away_from_zero(6)), VECTOR),
    "sub from a number": (lambda: Apply(lambda x: 1.5 - x), VECTOR),
    "sub with alpha": (lambda: Apply(lambda x, c: torch.sub(c, x, alpha=0.5), away_from_zero(6)), VECTOR),
    "rsub with alpha": (lambda: Apply(lambda x, c: torch.rsub(x, c, alpha=0.5), away_from_zero(6)), VECTOR),
    "mul by a constant": (lambda: Apply(lambda x, c: x * c, away_from_zero(6)), VECTOR),
    "mul by a number": (lambda: Apply(lambda x: -2.5 * x), VECTOR),
    "mul that broadcasts the constant": (lambda: Apply(lambda x, c: x * c, away_from_zero(4, 1, 1)), IMAGE),
    "div by a constant": (lambda: Apply(lambda x, c: x / c, away_from_zero(6)), VECTOR),
    "div by a number": (lambda: Apply(lambda x: x / 3), VECTOR),
    "neg": (lambda: Apply(lambda x: -x), VECTOR),
    "cat with a constant": (lambda: Apply(lambda x: torch.cat([x, torch.ones_like(x) * 2], 1)), IMAGE),
    "cat of one signal and zeros": (lambda: Apply(lambda x: torch.cat([torch.zeros_like(x), x], -1)), VECTOR),
    "stack with a constant": (lambda: Apply(lambda x: torch.stack([x, torch.full_like(x, 3.0)], 2)), VECTOR),
    "pad with a number": (lambda: Apply(lambda x: F.pad(x, (1, 2, 0, 1), value=1.5)), IMAGE),
    "pad with zeros": (lambda: Apply(lambda x: F.pad(x, (1, 2))), IMAGE),
    "pad that crops": (lambda: Apply(lambda x: F.pad(x, (-1, 2), value=0.5)), IMAGE),
    "pad reflect": (lambda: Apply(lambda x: F.pad(x, (1, 2, 2, 0), mode="reflect")), IMAGE),
    "pad replicate": (lambda: Apply(lambda x: F.pad(x, (1, 2, 2, 0), mode="replicate")), IMAGE),
    "pad circular": (lambda: Apply(lambda x: F.pad(x, (1, 1, 2, 0), mode="circular")), IMAGE),
    "slice": (lambda: Apply(lambda x: x[:, 1:3, ::2]), IMAGE),
    "narrow": (lambda: Apply(lambda x: x.narrow(-1, -3, 2)), IMAGE),
    "slice of a negative range": (lambda: Apply(lambda x: x[..., -3:-1]), IMAGE),
    "select": (lambda: Apply(lambda x: x[:, 2]), IMAGE),
    "select of the last": (lambda: Apply(lambda x: x[..., -1]), IMAGE),
    "chunk": (lambda: Apply(lambda x: torch.chunk(x, 2, 1)[1]), IMAGE),
    "split": (lambda: Apply(lambda x: torch.split(x, 4, -1)[1]), IMAGE),
    "split with sizes": (lambda: Apply(lambda x: torch.split(x, [1, 3], 1)[1]), IMAGE),
    "unbind": (lambda: Apply(lambda x: torch.unbind(x, 1)[2]), IMAGE),
    "view": (lambda: Apply(lambda x: x.view(x.shape[0], -1)), IMAGE),
    "reshape": (lambda: Apply(lambda x: x.reshape(-1, 2, 10, 6)), IMAGE),
    "flatten": (lambda: nn.Flatten(), IMAGE),
    "unflatten": (lambda: nn.Unflatten(1, (2, 2)), IMAGE),
    "squeeze": (lambda: Apply(lambda x: x.squeeze(1)), (1, 6)),
    "unsqueeze": (lambda: Apply(lambda x: x.unsqueeze(1)), VECTOR),
    "permute": (lambda: Apply(lambda x: x.permute(0, 2, -1, 1)), IMAGE),
    "transpose": (lambda: Apply(lambda x: x.transpose(1, -1)), IMAGE),
    "movedim": (lambda: Apply(lambda x: x.movedim(1, -1)), IMAGE),
    "swapaxes": (lambda: Apply(lambda x: x.swapaxes(1, 2)), IMAGE),
    "flip": (lambda: Apply(lambda x: x.flip(-1)), IMAGE),
    "roll": (lambda: Apply(lambda x: x.roll(2, -1)), IMAGE),
    "expand": (lambda: Apply(lambda x: x.expand(-1, 3, -1)), (1, 6)),
    "mean over one axis": (lambda: Apply(lambda x: x.mean(1)), IMAGE),
    "mean over two axes": (lambda: Apply(lambda x: x.mean((2, 3), keepdim=True)), IMAGE),
    "sum over one axis": (lambda: Apply(lambda x: x.sum(-1)), IMAGE),
    "sum over two axes": (lambda: Apply(lambda x: x.sum((1, -1))), IMAGE),
    "average pool 1d": (lambda: nn.AvgPool1d(3, 2, padding=1), SEQUENCE),
    "average pool 1d, ceil": (lambda: nn.AvgPool1d(2, 2, ceil_mode=True, count_include_pad=False), SEQUENCE),
    "average pool": (lambda: nn.AvgPool2d(2), IMAGE),
    "average pool that overlaps": (lambda: nn.AvgPool2d(3, 1), IMAGE),
    "average pool, padding": (lambda: nn.AvgPool2d(3, 2, padding=1), IMAGE),
    "average pool, padding not counted": (lambda: nn.AvgPool2d(3, 2, padding=1, count_include_pad=False), IMAGE),
    "average pool, ceil": (lambda: nn.AvgPool2d(2, ceil_mode=True), IMAGE),
    "average pool, ceil and padding": (lambda: nn.AvgPool2d(3, 2, padding=1, ceil_mode=True), IMAGE),
    "average pool, own divisor": (lambda: nn.AvgPool2d(2, divisor_override=3), IMAGE),
    "average pool 3d": (lambda: nn.AvgPool3d(2), VOLUME),
    "adaptive average pool 1d": (lambda: nn.AdaptiveAvgPool1d(3), SEQUENCE),
    "adaptive average pool, uneven windows": (lambda: nn.AdaptiveAvgPool2d((3, 4)), IMAGE),
    "adaptive average pool to one": (lambda: nn.AdaptiveAvgPool2d(1), IMAGE),
    "adaptive average pool that enlarges": (lambda: nn.AdaptiveAvgPool2d((7, 9)), IMAGE),
    "upsample by a factor": (lambda: nn.Upsample(scale_factor=2), IMAGE),
    "upsample to a size": (lambda: nn.Upsample(size=(7, 13)), IMAGE),
    "upsample by an uneven factor": (lambda: nn.Upsample(scale_factor=1.5), IMAGE),
    "upsample 1d": (lambda: nn.Upsample(scale_factor=3), SEQUENCE),
    "pixel shuffle": (lambda: nn.PixelShuffle(2), IMAGE),
    "pixel unshuffle": (lambda: nn.PixelUnshuffle(2), (2, 4, 6)),
    "channel shuffle": (lambda: nn.ChannelShuffle(2), IMAGE),
}

#: Affine combinations in which several paths may join an input and an output element.
SEVERAL: dict[str, Case] = {
    "conv2d reflect": (lambda: nn.Conv2d(4, 3, 3, padding=1, padding_mode="reflect"), IMAGE),
    "conv2d circular": (lambda: nn.Conv2d(4, 3, 3, padding=1, padding_mode="circular"), IMAGE),
    "conv2d replicate": (lambda: nn.Conv2d(4, 3, 3, padding=1, padding_mode="replicate"), IMAGE),
    "two linear maps": (lambda: nn.Sequential(nn.Linear(6, 5), nn.Linear(5, 4)), VECTOR),
    "sum with itself": (lambda: Apply(lambda x: x + x.flip(-1)), VECTOR),
    "difference with itself": (lambda: Apply(lambda x: x - 0.5 * x.roll(1, -1)), VECTOR),
    "cat with itself": (lambda: Apply(lambda x: torch.cat([x, 1 - x], 1)), VECTOR),
    "pool then linear": (lambda: nn.Sequential(nn.AvgPool2d(2), nn.Flatten(), nn.Linear(24, 3)), IMAGE),
}
AFFINE = {**SINGLE, **SEVERAL}


@cache
def built_on(shape: tuple[int, ...]) -> dict[str, tuple[nn.Module, Graph, Graph]]:
    names = [name for name, (_, wanted) in AFFINE.items() if wanted == shape]
    torch.manual_seed(0)
    modules = [AFFINE[name][0]().double().eval() for name in names]
    with torch.no_grad():
        for module in modules:
            for tensor in (*module.parameters(), *module.buffers()):
                if tensor.is_floating_point():
                    tensor.uniform_(0.5, 1.5)
    example = batch(names[0], 3)
    graphs = capture_each(modules, example)
    return {
        name: (module, graph, normal_form(graph, (example,)))
        for name, module, graph in zip(names, modules, graphs, strict=True)
    }


def built(name: str) -> tuple[nn.Module, Graph, Graph]:
    """The module, its graph as captured and in normal form, in double precision."""
    return built_on(AFFINE[name][1])[name]


def batch(name: str, size: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(size, *AFFINE[name][1], generator=generator, dtype=torch.float64)


def evaluate_by(method: str, graph: Graph, x: Tensor) -> Any:
    """Output of the graph when every node that carries a signal is replaced by its homogeneous map or path count."""
    signals = graph.signals()
    values: dict[str, Any] = {**graph.constants, **dict(zip(graph.inputs, [x], strict=True))}
    for node in graph.nodes.values():
        operator, arguments = OPERATORS[node.op], resolve(dict(node.arguments), values)
        if node.name not in signals:
            values[node.name] = operator.evaluate(arguments)
        elif method == "homogeneous":
            values[node.name] = operator.evaluate(operator.homogeneous(arguments, carried(node, signals)))
        else:
            values[node.name] = operator.paths(arguments, carried(node, signals))
    return resolve(graph.output, values)


@pytest.mark.parametrize("name", AFFINE)
def test_the_captured_graph_computes_what_the_module_computes(name: str) -> None:
    model, graph, normal = built(name)
    for size in (1, 2, 5):
        x = batch(name, size, seed=size)
        expected = model(x)
        torch.testing.assert_close(evaluate_graph(graph, (x,))[0], expected, rtol=0, atol=1e-10)
        torch.testing.assert_close(evaluate_graph(normal, (x,))[0], expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", AFFINE)
def test_an_affine_operator_is_its_homogeneous_map_plus_its_offset(name: str) -> None:
    model, _, graph = built(name)
    x, y = batch(name, 3, seed=1), batch(name, 3, seed=2)
    of_x, of_y, of_sum = (evaluate_by("homogeneous", graph, value) for value in (x, y, 2 * x - 3 * y))
    torch.testing.assert_close(of_sum, 2 * of_x - 3 * of_y, rtol=0, atol=1e-10)
    torch.testing.assert_close(model(x), of_x + model(torch.zeros_like(x)), rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", SINGLE)
def test_paths_are_the_structural_non_zeros_of_one_weighted_map(name: str) -> None:
    _, _, graph = built(name)
    size = math.prod(AFFINE[name][1])
    one_hot = torch.eye(size, dtype=torch.float64).view(size, *AFFINE[name][1])
    paths = evaluate_by("paths", graph, one_hot)
    assert torch.equal(paths, evaluate_by("homogeneous", graph, one_hot).ne(0).double())


@pytest.mark.parametrize("name", AFFINE)
def test_paths_mark_every_structural_non_zero_and_add_up_over_elements(name: str) -> None:
    # All weights are positive, except for differences, which do not cancel exactly: no non-zero is lost.
    _, _, graph = built(name)
    size = math.prod(AFFINE[name][1])
    one_hot = torch.eye(size, dtype=torch.float64).view(size, *AFFINE[name][1])
    paths = evaluate_by("paths", graph, one_hot)
    assert torch.equal(paths > 0, evaluate_by("homogeneous", graph, one_hot) != 0)
    everything = evaluate_by("paths", graph, torch.ones_like(one_hot[:1]))
    torch.testing.assert_close(everything[0], paths.sum(0), rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", SINGLE)
def test_the_spread_of_an_operator_is_never_wider_than_it_says(name: str) -> None:
    _, _, graph = built(name)
    signals = graph.signals()
    spreads = []
    for node in graph.nodes.values():
        if node.name in signals:
            source = first_signal(node, signals)
            before = graph.nodes[source].shape if source in graph.nodes else (1, *AFFINE[name][1])
            spreads.append(OPERATORS[node.op].spread(node, (before or ())[1:], (node.shape or ())[1:]))
    size = math.prod(AFFINE[name][1])
    one_hot = torch.eye(size, dtype=torch.float64).view(size, *AFFINE[name][1])
    reaches = evaluate_by("homogeneous", graph, one_hot).ne(0).flatten(1)
    if Spread.ONE_TO_MANY not in spreads:
        assert int(reaches.sum(1).max()) <= 1
    if all(spread in (Spread.ELEMENTWISE, Spread.ONE_TO_ONE) for spread in spreads):
        assert int(reaches.sum(0).max()) <= 1


@pytest.mark.parametrize("name", AFFINE)
def test_an_affine_operator_is_classified_as_such(name: str) -> None:
    _, graph, _ = built(name)
    assert_affine(graph)


@pytest.mark.parametrize("name", AFFINE)
def test_products_of_sets_are_what_each_element_reaches(name: str) -> None:
    _, _, graph = built(name)
    shape = AFFINE[name][1]
    size = math.prod(shape)
    paths = evaluate_by("paths", graph, torch.eye(size, dtype=torch.float64).view(size, *shape))
    regions = Regions(graph, set(), dict.fromkeys(graph.inputs, (1, *shape)))
    found = count_products(regions, next(iter(graph.inputs)))
    assert torch.equal(found, paths.ne(0).flatten(1).sum(1).double().view(shape))


@pytest.mark.parametrize("name", AFFINE)
def test_shapes_follow_from_shapes_alone(name: str) -> None:
    """Stored networks are checked so, before any memory is taken for values."""
    _, _, graph = built(name)
    bare = replace(graph, constants={key: tensor.to("meta") for key, tensor in graph.constants.items()})
    x = batch(name, 2)
    (found, _), (values, _) = evaluate_graph(bare, (x.to("meta"),)), evaluate_graph(graph, (x,))
    pairs = list(zip(tree_leaves(found), tree_leaves(values), strict=True))
    assert all((mine.shape, mine.dtype) == (theirs.shape, theirs.dtype) for mine, theirs in pairs)


@pytest.mark.parametrize("name", AFFINE)
def test_evaluation_changes_neither_inputs_nor_constants(name: str) -> None:
    _, graph, _ = built(name)
    x = batch(name, 3)
    before = {key: tensor.clone() for key, tensor in graph.constants.items()}
    copy = x.clone()
    evaluate_graph(graph, (x,))
    assert torch.equal(x, copy)
    assert all(torch.equal(graph.constants[key], tensor) for key, tensor in before.items())


@pytest.mark.parametrize(
    ("module", "x"),
    [
        (nn.Conv1d(4, 3, 3, stride=2), (4, 7)),
        (nn.Conv2d(4, 6, 3, groups=2, padding=1), (4, 5, 6)),
        (nn.Conv3d(2, 3, 2), (2, 3, 4, 3)),
        (nn.Linear(6, 5), (6,)),
        (nn.Linear(6, 5), (3, 6)),
    ],
    ids=["conv1d", "grouped conv2d", "conv3d", "linear", "linear on two axes"],
)
def test_macs_are_non_zero_weights_of_the_dense_matrix(module: nn.Module, x: tuple[int, ...]) -> None:
    # Without padding nothing is saved at a border; with it a multiply-accumulate is counted there all the same.
    example = torch.randn(2, *x)
    graph = normal_form(capture(module, (example,)), (example,))
    (node,) = graph.nodes.values()
    arguments = resolve(dict(node.arguments), {**graph.constants, **dict.fromkeys(graph.inputs, example[:1])})
    result = OPERATORS[node.op].evaluate(arguments)
    weight = next(module.parameters())
    carries = carried(node, set(graph.inputs))
    per_output = weight[0].numel()
    assert OPERATORS[node.op].macs(arguments, carries, result) == result.numel() * per_output
    if getattr(module, "padding", None) in (None, (0,), (0, 0, 0)):
        size = math.prod(x)
        one_hot = torch.eye(size).view(size, *x)
        dense = evaluate_by("paths", graph, one_hot)
        assert int(dense.sum()) == result.numel() * per_output


@pytest.mark.parametrize(
    ("op", "expected"),
    [("size_add", 9), ("size_sub", 5), ("size_mul", 14), ("size_floordiv", 3), ("size_mod", 1), ("size_neg", -7)],
)
@pytest.mark.parametrize("constant_first", [False, True])
def test_arithmetic_on_sizes_keeps_the_order_of_its_operands(op: str, expected: int, constant_first: bool) -> None:
    length, other = (2, 7) if constant_first else (7, 2)
    size = Node("size", "sym_size", {"self": Ref("x"), "dim": 0})
    operands: dict[str, Any] = {"a": 7, "b": Ref("size")} if constant_first else {"a": Ref("size"), "b": other}
    if op == "size_neg":
        length, operands = 7, {"a": Ref("size")}
    graph = Graph({"x": ("batch",)}, {}, {"size": size, "y": Node("y", op, operands)}, Ref("y"))
    assert evaluate_graph(graph, (torch.zeros(length),))[0] == expected


@pytest.mark.parametrize(("op", "a", "b"), [("size_pow", 10, 10**9), ("size_pow", 9, 63), ("size_mul", 2**40, 2**40)])
def test_sizes_that_no_tensor_has_are_not_computed(op: str, a: int, b: int) -> None:
    with pytest.raises(OverflowError, match="is no size"):
        OPERATORS[op].evaluate({"a": a, "b": b})
