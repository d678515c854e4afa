"""How random networks are coded: every registered code and neuron has a rule by which settings with it are drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from functools import partial
from typing import Any, Literal

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from coding import (
    CODES,
    TTFS,
    Burst,
    Code,
    Concurrent,
    FewSpike,
    FewSpikeNeuron,
    FunctionTable,
    OneSpike,
    Phase,
    Pipeline,
    Rate,
    Schedule,
    TableSpike,
    Thermometer,
)
from coding.window.rounding import ROUNDINGS
from neurons import IntegrateFire
from snnconv.calibration.options import Options

#: Registered codes that no user gives a network, and what makes them.
CODES_MADE_BY_THE_PROJECT = {"whole-table": "integer networks"}
#: Registered neurons that no conversion gives a network, and what makes them.
NEURONS_MADE_BY_THE_PROJECT = {
    "double-exponential": "networks that learn from spikes",
    "double-exponential-output": "networks that learn from spikes",
}

_BASES = st.sampled_from([2.0, 1.5, 1.3, "fit"])
_ROUNDINGS = st.sampled_from(ROUNDINGS)
#: Codes by registered name, each with all its parameters or with some that conversion fits.
CODE_RULES: dict[str, st.SearchStrategy[Code]] = {
    "few-spike": st.builds(FewSpike, st.integers(3, 8), _BASES, st.integers(1, 3), _ROUNDINGS),
    "rate": st.builds(Rate, st.integers(4, 24)),
    "burst": st.builds(
        Burst, st.integers(8, 24), st.sampled_from([0.125, 0.5]), st.just(2.0), st.sampled_from([None, 4.0])
    ),
    "phase": st.builds(Phase, st.integers(2, 12), _BASES),
    "ttfs": st.builds(
        TTFS, st.integers(6, 16), st.sampled_from([4.0, "fit", "gradient"]), st.sampled_from([0.0, 1.5]), _ROUNDINGS
    ),
    "one-spike": st.builds(OneSpike, st.integers(3, 12), _BASES, _ROUNDINGS),
    "table-spike": st.builds(TableSpike, st.integers(2, 12)),
    "thermometer": st.builds(Thermometer, st.integers(1, 16)),
    "few-spike-neuron": st.builds(FewSpikeNeuron, st.integers(3, 12)),
    "function-table": st.builds(FunctionTable, st.integers(1, 24)),
}


@dataclass(frozen=True)
class Setting:
    """What a random network is converted with; numbers and names only, so that it can be written down.

    ``percentile`` 100 puts largest values on levels. ``neuron`` is "integrate-fire", "zero" (which resets to zero) or
    "corrective"; ``negative`` how neurons fire below zero.
    """

    code: Code = field(default_factory=lambda: FewSpike(6, 1.5, 2))
    stream: bool = False
    neuron: str = "integrate-fire"
    negative: Literal["graded", "imbalanced"] | None = None
    percentile: float | Literal["mse"] = 99.0
    bias_correction: bool = False

    @property
    def schedule(self) -> Schedule:
        """All at once for twice the code's steps, or one population after the other."""
        return Concurrent(2 * self.code.steps) if self.stream else Pipeline()

    @property
    def options(self) -> Options:
        """The rest of what ``convert`` takes."""
        kind: Any = partial(IntegrateFire, reset="zero") if self.neuron == "zero" else self.neuron
        return Options(self.percentile, kind, self.bias_correction, "channel", self.negative)

    def to_dict(self) -> dict[str, Any]:
        """All that it holds, for a file."""
        found = {each.name: getattr(self, each.name) for each in fields(self)}
        parameters = {each.name: getattr(self.code, each.name) for each in fields(self.code)}
        return {**found, "code": {"name": self.code.name, **parameters}}

    @classmethod
    def from_dict(cls, found: dict[str, Any]) -> Setting:
        """The setting that ``to_dict`` wrote down."""
        parameters = dict(found["code"])
        return cls(**{**found, "code": CODES[parameters.pop("name")](**parameters)})


#: Draws settings whose populations, or those of them whose activation goes below zero, have the neuron of this name.
NEURON_RULES: dict[str, Callable[[DrawFn], Setting]] = {}


def _codes(stream: bool) -> st.SearchStrategy[Code]:
    """Codes for streams, or for windows, each kind as often as any other."""
    fitting = [name for name in CODE_RULES if (CODES[name].streams if stream else CODES[name].windows)]
    return st.sampled_from(fitting).flatmap(CODE_RULES.__getitem__)


def _scaled(draw: DrawFn) -> dict[str, Any]:
    percentile = draw(st.sampled_from([99.0, 100.0, "mse"]))
    return {"percentile": percentile, "bias_correction": draw(st.booleans())}


def _named(name: str) -> Callable[[Callable[[DrawFn], Setting]], Callable[[DrawFn], Setting]]:
    def register(draws: Callable[[DrawFn], Setting]) -> Callable[[DrawFn], Setting]:
        NEURON_RULES[name] = draws
        return draws

    return register


@_named("integrate-fire")
def plain(draw: DrawFn) -> Setting:
    stream = draw(st.booleans())
    neuron = draw(st.sampled_from(["integrate-fire", "zero"])) if stream else "integrate-fire"
    return Setting(draw(_codes(stream)), stream, neuron, **_scaled(draw))


@_named("signed-window")
def signed_windows(draw: DrawFn) -> Setting:
    negative = draw(st.sampled_from(["imbalanced", "graded"]))
    return Setting(draw(_codes(stream=False)), negative=negative, **_scaled(draw))


@_named("signed")
def signed_streams(draw: DrawFn) -> Setting:
    negative = draw(st.sampled_from(["graded", "imbalanced"]))
    return Setting(draw(_codes(stream=True)), stream=True, negative=negative, **_scaled(draw))


@_named("table-lookup")
def tables(draw: DrawFn) -> Setting:
    return Setting(draw(_codes(stream=False)), **_scaled(draw))


@_named("corrective")
def corrective(draw: DrawFn) -> Setting:
    return Setting(draw(CODE_RULES["rate"]), stream=True, neuron="corrective", **_scaled(draw))


@st.composite
def settings(draw: DrawFn) -> Setting:
    """A setting by the rule of any neuron; shrunk ones are few-spike code in a pipeline."""
    return NEURON_RULES[draw(st.sampled_from([*NEURON_RULES]))](draw)
