"""neurobench(): what NeuroBench's definitions give, against calculations by hand from rasters and weights."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import snnconv
from snnconv.coding import Code, OneSpike, Rate
from snnconv.errors import InputError

X = torch.rand(10, 3, generator=torch.Generator().manual_seed(1)) + 0.1
STEPS = 8


def perceptron() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))


@pytest.mark.parametrize("code", [Rate(STEPS), OneSpike(STEPS)])
def test_figures_are_those_of_the_definitions(code: Code) -> None:
    network = snnconv.convert(perceptron(), X, coding=code)
    data = X.clone()
    data[:4, 0] = 0.0  # four numbers of no effect
    (raster,) = network.run(data, record=["rasters"]).rasters.values()
    spikes, presented = int(raster.ne(0).sum()), STEPS if isinstance(code, Rate) else 1
    found = snnconv.neurobench(network, data).to_dict()
    tensors = [*network.parameters(), *network.buffers()]
    assert found["Footprint"] == sum(each.numel() * each.element_size() for each in tensors) >= 4 * (12 + 4 + 8 + 2)
    assert found["ConnectionSparsity"] == 0.0
    assert raster.shape == (STEPS, 10, 4)
    assert found["ActivationSparsity"] == pytest.approx(1 - spikes / raster.numel())
    operations = found["SynapticOperations"]
    assert operations["Effective_ACs"] == pytest.approx(spikes * 2 / 10)
    assert operations["Effective_MACs"] == pytest.approx((30 - 4) * 4 * presented / 10)
    assert operations["Dense"] == 12 * presented + 8 * STEPS
    updates = sum(snnconv.evaluate(network, data).totals.updates.values())
    assert found["MembraneUpdates"] == pytest.approx(updates / 10)


def test_weights_of_zero_are_told_apart_and_make_a_bound() -> None:
    model = perceptron()
    with torch.no_grad():
        model[2].weight[0] = 0.0  # type: ignore[index]
    found = snnconv.neurobench(snnconv.convert(model, X, coding=OneSpike(STEPS)), X)
    assert found.to_dict()["ConnectionSparsity"] == pytest.approx(4 / 20) and found.is_bound


def test_real_layers_in_a_row_count_one_by_one() -> None:
    """Each multiplies what the one before it gives, not every input by its paths."""
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 2))
    found = snnconv.neurobench(snnconv.convert(model, X, coding=OneSpike(STEPS)), X).to_dict()["SynapticOperations"]
    assert found["Effective_MACs"] == 3 * 4 + 4 * 5 and found["Dense"] == 3 * 4 + 4 * 5 + 5 * 2 * STEPS


def test_a_network_without_weights_has_none_that_is_0() -> None:
    found = snnconv.neurobench(snnconv.convert(nn.ReLU(), X, coding=OneSpike(STEPS)), X).to_dict()
    assert found["ConnectionSparsity"] == found["SynapticOperations"]["Dense"] == 0.0


def test_parts_of_a_data_set_merge_to_the_whole() -> None:
    network = snnconv.convert(perceptron(), X, coding=OneSpike(STEPS))

    def of(data: Tensor) -> snnconv.NeuroBench:
        return snnconv.neurobench(network, data)

    assert vars(of(X[:3]).merge(of(X[3:]))) == pytest.approx(vars(of(X)), rel=1e-12)
    other = snnconv.convert(nn.Sequential(nn.Linear(3, 2), nn.ReLU()), X, coding=OneSpike(STEPS))
    with pytest.raises(InputError, match="cannot be merged"):
        of(X).merge(snnconv.neurobench(other, X))
