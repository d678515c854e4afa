"""Whether nodes that take several signals are linear in all of them together, as explicit maps need it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from snnconv.errors import ConfigurationError
from snnconv.graph.affine_regions import Regions, resolved
from snnconv.graph.graph import Node, Ref
from snnconv.graph.operators import OPERATORS, carried
from snnconv.graph.operators.ratio import RatioPopulation


def check_sums(regions: Regions) -> None:
    """Raise ``ConfigurationError`` for products and ratios of two signals, and where several signals do not add up.

    The map from one source is found while all others are silent, which would make a product zero.
    """
    constants = regions.constants()
    for node in regions.nodes:
        if node.name in regions.products:
            raise ConfigurationError(
                f"{node.name} ({node.source}) multiplies two signals, which is simulation only: no hardware "
                "target has neurons that multiply what two sources send; keep one factor constant, or move the product "
                "behind the last weights"
            )
        if isinstance(OPERATORS[node.op], RatioPopulation):
            raise ConfigurationError(
                f"{node.name} ({node.source}) divides one signal by another, which is simulation only: no hardware "
                "target has neurons whose thresholds are multiplied by what another source sends; divide by a "
                "constant, or move the division behind the last weights"
            )
        signals = [name for name in node.refs() if name in regions.signals]
        if node.name not in regions.stations and len(signals) > 1 and not _adds_up(node, signals, regions, constants):
            raise ConfigurationError(
                f"{node.op} {node.name} ({node.source}) multiplies signals, which no map between two populations says; "
                "keep all factors but one constant, or move the operation behind the last activation"
            )


def _adds_up(node: Node, signals: list[str], regions: Regions, constants: dict[str, Any]) -> bool:
    """Whether the response to the sum of two draws of all ``signals`` is the sum of the responses."""
    operator = OPERATORS[node.op]

    def response(events: dict[str, Tensor]) -> Tensor:
        def value_of(ref: Ref) -> Any:
            return events[ref.name] if ref.name in events else constants[ref.name]

        arguments = operator.homogeneous(resolved(node, value_of), carried(node, regions.signals))
        return torch.as_tensor(operator.evaluate(arguments))

    generator = torch.Generator().manual_seed(0)
    one, two = (
        {name: torch.rand(regions.shape(name), generator=generator, dtype=torch.float64) for name in signals}
        for _ in range(2)
    )
    both = response({name: one[name] + two[name] for name in one})
    return torch.allclose(both, response(one) + response(two), rtol=1e-9, atol=1e-12)
