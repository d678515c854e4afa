from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import snnconv.graph.reach
import snnconv.spiking.synapses
from snnconv.capture.normal_form import normal_form
from snnconv.capture.translation import capture
from snnconv.graph.graph import Graph
from snnconv.graph.operators import OPERATORS
from snnconv.graph.operators.activation import ActivationOperator
from snnconv.graph.operators.pooling import MaximumOperator
from snnconv.spiking.synapses import Synapses, count_synapses


class Net(nn.Module):
    """Modules by name and a function that wires them."""

    def __init__(self, wiring: Callable[[Any, Tensor], Any], **modules: nn.Module) -> None:
        super().__init__()
        for name, module in modules.items():
            self.add_module(name, module)
        self.wiring = wiring

    def forward(self, x: Tensor) -> Any:
        return self.wiring(self, x)


def counted(model: nn.Module, *shape: int) -> tuple[Synapses, list[str], list[str], Graph]:
    """Synapses of a model, and its populations and gates in order of execution."""
    x = torch.rand(2, *shape, generator=torch.Generator().manual_seed(0))
    graph = normal_form(capture(model, (x,)), (x,))
    nodes = graph.nodes.values()
    populations = [node.name for node in nodes if isinstance(OPERATORS[node.op], ActivationOperator)]
    gates = [node.name for node in nodes if isinstance(OPERATORS[node.op], MaximumOperator)]
    found = count_synapses(graph, dict.fromkeys(populations), dict.fromkeys(graph.inputs, (1, *shape)))
    return found, populations, gates, graph


def non_zeros(function: Callable[[Tensor], Tensor], *shape: int) -> Tensor:
    """Outputs that each input element reaches through a linear map with positive weights: rows of its dense matrix."""
    size = math.prod(shape)
    with torch.no_grad():
        rows = function(torch.eye(size).view(size, *shape))
    return rows.ne(0).flatten(1).sum(1).double().view(shape)


def positive(module: nn.Module) -> nn.Module:
    """The module with positive weights, so that no path is lost to a cancellation, and without offsets."""
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            parameter.zero_() if name.endswith("bias") else parameter.uniform_(0.5, 1.5)
    return module


CONVOLUTIONS = list(itertools.product([1, 2, 3], [1, 2, 3], [0, 1, 2], [1, 2]))


def reached(length: int, kernel: int, stride: int, padding: int, dilation: int) -> list[int]:
    """For every input position along one axis, how many output positions have it in their kernel."""
    outputs = (length + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
    windows = [[out * stride - padding + dilation * k for k in range(kernel)] for out in range(outputs)]
    return [sum(position in window for window in windows) for position in range(length)]


@pytest.mark.parametrize("groups", [1, 2])
def test_the_fan_out_of_a_convolution_is_that_of_a_loop_at_borders_and_strides(groups: int) -> None:
    height, width, channels = 7, 6, 4
    branches = nn.ModuleList(
        nn.Conv2d(2, channels, (kernel, 2), (stride, 1), (padding, 0), (dilation, 1), groups)
        for kernel, stride, padding, dilation in CONVOLUTIONS
    )
    model = Net(lambda m, x: [conv(x) for conv in m.branches], branches=branches)
    total = torch.zeros(height, width, dtype=torch.float64)
    for kernel, stride, padding, dilation in CONVOLUTIONS:
        rows = torch.tensor(reached(height, kernel, stride, padding, dilation), dtype=torch.float64)
        columns = torch.tensor(reached(width, 2, 1, 0, 1), dtype=torch.float64)
        total += rows[:, None] * columns * channels / groups
    found, _, _, _ = counted(model, 2, height, width)
    assert torch.equal(found.fan_out["x"], total.expand(2, -1, -1))


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("padding", [0, 1])
def test_the_fan_out_of_a_hidden_convolution_is_that_of_a_loop(padding: int, stride: int) -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 1), nn.ReLU(), nn.Conv2d(2, 5, 3, stride, padding), nn.ReLU())
    found, (first, _), _, _ = counted(model, 1, 6, 5)
    rows, columns = (torch.tensor(reached(length, 3, stride, padding, 1)).double() for length in (6, 5))
    assert torch.equal(found.fan_out[first], (5 * rows[:, None] * columns).expand(2, -1, -1))
    assert torch.equal(found.fan_out["input"], torch.full((1, 6, 5), 2.0, dtype=torch.float64))
    assert found.bounds == ()


