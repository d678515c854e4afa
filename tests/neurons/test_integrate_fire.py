from __future__ import annotations

import pytest
import torch
from torch import Tensor

from coding import ConfigurationError, Rate
from neurons import IntegrateFire, NorseNeuron, SnntorchNeuron

STEPS = 60


def currents(seed: int, dtype: torch.dtype = torch.float64, low: int = -700, high: int = 1500) -> Tensor:
    """Currents k / 1024, [T, N]: every potential is a sum without rounding."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(low, high, (STEPS, 64), generator=generator).to(dtype) / 1024


def simulate(neuron: IntegrateFire, inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Spikes [T, N] and the last potential [N]."""
    state = neuron.initial(inputs[0])
    spikes = []
    for t, current in enumerate(inputs):
        spike, state = neuron.step(current.clone(), state, t)
        spikes.append(spike.clone())
    return torch.stack(spikes), state.potential


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("initial", [1 / 2048, 1025 / 2048, 2047 / 2048])
def test_reset_by_subtraction_is_a_snntorch_leaky_without_leak(initial: float, seed: int, dtype: torch.dtype) -> None:
    # snntorch fires strictly above its threshold, this project at it. Potentials that are odd multiples of 1 / 2048
    # never meet the threshold of 1, so both rules are one. snntorch subtracts at the beginning of the next step, which
    # moves its recorded membrane by one reset but no spike.
    import snntorch

    inputs = currents(seed, dtype)
    reference = snntorch.Leaky(beta=1.0, reset_mechanism="subtract")
    membrane = torch.full_like(inputs[0], initial)
    expected = []
    for current in inputs:
        spike, membrane = reference(current, membrane)
        expected.append(spike)
    spikes, _ = simulate(IntegrateFire(Rate(STEPS), initial_potential=initial), inputs)
    assert torch.equal(spikes, torch.stack(expected))
    assert 0.1 < float(spikes.mean()) < 0.9


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("initial", [0.0, 0.5, 1023 / 1024])
def test_reset_to_zero_is_norse_integrate_and_fire(initial: float, seed: int, dtype: torch.dtype) -> None:
    # A reset to zero brings every potential back to multiples of 1 / 1024. Whether norse fires at or above its
    # threshold cannot matter at 1 - 1 / 2048, which lies between two of them; for ours, 1 lies at the upper one.
    from norse.torch import IAFCell, IAFParameters
    from norse.torch.functional.iaf import IAFFeedForwardState

    inputs = currents(seed, dtype)
    threshold, zero = torch.tensor(1 - 1 / 2048, dtype=dtype), torch.tensor(0.0, dtype=dtype)
    reference = IAFCell(p=IAFParameters(v_th=threshold, v_reset=zero))
    state = IAFFeedForwardState(v=torch.full_like(inputs[0], initial))
    expected = []
    for current in inputs:
        spike, state = reference(current, state)
        expected.append(spike)
    spikes, potential = simulate(IntegrateFire(Rate(STEPS), "zero", initial), inputs)
    assert torch.equal(spikes, torch.stack(expected))
    assert torch.equal(potential, state.v)
    assert 0.1 < float(spikes.mean()) < 0.9


@pytest.mark.parametrize("seed", [0, 1])
def test_both_adapters_agree_with_the_neurons_they_stand_for(seed: int) -> None:
    import snntorch
    from norse.torch import IAFCell, IAFParameters

    inputs = currents(seed)
    subtract = SnntorchNeuron(snntorch.Leaky(beta=1.0, reset_mechanism="subtract"), initial_potential=1025 / 2048)
    zero = NorseNeuron(IAFCell(p=IAFParameters(v_th=torch.tensor(1 - 1 / 2048))))
    pairs = [
        (subtract, IntegrateFire(Rate(STEPS), "subtract", 1025 / 2048)),
        (zero, IntegrateFire(Rate(STEPS), "zero")),
    ]
    for adapter, neuron in pairs:
        state = adapter.initial(inputs[0])
        spikes = []
        for t, current in enumerate(inputs):
            spike, state = adapter.step(current.clone(), state, t)
            spikes.append(spike)
        assert torch.equal(torch.stack(spikes), simulate(neuron, inputs)[0])


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("initial", [0.0, 0.5, 0.75])
def test_reset_by_subtraction_conserves_charge(initial: float, seed: int) -> None:
    inputs = currents(seed)
    spikes, potential = simulate(IntegrateFire(Rate(STEPS), initial_potential=initial), inputs)
    assert torch.equal(spikes.sum(0), inputs.sum(0) + initial - potential)


@pytest.mark.parametrize("steps", [1, 7, 64, 100])
@pytest.mark.parametrize(("initial", "rounding"), [(0.0, 0), (0.5, 1024)])
def test_a_constant_current_fires_as_the_rate_code_says(steps: int, initial: float, rounding: int) -> None:
    numerators = torch.arange(1025)
    drive = (numerators.double() / 1024).expand(steps, -1)
    spikes, _ = simulate(IntegrateFire(Rate(steps), initial_potential=initial), drive)
    assert torch.equal(spikes.sum(0).long(), (2 * numerators * steps + rounding) // 2048)


@pytest.mark.parametrize("interval", [1, 2, 3, 5, 7])
def test_reset_to_zero_fires_at_the_rate_of_whole_intervals(interval: int) -> None:
    # A drive z takes ceil(1 / z) steps from an empty membrane to the threshold, whatever is left over being lost.
    drive = torch.tensor([1.0 / interval, (1.0 / interval + 1.0 / max(interval - 1, 0.5)) / 2], dtype=torch.float64)
    steps = 20 * interval
    spikes, _ = simulate(IntegrateFire(Rate(steps), "zero", 0.0), drive.expand(steps, -1))
    assert spikes.sum(0).tolist() == [20.0, 20.0]


def test_a_negative_drive_never_fires() -> None:
    for reset in ("subtract", "zero"):
        spikes, _ = simulate(IntegrateFire(Rate(STEPS), reset), currents(0, low=-900, high=0))  # type: ignore[arg-type]
        assert not spikes.any()


@pytest.mark.parametrize("reset", ["hard", "", None, 0])
def test_an_unknown_reset_is_refused(reset: object) -> None:
    with pytest.raises(ConfigurationError, match="reset must be"):
        IntegrateFire(Rate(4), reset=reset)  # type: ignore[arg-type]


@pytest.mark.parametrize("potential", [-0.1, 1.0, 3.0, float("nan")])
def test_an_initial_potential_at_or_above_threshold_or_below_rest_is_refused(potential: float) -> None:
    with pytest.raises(ConfigurationError, match="initial_potential"):
        IntegrateFire(Rate(4), initial_potential=potential)
