"""Checks of what a code, a neuron and an operator promise, for members of these families that are written elsewhere."""

from snnconv.testing.codes import check_code
from snnconv.testing.neurons import check_neuron
from snnconv.testing.operators import check_operator

__all__ = ["check_code", "check_neuron", "check_operator"]