def test_linear_layers_connect_all_to_all() -> None:
    model = nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 3), nn.ReLU(), nn.Linear(3, 2))
    found, (first, second), _, _ = counted(model, 5)
    assert [found.fan_out[name].unique().tolist() for name in ("input", first, second)] == [[7.0], [3.0], [2.0]]
    assert [found.fan_out[name].shape for name in ("input", first, second)] == [(5,), (7,), (3,)]


def residual(m: Any, x: Tensor) -> Tensor:
    y = torch.relu(m.first(x))
    return torch.relu(m.second(y) + y)


def two_branches(m: Any, x: Tensor) -> Tensor:
    y = torch.relu(m.first(x))
    return torch.relu(torch.cat([m.second(y), m.third(y)], 1))


def convolution(kernel: int, inputs: int = 2, outputs: int = 2, **options: Any) -> nn.Module:
    return nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, **options)


def diamond(m: Any, x: Tensor) -> Tensor:
    y = torch.relu(m.first(x))
    return torch.relu(m.second(y) + m.third(y))


def linear_tail(m: Any, x: Tensor) -> Tensor:
    return m.third(m.second(torch.relu(m.first(x))).flatten(1))  # type: ignore[no-any-return]


#: From the first population to the next: the model, and the same map as a plain function of that population.
JOINS: dict[str, tuple[Callable[[], nn.Module], Callable[[Any, Tensor], Tensor]]] = {
    "residual": (
        lambda: Net(residual, first=convolution(1), second=convolution(3)),
        lambda m, y: m.second(y) + y,
    ),
    "residual over a strided shortcut": (
        lambda: Net(diamond, first=convolution(1), second=convolution(3, stride=2), third=nn.Conv2d(2, 2, 1, stride=2)),
        lambda m, y: m.second(y) + m.third(y),
    ),
    "concatenation": (
        lambda: Net(two_branches, first=convolution(1), second=convolution(3), third=convolution(1, 2, 5)),
        lambda m, y: torch.cat([m.second(y), m.third(y)], 1),
    ),
    "two branches that meet": (
        lambda: Net(diamond, first=convolution(1), second=convolution(3), third=convolution(5)),
        lambda m, y: m.second(y) + m.third(y),
    ),
    "two convolutions in a row": (
        lambda: Net(
            lambda m, x: torch.relu(m.third(m.second(torch.relu(m.first(x))))),
            first=convolution(1),
            second=convolution(3),
            third=convolution(3),
        ),
        lambda m, y: m.third(m.second(y)),
    ),
    "convolution, then linear": (
        lambda: Net(linear_tail, first=convolution(1), second=convolution(3), third=nn.Linear(60, 4)),
        lambda m, y: m.third(m.second(y).flatten(1)),
    ),
    "average pool, then linear": (
        lambda: Net(linear_tail, first=convolution(1), second=nn.AvgPool2d(2), third=nn.Linear(12, 3)),
        lambda m, y: m.third(F.avg_pool2d(y, 2).flatten(1)),
    ),
    "overlapping average pool, then linear": (
        lambda: Net(linear_tail, first=convolution(1), second=nn.AvgPool2d(3, 1), third=nn.Linear(24, 3)),
        lambda m, y: m.third(F.avg_pool2d(y, 3, 1).flatten(1)),
    ),
    "average pool, then convolution": (
        lambda: Net(
            lambda m, x: m.third(m.second(torch.relu(m.first(x)))),
            first=convolution(1),
            second=nn.AvgPool2d(2),
            third=convolution(3),
        ),
        lambda m, y: m.third(F.avg_pool2d(y, 2)),
    ),
    "circular convolution wider than the image": (
        lambda: Net(
            lambda m, x: m.second(torch.relu(m.first(x))),
            first=convolution(1),
            second=nn.Conv2d(2, 3, 5, padding=4, padding_mode="circular"),
        ),
        lambda m, y: m.second(y),
    ),
}


