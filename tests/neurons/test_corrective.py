from __future__ import annotations

import pytest
import torch
from torch import Tensor

from coding import ConfigurationError, Rate
from neurons import CorrectiveIntegrateFire, IntegrateFire


def simulate(neuron: CorrectiveIntegrateFire | IntegrateFire, inputs: Tensor) -> tuple[Tensor, Tensor]:
    state = neuron.initial(inputs[0])
    payloads = []
    for t, current in enumerate(inputs):
        payload, state = neuron.step(current.clone(), state, t)
        payloads.append(payload.clone())
    return torch.stack(payloads), state.potential


def random_currents(seed: int, low: int = -1500, high: int = 1500) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(low, high, (80, 256), generator=generator).double() / 1024


@pytest.mark.parametrize("margin", [0.25, 0.5, 1.0])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_output_so_far_is_never_negative(seed: int, margin: float) -> None:
    payloads, _ = simulate(CorrectiveIntegrateFire(Rate(80), margin=margin), random_currents(seed))
    assert bool((payloads.cumsum(0) >= 0).all())
    assert payloads.unique().tolist() == [-1.0, 0.0, 1.0]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_charge_is_conserved(seed: int) -> None:
    inputs = random_currents(seed)
    payloads, potential = simulate(CorrectiveIntegrateFire(Rate(80)), inputs)
    assert torch.equal(payloads.sum(0), inputs.sum(0) + 0.5 - potential)


@pytest.mark.parametrize("early", [1, 3, 10])
def test_spikes_fired_on_input_that_is_cancelled_later_are_taken_back(early: int) -> None:
    inputs = torch.cat([torch.ones(early, 1), -torch.ones(early + 2, 1)]).double()
    corrected, _ = simulate(CorrectiveIntegrateFire(Rate(len(inputs))), inputs)
    plain, _ = simulate(IntegrateFire(Rate(len(inputs))), inputs)
    assert corrected.cumsum(0)[early - 1].item() == early
    assert corrected.sum().item() == 0
    assert plain.sum().item() == early


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_after_small_currents_the_count_is_relu_of_the_sum_rounded(seed: int) -> None:
    # A current below half a spike can be answered within the step, so what counts is the sum and not its order.
    inputs = random_currents(seed, -511, 511)
    payloads, _ = simulate(CorrectiveIntegrateFire(Rate(80)), inputs)
    difference = payloads.sum(0) - inputs.sum(0).clamp(min=0)
    assert float(difference.abs().max()) <= 1.0


@pytest.mark.parametrize("initial", [0.0, 0.5])
@pytest.mark.parametrize("steps", [1, 16, 64])
def test_a_constant_drive_that_is_not_negative_needs_no_correction(steps: int, initial: float) -> None:
    drive = (torch.arange(1537).double() / 1024).expand(steps, -1)
    corrected, potential = simulate(CorrectiveIntegrateFire(Rate(steps), initial), drive)
    plain, plain_potential = simulate(IntegrateFire(Rate(steps), initial_potential=initial), drive)
    assert torch.equal(corrected, plain)
    assert torch.equal(potential, plain_potential)


def test_a_negative_drive_has_nothing_to_take_back() -> None:
    payloads, _ = simulate(CorrectiveIntegrateFire(Rate(80)), random_currents(0, -1500, 0))
    assert not payloads.any()


@pytest.mark.parametrize("margin", [0.0, -0.5, 1.5, float("nan")])
def test_a_margin_outside_zero_to_one_is_refused(margin: float) -> None:
    with pytest.raises(ConfigurationError, match="margin"):
        CorrectiveIntegrateFire(Rate(4), margin=margin)


@pytest.mark.parametrize("potential", [-0.5, 1.0, 2.0])
def test_an_initial_potential_at_or_above_threshold_or_below_rest_is_refused(potential: float) -> None:
    with pytest.raises(ConfigurationError, match="initial_potential"):
        CorrectiveIntegrateFire(Rate(4), potential)
