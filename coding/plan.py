"""Coding plans: which code the input and the hidden populations use, and under which schedule they run."""

from __future__ import annotations

from dataclasses import dataclass, field

from coding.code import Code
from coding.errors import ConfigurationError
from coding.input import InputCode, PoissonInput, RealInput
from coding.rate import Rate
from coding.schedule import Concurrent

#: Codes by the name that a user may write; a new code adds its line here.
CODES: dict[str, type[Code]] = {Rate.name: Rate}
INPUT_CODES: dict[str, type[InputCode]] = {RealInput.name: RealInput, PoissonInput.name: PoissonInput}

DEFAULT_STEPS = 64


@dataclass(frozen=True)
class CodingPlan:
    """The code of the input, the code of the hidden populations and the schedule of the network.

    ``input`` and ``hidden`` may be given by name. Raises ``ConfigurationError`` for a name or type that is no code.
    """

    hidden: Code = field(default_factory=lambda: Rate(DEFAULT_STEPS))
    input: InputCode = field(default_factory=RealInput)

    def __post_init__(self) -> None:
        object.__setattr__(self, "hidden", _as_code(self.hidden))
        object.__setattr__(self, "input", _as_input_code(self.input))

    @property
    def schedule(self) -> Concurrent:
        return Concurrent(self.hidden.steps)


def register_code(code: type[Code]) -> None:
    """Make a code of your own known by its ``name``, so that it can be asked for by name and stored."""
    CODES[code.name] = code


def as_plan(coding: object) -> CodingPlan:
    """The plan that a user means by a code's name, a code, or a plan.

    Raises ``ConfigurationError`` for anything else.
    """
    return coding if isinstance(coding, CodingPlan) else CodingPlan(hidden=_as_code(coding))


def _as_code(value: object) -> Code:
    if isinstance(value, Code):
        return value
    if isinstance(value, str) and value in CODES:
        return CODES[value](DEFAULT_STEPS)
    raise ConfigurationError(f"unknown code {value!r}; known codes: {', '.join(sorted(CODES))}")


def _as_input_code(value: object) -> InputCode:
    if isinstance(value, InputCode):
        return value
    if isinstance(value, str) and value in INPUT_CODES:
        return INPUT_CODES[value]()
    raise ConfigurationError(f"unknown input code {value!r}; known input codes: {', '.join(sorted(INPUT_CODES))}")
