"""Codes that nobody asked for: predicted errors against measured ones, and what is chosen."""

import pytest
import torch
from torch import Tensor, nn

import snnconv
from coding import CodingPlan, FewSpike
from coding.candidates import DEFAULTS
from snnconv.calibration.assembly import Calibrator
from snnconv.calibration.options import Options
from snnconv.graph.interpreter import evaluate_graph
from snnconv.search.choices import Choices
from snnconv.search.error_budget import BOUND, _response
from snnconv.spiking.settling import decode

SAMPLES = torch.randn(400, 6, generator=torch.Generator().manual_seed(1))


class Gated(nn.Module):
    """A perceptron with SiLU and a gate."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.gate, self.last = nn.Linear(6, 24), nn.Linear(24, 24), nn.Linear(24, 4)

    def forward(self, x: Tensor) -> Tensor:
        hidden = nn.functional.silu(self.first(x))
        scores: Tensor = self.last(hidden * torch.sigmoid(self.gate(hidden)))
        return scores


def error(network: snnconv.SpikingNetwork, model: nn.Module) -> float:
    x = torch.randn(200, 6, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        exact = model(x)
    return float((network(x) - exact).norm() / exact.norm())


@pytest.mark.parametrize("code", [FewSpike(8, spikes=3), FewSpike(12, spikes=4)], ids=str)
def test_expected_error_of_one_population_is_what_it_does_to_the_output(
    code: FewSpike, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("snnconv.search.error_budget._DIRECTIONS", 400)
    plan = CodingPlan()
    calibrated = Calibrator(Gated(), SAMPLES, None).calibrated(plan, Options())
    response = _response(calibrated)
    assert response is not None
    samples = tuple(tensor[:16] for tensor in calibrated.samples.fitted[0])
    exact, _ = evaluate_graph(calibrated.graph, samples)
    for node, (choice,) in Choices(calibrated, [code], Options(), plan).populations.items():
        alone = {node: lambda arguments, choice=choice: decode(choice, arguments["self"])}
        found, _ = evaluate_graph(calibrated.graph, samples, handlers=alone)
        wanted = float((found - exact).norm() / exact.norm())
        assert response.of(node, choice)[0] ** 0.5 == pytest.approx(wanted, rel=0.25)


def test_output_is_within_the_bound_with_fewer_spikes_than_the_finest_code() -> None:
    model = Gated()
    network = snnconv.convert(model, SAMPLES)
    finest = snnconv.convert(model, SAMPLES, coding=DEFAULTS[-1])
    assert error(network, model) < 1.5 * BOUND
    few, many = (snnconv.evaluate(each, SAMPLES).spikes_per_neuron for each in (network, finest))
    assert few < many
    assert len({type(population.code) for population in network.populations.values()}) > 1


def test_a_name_means_one_code_for_all_and_piecewise_linear_networks_have_it_without() -> None:
    asked = snnconv.convert(Gated(), SAMPLES, coding="few-spike")
    windowed = [population.code for population in asked.populations.values() if population.tables is None]
    assert {code.steps for code in windowed} == {FewSpike().steps}
    plain = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 4))
    assert {population.code.steps for population in snnconv.convert(plain, SAMPLES).populations.values()} == {
        FewSpike().steps
    }


def test_decisions_alone_have_the_default_code() -> None:
    class Deciding(Gated):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x).argmax(1)

    network = snnconv.convert(Deciding(), SAMPLES)
    assert {population.code.steps for population in network.populations.values() if population.tables is None} == {
        FewSpike().steps
    }
