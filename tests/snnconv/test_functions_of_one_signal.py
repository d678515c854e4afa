"""Functions that are not piecewise linear: looked up channel by channel, the same spikes in every simulator."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import snnconv
from coding import Code, ConfigurationError, FewSpike, FunctionTable, OneSpike, Phase, Pipeline, Rate
from snnconv import SpikingNetwork
from snnconv.graph.operators.tabulated import Tabulated
from tests.support.networks import draw
from tests.support.pipelines import assert_simulators_agree

#: What people write in front of weights, and a bound of what it adds to the error of the output.
FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "silu": F.silu,
    "gelu": F.gelu,
    "gelu tanh": lambda x: F.gelu(x, approximate="tanh"),
    "gelu by hand": lambda x: 0.5 * x * (1 + torch.tanh(0.7978845608 * (x + 0.044715 * x**3))),
    "swish by hand": lambda x: x * torch.sigmoid(1.7 * x),
    "swish by division": lambda x: x / (1 + torch.exp(-x)),
    "mish": F.mish,
    "mish by hand": lambda x: x * torch.tanh(F.softplus(x)),
    "hardswish": F.hardswish,
    "hardswish by hand": lambda x: x * F.relu6(x + 3) / 6,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "softplus": F.softplus,
    "elu": F.elu,
    "elu by hand": lambda x: torch.where(x > 0, x, torch.expm1(x)),
    "selu": F.selu,
    "celu": lambda x: F.celu(x, 0.7),
    "exp": lambda x: torch.exp(0.3 * x),
    "log": lambda x: torch.log(x.square() + 0.1),
    "sqrt": lambda x: torch.sqrt(x.square() + 0.1),
    "rsqrt": lambda x: torch.rsqrt(x.square() + 0.1),
    "reciprocal": lambda x: torch.reciprocal(x.square() + 0.5),
    "square": torch.square,
    "power": lambda x: x**3,
    "erf": torch.erf,
    "sin": torch.sin,
    "cos": torch.cos,
    "squared relu": lambda x: torch.relu(x) ** 2,
    "hard shrinkage": lambda x: F.hardshrink(x, 0.4),
}
CODES: dict[str, Code] = {"one spike": OneSpike(24), "two spikes": FewSpike(8, spikes=3)}


class FunctionBetween(nn.Module):
    """A function between two linear layers."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.last, self.function = nn.Linear(5, 6), nn.Linear(6, 3), function
        with torch.no_grad():
            self.first.weight.mul_(3.0)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.last(self.function(self.first(x)))
        return result


X = draw(300, 5)


@cache
def converted(function: str, code: str) -> SpikingNetwork:
    return snnconv.convert(FunctionBetween(FUNCTIONS[function]).double().eval(), X, coding=CODES[code])


def error(network: SpikingNetwork, x: Tensor) -> float:
    """Error of what the population says, relative to what the function gives."""
    (population,) = snnconv.verify(network, x).sums.populations.values()
    return population.own


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_is_one_population_and_fires_alike_in_both_simulators(function: str, code: str) -> None:
    network = converted(function, code)
    (population,) = network.populations.values()
    assert isinstance(population.activation, Tabulated)
    torch.testing.assert_close(
        network.reference(X), FunctionBetween(FUNCTIONS[function]).double()(X), rtol=1e-12, atol=1e-12
    )
    assert_simulators_agree(network, draw(20, 5, seed=3))


#: Those with several turns in their range have few cells for each, and one that jumps has no line.
@pytest.mark.parametrize("function", [name for name in FUNCTIONS if name not in ("sin", "cos", "hard shrinkage")])
def test_a_second_spike_tells_apart_what_one_spike_does_not(function: str) -> None:
    one, two = (error(converted(function, code), X) for code in CODES)
    assert two < 0.04 and two < 0.7 * one < 0.07


@pytest.mark.parametrize("code", CODES)
def test_a_table_comes_back_from_its_file(code: str, tmp_path: Path) -> None:
    network = converted("silu", code)
    network.save(tmp_path / "network.snn")
    loaded = snnconv.load(tmp_path / "network.snn")
    assert torch.equal(loaded(X), network(X))
    other = converted("silu", code).with_()
    other.load_state_dict(network.state_dict())
    assert torch.equal(other(X), network(X))


@pytest.mark.parametrize("steps", [24, 99])
def test_cells_narrower_than_single_precision_come_back_from_their_file(steps: int, tmp_path: Path) -> None:
    model = FunctionBetween(F.silu).eval()
    with torch.no_grad():
        model.first.weight[2] = 0.0
        model.first.bias[2] = 3.3
    network = snnconv.convert(model, X.float(), coding=OneSpike(steps))
    network.save(tmp_path / "network.snn")
    loaded = snnconv.load(tmp_path / "network.snn")
    assert torch.equal(loaded(X.float()), network(X.float()))
    assert_simulators_agree(loaded.double(), X[:10])
    (population,) = network.populations.values()
    assert population.tables is not None and bool((population.tables[0, 2].diff() == 0).any())


