"""The public check of input codes, over every registered one, and over members that break a promise."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

from coding import (
    CODES,
    BernoulliInput,
    Draws,
    EventInput,
    InputCode,
    LatencyInput,
    Phase,
    PoissonInput,
    RealInput,
    SpikeInput,
)
from coding.registry import INPUT_CODES
from snnconv.testing import check_input_code
from tests.support.codes import fitted

INPUT_EXAMPLES: dict[str, list[InputCode]] = {
    "real": [RealInput()],
    "poisson": [PoissonInput()],
    "bernoulli": [BernoulliInput(), BernoulliInput(0.5, 3)],
    "latency": [LatencyInput(), LatencyInput(0)],
    "events": [EventInput()],
    "spikes": [SpikeInput(fitted(code), every) for code in CODES for every in (None, 2 * fitted(code).presentation)],
}


@pytest.mark.parametrize("name", INPUT_CODES)
def test_an_input_code_keeps_its_promises(name: str) -> None:
    assert name in INPUT_EXAMPLES, f"{name} has no example: give some in INPUT_EXAMPLES"
    for code in INPUT_EXAMPLES[name]:
        assert type(code) is INPUT_CODES[name] and code.name == name
        check_input_code(code)


#: Another number at every step.
FACTORS = itertools.count(1)


@dataclass(frozen=True)
class ChangedInput(SpikeInput):
    """Spikes of a code as input, of which one promise is broken."""

    broken: str = ""
    spiking = property(lambda self: self.broken != "analog")  # type: ignore[assignment]

    @property
    def period(self) -> int:
        return 3 if self.broken == "time" else super().period

    @property
    def least_steps(self) -> int:
        return 0 if self.broken == "least" else self.period

    def initial(self, values: Tensor) -> Any:
        return super().initial(values[:1] if self.broken == "state" else values)

    def step(self, values: Tensor, state: Any, t: int, draws: Draws | None) -> Any:
        match self.broken:
            case "values" if t == 0:
                values.mul_(0.5)
            case "samples":
                values = values - 0.1 * (len(values) > 1)
            case "code":
                values = values * (1.5 if t < 8 else 1.0)
            case "sum":
                values = values * (t < 8)
        payload, state = super().step(values, state, t, draws)
        match self.broken:
            case "negative":
                payload = -payload
            case "silence":
                payload = payload + 0.5
            case "precision":
                payload = payload.half()
            case "seed":
                payload = payload * next(FACTORS)
            case "global":
                torch.rand(1)
        return payload, state


BROKEN_INPUTS = {
    "least": "period must lie between 1 and least_steps",
    "analog": "what follows a code is spiking",
    "time": "period must leave its code the time",
    "values": "step must not change the values",
    "global": "what is drawn must come from draws",
    "precision": "a payload must have the shape that step_shape says",
    "seed": "equal seeds must give equal payloads",
    "state": "the first axis of every tensor of the state must be the batch",
    "samples": "samples must not influence each other",
    "negative": "payloads of spikes must not be negative",
    "silence": "a value of 0 must be silent",
    "code": "the first payloads must be those of its code",
    "sum": "the payloads of period steps must sum to the value",
}


@pytest.mark.parametrize("broken", BROKEN_INPUTS)
def test_a_promise_that_an_input_code_breaks_is_named(broken: str) -> None:
    check_input_code(ChangedInput(Phase()))
    with pytest.raises(AssertionError, match=BROKEN_INPUTS[broken]):
        check_input_code(ChangedInput(Phase(), broken=broken))


@dataclass(frozen=True)
class ChangedTrains(EventInput):
    """An input of no code, of which one promise is broken."""

    broken: str = ""
    of_values = property(lambda self: self.broken == "never")  # type: ignore[assignment]

    def step_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return shape if self.of_values else super().step_shape(shape)

    def step(self, values: Tensor, state: Any, t: int, draws: Draws | None) -> Any:
        if self.broken == "never":
            return values.lt(1.0).to(values.dtype) * values.gt(0.0), None
        payload, state = super().step(values, state, t + (self.broken == "lost"), draws)
        return payload * (2 if self.broken == "unit" else 1), state

    def initial(self, values: Tensor) -> Any:
        return None


BROKEN_TRAINS = {
    "unit": "spikes without a payload of their own must be 0 or 1",
    "lost": "every spike of the input must be presented once",
    "never": "in least_steps steps the largest value must be presented",
}


@pytest.mark.parametrize("broken", BROKEN_TRAINS)
def test_a_promise_that_an_input_of_no_code_breaks_is_named(broken: str) -> None:
    check_input_code(ChangedTrains())
    with pytest.raises(AssertionError, match=BROKEN_TRAINS[broken]):
        check_input_code(ChangedTrains(broken=broken))
