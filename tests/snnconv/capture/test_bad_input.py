"""Everything that cannot work is refused with an error of the project, and the model stays as it was."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import nn

import snnconv
from coding import TTFS, CodingPlan, FewSpike, Phase, Rate, SpikeInput
from neurons import NEURONS, IntegrateFire
from snnconv import ConfigurationError, InputError, ModelError, SnnconvError
from tests.support.networks import TwoInputs, draw, make, network_of, prepared, zoo

X = draw(20, 6)


def snapshot(model: nn.Module) -> tuple[Any, ...]:
    state = {key: (value.clone(), value.requires_grad) for key, value in model.state_dict(keep_vars=True).items()}
    hooks = [(len(m._forward_hooks), len(m._forward_pre_hooks), len(m._backward_hooks)) for m in model.modules()]
    return state, [m.training for m in model.modules()], hooks, [type(m) for m in model.modules()]


def assert_untouched(model: nn.Module, before: tuple[Any, ...]) -> None:
    after = snapshot(model)
    assert after[1:] == before[1:]
    assert list(after[0]) == list(before[0])
    for key, (value, grad) in before[0].items():
        found, found_grad = after[0][key]
        assert torch.equal(found, value) and found.dtype == value.dtype and found_grad == grad


def with_value(value: float) -> torch.Tensor:
    x = X.clone()
    x[3, 2] = value
    return x


CALIBRATION: dict[str, Any] = {
    "an empty list": [],
    "an empty tuple": (),
    "no sample": torch.zeros(0, 6, dtype=torch.float64),
    "a scalar": torch.tensor(1.0),
    "None": None,
    "text": "samples",
    "a list of numbers": [1.0, 2.0],
    "too many features": draw(20, 7),
    "NaN": with_value(float("nan")),
    "infinity": with_value(float("inf")),
    "half precision": X.half(),
    "single precision for a double model": X.float(),
    "integers": X.long(),
    "batches that differ": [X, draw(20, 7)],
    "batches of two types": [X, X.float()],
    "one input more than the model takes": ((X, X), torch.zeros(20)),
}


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("kind", CALIBRATION)
def test_calibration_that_cannot_work_is_refused(kind: str, training: bool) -> None:
    model = make("deep")[0].train(training)
    before = snapshot(model)
    with pytest.raises(SnnconvError):
        snnconv.convert(model, CALIBRATION[kind])
    assert_untouched(model, before)


OPTIONS: dict[str, dict[str, Any]] = {
    "code": {"coding": "morse"},
    "code of another type": {"coding": 7},
    "input": {"input": "smell"},
    "input of another type": {"input": 1.0},
    "neuron": {"neuron": "brain"},
    "neuron of another type": {"neuron": 3},
    "neuron made by a function": {"neuron": lambda code: "no neuron"},
    "normalization": {"normalization": "world"},
    "percentile of zero": {"percentile": 0},
    "percentile above 100": {"percentile": 100.1},
    "percentile by name": {"percentile": "median"},
    "percentile that is no number": {"percentile": float("nan")},
    "percentile that is true": {"percentile": True},
}


@pytest.mark.parametrize("option", OPTIONS)
def test_options_that_cannot_work_are_refused(option: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        zoo("deep", **OPTIONS[option])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("option", ["code", "input", "neuron", "normalization", "percentile of zero"])
def test_a_conversion_that_an_option_stops_leaves_the_model_untouched(option: str) -> None:
    model = make("deep")[0]
    before = snapshot(model)
    with pytest.raises(ConfigurationError):
        snnconv.convert(model, X, **OPTIONS[option])
    assert_untouched(model, before)


@pytest.mark.parametrize("steps", [0, -1, True, 2.5, "8", float("inf")])
def test_steps_are_positive_integers(steps: Any) -> None:
    with pytest.raises(ConfigurationError, match="steps must be an integer of at least 1"):
        Rate(steps)
    with pytest.raises(ConfigurationError, match="steps must be an integer of at least 1"):
        network_of("deep").run(make("deep")[1], steps=steps)


def test_an_input_code_has_nothing_left_to_fit() -> None:
    assert CodingPlan(input="phase").input == SpikeInput(Phase())
    for code in ("one-spike", FewSpike(), TTFS(tau="fit")):
        with pytest.raises(ConfigurationError, match="nothing is fitted to an input"):
            CodingPlan(input=code)  # type: ignore[arg-type]


def test_a_plan_takes_codes_only() -> None:
    for arguments in ({"hidden": 3}, {"input": 3}, {"hidden": "real"}, {"input": "smell"}):
        with pytest.raises(ConfigurationError, match="unknown"):
            CodingPlan(**arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize("model", [None, "model", lambda x: x, torch.zeros(3), nn.Linear])
def test_what_is_no_model_is_refused(model: Any) -> None:
    with pytest.raises(ModelError, match=r"must be a torch\.nn\.Module"):
        snnconv.convert(model, X)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_must_be_finite(value: float) -> None:
    model = make("deep")[0]
    with torch.no_grad():
        model.get_parameter("layers.0.weight")[0, 0] = value
    with pytest.raises(ModelError, match=r"layers\.0\.weight"):
        snnconv.convert(model, X)


def test_a_half_precision_model_is_refused() -> None:
    with pytest.raises(SnnconvError, match=r"model\.float\(\)"):
        snnconv.convert(make("deep")[0].half(), X.half())


INPUTS: dict[str, Any] = {
    "NaN": with_value(float("nan")),
    "infinity": with_value(-float("inf")),
    "half precision": X.half(),
    "single precision": X.float(),
    "integers": X.long(),
    "no sample": X[:0],
    "too many features": draw(20, 7),
    "one axis too many": draw(20, 6, 1),
    "a list of numbers": [1.0],
    "nothing": (),
    "two inputs": (X, X),
    "an array": X.numpy(),
}


@pytest.mark.parametrize("kind", INPUTS)
def test_input_that_does_not_fit_is_refused(kind: str) -> None:
    network = network_of("deep")
    for function in (network.run, network.check, lambda x: snnconv.evaluate(network, [x])):
        with pytest.raises(InputError):
            function(INPUTS[kind])


def test_the_number_of_inputs_is_checked() -> None:
    model = prepared(TwoInputs)
    x, y = draw(10, 6), draw(10, 3)
    network = snnconv.convert(model, ((x, y), torch.zeros(10)))
    for inputs in ((x,), (x, y, y), (y, x), ()):
        with pytest.raises(InputError):
            network(*inputs)
    with pytest.raises(InputError, match="differ in length"):
        snnconv.convert(model, ((x, y[:7]), torch.zeros(10)))


RUN: dict[str, dict[str, Any]] = {
    "simulator": {"simulator": "quantum"},
    "record": {"record": ["layers.7"]},
    "record as text": {"record": "outputs"},
}


@pytest.mark.parametrize("option", RUN)
def test_options_of_a_run_are_checked(option: str) -> None:
    with pytest.raises(ConfigurationError):
        network_of("deep").run(X, **RUN[option])


@pytest.mark.parametrize("make_stop", [lambda: snnconv.Confidence(0.0), lambda: snnconv.Confidence(1.1)])
def test_a_probability_lies_between_zero_and_one(make_stop: Callable[[], Any]) -> None:
    with pytest.raises(ConfigurationError, match="probability"):
        make_stop()


def test_minimum_steps_are_at_least_one() -> None:
    with pytest.raises(ConfigurationError, match="minimum_steps"):
        snnconv.Confidence(0.5, minimum_steps=0)


@pytest.mark.parametrize("name", ["residual", "max pooling"])
def test_views_are_taken_as_they_are(name: str) -> None:
    model, x = make(name)
    view = x.transpose(2, 3).contiguous().transpose(2, 3)
    sliced = torch.cat([x, x], 1)[:, : x.shape[1]]
    assert not view.is_contiguous() and not sliced.is_contiguous()
    network = network_of(name)
    assert torch.equal(network(view), network(x)) and torch.equal(network(sliced), network(x))
    again = snnconv.convert(model, view, coding=Rate(24), percentile=99.99)
    assert torch.equal(again(x), network(x))


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", ["deep", "residual", "max pooling", "shared"])
def test_a_conversion_leaves_the_model_untouched(name: str, training: bool) -> None:
    model, x = make(name)
    model.train(training)
    next(model.children()).eval()  # a frozen part stays frozen
    calls: list[int] = []
    model.register_forward_hook(lambda *arguments: calls.append(1))
    before, random = snapshot(model), torch.random.get_rng_state()
    network = snnconv.convert(model, x, coding=Rate(4))
    network(x)
    with torch.no_grad():
        network.constants[next(iter(network.constants))].add_(1.0)  # nothing is shared with the model
    assert_untouched(model, before)
    assert torch.equal(torch.random.get_rng_state(), random)


def test_inputs_that_the_model_itself_refuses_are_named_before_anything_else() -> None:
    model = nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 2))
    for call in (snnconv.convert, snnconv.preflight):
        with pytest.raises(InputError, match=r"the model itself fails on inputs of shape \[10, 5\]"):
            call(model, torch.zeros(10, 5))


def test_an_exported_program_of_a_fixed_batch_refuses_other_batches() -> None:
    program = torch.export.export(nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 2)), (torch.zeros(1, 6),))
    with pytest.raises(InputError, match="the model itself fails"):
        snnconv.convert(program, torch.zeros(40, 6))


def test_an_exported_program_is_checked_like_a_model() -> None:
    model = nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 2))
    with torch.no_grad():
        model.get_parameter("0.weight")[0, 0] = torch.nan
    batch = {0: torch.export.Dim("batch")}
    program = torch.export.export(model, (torch.zeros(2, 6),), dynamic_shapes={"input": batch})
    with pytest.raises(ModelError, match=r"0\.weight holds NaN"):
        snnconv.convert(program, torch.zeros(40, 6))


def test_a_model_that_fixes_its_batch_says_so(caplog: pytest.LogCaptureFixture) -> None:
    class Fixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(6, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.relu(self.linear(x.view(10, 6)))

    network = snnconv.convert(Fixed(), torch.rand(10, 6), coding=Rate(4))
    assert "one call is one sample" in caplog.text
    assert "one call is one sample, of shape 10x6" in network.report()


def test_clamping_to_an_infinite_bound_is_a_relu() -> None:
    class Clamped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(6, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.linear(x).clamp(0, float("inf"))

    network = snnconv.convert(Clamped(), torch.rand(10, 6), coding=Rate(4))
    assert [population.activation.bound for population in network.populations.values()] == [None]


def test_a_registered_neuron_may_be_asked_for_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(NEURONS, "from zero", partial(IntegrateFire, initial_potential=0.0))
    model, x = make("perceptron")
    network = snnconv.convert(model, x, coding=Rate(4), neuron="from zero")
    assert [p.neuron for p in network.populations.values()] == [IntegrateFire(Rate(4), initial_potential=0.0)]
    with pytest.raises(ConfigurationError, match="cannot be made from a code alone"):
        snnconv.convert(model, x, coding=Rate(4), neuron="signed")
