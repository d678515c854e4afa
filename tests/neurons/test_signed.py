from __future__ import annotations

from typing import Literal

import pytest
import torch
from torch import Tensor
from torch.nn.functional import leaky_relu

from coding import Burst, Code, ConfigurationError, Rate
from neurons import SignedIntegrateFire

VARIANTS: list[Literal["graded", "imbalanced"]] = ["graded", "imbalanced"]
SLOPES = [1.0, 0.5, 0.25, 0.125]


def simulate(neuron: SignedIntegrateFire, inputs: Tensor) -> tuple[Tensor, Tensor]:
    state = neuron.initial(inputs[0])
    payloads = []
    for t, current in enumerate(inputs):
        payload, state = neuron.step(current.clone(), state, t)
        payloads.append(payload.clone())
    return torch.stack(payloads), state.potential


@pytest.mark.parametrize("steps", [1, 8, 64, 500])
@pytest.mark.parametrize("slope", [*SLOPES, 0.1, 0.01])
@pytest.mark.parametrize("negative", VARIANTS)
def test_the_decoded_value_is_leaky_relu_to_one_level(
    negative: Literal["graded", "imbalanced"], slope: float, steps: int
) -> None:
    drive = torch.linspace(-1, 1, 129, dtype=torch.float64)
    payloads, _ = simulate(SignedIntegrateFire(Rate(steps), slope, negative), drive.expand(steps, -1))
    error = (payloads.mean(0) - leaky_relu(drive, slope)).abs().max()
    assert float(error) <= 1.0 / steps + 1e-12


@pytest.mark.parametrize("slope", SLOPES)
@pytest.mark.parametrize("negative", VARIANTS)
def test_spike_counts_of_a_constant_drive_are_those_of_the_closed_form(
    negative: Literal["graded", "imbalanced"], slope: float
) -> None:
    steps, numerators = 50, torch.arange(-1024, 1025)
    drive = numerators.double() / 1024
    payloads, _ = simulate(SignedIntegrateFire(Rate(steps), slope, negative), drive.expand(steps, -1))
    charge = 1.0 if negative == "graded" else 1.0 / slope
    expected_positive = (numerators.clamp(min=0) * steps) // 1024
    expected_negative = (-numerators.clamp(max=0) * steps) // int(1024 * charge)
    assert torch.equal((payloads > 0).sum(0), expected_positive)
    assert torch.equal((payloads < 0).sum(0), expected_negative)


@pytest.mark.parametrize("slope", SLOPES)
@pytest.mark.parametrize(("negative", "size"), [("graded", None), ("imbalanced", 1.0)])
def test_negative_spikes_have_the_size_that_the_variant_names(
    negative: Literal["graded", "imbalanced"], size: float | None, slope: float
) -> None:
    drive = torch.tensor([-1.0, 1.0], dtype=torch.float64)
    payloads, _ = simulate(SignedIntegrateFire(Rate(20), slope, negative), drive.expand(20, -1))
    assert payloads[:, 0].unique().tolist() in ([-(size or slope)], [-(size or slope), 0.0])
    assert payloads[:, 1].unique().tolist() == [1.0]


def random_currents(steps: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(-1500, 1500, (steps, 64), generator=generator).double() / 1024


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("slope", SLOPES)
def test_the_charge_that_imbalanced_payloads_stand_for_is_conserved(slope: float, seed: int) -> None:
    # A payload p stands for the input whose leaky ReLU is p: p above zero, p / slope below.
    inputs = random_currents(80, seed)
    neuron = SignedIntegrateFire(Rate(80), slope, "imbalanced", initial_potential=0.25)
    payloads, potential = simulate(neuron, inputs)
    stood_for = payloads.clamp(min=0).sum(0) + payloads.clamp(max=0).sum(0) / slope
    assert torch.equal(stood_for, inputs.sum(0) + 0.25 - potential)
    assert bool((payloads > 0).any()) and bool((payloads < 0).any())


@pytest.mark.parametrize("code", [Rate(80), Burst(80)], ids=str)
@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("slope", SLOPES)
def test_graded_payloads_sum_to_the_leaky_relu_of_all_charge_after_every_step(
    code: Code, slope: float, seed: int
) -> None:
    inputs = random_currents(80, seed)
    neuron = SignedIntegrateFire(code, slope, initial_potential=0.25)
    state, total = neuron.initial(inputs[0]), torch.zeros(64, dtype=torch.float64)
    for t, current in enumerate(inputs):
        payload, state = neuron.step(current.clone(), state, t)
        total += payload
        charge = inputs[: t + 1].sum(0) + 0.25 - state.potential
        torch.testing.assert_close(total, leaky_relu(charge, slope), rtol=0, atol=1e-12)


def test_graded_spikes_take_back_whole_spikes_of_the_other_sign_before_fractions() -> None:
    drive = torch.tensor([1.0, -1.0, -1.0, 1.0, 1.0], dtype=torch.float64)[:, None]
    payloads, _ = simulate(SignedIntegrateFire(Rate(5), 0.125), drive)
    assert payloads[:, 0].tolist() == [1.0, -1.0, -0.125, 0.125, 1.0]


@pytest.mark.parametrize("negative", VARIANTS)
def test_a_slope_of_one_is_odd_in_its_input(negative: Literal["graded", "imbalanced"]) -> None:
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randint(-1500, 1500, (40, 64), generator=generator).double() / 1024
    neuron = SignedIntegrateFire(Rate(40), 1.0, negative)
    assert torch.equal(simulate(neuron, -inputs)[0], -simulate(neuron, inputs)[0])


@pytest.mark.parametrize("slope", [0.0, -0.1, 1.1, float("nan")])
def test_a_slope_outside_zero_to_one_is_refused(slope: float) -> None:
    with pytest.raises(ConfigurationError, match="negative_slope"):
        SignedIntegrateFire(Rate(4), slope)


@pytest.mark.parametrize("negative", ["", "IBT", None])
def test_an_unknown_variant_is_refused(negative: object) -> None:
    with pytest.raises(ConfigurationError, match="negative must be"):
        SignedIntegrateFire(Rate(4), 0.1, negative)  # type: ignore[arg-type]
