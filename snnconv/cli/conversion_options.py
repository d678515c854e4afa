"""The options of every command that converts: codes with their parameters, and how all else is chosen."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Annotated, Any, ClassVar, get_args

import typer

import neurons
from coding import Code, Concurrent, Pipeline, Schedule
from coding.registry import named_codes
from coding.window.rounding import ROUNDINGS
from coding.window.ttfs import FITS
from neurons.registry import named_neurons
from snnconv.calibration.options import Decoding
from snnconv.cli.options import Analog
from snnconv.errors import ConfigurationError
from snnconv.spiking.logs import Cost


@dataclass(frozen=True)
class CodeOptions:
    """Parameters of codes; ``None`` is the code's own default."""

    head: ClassVar[str] = "Parameters of the code"

    base: Annotated[str | None, typer.Option(help="Base of the payloads: a number above 1, or fit.")] = None
    spikes: Annotated[int | None, typer.Option(help="Most spikes of a neuron in a window.")] = None
    tau: Annotated[str | None, typer.Option(help=f"Time constant of ttfs: a number, {', '.join(FITS)}.")] = None
    delay: Annotated[float | None, typer.Option(help="Time steps by which the kernel of ttfs starts later.")] = None
    rounding: Annotated[str | None, typer.Option(help="Rounding of a window: " + ", ".join(ROUNDINGS))] = None
    threshold: Annotated[
        float | None,
        typer.Option(help="Threshold of burst, or of phase when a period begins, as a share of the scale."),
    ] = None
    gain: Annotated[float | None, typer.Option(help="Factor from one spike of a burst to the next.")] = None
    largest_gain: Annotated[float | None, typer.Option(help="Largest such factor within a burst.")] = None

    def given(self) -> dict[str, Any]:
        """What was given, by the name of the parameter; raises ``ConfigurationError`` for what is no number."""
        found = {field.name: getattr(self, field.name) for field in fields(self)}
        words = {"base": ("fit",), "tau": FITS}
        for name, allowed in words.items():
            if found[name] is not None:
                found[name] = number_or(f"--{name}", found[name], *allowed)
        return {name: value for name, value in found.items() if value is not None}

    def code(self, name: str, steps: int | None = None) -> Code:
        """The code called ``name`` with the parameters that were given; those that it does not have are refused."""
        check_code(name)
        given = self.given() | ({} if steps is None else {"steps": steps})
        for option in given:
            if option not in _parameters(name):
                raise ConfigurationError(
                    f"--{option.replace('_', '-')}: {name} code has no such parameter; it has "
                    f"{', '.join(_parameters(name))}"
                )
        return named_codes()[name](**given)

    def codes(self, names: list[str], steps: list[int]) -> dict[str, Code]:
        """Every code with every number of steps, by labels such as "rate 16"; what a code has not is left out of it.

        Raises ``ConfigurationError`` for an option that none of the codes has.
        """
        for name in names:
            check_code(name, "--codes: ")
        given = self.given()
        for option in given:
            if not any(option in _parameters(name) for name in names):
                raise ConfigurationError(f"--{option.replace('_', '-')}: no code of {', '.join(names)} has it")
        return {
            f"{name} {number}": named_codes()[name](
                number,
                **{option: value for option, value in given.items() if option in _parameters(name)},
            )
            for name in names
            for number in steps
        }


@dataclass(frozen=True)
class SearchOptions:
    """What a search for codes aims at; ``None`` is its own default."""

    head: ClassVar[str] = "Search for codes"

    max_loss: Annotated[float | None, typer.Option(help="Percentage points that a search for codes may lose.")] = None
    minimize: Annotated[
        str | None, typer.Option(help=f"What a search for codes makes small: {', '.join(get_args(Cost))}.")
    ] = None

    def given(self) -> dict[str, Any]:
        """What was given, by the name of the argument of convert()."""
        found = {"max_loss": self.max_loss, "minimize": self.minimize}
        return {name: value for name, value in found.items() if value is not None}

    def arguments(self, **aims: Any) -> dict[str, Any]:
        """Arguments of convert() that search; ``aims`` are those of the search unless they were given."""
        return {"coding": "auto", **aims, **self.given()}