@pytest.mark.parametrize("by_products", [True, False])
@pytest.mark.parametrize("name", JOINS)
def test_paths_that_join_two_neurons_are_one_synapse(
    name: str, by_products: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if by_products:
        monkeypatch.setattr(snnconv.spiking.synapses, "PROBE_LIMIT", 0)
    else:
        monkeypatch.setattr(snnconv.graph.reach, "PRODUCT_LIMIT", 0)
    make, plain = JOINS[name]
    model = positive(make())
    found, populations, _, _ = counted(model, 2, 6, 5)
    assert torch.equal(found.fan_out[populations[0]], non_zeros(lambda y: plain(model, y), 2, 6, 5))
    assert found.bounds == ()


@pytest.mark.parametrize("name", ["two convolutions in a row", "two branches that meet", "convolution, then linear"])
def test_a_map_too_large_to_probe_gives_an_upper_bound_that_is_named(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, plain = JOINS[name]
    model = positive(make())
    monkeypatch.setattr(snnconv.spiking.synapses, "PROBE_LIMIT", 0)
    monkeypatch.setattr(snnconv.graph.reach, "PRODUCT_LIMIT", 0)
    found, populations, _, _ = counted(model, 2, 6, 5)
    assert found.bounds == (populations[0],)
    exact = non_zeros(lambda y: plain(model, y), 2, 6, 5)
    assert bool((found.fan_out[populations[0]] >= exact).all())
    assert bool((found.fan_out[populations[0]] > exact).any())


def test_one_number_a_sample_is_a_target_as_any_other(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Net(lambda m, x: m.second(m.first(x).flip(1))[:, 0], first=nn.Linear(3, 4), second=nn.Linear(4, 2))
    for limit in (snnconv.graph.reach.PRODUCT_LIMIT, 0):
        monkeypatch.setattr(snnconv.graph.reach, "PRODUCT_LIMIT", limit)
        found, _, _, _ = counted(model, 3)
        assert found.fan_out["x"].tolist() == [1.0] * 3 and found.bounds == ()


def test_the_limit_of_probing_is_one_for_the_whole_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snnconv.graph.reach, "PRODUCT_LIMIT", 0)
    blocks = [nn.Sequential(nn.Linear(5, 3), nn.Linear(3, 5), nn.ReLU()) for _ in range(3)]
    # Each of the first three sources has 5 neurons; behind each lie 15 + 15 weights, and elements: 3, 5 and those of
    # the ReLU, 5. The last population goes to the output by itself.
    cost = 5 * (15 + 15 + 3 + 5 + 5)
    for limit, bounds in ((3 * cost, 0), (3 * cost - 1, 1), (cost, 2), (cost - 1, 3)):
        monkeypatch.setattr(snnconv.spiking.synapses, "PROBE_LIMIT", limit)
        found, populations, _, _ = counted(nn.Sequential(*blocks, nn.Linear(5, 2)), 5)
        assert len(found.bounds) == bounds
        expected = [15.0 if name in found.bounds else 5.0 for name in ("input", *populations[:2])]
        assert [found.fan_out[name][0].item() for name in ("input", *populations[:2])] == expected


def test_a_max_pool_is_a_station_of_its_own() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(2, 3, 3, padding=1))
    found, (population,), (gate,), _ = counted(model, 1, 6, 6)
    assert found.fan_out[population].unique().tolist() == [1.0]
    rows = torch.tensor(reached(3, 3, 1, 1, 1)).double()
    assert torch.equal(found.fan_out[gate], (3 * rows[:, None] * rows).expand(2, -1, -1))


def test_the_count_layer_by_layer_adds_up_every_weighted_operator() -> None:
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 5), nn.Linear(5, 3))
    found, (population,), _, _ = counted(model, 4)
    assert found.fan_out[population].tolist() == [3.0] * 6
    assert found.fan_out_by_layer["input"].tolist() == [6.0] * 4
    # Each neuron drives 5 units of the first layer, and through each of them 3 of the second.
    assert found.fan_out_by_layer[population].tolist() == [5.0 + 5 * 3] * 6


