"""The registries of codes and of input codes by name."""

from __future__ import annotations

from coding.burst import Burst
from coding.errors import ConfigurationError
from coding.input_codes import BernoulliInput, EventInput, InputCode, LatencyInput, PoissonInput, RealInput, SpikeInput
from coding.neural_code import Code
from coding.rate import Rate
from coding.window.few_spike import FewSpike
from coding.window.few_spike_neuron import FewSpikeNeuron
from coding.window.function_table import FunctionTable
from coding.window.integer_table import IntegerTable
from coding.window.one_spike import OneSpike
from coding.window.phase import Phase
from coding.window.table_spike import TableSpike
from coding.window.thermometer import Thermometer
from coding.window.ttfs import TTFS

#: Codes by name; a new code adds its line here.
CODES: dict[str, type[Code]] = {
    code.name: code
    for code in (
        *(Rate, Burst, Phase, TTFS, OneSpike, FewSpike, TableSpike),
        *(Thermometer, FunctionTable, FewSpikeNeuron, IntegerTable),
    )
}


#: Input codes of which a name says all.
_PLAIN_INPUTS = (RealInput, PoissonInput, LatencyInput)


INPUT_CODES: dict[str, type[InputCode]] = {
    code.name: code for code in (*_PLAIN_INPUTS, SpikeInput, BernoulliInput, EventInput)
}


def register_code(code: type[Code]) -> None:
    """Make a code of your own known by its ``name``, so that it can be asked for by name and stored.

    Args:
        code: The class; all its fields have defaults.
    """
    CODES[code.name] = code


def named_codes() -> dict[str, type[Code]]:
    """The codes that a user may ask for by name, in the order of the registry."""
    return {name: code for name, code in CODES.items() if code.named}


def as_code(value: object) -> Code:
    """The code that a user means by a code or its name; raises ``ConfigurationError``."""
    if isinstance(value, Code):
        return value
    known = named_codes()
    if isinstance(value, str) and value in known:
        return known[value]()  # type: ignore[call-arg] # every code has a default for its steps
    raise ConfigurationError(f"unknown code {value!r}; known codes: {', '.join(sorted(known))}")


def as_input(value: object) -> InputCode:
    """The input code that a user means by an input code, a code, or a name; raises ``ConfigurationError``."""
    if isinstance(value, InputCode):
        return value
    for code in _PLAIN_INPUTS:
        if value == code.name:
            return code()
    if isinstance(value, Code) or (isinstance(value, str) and value in named_codes()):
        return SpikeInput(as_code(value))
    known = sorted([*(code.name for code in _PLAIN_INPUTS), *named_codes()])
    raise ConfigurationError(f"unknown input code {value!r}; known input codes: {', '.join(known)}")
