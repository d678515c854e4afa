"""What a search knows of single populations: costs and errors of codes, and which of them are measured at all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import snnconv
from coding import FewSpike, OneSpike, Phase, TableSpike
from coding.plan import as_plan
from snnconv.calibration.assembly import Calibrated, Calibrator, population, scalings_of
from snnconv.calibration.options import Options
from snnconv.graph.interpreter import evaluate_graph
from snnconv.graph.operators.activation import activation_at
from snnconv.metrics.class_judge import ClassJudge
from snnconv.metrics.energy_models import ADD, MEMORY, MULTIPLY
from snnconv.search.choices import Choices
from snnconv.search.sensitivity import Sensitivities, samples_for
from snnconv.spiking.logs import Cost
from snnconv.spiking.settling import settle
from tests.support.networks import draw

CODES = (TableSpike(4), TableSpike(12), FewSpike(4, spikes=2), FewSpike(8, spikes=3), FewSpike(8, spikes=3), Phase(6))
OPTIONS, PLAN = Options(), as_plan("few-spike", None, None)


class JoinedConvolutions(nn.Module):
    """Two convolutions beside each other, of which one is behind another."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.beside = (nn.Conv2d(inputs, 6, 3, padding=1) for inputs in (3, 6, 3))
        self.last = nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        joined = torch.relu(self.second(torch.relu(self.first(x)))) + torch.relu(self.beside(x))
        return self.last(joined.mean((2, 3)))  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def calibrated() -> Calibrated:
    torch.manual_seed(0)
    return Calibrator(JoinedConvolutions().eval(), draw(60, 3, 5, 5).float(), None).calibrated(PLAN, OPTIONS)


@pytest.fixture(scope="module")
def choices(calibrated: Calibrated) -> Choices:
    return Choices(calibrated, CODES, OPTIONS, PLAN)


@pytest.fixture(scope="module")
def network(choices: Choices) -> snnconv.SpikingNetwork:
    return choices.network([0, 0, 0], corrected=False)


def sensitivities(calibrated: Calibrated, network: Any, choices: Choices, kind: Cost = "energy") -> Sensitivities:
    return Sensitivities(calibrated, network, choices.populations, ClassJudge(), kind)


def errors(calibrated: Calibrated, network: Any, choices: Choices) -> Tensor:
    """Mean squared deviations of the output by population and code, each from a run of the whole network."""
    inputs, judge = samples_for(calibrated, network), ClassJudge()
    exact, _ = evaluate_graph(calibrated.graph, inputs)
    rows = []
    for node, row in choices.populations.items():
        operator, found = activation_at(calibrated.graph.nodes[node]), []
        for choice in row:

            def fire(arguments: Mapping[str, Any], operator: Any = operator, choice: Any = choice) -> Tensor:
                return settle(choice, operator.current(arguments), counted=True).decoded

            output, _ = evaluate_graph(calibrated.graph, inputs, handlers={node: fire})
            found.append(float(judge.deviation(exact, output).double().square().mean()))
        rows.append(found)
    return torch.tensor(rows, dtype=torch.float64)


def test_what_is_computed_behind_a_population_alone_is_what_the_whole_network_gives_to_the_bit(
    calibrated: Calibrated, network: Any, choices: Choices
) -> None:
    found = sensitivities(calibrated, network, choices)
    wanted = errors(calibrated, network, choices)
    for number in range(len(CODES)):
        for place in range(len(choices.populations)):
            found.measure(place, number)
        total = sum(float(row[number]) for row in wanted)
        assert found.expected([number] * len(wanted))[1] == pytest.approx(total, rel=1e-12)


@pytest.mark.parametrize("price", [1e-4, 0.1, 1.0, 10.0, 1e4])
@pytest.mark.parametrize("kind", ["energy", "spikes", "latency"])
def test_the_choice_is_the_best_of_all_codes_though_few_are_measured(
    calibrated: Calibrated, network: Any, choices: Choices, kind: Cost, price: float
) -> None:
    found = sensitivities(calibrated, network, choices, kind)
    cost_unit, error_unit = found.units
    chosen = found.cheapest(price)
    total = found.costs / cost_unit + price * errors(calibrated, network, choices) / error_unit
    for row, number in zip(total, chosen, strict=True):
        assert float(row[number]) == pytest.approx(float(row.min()), rel=1e-9)
    assert found.cheapest(price) == chosen
    if price <= 1e-4:
        assert int(found.measured.sum()) <= 3 * len(chosen)  # the median of errors, given twice, and the cheapest


