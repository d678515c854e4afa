"""Registry of neurons by name, and which neuron a population gets by default."""

from __future__ import annotations

import inspect
from typing import Literal

from coding.neural_code import Code
from neurons.corrective import CorrectiveIntegrateFire
from neurons.double_exponential import DoubleExponential
from neurons.double_exponential_output import DoubleExponentialOutput
from neurons.integrate_fire import IntegrateFire
from neurons.neuron import Neuron
from neurons.signed_stream import SignedIntegrateFire
from neurons.signed_window import SignedWindow
from neurons.table_lookup import TableLookup

#: How a signed neuron fires below zero.
Negative = Literal["graded", "imbalanced"]
#: Neurons that can be stored; their constructors take numbers, text and codes only.
NEURONS: dict[str, type] = {
    "integrate-fire": IntegrateFire,
    "signed": SignedIntegrateFire,
    "signed-window": SignedWindow,
    "table-lookup": TableLookup,
    "corrective": CorrectiveIntegrateFire,
    "double-exponential": DoubleExponential,
    "double-exponential-output": DoubleExponentialOutput,
}


def register_neuron(name: str, neuron: type) -> None:
    """Make a neuron of your own storable.

    Args:
        name: The name in files.
        neuron: A frozen dataclass that follows the contract ``Neuron``.
    """
    NEURONS[name] = neuron


def named_neurons() -> list[str]:
    """Names of the neurons that a code alone makes, which a user may ask for by name.

    Neurons that look their spikes up are none: a function needs them, and conversion makes their tables.
    """
    return [name for name, neuron in NEURONS.items() if _made_of_a_code(neuron) and neuron is not TableLookup]


def _made_of_a_code(neuron: type) -> bool:
    parameters = inspect.signature(neuron).parameters
    needed = {name for name, each in parameters.items() if each.default is each.empty}
    return next(iter(parameters), "") == "code" and needed <= {"code"}


def default_negative(windowed: bool) -> Negative:
    """How neurons fire below zero unless asked otherwise.

    In a window with imbalanced thresholds, so that small values cost no spike; under a stream these take many steps to
    reach, and graded spikes few.

    Args:
        windowed: Whether the neurons fire in windows of a pipeline.

    Returns:
        The way of firing, by name.
    """
    return "imbalanced" if windowed else "graded"


def signed_neuron(code: Code, negative_slope: float, windowed: bool, negative: Negative | None = None) -> Neuron:
    """The neuron for an activation that goes below zero.

    Args:
        code: The code of its spikes.
        negative_slope: Slope of the activation below zero.
        windowed: Whether it fires in a window of a pipeline, or under a stream.
        negative: How it fires below zero; ``None`` is the schedule's default.

    Returns:
        The neuron.

    Raises:
        ConfigurationError: The slope lies outside (0, 1], or there is no such way of firing.
    """
    negative = negative or default_negative(windowed)
    if windowed:
        return SignedWindow(code, negative_slope, negative)
    # Half a threshold to start from, where one sign prevails; the identity favours neither.
    start = code.initial_potential if negative_slope < 1.0 else 0.0
    return SignedIntegrateFire(code, negative_slope, negative, start)
