"""Nodes with several signals: sums have maps, products have none, whatever their operator says of itself."""

from __future__ import annotations

import pytest

import snnconv
from hw_export.explicit.linearity import check_sums
from hw_export.explicit.network import explicit
from hw_export.explicit.rate import rate_network
from snnconv.errors import ConfigurationError
from snnconv.graph.affine_regions import Regions
from snnconv.graph.graph import Graph, Node, Ref
from snnconv.graph.operators import OPERATORS, Classification, Role
from snnconv.graph.operators.arithmetic import Product
from tests.support.products import product_network

SHAPE = (1, 3, 4)


def regions(op: str, **arguments: object) -> Regions:
    node = Node("joined", op, arguments, SHAPE)  # type: ignore[arg-type]
    shapes = {"left": SHAPE, "right": SHAPE}
    return Regions(Graph(dict(shapes), {}, {"joined": node}, Ref("joined")), set(), shapes)


@pytest.mark.parametrize("right", ["left", "right"])
def test_products_of_signals_are_refused_by_their_place(right: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Linear(Product):
        def classify(self, *_: object) -> Classification:
            return Classification(Role.LINEAR)

    monkeypatch.setitem(OPERATORS, "mul", Linear("mul"))
    with pytest.raises(ConfigurationError, match=r"mul joined .* multiplies signals.*keep all factors but one"):
        check_sums(regions("mul", self=Ref("left"), other=Ref(right)))


def test_converted_products_are_simulation_only() -> None:
    model, x = product_network("squeeze and excite")
    network = snnconv.convert(model, x)
    with pytest.raises(ConfigurationError, match=r"mul \(.*products\.py.*simulation only"):
        explicit(network)
    with pytest.raises(ConfigurationError, match=r"NIR cannot represent mul \(.*simulation only"):
        rate_network(network, "NIR")


@pytest.mark.parametrize("right", ["left", "right"])
def test_sums_and_concatenations_of_signals_pass(right: str) -> None:
    check_sums(regions("sub", self=Ref("left"), other=Ref(right), alpha=2))
    check_sums(regions("cat", tensors=[Ref("left"), Ref(right)], dim=1))


def test_products_that_say_what_they_are_run_on_decoded_values_and_need_no_map() -> None:
    assert regions("mul", self=Ref("left"), other=Ref("right")).nodes == []