def test_a_neuron_that_drives_nothing_has_no_synapse() -> None:
    model = Net(lambda m, x: m.second(torch.relu(m.first(x))[:, :2]), first=nn.Linear(3, 4), second=nn.Linear(2, 5))
    found, (population,), _, _ = counted(model, 3)
    assert found.fan_out[population].tolist() == [5.0, 5.0, 0.0, 0.0]


def test_what_stands_behind_the_readout_is_no_synapse() -> None:
    model = Net(lambda m, x: m.second(torch.relu(m.first(x))).softmax(1), first=nn.Linear(3, 4), second=nn.Linear(4, 5))
    found, (population,), _, _ = counted(model, 3)
    assert found.fan_out[population].tolist() == [5.0] * 4


MACS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], int]] = {
    "linear": (lambda: nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 3)), (5,), 5 * 7 + 7 * 3),
    "conv2d": (lambda: nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU()), (3, 6, 5), 8 * 4 * 3 * 27),
    "padded conv2d": (lambda: nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU()), (3, 6, 5), 8 * 30 * 27),
    "strided conv2d": (lambda: nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.ReLU()), (3, 7, 5), 8 * 3 * 2 * 27),
    "grouped conv2d": (lambda: nn.Sequential(nn.Conv2d(4, 8, 3, groups=2), nn.ReLU()), (4, 5, 5), 8 * 9 * 18),
    "depthwise conv2d": (lambda: nn.Sequential(nn.Conv2d(4, 4, 3, groups=4), nn.ReLU()), (4, 5, 5), 4 * 9 * 9),
    "conv1d": (lambda: nn.Sequential(nn.Conv1d(2, 3, 4), nn.ReLU()), (2, 9), 3 * 6 * 8),
    "pool, norm and view are free": (
        lambda: nn.Sequential(
            nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(8, 3)
        ),
        (1, 4, 4),
        32 + 24,
    ),
}


@pytest.mark.parametrize("name", MACS)
def test_macs_are_outputs_times_inputs_of_each(name: str) -> None:
    make, shape, expected = MACS[name]
    found, _, _, _ = counted(make().eval(), *shape)
    assert found.macs == expected


class Broadcast(nn.Module):
    """A map of one value a channel, added to every position of another map, then convolved."""

    def __init__(self) -> None:
        super().__init__()
        self.local, self.context = nn.Conv2d(2, 2, 1), nn.Conv2d(2, 2, 1)
        self.mixed = nn.Conv2d(2, 2, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        context = F.relu(self.context(x)).mean((2, 3), keepdim=True)
        return F.relu(self.mixed(F.relu(self.local(x)) + context))


def test_a_broadcast_signal_reaches_every_target_once() -> None:
    found, populations, _, _ = counted(Broadcast(), 2, 4, 4)
    context = populations[0]
    assert torch.equal(found.fan_out[context], torch.full((2, 4, 4), 2.0 * 4 * 4).double())
    assert found.bounds == ()


def test_an_analog_input_costs_its_macs_behind_a_pooling_too() -> None:
    model = nn.Sequential(nn.MaxPool2d(2), nn.Conv2d(1, 3, 2), nn.ReLU(), nn.Flatten(), nn.Linear(3, 2))
    found, _, _, _ = counted(model, 1, 4, 4)
    assert found.input_macs == 3 * 4 and found.macs == 3 * 4 + 3 * 2
