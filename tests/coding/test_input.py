from __future__ import annotations

import pytest
import torch
from torch import Tensor

from coding import Draws, PoissonInput, Rate, RealInput, SpikeInput

VALUES = torch.linspace(0, 1, 21, dtype=torch.float64)


def poisson_train(values: Tensor, steps: int, seed: int) -> Tensor:
    draws = Draws(seed, range(len(values)))
    return torch.stack([PoissonInput().step(values, None, t, draws)[0] for t in range(steps)])


@pytest.mark.parametrize("t", [0, 1, 99])
def test_a_real_input_presents_the_value_itself_at_every_step(t: int) -> None:
    values = torch.tensor([-2.0, 0.0, 0.3, 5.0])
    payload, state = RealInput().step(values, RealInput().initial(values), t, None)
    assert torch.equal(payload, values)
    assert state is None


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_mean_of_a_poisson_input_is_the_value(seed: int) -> None:
    steps = 4000
    mean = poisson_train(VALUES, steps, seed).mean(0)
    deviation = (VALUES * (1 - VALUES) / steps).sqrt()
    assert bool(((mean - VALUES).abs() <= 4.5 * deviation).all())


def test_poisson_spikes_are_drawn_independently_for_every_element_and_step() -> None:
    train = poisson_train(torch.full((400,), 0.5, dtype=torch.float64), 400, seed=3)
    variance_over_elements = train.mean(0).var()
    variance_over_steps = train.mean(1).var()
    assert 0.7 < float(variance_over_elements) / (0.25 / 400) < 1.3
    assert 0.7 < float(variance_over_steps) / (0.25 / 400) < 1.3


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_poisson_spikes_are_zeros_and_ones_in_the_precision_of_the_values(dtype: torch.dtype) -> None:
    train = poisson_train(VALUES.to(dtype), 50, seed=0)
    assert train.dtype == dtype
    assert train.unique().tolist() == [0.0, 1.0]


def test_zero_never_spikes_and_one_always_does() -> None:
    train = poisson_train(torch.tensor([0.0, 1.0]), 500, seed=0)
    assert train.sum(0).tolist() == [0.0, 500.0]


def test_the_same_seed_gives_the_same_spikes_and_another_seed_others() -> None:
    first, again, other = (poisson_train(VALUES, 20, seed) for seed in (5, 5, 6))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_only_a_spiking_input_says_that_it_spikes() -> None:
    assert PoissonInput().spiking
    assert SpikeInput(Rate(4)).spiking
    assert not RealInput().spiking