@dataclass(frozen=True)
class CodingOptions:
    """The code of all populations, or a search for one of each."""

    head: ClassVar[str] = "Code"

    coding: Annotated[
        str | None,
        typer.Option(
            help="Neural code: auto, "
            + ", ".join(named_codes())
            + ". Without one few-spike, and in networks with smooth functions or products of one spike or more by "
            "population."
        ),
    ] = None
    steps: Annotated[int | None, typer.Option(help="Time steps of a population, instead of the code's own.")] = None

    def arguments(self, parameters: CodeOptions, search: SearchOptions, **aims: Any) -> dict[str, Any]:
        """Arguments of convert(); ``aims`` are those of a search unless they were given."""
        if self.coding == "auto":
            given = {**parameters.given(), **({} if self.steps is None else {"steps": self.steps})}
            if given:
                raise ConfigurationError(
                    f"--coding auto chooses {', '.join(given)} itself: leave {'them' if len(given) > 1 else 'it'} out"
                )
            return search.arguments(**aims)
        for name, value in search.given().items():
            raise ConfigurationError(f"--{name.replace('_', '-')} {value} is for --coding auto: leave it out")
        if self.coding is None and self.steps is None and not parameters.given():
            return {}
        return {"coding": parameters.code(self.name, self.steps)}

    @property
    def name(self) -> str:
        """What was asked for, or the name of the default."""
        return "few-spike" if self.coding is None else self.coding


@dataclass(frozen=True)
class ConversionOptions:
    """What convert() and sweep() take beside the codes; ``None`` is their own default."""

    head: ClassVar[str] = "Conversion"

    input: Annotated[
        str, typer.Option("--input", help="Input: real, poisson, or a code, such as ttfs:steps=20,tau=5.")
    ] = "real"
    stride: Annotated[int | None, typer.Option(help="Steps after which the next populations fire, in a pipeline.")] = (
        None
    )
    concurrent: Annotated[
        int | None, typer.Option(help="Steps of a simulation in which all populations run at once.")
    ] = None
    neuron: Annotated[str, typer.Option(help="Neuron: " + ", ".join(named_neurons()))] = "integrate-fire"
    initial_potential: Annotated[
        float | None, typer.Option(help="Potential before the first step, as a share of the scale.")
    ] = None
    negative: Annotated[
        str | None,
        typer.Option(
            help=f"Spikes below zero: {' or '.join(get_args(neurons.Negative))}; the default depends on the code."
        ),
    ] = None
    bias_correction: Annotated[bool, typer.Option(help="Take back the mean error of every channel in a pipeline.")] = (
        True
    )
    normalization: Annotated[str, typer.Option(help="One scale per channel or per layer.")] = "channel"
    percentile: Annotated[
        str | None, typer.Option(help="Scales: a percentile of the activations (100: maximum), or mse.")
    ] = None
    decoding: Annotated[
        str, typer.Option(help=f"What the output is decoded from: {' or '.join(get_args(Decoding))}.")
    ] = "potential"
    analog: Analog = None

    def arguments(self) -> dict[str, Any]:
        """Arguments of convert() and sweep(); raises ``ConfigurationError``."""
        if self.stride is not None and self.concurrent is not None:
            raise ConfigurationError("--stride belongs to a pipeline and --concurrent to a stream: give one of them")
        schedule: Schedule | None = None
        if self.stride is not None:
            schedule = Pipeline(self.stride)
        elif self.concurrent is not None:
            schedule = Concurrent(self.concurrent)
        return {
            "input": _input_of(self.input),
            "schedule": schedule,
            "neuron": self.neuron,
            "initial_potential": self.initial_potential,
            "negative": self.negative,
            "bias_correction": self.bias_correction,
            "normalization": self.normalization,
            "decoding": self.decoding,
            "analog": self.analog or (),
            "percentile": None if self.percentile is None else number_or("--percentile", self.percentile, "mse"),
        }


def check_code(name: str, where: str = "") -> None:
    """Raise ``ConfigurationError`` unless there is a code called ``name``."""
    if name not in named_codes():
        raise ConfigurationError(f"{where}unknown code {name!r}; known codes: {', '.join(named_codes())}")


def number_or(option: str, text: str, *words: str) -> float | str:
    """The number that ``text`` is, or one of ``words`` itself."""
    try:
        return text if text in words else float(text)
    except ValueError:
        raise ConfigurationError(f"{option} must be a number or {' or '.join(words)}, got {text!r}") from None


def _parameters(name: str) -> list[str]:
    return [field.name for field in fields(named_codes()[name])]


def _input_of(text: str) -> Any:
    """What convert() takes as input: a name, or the code that a text such as ``ttfs:steps=20,tau=5`` describes."""
    name, colon, described = text.partition(":")
    if not colon:
        return text
    check_code(name, "--input: ")
    given: dict[str, Any] = {}
    for part in described.split(","):
        key, equals, value = part.partition("=")
        if not equals or key not in _parameters(name):
            raise ConfigurationError(
                f"--input {text}: {part!r} is no parameter of {name} code with its value; it has "
                f"{', '.join(_parameters(name))}"
            )
        given[key] = value if key == "rounding" else _number(text, value)
    return named_codes()[name](**given)


def _number(option: str, text: str) -> int | float:
    try:
        return int(text) if text.lstrip("-").isdigit() else float(text)
    except ValueError:
        raise ConfigurationError(f"--input {option}: {text!r} is no number") from None
