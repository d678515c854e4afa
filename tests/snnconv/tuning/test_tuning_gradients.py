"""Gradients through windows of spikes: forward the simulator's numbers, backward what the rule says."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import snnconv
from coding import TTFS, Code, FewSpike, OneSpike, Phase, Pipeline, TableSpike
from coding.learned_parameters import payload_parameters, with_payload_parameters
from coding.window.window_code import WindowCode
from snnconv import SpikingNetwork
from snnconv.spiking.population import Population
from snnconv.tuning.differentiable_network import tuned_output
from snnconv.tuning.surrogate_gradients import RULES, Rule, tuned_window
from snnconv.tuning.trained_tensors import TrainedTensors, weights_of
from tests.support import conversion


class PoolingNet(nn.Module):
    """Convolutions with ReLU and leaky ReLU, max pooling, and a linear layer."""

    def __init__(self, slope: float) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second, self.last = nn.Conv2d(2, 5, 3), nn.Conv2d(5, 4, 3), nn.Linear(4, 3)
        self.slope = slope

    def forward(self, images: Tensor) -> Tensor:
        pooled = nn.functional.max_pool2d(nn.functional.leaky_relu(self.first(images), self.slope), 2)
        scores: Tensor = self.last(torch.relu(self.second(pooled)).flatten(2).mean(2))
        return scores


def images(count: int = 24) -> Tensor:
    return torch.randn(count, 2, 10, 10, generator=torch.Generator().manual_seed(1))


@cache
def _converted(code: Code, slope: float, options: tuple[tuple[str, Any], ...]) -> SpikingNetwork:
    return conversion.converted(
        ("pooling", slope), lambda: (PoolingNet(slope).eval(), images()), coding=code, **dict(options)
    )


def converted(code: Code, slope: float = 0.0, **options: Any) -> SpikingNetwork:
    return _converted(code, slope, tuple(options.items())).with_()


@cache
def _neuron(code: Code, slope: float) -> SpikingNetwork:
    model = nn.Sequential(nn.Linear(1, 1), nn.LeakyReLU(slope) if slope else nn.ReLU(), nn.Linear(1, 2)).eval()
    torch.manual_seed(0)
    return snnconv.convert(model, torch.randn(40, 1), coding=code).double()


def neurons(scale: float, shift: float = 0.0, code: Code | None = None, slope: float = 0.0) -> Population:
    """The population of a network with one neuron, of this scale and shift."""
    network = _neuron(code or FewSpike(3, base=2.0, spikes=2), slope).with_()
    (population,) = network.populations.values()
    population.scale.fill_(scale).requires_grad_()
    population.shift.fill_(shift).requires_grad_()
    return population


def gradients(population: Population, current: Tensor, rule: Rule) -> tuple[Tensor, ...]:
    current = current.clone().requires_grad_()
    decoded = tuned_window(population, current, rule)
    return (decoded.detach(), *torch.autograd.grad(decoded.sum(), (current, population.scale, population.shift)))


@pytest.mark.parametrize("code", [OneSpike(4), FewSpike(4, spikes=2), TableSpike(4), Phase(3)])
@pytest.mark.parametrize("slope", [0.0, 0.1])
def test_the_forward_pass_is_that_of_the_window_simulator(code: Code, slope: float) -> None:
    network = converted(code, slope)
    for dtype in (torch.float32, torch.float64):
        network, inputs = network.to(dtype), images(9).to(dtype)
        for _ in range(2):
            for rule in RULES:
                found = tuned_output(network, (inputs,), rule)
                assert torch.equal(found.output, network(inputs))
                assert found.populations.keys() == network.populations.keys()
            for population in network.populations.values():  # with shifts as well
                population.shift.add_(0.1 * population.scale)


def test_a_spiking_input_is_presented_as_in_the_simulator() -> None:
    network = converted(OneSpike(4), input=FewSpike(4, base=2.0, spikes=2), schedule=Pipeline())
    assert torch.equal(tuned_output(network, (images(9),), "activation").output, network(images(9)))


def test_activation_gradients_are_those_of_a_clipped_ramp() -> None:
    # 1.0 and 0.5 are the largest of the payloads 1, 1/2, 1/4; two spikes carry 1.5. Smallest spike at 1/8.
    population = neurons(scale=2.0, shift=0.2)
    current = 2.0 * torch.tensor([[-1.0], [0.05], [0.7], [1.4], [1.6]], dtype=torch.float64) - 0.2
    decoded, to_current, *_ = gradients(population, current, "activation")
    torch.testing.assert_close(decoded.flatten(), torch.tensor([0.0, 0.0, 1.5, 3.0, 3.0], dtype=torch.float64))
    assert to_current.flatten().tolist() == [0.0, 1.0, 1.0, 1.0, 0.0]
    for value, scale, shift in [
        (-1.0, 0.0, 0.0),
        (0.05, -0.05, 1.0),
        (0.7, 0.05, 1.0),
        (1.4, 0.1, 1.0),
        (1.6, 1.5, 0.0),
    ]:
        _, _, to_scale, to_shift = gradients(population, torch.full((1, 1), 2.0 * value - 0.2).double(), "activation")
        assert to_scale.item() == pytest.approx(scale) and to_shift.item() == pytest.approx(shift)


def test_timing_gradients_move_spikes_and_do_not_create_them() -> None:
    population = neurons(scale=2.0)
    current = 2.0 * torch.tensor([[-1.0], [0.05], [0.7], [1.4], [1.6]], dtype=torch.float64)
    _, to_current, *_ = gradients(population, current, "timing")
    expected = [0.0, 0.0, 0.75 / 0.7, 1.5 / 1.4, 0.0]
    torch.testing.assert_close(to_current.flatten(), torch.tensor(expected, dtype=torch.float64))
    # Inside the range the scale moves spikes as much as it weighs them; beyond it, it only weighs them.
    for value, scale in [(0.7, 0.0), (1.6, 1.5)]:
        _, _, to_scale, _ = gradients(population, torch.full((1, 1), 2.0 * value).double(), "timing")
        assert to_scale.item() == pytest.approx(scale, abs=1e-12)


def test_antlr_moves_the_spikes_that_there_are_and_creates_others() -> None:
    population = neurons(scale=2.0)
    current = 2.0 * torch.tensor([[-1.0], [0.05], [0.7], [1.4], [1.6]], dtype=torch.float64)
    of_antlr, of_timing, of_activation = (
        gradients(population, current, rule)[1].flatten().tolist() for rule in ("antlr", "timing", "activation")
    )
    assert of_antlr == [of_timing[0], of_activation[1], *of_timing[2:]]


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("slope", [0.0, 0.1])
@pytest.mark.parametrize("negative", ["graded", "imbalanced"])
@pytest.mark.parametrize("code", [OneSpike(5), FewSpike(5, spikes=2), TableSpike(4), TTFS(9, tau="fit", delay=0.7)])
def test_code_parameters_get_the_slope_of_finite_differences(
    code: Code, slope: float, negative: Any, rule: Rule
) -> None:
    network = converted(code, slope, negative=negative).with_().double()
    trained = TrainedTensors(network)
    (node, *_), distance = network.populations, 1e-7
    population = network.populations[node]
    current = 3.0 * torch.randn(40, *population.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    parameters = trained.payloads[node]
    tuned_window(population, current, rule, parameters).sum().backward()
    assert parameters.grad is not None and len(parameters) == len(payload_parameters(code_of(population)))
    for place, slope_found in enumerate(parameters.grad.tolist()):
        ends = []
        for sign in (1.0, -1.0):
            with torch.no_grad():
                moved = parameters.clone()
                moved[place] += sign * distance
                network.recode(node, with_payload_parameters(code_of(population), moved.tolist()))
                ends.append(tuned_window(network.populations[node], current, rule))
        # A change so small moves no spike.
        assert slope_found == pytest.approx(float((ends[0] - ends[1]).sum() / (2 * distance)), rel=1e-4, abs=1e-3)


def code_of(population: Population) -> WindowCode:
    assert isinstance(population.code, WindowCode)
    return population.code


def test_timing_gradients_are_the_slope_of_firing_in_continuous_time() -> None:
    """With steps so short that time is all but continuous, finite differences of the window are the timing gradient.

    A floored single spike decodes to the last level below the value, so over a number of levels it grows as the
    value does.
    """
    population = neurons(scale=1.0, code=OneSpike(400, base=1.02, rounding="floor"))
    current = torch.linspace(0.01, 0.7, 50, dtype=torch.float64).unsqueeze(1)
    decoded, to_current, *_ = gradients(population, current, "timing")
    factor = 1.02**5  # five steps earlier
    with torch.no_grad():
        moved = tuned_window(population, current * factor, "timing")
    torch.testing.assert_close((moved - decoded) / (current * (factor - 1.0)), to_current)


@pytest.mark.parametrize("rule", ["activation", "timing"])
def test_signed_neurons_have_the_slope_of_their_activation_below_zero(rule: Rule) -> None:
    population = neurons(scale=1.0, code=FewSpike(8, base=2.0, spikes=8), slope=0.25)
    decoded, to_current, *_ = gradients(population, torch.tensor([[-1.0], [1.0]], dtype=torch.float64), rule)
    torch.testing.assert_close(decoded.flatten(), torch.tensor([-0.25, 1.0], dtype=torch.float64))
    torch.testing.assert_close(to_current.flatten(), torch.tensor([0.25, 1.0], dtype=torch.float64))


@pytest.mark.parametrize("slope", [0.0, 0.1])
def test_with_fine_levels_all_gradients_are_those_of_the_original(slope: float) -> None:
    """Spikes that say everything: what is left are the gradients of the original network, through pooling as well."""
    code = FewSpike(16, base=2.0, spikes=16, rounding="lookahead")
    network = converted(code, slope, percentile=100.0).double()
    for population in network.populations.values():
        population.scale.mul_(2.0)  # no value is cut off
    tuned, model = network.with_(), PoolingNet(slope).double().eval()
    weights = weights_of(tuned)
    assert weights.keys() == dict(model.named_parameters()).keys()
    for tensor in weights.values():
        tensor.requires_grad_()
    tuned_output(tuned, (images(9).double(),), "activation").output.square().sum().backward()
    model(images(9).double()).square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and weights[name].grad is not None
        torch.testing.assert_close(
            weights[name].grad, parameter.grad, rtol=2e-2, atol=2e-2 * float(parameter.grad.abs().max())
        )


@pytest.mark.parametrize("rule", RULES)
def test_a_network_with_max_pooling_is_tuned_with_its_scales_and_shifts(rule: Rule) -> None:
    network = converted(OneSpike(4))
    tuned = snnconv.tune(network, images(), epochs=2, batch=8, learning_rate=1e-3, rule=rule, targets="outputs")
    assert tuned.tuning_log is not None
    assert len(tuned.tuning_log.losses) == 2
    trained = tuned_output(tuned.with_(), (images(9),), rule).output
    assert torch.equal(trained, tuned(images(9)))
    copied = network.with_()
    fitted = [each.requires_grad_() for found in copied.populations.values() for each in (found.scale, found.shift)]
    tuned_output(copied, (images(9),), rule).output.square().sum().backward()
    assert any(tensor.grad is not None and bool(tensor.grad.any()) for tensor in fitted)


def test_populations_apart_get_no_gradient_from_those_behind_them() -> None:
    network = converted(OneSpike(4)).with_()
    weights = weights_of(network)
    for tensor in weights.values():
        tensor.requires_grad_()
    found = tuned_output(network, (images(9),), "activation", apart=True)
    _, second = found.populations.values()
    with_respect = torch.autograd.grad(second.sum(), list(weights.values()), allow_unused=True)
    reached = [name for name, gradient in zip(weights, with_respect, strict=True) if gradient is not None]
    assert reached == ["second.weight", "second.bias"]


def test_a_copy_shares_no_tensor() -> None:
    network = converted(OneSpike(4))
    copied = network.with_()
    for one, other in zip(network.buffers(), copied.buffers(), strict=True):
        assert torch.equal(one, other) and (one.data_ptr() != other.data_ptr())