def test_a_latency_is_that_of_the_network_whose_branches_take_their_time_together(
    calibrated: Calibrated, network: Any, choices: Choices
) -> None:
    found = sensitivities(calibrated, network, choices, "latency")
    for chosen in ([0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [2, 3, 1]):
        timing = choices.network(chosen, corrected=False).timing
        assert timing is not None and found.expected(chosen)[0] == timing.latency


def test_energies_of_populations_add_up_to_that_of_the_network_where_maxima_let_few_spikes_pass() -> None:
    """But for the multiplications of the input, which are the same for all codes."""
    torch.manual_seed(0)
    halves = (nn.Sequential(nn.Conv2d(*c, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)) for c in ((1, 8), (8, 16)))
    model, x = nn.Sequential(*halves, nn.Flatten(), nn.Linear(64, 4)).eval(), draw(60, 1, 8, 8).float()
    found = Calibrator(model, x, None).calibrated(PLAN, OPTIONS)
    pooled = Choices(found, CODES, OPTIONS, PLAN)
    alone = sensitivities(found, pooled.network([0, 0], corrected=False), pooled)
    for number in range(len(CODES)):
        network = pooled.network([number, number])
        inputs = network.synapses.input_macs * (2 * MEMORY + ADD + MULTIPLY)
        energy = snnconv.evaluate(network, x, reference=model).energy.e3 - inputs
        assert alone.expected([number, number])[0] == pytest.approx(energy, rel=0.2)


def test_codes_fitted_for_a_search_are_those_that_every_population_is_fitted_alone(
    calibrated: Calibrated, choices: Choices
) -> None:
    scalings = scalings_of(calibrated, OPTIONS, windowed=True)
    for node, row in choices.populations.items():
        for code, shared in zip(CODES, row, strict=True):
            own = population(calibrated, node, code, scalings[node], True, OPTIONS)
            assert own.code == shared.code and torch.equal(own.scale, shared.scale)


def test_codes_are_left_out_only_where_trying_them_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """With every candidate tried in all populations the same network is found; the log names all."""
    torch.manual_seed(0)
    model, x = (
        nn.Sequential(nn.Linear(8, 24), nn.ReLU(), nn.Linear(24, 16), nn.ReLU(), nn.Linear(16, 4)),
        draw(200, 8).float(),
    )
    monkeypatch.setattr("snnconv.search.searching.CANDIDATES", (*CODES[:4], Phase(12), OneSpike(2)))
    few = snnconv.convert(model, x, coding="auto", max_loss=3.0).search_log
    monkeypatch.setattr("snnconv.search.searching._COST_MARGIN", float("inf"))
    monkeypatch.setattr("snnconv.search.searching._ERROR_MARGIN", float("inf"))
    all_tried = snnconv.convert(model, x, coding="auto", max_loss=3.0).search_log
    assert few is not None and all_tried is not None
    assert few.left_out and not all_tried.left_out and set(few.left_out) < {each.codes for each in all_tried.trials}
    assert few.trials[few.chosen] == all_tried.trials[all_tried.chosen]
    assert "ruled out by single populations: " in str(few) and "ruled out" not in str(all_tried)
    assert len(few.trials) + len(few.left_out) == len(all_tried.trials)


def test_a_search_draws_nothing_from_the_random_numbers_of_its_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("snnconv.search.searching.CANDIDATES", CODES[2:4])
    torch.manual_seed(0)
    model, x = nn.Sequential(nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 4)), draw(40, 8).float()
    before = torch.get_rng_state()
    snnconv.convert(model.eval(), x, coding="auto", max_loss=50.0, input=Phase(4))
    assert torch.equal(torch.get_rng_state(), before)