def test_streams_are_refused_with_the_place_and_what_to_do() -> None:
    with pytest.raises(ConfigurationError, match=r"test_functions.*silu is looked up.*Pipeline\(\)"):
        snnconv.convert(FunctionBetween(F.silu), X.float(), coding=Rate(16))
    network = snnconv.convert(FunctionBetween(F.silu), X.float(), coding=Rate(16), schedule=Pipeline())
    assert isinstance(next(iter(network.populations.values())).code, FunctionTable)


def test_a_pole_within_the_range_is_refused_with_its_place() -> None:
    with pytest.raises(ConfigurationError, match=r"reciprocal has a pole near .* by clamp or by an epsilon"):
        snnconv.convert(FunctionBetween(torch.reciprocal), X.float(), coding=OneSpike(16))
    away = snnconv.convert(FunctionBetween(lambda x: torch.reciprocal(x.abs() + 0.5)).double(), X, coding=OneSpike(32))
    assert snnconv.verify(away, X).sums.output.relative < 0.05


def test_a_pole_in_the_middle_of_the_range_is_refused() -> None:
    model = nn.Sequential(nn.Linear(1, 1, bias=False), FunctionBetween(torch.reciprocal)).double()
    with torch.no_grad():
        model[0].weight.fill_(1.0)
    model[1].first, model[1].last = nn.Identity(), nn.Linear(1, 2).double()
    with pytest.raises(ConfigurationError, match=r"reciprocal has a pole near -?0(\.00\d+)?,"):
        snnconv.convert(model, torch.linspace(-1, 1, 64, dtype=torch.float64)[:, None], coding=OneSpike(16))


def test_beyond_the_calibrated_range_values_are_those_of_the_last_cell() -> None:
    network = converted("tanh", "one spike")
    far = network(1e3 * X[:5])
    assert bool(far.isfinite().all())
    torch.testing.assert_close(far, network.reference(1e3 * X[:5]), rtol=0.05, atol=0.05)


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_tables_of_few_cells_work(steps: int) -> None:
    network = snnconv.convert(FunctionBetween(torch.sigmoid).double(), X, coding=FunctionTable(steps))
    assert_simulators_agree(network, X[:10])
    assert error(network, X) < 0.5


@pytest.mark.parametrize("code", [OneSpike(8), Phase(6)])
def test_constant_currents_are_exact(code: Code) -> None:
    model = FunctionBetween(F.silu).double()
    with torch.no_grad():
        model.first.weight.zero_()
    network = snnconv.convert(model, X, coding=code)
    torch.testing.assert_close(network(X), model(X), rtol=1e-6, atol=1e-6)


def test_a_maximum_behind_a_table_takes_spikes_that_rise_with_the_value() -> None:
    model = nn.Sequential(nn.Conv2d(1, 3, 3), nn.SiLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(12, 2)).double()
    x = draw(60, 1, 6, 6)
    network = snnconv.convert(model.eval(), x, coding=FewSpike(10, spikes=4))
    assert [population.inserted for population in network.populations.values()] == [False, True]
    assert_simulators_agree(network, x[:8])
    assert snnconv.verify(network, x).sums.output.relative < 0.05


def test_a_function_of_the_output_stays_what_it_is() -> None:
    model = nn.Sequential(nn.Linear(5, 6), nn.SiLU(), nn.Linear(6, 3), nn.Sigmoid()).double().eval()
    network = snnconv.convert(model, X, coding=OneSpike(16))
    assert len(network.populations) == 1 and network.graph.nodes["sigmoid"].op == "sigmoid"


def test_a_report_names_the_function() -> None:
    report = snnconv.preflight(FunctionBetween(FUNCTIONS["swish by hand"]), X.float())
    assert [line.op for line in report.lines] == ["linear", "mul+sigmoid", "linear"]
    assert "silu, looked up" in converted("silu", "one spike").report()


def test_a_population_is_called_like_its_function_and_takes_another_code_by_this_name() -> None:
    names = {name: [p.name for p in converted(name, "one spike").populations.values()] for name in FUNCTIONS}
    assert names["silu"] == ["silu"] and names["swish by hand"] == ["sigmoid"] and names["squared relu"] == ["pow"]
    network = snnconv.convert(
        FunctionBetween(F.silu), X.float(), coding={"silu": OneSpike(40), "*": FewSpike(6, spikes=2)}
    )
    assert [population.code for population in network.populations.values()] == [FunctionTable(40)]
