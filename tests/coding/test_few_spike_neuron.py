"""Few-spike neurons of Stoeckl and Maass (2021): their recursion, what was published of them, tables beside them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from coding import ConfigurationError, FewSpikeNeuron, Phase
from coding.table_fitting import fit_tables
from coding.table_lines import fit_lines

FUNCTIONS = {"silu": F.silu, "sigmoid": torch.sigmoid}
#: By function: currents from, to; root mean squared error and spikes of the published coefficients on them, computed
#: apart from this library, in numpy, by v - T > 0 as the authors' program does.
MEASURED = {"silu": (-8.0, 12.0, 0.05870, 4.169), "sigmoid": (-8.0, 8.0, 0.01281, 2.922)}


def recursion(code: FewSpikeNeuron, value: float) -> list[float]:
    """v(1) = x, z(t) = 1 where v(t) >= T(t), v(t + 1) = v(t) - h(t) z(t): d(t) z(t) of every step."""
    payloads = []
    for threshold, removed, emitted in zip(*code.coefficients, strict=True):
        spike = value >= threshold
        payloads.append(emitted * spike)
        value -= removed * spike
    return payloads


@pytest.mark.parametrize("name", FUNCTIONS)
def test_trains_follow_the_published_recursion(name: str) -> None:
    code = FewSpikeNeuron.published(name)
    values = torch.rand(400, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 24.0 - 12.0
    expected = torch.tensor([recursion(code, value) for value in values.tolist()], dtype=torch.float64).T
    assert torch.equal(code.encode(values), expected)
    found = code.quantize(values)
    assert torch.equal(found.values, torch.stack([*expected]).cumsum(0)[-1])
    assert found.spikes is not None and torch.equal(found.spikes, (expected != 0).double().sum(0))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_published_coefficients_have_the_error_that_they_have_elsewhere(name: str) -> None:
    lowest, highest, error, spikes = MEASURED[name]
    currents = torch.linspace(lowest, highest, 200_001, dtype=torch.float64)
    found = FewSpikeNeuron.published(name).quantize(currents)
    assert float((found.values - FUNCTIONS[name](currents)).square().mean().sqrt()) == pytest.approx(error, rel=1e-3)
    assert found.spikes is not None and float(found.spikes.mean()) == pytest.approx(spikes, rel=1e-3)


def test_the_sigmoid_fires_as_often_as_its_authors_noted() -> None:
    """2.73707 spikes a neuron in ``fs_weights.py``, over the currents of ``find_coeffs.py``.

    Their figures are those before the last step of training, the coefficients those after it.
    """
    found = FewSpikeNeuron.published("sigmoid").quantize(torch.linspace(-10.0, 10.0, 100_000))
    assert found.spikes is not None and float(found.spikes.mean()) == pytest.approx(2.73707, rel=1e-3)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_table_with_two_spikes_and_as_many_steps_is_nearer_with_fewer_spikes(name: str) -> None:
    code, (lowest, highest, error, spikes) = FewSpikeNeuron.published(name), MEASURED[name]
    cells = (code.steps + 1) // 2
    places = code.steps - cells + 1
    edges = torch.linspace(lowest, highest, 2049, dtype=torch.float64)[None]
    currents = (edges[:, 1:] + edges[:, :-1]) / 2
    values = FUNCTIONS[name](currents)
    thresholds, payloads = fit_tables(values, torch.ones_like(values), edges, cells, places=places)
    lines = fit_lines(values, torch.ones_like(values), edges, thresholds, payloads, places)
    reached = (currents[:, :, None] >= thresholds[:, None]).sum(2)

    def of_cell(row: Tensor) -> Tensor:
        return row.gather(1, (cells - reached).clamp(max=cells - 1))

    level = ((currents - of_cell(lines.origins)) * of_cell(lines.rates)).floor().clamp(0, places - 1)
    found = torch.where(reached > 0, of_cell(lines.payloads) + level * of_cell(lines.slopes), 0.0)
    assert float((found - values).square().mean().sqrt()) < 0.9 * error
    assert float(((reached > 0) * (1.0 + (level > 0))).mean()) < 0.55 * spikes


def test_without_coefficients_they_are_those_of_relu() -> None:
    """Equation 4: T, h and d are powers of one half; phase code of base 2 has the same trains."""
    values = torch.linspace(-0.5, 1.5, 4001, dtype=torch.float64)
    assert torch.equal(FewSpikeNeuron(8).encode(values), Phase(8, 2.0).encode(values))
    assert FewSpikeNeuron(8).maximum == 1.0 - 2.0**-8 and FewSpikeNeuron(8).computes is None


TWO = (0.5, 0.25)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"thresholds": TWO, "removed": TWO, "emitted": (0.5,)}, "must be 2 finite numbers each"),
        ({"thresholds": TWO}, "must be 2 finite numbers each"),
        ({"function": "silu"}, "must be 2 finite numbers each"),
        ({"thresholds": TWO, "removed": (0.5, float("nan")), "emitted": TWO}, "must be 2 finite numbers each"),
        ({"thresholds": TWO, "removed": TWO, "emitted": (0.5, 0.0)}, "a spike that is worth 0 is none"),
        ({"thresholds": TWO, "removed": TWO, "emitted": TWO, "function": ""}, "function must be a name or None"),
    ],
)
def test_coefficients_that_are_none_are_refused(given: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        FewSpikeNeuron(2, **given)


def test_functions_without_published_coefficients_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="only for silu and sigmoid; leave the code out"):
        FewSpikeNeuron.published("gelu")
