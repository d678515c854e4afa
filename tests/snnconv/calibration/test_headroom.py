"""Least-squares scales leave room for samples to come: as much as the samples seen tell of them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import snnconv
from coding import FewSpike
from snnconv.calibration.activation_statistics import ActivationStatistics
from snnconv.graph.operators import PiecewiseLinear

CODE = FewSpike(12, base=1.7, spikes=4)
#: Activations by how their largest values scatter.
TAILS: dict[str, Callable[[Tensor], Tensor]] = {
    "normal": lambda values: values.clamp(min=0.0),
    "exponential": lambda values: -torch.log(torch.special.ndtr(-values)),
    "lognormal": torch.exp,
}


def _drawn(samples: int, tail: str, seed: int) -> Tensor:
    values = torch.randn(samples, 32, 25, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return TAILS[tail](values)


def _observed(values: Tensor, activation: PiecewiseLinear | None = None) -> ActivationStatistics:
    statistics = ActivationStatistics(channel_axis=1, activation=activation or PiecewiseLinear())
    statistics.observe_maximum(values)
    statistics.observe_histogram(values)
    return statistics


def _squared_error(largest: Tensor, values: Tensor) -> float:
    scale = (largest / CODE.full_scale).view(1, -1, 1)
    return float((CODE.quantize(values / scale, counted=False).values * scale - values).square().sum())


@pytest.mark.parametrize("samples", [20, 60, 300])
@pytest.mark.parametrize("tail", TAILS)
def test_room_is_left_for_new_samples(tail: str, samples: int) -> None:
    statistics = _observed(_drawn(samples, tail, seed=1))
    new = _drawn(2000, tail, seed=2)
    errors = {room: _squared_error(statistics.maximum * room, new) for room in (1.0, 1.25, 1.5, 2.0, 3.0, 5.0)}
    found = _squared_error(statistics.least_squares(CODE), new)
    assert found <= 6.0 * min(errors.values())  # 20 samples may tell of a heavier tail than there is
    assert found <= 0.5 * errors[1.0]  # the maximum of few samples cuts many of the next


@pytest.mark.parametrize("batch", [1, 7, 40])
def test_what_is_observed_does_not_depend_on_batches(batch: int) -> None:
    values = _drawn(40, "exponential", seed=3)
    whole, pieces = _observed(values), ActivationStatistics(channel_axis=1)
    for piece in torch.split(values.flip(0), batch):
        pieces.observe_maximum(piece)
    for piece in torch.split(values, batch):
        pieces.observe_histogram(piece)
    assert torch.equal(whole.highest, pieces.highest)
    assert torch.equal(whole.least_squares(CODE), pieces.least_squares(CODE))


def test_the_largest_few_of_all_samples_are_kept_in_order() -> None:
    values = _drawn(30, "normal", seed=4)
    peaks = values.amax(2).sort(0, descending=True).values
    found = _observed(values)
    assert torch.equal(found.highest, peaks[: found.highest.shape[1]].T)
    assert torch.equal(found.maximum, peaks[0])


def test_no_room_is_left_beyond_a_bound() -> None:
    values = _drawn(20, "lognormal", seed=6)
    bound = float(values.max())
    free, bounded = _observed(values), _observed(values, PiecewiseLinear(maximum=bound))
    assert bool((bounded.least_squares(CODE) <= free.least_squares(CODE)).all())
    highest = bounded.maximum.argmax()
    assert float(bounded.least_squares(CODE)[highest]) <= 1.1 * bound


@pytest.mark.parametrize(("inputs", "hidden"), [(784, 128), (28, 64), (4, 128)])
def test_sixteen_samples_leave_an_output_right_within_three_percent(inputs: int, hidden: int) -> None:
    torch.manual_seed(0)
    layers = nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 10)
    model, new = nn.Sequential(*layers).eval(), torch.randn(2000, inputs)
    network = snnconv.convert(model, torch.randn(16, inputs), coding=FewSpike(12, spikes=4))
    with torch.no_grad():
        wanted = model(new)
    assert float((network(new) - wanted).norm() / wanted.norm()) < 0.03
