"""Where populations stand so that products, and weights behind them, take spikes."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from snnconv.capture.capturing import captured
from snnconv.graph.analysis import analysis_of
from snnconv.graph.graph import Graph
from tests.support.products import Forward, Layers, product_network

#: Networks with what is fired by a relay.
RELAYED = {
    "squeeze and excite": ["mul"],  # in front of the weights that take the product
    "heads": ["transpose", "transpose_3", "transpose_2", "matmul_1"],  # queries, keys and values; the last product
    "with itself": [],  # sums of spikes are spikes, and a population takes the products
    "of products": ["mul", "mul_1"],  # the inner product, and the outer one
    "pooled": ["mul"],  # in front of the maximum
    "shifted": ["mul"],  # a constant added to spikes leaves them spikes
    "bilinear": ["reshape_1"],  # what weights give; the input is an operand by itself
}


def shared(m: Layers, x: Tensor) -> Tensor:
    current, hidden = m.a(x), torch.relu(m.b(x))
    return m.head(torch.relu(current * hidden) + torch.relu(current * hidden.flip(1)))


def behind_a_sum(m: Layers, x: Tensor) -> Tensor:
    hidden = torch.relu(m.a(x))
    summed = hidden * hidden.flip(1) + hidden
    return m.head(summed) + m.head(torch.relu(summed))


def also_put_out(m: Layers, x: Tensor) -> tuple[Tensor, Tensor]:
    hidden = torch.relu(m.a(x))
    product = hidden * hidden.flip(1)
    return m.head(product), product


def chosen(m: Layers, x: Tensor) -> Tensor:
    hidden = torch.relu(m.a(x))
    return m.head(hidden * torch.where(m.a.weight[0, 0] > 0, hidden.flip(1), -0.7 * hidden.flip(1)))


def relayed(graph: Graph) -> list[str]:
    return [node.arguments["self"].name for node in graph.nodes.values() if node.op == "relay_population"]


@pytest.mark.parametrize("name", RELAYED)
def test_relays_stand_where_currents_would_be_multiplied_or_weighed(name: str) -> None:
    model, x = product_network(name)
    assert relayed(captured(model, (x,)).graph) == RELAYED[name]


def graph_of(forward: Forward) -> Graph:
    x = torch.randn(3, 4)
    graph = captured(Layers(forward).eval(), (x,)).graph
    assert len(analysis_of(graph).products) > 0
    return graph


def test_a_constant_choice_between_functions_of_one_signal_is_an_operand() -> None:
    assert relayed(graph_of(chosen)) == ["mul_1"]


def test_products_of_one_current_share_its_relay() -> None:
    assert relayed(graph_of(shared)) == ["linear"]


def test_a_population_takes_a_product_as_it_is_and_weights_beside_it_take_the_relay() -> None:
    graph = graph_of(behind_a_sum)
    assert relayed(graph) == ["mul"]
    assert {name for name in graph.consumers()["mul"]} == {"mul_relay"}  # both listen to the sum behind it


def test_an_output_is_decoded_from_the_product_itself() -> None:
    graph = graph_of(also_put_out)  # type: ignore[arg-type]
    assert relayed(graph) == ["mul"] and set(graph.consumers()["mul"]) == {"mul_relay", "output"}
