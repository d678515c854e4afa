"""The double-exponential neuron: its kernel, its scale, its resets, and that the whole-time recursion is its step."""

from __future__ import annotations

import pytest
import torch

import neurons
from neurons import DoubleExponential
from snnconv.learning.recursions import respond


def test_equal_decays_have_the_published_scale() -> None:
    neuron = DoubleExponential(0.99, 0.99)
    assert neuron.gain == pytest.approx(1.0 / (100 * 0.99**99)) == pytest.approx(0.02705, abs=5e-6)
    kernel = neuron.kernel(300)
    steps = torch.arange(300, dtype=torch.float64)
    assert torch.allclose(kernel, neuron.gain * (steps + 1) * 0.99**steps, rtol=1e-12)
    assert float(kernel.max()) == pytest.approx(1.0) and int(kernel.argmax()) in (98, 99)


@pytest.mark.parametrize("decays", [(0.9, 0.5), (0.5, 0.9), (0.0, 0.0), (0.0, 0.9), (0.99, 0.9)])
def test_the_kernel_peaks_at_one(decays: tuple[float, float]) -> None:
    neuron = DoubleExponential(*decays)
    kernel, (a_i, a_v) = neuron.kernel(200), decays
    assert float(kernel.max()) == pytest.approx(1.0)
    for k in range(10):
        expected = neuron.gain * sum(a_i**j * a_v ** (k - j) for j in range(k + 1))
        assert float(kernel[k]) == pytest.approx(expected)


def test_a_spike_erases_current_and_potential() -> None:
    neuron, drive = DoubleExponential(0.9, 0.9, scale=1.0), torch.zeros(6, 1, 1)
    drive[0] = 1.0
    drive[3] = 0.5
    response = respond(neuron, drive, None)
    assert response.events.flatten().tolist() == [1, 0, 0, 0, 0, 1]
    assert response.potential.flatten().tolist() == pytest.approx([1.0, 0, 0, 0.5, 0.9, 0.9**2 * 1.5])


def test_a_bias_enters_the_potential() -> None:
    response = respond(DoubleExponential(0.9, 0.5, scale=0.5), torch.zeros(3, 1, 1), torch.tensor([0.8]))
    assert response.potential.flatten().tolist() == pytest.approx([0.4, 0.6, 0.7])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_all_steps_at_once_are_the_steps_one_by_one(dtype: torch.dtype) -> None:
    neuron = DoubleExponential(0.9, 0.8)
    drive = 0.5 + torch.randn(50, 3, 4, dtype=dtype, generator=torch.Generator().manual_seed(0))
    response = respond(neuron, drive.clone(), None)
    state = neuron.initial(drive[0])
    for t in range(50):
        spikes, state = neuron.step(2.0 * drive[t], state, t, 0.5)
        assert torch.equal(spikes, response.events[t])
    assert 0.1 < float(response.events.mean()) < 0.9
    assert torch.allclose(state.current, response.state.current)
    assert torch.allclose(state.potential, response.state.potential)
    first = respond(neuron, drive[:20].clone(), None)
    rest = respond(neuron, drive[20:].clone(), None, first.state)
    assert torch.equal(torch.cat([first.events, rest.events]), response.events)


def test_it_is_registered() -> None:
    assert neurons.NEURONS["double-exponential"] is DoubleExponential
