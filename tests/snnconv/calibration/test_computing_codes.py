"""Few-spike neurons whose coefficients compute the function of a population: in networks, in files, and refusals."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import snnconv
from coding import Code, Concurrent, FewSpike, FewSpikeNeuron
from snnconv.errors import StorageError
from snnconv.storage.stored_checks import check_tables
from snnconv.tuning.surrogate_gradients import tuned_window
from snnconv.tuning.trained_tensors import TrainedTensors
from tests.support.networks import draw

SILU, SIGMOID = FewSpikeNeuron.published("silu"), FewSpikeNeuron.published("sigmoid")
CODES: dict[str, Code] = {"1": SILU, "5": SIGMOID, "*": FewSpike(8)}


class Swish(nn.Module):
    """SiLU as the product that it is."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(x)


def model(act: nn.Module | None = None) -> nn.Sequential:
    """SiLU (or ``act``), ReLU and sigmoid, as populations 1, 3 and 5."""
    torch.manual_seed(4)
    linear = [nn.Linear(*sizes) for sizes in ((6, 9), (9, 8), (8, 7), (7, 3))]
    layers = [linear[0], act or nn.SiLU(), linear[1], nn.ReLU(), linear[2], nn.Sigmoid(), linear[3]]
    return nn.Sequential(*layers).double().eval()


SAMPLES = 4.0 * draw(60, 6)


@pytest.mark.parametrize("act", [nn.SiLU(), Swish()], ids=["one operator", "a product"])
def test_populations_of_the_function_fire_as_the_coefficients_say(act: nn.Module) -> None:
    original = model(act)
    first, *_ = [population.name for population in snnconv.convert(original, SAMPLES).populations.values()]
    network = snnconv.convert(original, SAMPLES, coding={first: SILU, "5": SIGMOID, "*": FewSpike(8)})
    clock, window = (network.run(SAMPLES, simulator=name, record=["rasters"]) for name in ("clock", "window"))
    current = original[0](SAMPLES).detach()
    for population in network.populations.values():
        assert torch.equal(clock.rasters[population.name], window.rasters[population.name])
        if population.code.computes is not None:
            assert bool((population.scale == 1).all())
            assert torch.equal(clock.rasters[population.name], population.code.encode(current + population.shift))
        layer = original[int(population.name[0]) + 1] if population.name != first else original[2]
        current = layer(clock.rasters[population.name].sum(0) * population.scale).detach()
    torch.testing.assert_close(clock.output, current, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(window.output, current, rtol=1e-12, atol=1e-12)
    expected = original(SAMPLES).detach()
    assert float((current - expected).norm() / expected.norm()) < 0.1


def test_they_are_stored_and_told_of(tmp_path: Path) -> None:
    network = snnconv.convert(model(), SAMPLES, coding=CODES)
    network.save(tmp_path / "network.snn")
    loaded = snnconv.load(tmp_path / "network.snn")
    assert torch.equal(loaded(SAMPLES), network(SAMPLES))
    assert [p.code for p in loaded.populations.values()] == [p.code for p in network.populations.values()]
    assert "1: silu, by the coefficients of its code" in network.report()
    first = next(iter(network.populations.values()))
    for wrong in (replace(first, scale=2 * first.scale), replace(first, activation=nn.ReLU())):
        with pytest.raises(StorageError, match="a code that computes no function of its currents"):
            check_tables(wrong)


def test_tuning_leaves_their_scale_alone_and_takes_the_slope_of_the_function() -> None:
    network = snnconv.convert(model(), SAMPLES, coding=CODES)
    (_, population), (relu, _), _ = network.populations.items()
    scales = [name for name, _ in TrainedTensors(network).named_buffers() if name.startswith("scale")]
    assert scales == [f"scale {relu}"]
    current = torch.linspace(-6.0, 6.0, 9 * 20, dtype=torch.float64).view(20, 9).requires_grad_()
    tuned_window(population, current, "timing").sum().backward()  # type: ignore[no-untyped-call]
    probe = (current.detach() + population.shift).requires_grad_()
    (slope,) = torch.autograd.grad(torch.nn.functional.silu(probe).sum(), probe)
    assert current.grad is not None
    torch.testing.assert_close(current.grad, slope, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (
            {"coding": {"3": SILU}},
            r"^3 \(.*computes that function, and this population is piecewise-linear, .* name the pop",
        ),
        (
            {"coding": {"5": SILU}},
            r"^5 \(.*coefficients of silu, and .* another function of its currents, sigmoid; name the pop",
        ),
        ({"coding": CODES, "initial_potential": 0.25}, r"^1 \(.*initial_potential=0.25 would shift"),
        ({"coding": CODES, "input": SILU}, "would present that function of the input"),
        ({"coding": CODES, "schedule": Concurrent(16)}, "is a window code"),
    ],
)
def test_what_the_coefficients_are_not_for_is_refused(given: dict[str, Any], told: str) -> None:
    with pytest.raises(snnconv.ConfigurationError, match=told):
        snnconv.convert(model(), SAMPLES, **given)


def test_currents_that_the_coefficients_were_not_fitted_to_are_told_of(caplog: pytest.LogCaptureFixture) -> None:
    def told(samples: Tensor) -> list[str]:
        caplog.clear()
        snnconv.convert(model(), samples, coding=CODES)
        return [message for record in caplog.records if "off by" in (message := record.getMessage())]

    caplog.set_level(logging.WARNING)
    assert told(SAMPLES) == []
    silu, sigmoid = told(20.0 * SAMPLES)
    assert silu.startswith("1: the coefficients of silu are off by") and sigmoid.startswith("5: ")
