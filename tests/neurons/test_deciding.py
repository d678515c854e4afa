"""The output's double-exponential neuron: it fires as any other, and its score orders classes."""

from __future__ import annotations

import pytest
import torch

import neurons
from coding import Rate
from neurons import BiasedNeuron, DoubleExponential, DoubleExponentialOutput, IntegrateFire, Neuron, ScoringNeuron
from neurons.double_exponential_output import DecidingState
from snnconv import ConfigurationError
from snnconv.learning.recursions import respond

PLAIN, OUTPUT = DoubleExponential(0.9, 0.8), DoubleExponentialOutput(0.9, 0.8)


def remembered(first: list[float], height: list[float]) -> DecidingState:
    steps, heights = torch.tensor([first]), torch.tensor([height])
    return DecidingState(PLAIN.initial(steps), steps, heights)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("neuron", [PLAIN, OUTPUT], ids=["hidden", "output"])
def test_with_a_bias_it_fires_as_in_learning(neuron: BiasedNeuron, dtype: torch.dtype) -> None:
    drive = 0.3 + torch.randn(50, 3, 4, dtype=dtype, generator=torch.Generator().manual_seed(0))
    bias = torch.tensor([0.7, -0.4, 0.0, 0.1], dtype=dtype)
    expected = respond(PLAIN, drive.clone(), bias)
    state = neuron.initial(drive[0])
    for t in range(50):
        spikes, state = neuron.biased_step(drive[t].clone(), state, t, 1.0, bias)
        assert torch.equal(spikes, expected.events[t])
    assert not torch.equal(respond(PLAIN, drive.clone(), None).events, expected.events)
    assert 0.1 < float(expected.events.mean()) < 0.9


def test_it_remembers_the_step_and_the_potential_of_its_first_spike() -> None:
    drive = 0.2 * torch.randn(50, 3, 4, generator=torch.Generator().manual_seed(0)).abs()
    expected = respond(PLAIN, drive.clone(), None)
    state = OUTPUT.initial(drive[0])
    for t in range(50):
        spikes, state = OUTPUT.step(2.0 * drive[t], state, t, 0.5)
        assert torch.equal(spikes, expected.events[t])
    fired, first = expected.events.max(0)
    assert fired.any()
    assert torch.equal(state.first, torch.where(fired > 0, first.float(), torch.inf))
    height = expected.potential.gather(0, first.unsqueeze(0)).squeeze(0)
    assert torch.allclose(state.height[fired > 0], height[fired > 0])


@pytest.mark.parametrize(
    ("counts", "first", "height", "order"),
    [
        ([1, 3, 2], [0, 5, 1], [9, 1, 9], [1, 2, 0]),  # the count before all
        ([2, 2, 2], [7, 3, 5], [9, 1, 2], [1, 2, 0]),  # then the first spike
        ([2, 2, 2], [3, 3, 3], [1.1, 1.3, 1.2], [1, 2, 0]),  # then the potential
        ([2, 2, 2], [3, 3, 3], [1.1, 1.1, 1.1], [0, 1, 2]),  # then the class
        ([0, 1, 0], [torch.inf, 9, torch.inf], [-torch.inf, 1.0, -torch.inf], [1, 0, 2]),
    ],
)
def test_a_score_orders_by_count_first_spike_and_potential(
    counts: list[float], first: list[float], height: list[float], order: list[int]
) -> None:
    fired = torch.tensor([counts], dtype=torch.float32)
    score = OUTPUT.score(fired, remembered(first, height), 40)
    assert (-score).argsort(dim=1, stable=True).tolist() == [order]
    assert torch.equal(score.floor(), fired)
    assert torch.equal(score == 0, fired == 0)


def test_scores_that_the_precision_cannot_tell_apart_are_refused() -> None:
    state = remembered([3.0, 3.0], [1.1, 1.2])
    counts = torch.full((1, 2), 1e6)
    largest = OUTPUT.score(counts, state, 1_000_000)
    assert largest[0, 1] > largest[0, 0] > 1e6
    with pytest.raises(ConfigurationError, match="cannot tell apart"):
        OUTPUT.score(counts, state, 2_000_000)


def test_what_it_is_is_registered_and_what_it_cannot_be_refused() -> None:
    assert neurons.NEURONS["double-exponential-output"] is DoubleExponentialOutput
    assert isinstance(OUTPUT, Neuron) and isinstance(OUTPUT, ScoringNeuron) and isinstance(OUTPUT, BiasedNeuron)
    assert isinstance(PLAIN, BiasedNeuron) and not isinstance(PLAIN, ScoringNeuron)
    other = IntegrateFire(Rate(8))
    assert not isinstance(other, BiasedNeuron) and not isinstance(other, ScoringNeuron)
    assert OUTPUT.update_cost == PLAIN.update_cost
    with pytest.raises(ConfigurationError, match="current_decay"):
        DoubleExponentialOutput(1.0)
