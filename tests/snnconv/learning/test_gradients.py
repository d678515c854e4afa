"""Gradients of the three rules: against the equations taken literally, kernels, and differences."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from neurons.double_exponential import DoubleExponential
from snnconv.learning.layer import Spikes, run_layer, spike_times
from snnconv.learning.losses import CountLoss, LatencyLoss, SpikeLoss, SpikeTrainLoss, first_spikes
from snnconv.learning.network import LayeredNetwork
from snnconv.learning.recursions import propagate_back, respond
from snnconv.learning.rule import RULES, GradientRule, RuleName
from tests.snnconv.learning.literal import LiteralLayer, backward, forward

NEURON = DoubleExponential(0.9, 0.8)
LOSSES = {"latency": LatencyLoss(), "count": CountLoss(), "train": SpikeTrainLoss(extension=20)}


def random_network(
    sizes: list[int], rule: GradientRule, seed: int, neuron: DoubleExponential = NEURON
) -> LayeredNetwork:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = LayeredNetwork(sizes, rule=rule, neuron=neuron, weight_offset=1.5).double()
        for layer in network.linear:
            torch.nn.init.normal_(layer.bias, 0.02, 0.05)
    return network


def random_events(steps: int, samples: int, inputs: int, seed: int, share: float = 0.15) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (torch.rand(steps, samples, inputs, generator=generator) < share).double()


def gradients(network: LayeredNetwork) -> list[Tensor]:
    return [p.grad if p.grad is not None else torch.zeros_like(p) for p in network.parameters()]


def relative(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).norm() / expected.norm().clamp(min=1e-30))


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("sizes", [[9, 7, 4], [9, 8, 6, 4]], ids=["2 layers", "3 layers"])
@pytest.mark.parametrize("neuron", [NEURON, DoubleExponential(0.95, 0.95)], ids=["decays differ", "decays equal"])
def test_gradients_are_those_of_the_literal_recursion(
    rule: RuleName, loss: str, sizes: list[int], neuron: DoubleExponential
) -> None:
    setting = GradientRule(rule, activation_weight=0.7, timing_weight=1.3)
    network = random_network(sizes, setting, 3, neuron)
    events = random_events(40, 5, 9, 4)
    events[25:] = 0.0  # steps without spikes are left out of the products
    targets: Tensor = torch.tensor([0, 1, 2, 3, 0])
    if loss == "train":
        targets = random_events(40, 5, 4, 5)
    layers = network(events)
    output = layers[-1].spikes
    assert all(0.02 < float(layer.events.detach().mean()) < 0.6 for layer in layers), "resets are active"
    assert float(layers[0].events.detach().sum(0).max()) >= 2
    value = LOSSES[loss](output, targets)
    of_events, of_times = torch.autograd.grad(value, list(output), retain_graph=True, allow_unused=True)
    torch.autograd.backward(value)

    literal = [LiteralLayer(layer.weight.detach(), layer.bias.detach()) for layer in network.linear]
    forward(literal, events, neuron)
    for found, expected in zip(layers, literal, strict=True):
        assert torch.equal(found.events, torch.stack(expected.events))
        assert torch.allclose(found.potential, torch.stack(expected.potential), rtol=1e-12, atol=1e-14)
    zero = torch.zeros_like(output.events)
    wanted = backward(
        literal,
        events,
        neuron,
        setting,
        zero if of_events is None else of_events,
        zero if of_times is None else of_times,
    )
    for layer, expected in zip(network.linear, wanted, strict=True):
        if (loss, rule) != ("latency", "activation"):  # of a latency, activation learns for silent targets alone
            assert bool(expected.weight.any()) == ((loss, rule) != ("count", "timing"))  # a count has no time
        for parameter, value in ((layer.weight, expected.weight), (layer.bias, expected.bias)):
            found_gradient = torch.zeros_like(value) if parameter.grad is None else parameter.grad
            assert relative(found_gradient, value) < 1e-12 or float((found_gradient - value).abs().max()) == 0.0


def test_without_resets_times_go_back_through_the_central_difference_of_the_kernel() -> None:
    steps, gradient = 30, torch.randn(30, 2, 3, dtype=torch.float64)
    flow = propagate_back(NEURON, gradient, torch.zeros_like(gradient), times=True)
    kernel = torch.cat([NEURON.kernel(steps + 1)])
    before = torch.cat([torch.zeros(1, dtype=torch.float64), kernel[:-1]])  # eps[k - 1]
    after = torch.cat([kernel[1:], kernel[-1:]])  # eps[k + 1]; the last entry is not used
    assert flow.time is not None
    for t in range(steps):
        reach = steps - t
        slope = (after[:reach] - before[:reach]) / 2
        assert torch.allclose(flow.time[t], -torch.einsum("k,kni->ni", slope, gradient[t:]), rtol=0, atol=1e-12)
        assert torch.allclose(
            flow.current[t], torch.einsum("k,kni->ni", kernel[:reach], gradient[t:]), rtol=0, atol=1e-12
        )


def test_gradients_by_current_are_differences_of_the_potential() -> None:
    """Without spikes the potential is smooth in weights, so the activation path has finite differences."""
    drive = 0.01 * torch.randn(20, 2, 3, dtype=torch.float64)
    gradient = torch.randn(20, 2, 3, dtype=torch.float64)
    response = respond(NEURON, drive.clone(), None)
    assert not bool(response.events.any())
    flow = propagate_back(NEURON, gradient, response.events, times=False)
    for index in [(0, 0, 0), (7, 1, 2), (19, 1, 0)]:
        ends = []
        for change in (1e-6, -1e-6):
            moved = drive.clone()
            moved[index] += change
            ends.append(float((respond(NEURON, moved, None).potential * gradient).sum()))
        assert (ends[0] - ends[1]) / 2e-6 == pytest.approx(float(flow.current[index]), rel=1e-6)


def test_the_timing_gradient_is_near_the_difference_of_the_crossing_time() -> None:
    """With slow kernels one step is short; the time of crossing, interpolated, is smooth in a weight."""
    neuron = DoubleExponential(0.995, 0.995)
    weight = torch.tensor([[0.9, 0.7]], dtype=torch.float64, requires_grad=True)
    events = torch.zeros(300, 1, 2, dtype=torch.float64)
    events[2, 0, 0] = events[10, 0, 1] = 1.0

    def crossing(value: Tensor) -> float:
        potential = respond(neuron, events @ value.T, None).potential[:, 0, 0]
        t = int((potential >= 1).nonzero()[0])
        before, at = float(potential[t - 1]), float(potential[t])
        return t - 1 + (1 - before) / (at - before)

    rule = GradientRule("timing", clamp=1e-9)
    layer = run_layer(Spikes(events, spike_times(events)), weight, None, neuron, rule)
    first = int(first_spikes(layer.events)[0, 0])
    layer.times[first].sum().backward()
    assert weight.grad is not None
    for column in range(2):
        ends = []
        for change in (1e-5, -1e-5):
            moved = weight.detach().clone()
            moved[0, column] += change
            ends.append(crossing(moved))
        assert float(weight.grad[0, column]) == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=0.05)


def test_gradients_by_input_times_are_near_differences_of_the_crossing_time() -> None:
    neuron = DoubleExponential(0.995, 0.995)
    weight = torch.tensor([[0.9, 0.7]], dtype=torch.float64)

    def train(second: int) -> Tensor:
        events = torch.zeros(300, 1, 2, dtype=torch.float64)
        events[2, 0, 0] = events[second, 0, 1] = 1.0
        return events

    def crossing(events: Tensor) -> float:
        potential = respond(neuron, events @ weight.T, None).potential[:, 0, 0]
        t = int((potential >= 1).nonzero()[0])
        before, at = float(potential[t - 1]), float(potential[t])
        return t - 1 + (1 - before) / (at - before)

    events = train(30).requires_grad_()
    times = spike_times(events.detach()).requires_grad_()
    layer = run_layer(Spikes(events, times), weight, None, neuron, GradientRule("timing", clamp=1e-9))
    layer.times[int(first_spikes(layer.events)[0, 0])].sum().backward()
    expected = (crossing(train(31)) - crossing(train(29))) / 2
    assert times.grad is not None
    assert float(times.grad[30, 0, 1]) == pytest.approx(expected, rel=0.05)
    assert float(times.grad.abs().sum()) == pytest.approx(
        float(times.grad[30, 0, 1].abs() + times.grad[2, 0, 0].abs())
    ), "only spikes have times"


@pytest.mark.parametrize("rule", ["timing", "antlr"])
def test_a_step_moves_the_targets_spike_earlier(rule: RuleName) -> None:
    network = random_network([9, 7, 3], GradientRule(rule), 11, DoubleExponential(0.95, 0.95))
    events = random_events(40, 1, 9, 12)
    before = first_spikes(network(events)[-1].events)[0]
    target = int(before.argmax())
    assert 0 < int(before[target]) < 40, "the target fires, and not first"
    optimizer = torch.optim.SGD(network.parameters(), lr=0.3)
    loss = LatencyLoss()(network(events)[-1].spikes, torch.tensor([target]))
    torch.autograd.backward(loss)
    optimizer.step()
    after = first_spikes(network(events)[-1].events)[0]
    assert int(after[target]) < int(before[target])


def silent_network(rule: GradientRule) -> tuple[LayeredNetwork, Tensor]:
    network = random_network([9, 7, 3], rule, 11, DoubleExponential(0.95, 0.95))
    with torch.no_grad():
        network.linear[1].weight[2] = -0.1
        network.linear[1].bias[2] = 0.0
    return network, random_events(40, 2, 9, 12)


@pytest.mark.parametrize("rule", RULES)
def test_a_silent_neuron_learns_from_activation_alone(rule: RuleName) -> None:
    network, events = silent_network(GradientRule(rule))
    output = network(events)[-1].spikes
    assert not bool(output.events[:, :, 2].any())
    torch.autograd.backward(LatencyLoss()(output, torch.tensor([2, 0])))
    of_silent = network.linear[1].weight.grad
    assert of_silent is not None
    # The loss falls where the weights of the target that never fired grow.
    assert float(of_silent[2].sum()) < 0.0 if rule != "timing" else not bool(of_silent[2].any())
    # What fired and is to fire earlier or later learns from timing alone.
    assert bool(of_silent[0].any()) == (rule != "activation")


def test_the_published_push_wakes_silent_neurons_of_the_timing_rule() -> None:
    pushed, events = silent_network(GradientRule("timing", silent_push=100.0))
    plain, _ = silent_network(GradientRule("timing"))
    for network in (pushed, plain):
        torch.autograd.backward(LatencyLoss()(network(events)[-1].spikes, torch.tensor([2, 0])))
    for layer, other, fired in zip(pushed.linear, plain.linear, pushed(events), strict=True):
        assert layer.weight.grad is not None and other.weight.grad is not None
        silent = 1.0 - fired.events.detach().amax(0).mean(0)
        expected = -(100.0 / layer.in_features) * silent
        assert torch.allclose(layer.weight.grad - other.weight.grad, expected.unsqueeze(1).expand_as(layer.weight))


def train_counts(rule: RuleName, wanted: float) -> list[float]:
    """Spikes of one output neuron, step by step, under a loss on its count."""
    network = random_network([9, 7, 1], GradientRule(rule), 11, DoubleExponential(0.95, 0.95))
    events, loss = random_events(40, 1, 9, 12), CountLoss(target=wanted)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    counts = []
    for _ in range(150):
        output = network(events)[-1].spikes
        counts.append(float(output.events.detach().sum()))
        optimizer.zero_grad()
        value = loss(output, torch.tensor([0]))
        if value.requires_grad:
            torch.autograd.backward(value)
            optimizer.step()
    return counts


def test_activation_creates_and_removes_spikes_and_timing_does_not() -> None:
    start = train_counts("timing", 0.0)[0]
    assert start >= 2
    for rule in ("activation", "antlr"):
        assert train_counts(rule, start + 3)[-1] == start + 3
        assert train_counts(rule, 1.0)[-1] == 1.0
    assert set(train_counts("timing", start + 3)) == {start}


def test_the_surrogate_is_snntorchs_spike_rate_escape() -> None:
    """Which needs the threshold not subtracted, and gives its derivative only through autograd."""
    from snntorch import surrogate

    potential = torch.linspace(-1.0, 3.0, 41, dtype=torch.float64, requires_grad=True)
    surrogate.spike_rate_escape(beta=3, slope=1)(potential).sum().backward()
    assert potential.grad is not None
    assert torch.allclose(GradientRule().surrogate(potential.detach()), potential.grad, rtol=1e-12)


@pytest.mark.parametrize("loss", [LatencyLoss(), CountLoss()])
def test_a_step_of_all_rules_works_in_single_precision(loss: SpikeLoss) -> None:
    for rule in RULES:
        network = LayeredNetwork([9, 7, 4], rule=GradientRule(rule), weight_offset=2.0)
        value = loss(network(random_events(40, 3, 9, 1).float())[-1].spikes, torch.tensor([0, 1, 2]))
        torch.autograd.backward(value)
        assert all(bool(value.isfinite().all()) for value in gradients(network))
