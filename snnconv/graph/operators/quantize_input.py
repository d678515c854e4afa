"""Rounding of an analog input to the integers that a machine takes."""

from __future__ import annotations

import torch
from torch import Tensor

from snnconv.graph.graph import Node
from snnconv.graph.operators.base import Arguments, Carries, Classification, Operator, Role, Spread, register
from snnconv.graph.reach import Reach


@register
class QuantizeInput(Operator):
    """``self / step`` rounded and clipped to ``smallest`` and ``largest``: an input that an exported network takes.

    It stands between an analog input and the first synapses only, where it runs once and no spike passes it; there
    its result is a constant, so what follows stays affine.
    """

    names = ("whole_input",)

    def classify(self, node: Node, carries: Carries) -> Classification:
        return Classification(Role.LINEAR)

    def evaluate(self, arguments: Arguments) -> Tensor:
        largest = arguments["largest"]
        smallest = arguments.get("smallest", -largest)  # files of older versions clip both sides alike
        return torch.round(arguments["self"] / arguments["step"]).clamp(smallest, largest)

    def paths(self, arguments: Arguments, carries: Carries) -> Tensor:
        counts: Tensor = arguments["self"]
        return counts

    def spread(self, node: Node, before: tuple[int, ...], after: tuple[int, ...]) -> Spread:
        return Spread.ELEMENTWISE

    def reach(self, arguments: Arguments) -> Reach:
        found: Reach = arguments["self"]
        return found
