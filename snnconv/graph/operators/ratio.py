"""A ratio of two signals: a population whose thresholds and reset are multiplied by what another signal is worth."""

from __future__ import annotations

from torch import Tensor

from snnconv.graph.graph import Node
from snnconv.graph.operators.activation import ActivationOperator
from snnconv.graph.operators.activation_function import ActivationFunction, PiecewiseLinear
from snnconv.graph.operators.base import Arguments, register
from snnconv.kernels.ratios import ratio


@register
class RatioPopulation(ActivationOperator):
    """``self / divisor`` where the divisor is above 0, and 0 elsewhere, as a population of signed neurons.

    An affine region ends at each of both. The divisor broadcasts over ``self``.
    """

    names = ("ratio_population",)

    def ends(self, node: Node) -> tuple[str, ...]:
        return ("self", "divisor")

    def evaluate(self, arguments: Arguments) -> Tensor:
        return self.current(arguments)

    def current(self, arguments: Arguments) -> Tensor:
        return ratio(arguments["self"], arguments["divisor"])

    def activation(self, arguments: Arguments) -> ActivationFunction:
        return PiecewiseLinear(negative_slope=1.0)
