"""Checks of what the members of a family promise, for members that are written elsewhere."""

from snnconv.testing.activation_functions import check_activation_function
from snnconv.testing.codes import check_code
from snnconv.testing.input_codes import check_input_code
from snnconv.testing.neurons import check_neuron
from snnconv.testing.operators import check_operator

__all__ = ["check_activation_function", "check_code", "check_input_code", "check_neuron", "check_operator"]
