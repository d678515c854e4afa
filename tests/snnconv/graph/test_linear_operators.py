"""Linear operators as models write them: the captured graph is the model, its synapses are its Jacobian's non-zeros."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache

import pytest
import torch
from torch import Tensor, nn
from torch.autograd.functional import jacobian
from torch.utils._pytree import tree_leaves

from snnconv.capture.normal_form import normal_form
from snnconv.capture.translation import capture
from snnconv.graph.graph import Graph, Node, Ref, map_refs
from snnconv.graph.interpreter import evaluate_graph
from snnconv.spiking.synapses import Synapses, count_synapses
from tests.support.linear_operators import LINEAR
from tests.support.operators import Apply, assert_affine


@cache
def built(name: str) -> tuple[nn.Module, Graph, Graph]:
    """The module, its graph as captured and in normal form, in double precision."""
    torch.manual_seed(0)
    module, example = LINEAR[name][0]().double().eval(), batch(name, 3)
    graph = capture(module, (example,))
    return module, graph, normal_form(graph, (example,))


def batch(name: str, size: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(size, *LINEAR[name][1], generator=generator, dtype=torch.float64)


def behind_a_population(graph: Graph) -> Graph:
    """The same map, of the spikes of a population that takes the input."""
    (given,) = graph.inputs
    nodes = [node.mapped(lambda ref: Ref("neurons") if ref.name == given else ref) for node in graph.nodes.values()]
    shape = (2, *graph.inputs[given][1:])
    neurons = Node("neurons", "relu", {"self": Ref(given)}, tuple(int(size) for size in shape))
    output = map_refs(graph.output, lambda ref: Ref("neurons") if ref.name == given else ref)
    return replace(graph, nodes={"neurons": neurons} | {node.name: node for node in nodes}, output=output)


def counted(name: str) -> Synapses:
    graph = behind_a_population(built(name)[2])
    return count_synapses(graph, {"neurons": None}, dict.fromkeys(graph.inputs, (1, *LINEAR[name][1])))


@pytest.mark.parametrize("name", LINEAR)
def test_the_captured_graph_computes_what_the_module_computes(name: str) -> None:
    model, graph, normal = built(name)
    for size in (1, 2, 5):
        x = batch(name, size, seed=size)
        with torch.no_grad():
            expected = model(x)
        torch.testing.assert_close(evaluate_graph(graph, (x,))[0], expected, rtol=0, atol=1e-9)
        torch.testing.assert_close(evaluate_graph(normal, (x,))[0], expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", LINEAR)
def test_synapses_are_the_non_zeros_of_the_jacobian(name: str) -> None:
    model, _, _ = built(name)
    shape = LINEAR[name][1]
    matrix = jacobian(model, batch(name, 1)).reshape(-1, math.prod(shape))  # type: ignore[no-untyped-call]
    synapses = counted(name)
    assert synapses.bounds == ()
    assert torch.equal(synapses.fan_out["neurons"], matrix.ne(0).sum(0).double().view(shape))


@pytest.mark.parametrize("name", LINEAR)
def test_a_linear_operator_is_classified_as_such(name: str) -> None:
    _, graph, _ = built(name)
    assert_affine(graph)


@pytest.mark.parametrize("name", LINEAR)
def test_shapes_follow_from_shapes_alone(name: str) -> None:
    """Stored networks are checked so, before any memory is taken for values."""
    _, _, graph = built(name)
    bare = replace(graph, constants={key: tensor.to("meta") for key, tensor in graph.constants.items()})
    x = batch(name, 2)
    (found, _), (values, _) = evaluate_graph(bare, (x.to("meta"),)), evaluate_graph(graph, (x,))
    pairs = list(zip(tree_leaves(found), tree_leaves(values), strict=True))
    assert all((mine.shape, mine.dtype) == (theirs.shape, theirs.dtype) for mine, theirs in pairs)


@pytest.mark.parametrize("name", [name for name in LINEAR if name.startswith("transposed")])
def test_macs_of_a_transposed_convolution_are_the_non_zeros_of_its_matrix(name: str) -> None:
    model, _, _ = built(name)
    convolution = model[0] if isinstance(model, nn.Sequential) else model
    matrix = jacobian(convolution, batch(name, 1))  # type: ignore[no-untyped-call]
    assert counted(name).macs == int(matrix.ne(0).sum())


@pytest.mark.parametrize("written", ["elements", "a number"])
def test_scatter_that_adds_is_scatter_add(written: str) -> None:
    """torch has no derivative of it to count non-zeros by."""
    places = torch.tensor([2, 0, 2, 1])

    def scattered(x: Tensor) -> Tensor:
        index = places.expand(x.shape[0], -1)
        return x.scatter(1, index, 2 * x if written == "elements" else 1.5, reduce="add")

    x = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    graph = capture(Apply(scattered), (x,))
    expected = x.scatter_add(1, places.expand(3, -1), 2 * x if written == "elements" else torch.full_like(x, 1.5))
    torch.testing.assert_close(evaluate_graph(graph, (x,))[0], expected)
    assert_affine(graph)
