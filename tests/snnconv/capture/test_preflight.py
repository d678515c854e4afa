from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import snnconv
from coding import Rate
from snnconv.capture.problems import UnsupportedModelError
from snnconv.capture.translation import capture
from snnconv.errors import InputError
from snnconv.graph.interpreter import evaluate_graph
from snnconv.graph.operators import Role

X = torch.rand(4, 6, generator=torch.Generator().manual_seed(0))


class Network(nn.Module):
    """linear, then a function; behind it a relu and weights where it comes before the relu."""

    def __init__(self, function: Callable[[Tensor], Any], relu: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.linear = nn.Linear(6, 6)
        self.function, self.order = function, relu

    def forward(self, x: Tensor) -> Any:
        y = self.linear(x)
        if self.order == "relu first":
            return self.function(torch.relu(y))
        return self.linear(torch.relu(self.function(y))[:, :6])


class Bad(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(6, 6), nn.Linear(6, 6)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.log_softmax(self.first(x), 1)
        x = torch.relu(x)
        x = torch.cumprod(x, 1)
        x = torch.relu(self.second(x) / x)
        return torch.log_softmax(self.second(x), 1)


#: Operators that run on the decoded output and cannot stand before a population.
READOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "softmax": lambda x: x.softmax(1),
    "log_softmax": lambda x: F.log_softmax(x, dim=-1),
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "exp": torch.exp,
    "square": torch.square,
    "pow": lambda x: x**3,
    "abs": torch.abs,
    "gelu": lambda x: F.gelu(x, approximate="tanh"),
    "silu": F.silu,
    "elu": lambda x: F.elu(x, alpha=0.5),
    "softplus": lambda x: F.softplus(x, beta=2.0),
    "hardsigmoid": F.hardsigmoid,
    "hardswish": F.hardswish,
    "mish": F.mish,
    "mul": lambda x: x * x.flip(1),
    "div": lambda x: x / (x.sum(1, keepdim=True) + 9),
}


def test_every_problem_is_listed_at_once_with_its_line_and_a_remedy() -> None:
    report = snnconv.preflight(Bad(), X)
    assert not report.ok
    assert [problem.op for problem in report.problems] == ["log_softmax", "cumprod", "div"]
    lines = Path(__file__).read_text().splitlines()
    for problem in report.problems:
        assert problem.source.file == __file__
        assert lines[problem.source.line - 1].strip() == problem.source.text
        assert problem.op == "div" or f".{problem.op}(" in problem.source.text
        assert problem.reason and problem.remedy


def test_the_printed_report_shows_file_and_line_of_every_problem() -> None:
    report = snnconv.preflight(Bad(), X)
    text = str(report)
    assert text.startswith("3 problems")
    for problem in report.problems:
        assert f"{__file__}:{problem.source.line}" in text
        assert problem.source.text in text
        assert problem.remedy in text


def test_conversion_refuses_with_the_same_report() -> None:
    model = Bad()
    with pytest.raises(UnsupportedModelError) as caught:
        snnconv.convert(model, X)
    assert caught.value.preflight.to_dict() == snnconv.preflight(model, X).to_dict()
    assert str(caught.value.preflight) in str(caught.value)


def test_behind_the_last_activation_a_readout_is_exact() -> None:
    model = Network(lambda x: {name: function(x) for name, function in READOUTS.items()}, "relu first").double()
    report = snnconv.preflight(model, X.double())
    assert report.ok
    assert {line.op for line in report.lines if line.role is Role.READOUT} >= set(READOUTS)
    found, _ = evaluate_graph(capture(model, (X.double(),)), (X.double(),))
    expected = model(X.double())
    for name in READOUTS:
        torch.testing.assert_close(found[name], expected[name], rtol=0, atol=1e-12)


def test_before_weights_those_of_several_elements_are_refused() -> None:
    functions = READOUTS.values()
    report = snnconv.preflight(Network(lambda x: torch.cat([f(x) for f in functions], 1), "relu last"), X)
    assert [problem.op for problem in report.problems] == ["log_softmax", "mul", "div"]
    assert "the weights behind it take what is no spikes" in report.problems[1].reason


def softmax_of_neg(x: Tensor) -> Tensor:
    return torch.softmax(torch.neg(x), 1)


def test_a_readout_also_runs_on_decoded_spikes() -> None:
    plain, with_softmax = (
        snnconv.convert(Network(function, "relu first"), X, coding=Rate(16)) for function in (torch.neg, softmax_of_neg)
    )
    torch.testing.assert_close(with_softmax(X), plain(X).softmax(1))


def test_argmax_at_the_end_is_readout() -> None:
    model = Network(lambda x: (x.argmax(1), x), "relu first")
    report = snnconv.preflight(model, X)
    assert report.ok
    assert Role.READOUT in {line.role for line in report.lines}
    classes, values = evaluate_graph(capture(model, (X,)), (X,))[0]
    assert torch.equal(classes, values.argmax(1))


@pytest.mark.parametrize("function", [torch.special.bessel_j0, torch.floor, torch.sort])
def test_an_unknown_operator_is_refused_wherever_it_stands(function: Callable[[Tensor], Any]) -> None:
    report = snnconv.preflight(Network(function, "relu first"), X)
    assert function.__name__ in [problem.op for problem in report.problems]


@pytest.mark.parametrize(
    "model",
    [nn.Linear(6, 2), nn.Sequential(nn.Linear(6, 6), nn.BatchNorm1d(6)), nn.Sequential(nn.Linear(6, 6), nn.Softmax(1))],
    ids=["linear", "linear and batch norm", "readout"],
)
def test_a_model_without_an_activation_is_refused(model: nn.Module) -> None:
    report = snnconv.preflight(model, X)
    (problem,) = report.problems
    assert "no activation" in problem.reason
    assert "relu" in problem.remedy
    with pytest.raises(UnsupportedModelError, match="no activation"):
        snnconv.convert(model, X)


@pytest.mark.parametrize(
    "model", [Bad(), nn.Sequential(nn.Linear(6, 3), nn.ReLU(), nn.Linear(3, 2))], ids=["bad", "good"]
)
def test_the_report_is_plain_data(model: nn.Module) -> None:
    report = snnconv.preflight(model, X)
    data = report.to_dict()
    assert json.loads(json.dumps(data)) == data
    assert data["ok"] == report.ok
    assert len(data["operations"]) == len(report.lines)
    assert len(data["problems"]) == len(report.problems)


def test_a_good_model_has_a_role_for_every_operation() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8, 2), nn.Softmax(1))
    report = snnconv.preflight(model, torch.rand(2, 1, 6, 6))
    roles = [Role.LINEAR, Role.ACTIVATION, Role.POOL, Role.SELECTION, Role.LINEAR, Role.READOUT]
    assert [line.role for line in report.lines if line.role is not Role.CONSTANT] == roles
    assert str(report).startswith("convertible")


def test_control_flow_on_data_is_a_problem_and_no_exception() -> None:
    report = snnconv.preflight(Network(lambda x: x if x.sum() > 0 else -x, "relu first"), X)
    assert not report.ok
    assert f"{__file__}:" in str(report)


def test_several_inputs_are_a_tuple_inside_the_batch() -> None:
    class Two(nn.Module):
        def forward(self, first: Tensor, second: Tensor) -> Tensor:
            return torch.relu(first - second)

    assert snnconv.preflight(Two(), ((X, X), None)).ok
    with pytest.raises(InputError, match="DataLoader of pairs"):
        snnconv.preflight(Two(), (X, X))


@pytest.mark.parametrize("example", ["x", None, (), torch.zeros(0, 6), torch.tensor(1.0), 3])
def test_an_example_that_cannot_be_used_is_refused(example: Any) -> None:
    with pytest.raises(InputError, match="example"):
        snnconv.preflight(nn.Sequential(nn.Linear(6, 6), nn.ReLU()), example)
