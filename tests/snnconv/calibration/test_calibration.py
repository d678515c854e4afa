from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

import snnconv
from coding import Code, FewSpike, Phase, Rate
from snnconv.calibration.activation_statistics import BINS, ActivationStatistics
from snnconv.calibration.observing import observe
from snnconv.calibration.samples import arrange, collect
from snnconv.calibration.scales import Scaling, scale_of
from snnconv.errors import ConfigurationError, InputError
from snnconv.graph.graph import Graph, Node, Ref
from snnconv.graph.operators import ActivationFunction, PiecewiseLinear


def observed(
    values: Tensor, axis: int | None = None, activation: ActivationFunction | None = None
) -> ActivationStatistics:
    """Statistics of one batch of activations."""
    found = ActivationStatistics(axis, activation or PiecewiseLinear())
    found.observe_maximum(values)
    found.observe_histogram(values)
    return found


def uniform(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


RELU = Graph({"x": ("batch", 3, 4)}, {}, {"relu": Node("relu", "relu", {"self": Ref("x")})}, Ref("relu"))


def scales(parts: list[Tensor], percentile: float | Literal["mse"], axis: int | None) -> Tensor:
    """Scale of a relu on data that arrives in ``parts``."""
    calibration = arrange(collect(parts)[0], 0)
    found = ActivationStatistics(axis)
    observe(RELU, {"relu": found}, calibration.fitted)
    scale, _ = scale_of(found, Scaling(percentile=percentile), Rate(16))
    return scale


@pytest.mark.parametrize("axis", [None, 1])
@pytest.mark.parametrize("percentile", [90.0, 99.99, 100.0, "mse"])
def test_scales_depend_on_neither_the_order_nor_the_size_of_batches(
    percentile: float | Literal["mse"], axis: int | None
) -> None:
    x = torch.randn(101, 3, 4, generator=torch.Generator().manual_seed(0))
    wanted = scales([x], percentile, axis)
    order = torch.randperm(101, generator=torch.Generator().manual_seed(1))
    for parts in ([x[order]], list(x.split(1)), list(x[order].split(17)), list(x.flip(0).split(64)), [x[40:], x[:40]]):
        assert torch.equal(scales(parts, percentile, axis), wanted)


def test_a_converted_network_does_not_depend_on_batching() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(48, 5), nn.ReLU(), nn.Linear(5, 2))
    x = torch.rand(70, 1, 6, 6, generator=torch.Generator().manual_seed(0))
    first = snnconv.convert(model, x, coding=Rate(4))
    second = snnconv.convert(model, list(x.flip(0).split(9)), coding=Rate(4))
    for node, population in first.populations.items():
        assert torch.equal(population.scale, second.populations[node].scale)
    assert first.densities == second.densities


def test_every_fifth_sample_is_held_out_whatever_the_order() -> None:
    x = uniform(43, 2)
    calibration = arrange(collect([x])[0], 0)
    again = arrange(collect(list(x.flip(0).split(4)))[0], 0)
    fitted, held_out = (torch.cat([chunk[0] for chunk in part]) for part in (calibration.fitted, calibration.held_out))
    assert (len(fitted), len(held_out)) == (35, 8)
    assert torch.equal(torch.cat([chunk[0] for chunk in again.held_out]), held_out)
    everything = torch.cat([fitted, held_out])
    assert torch.equal(everything[everything[:, 0].argsort()], x[x[:, 0].argsort()])


@pytest.mark.parametrize("percent", [50.0, 90.0, 99.0, 99.9, 99.99, 100.0])
@pytest.mark.parametrize("distribution", ["uniform", "exponential"])
def test_a_percentile_is_the_sample_quantile_to_a_bin(distribution: str, percent: float) -> None:
    values = uniform(1_000_000)
    if distribution == "exponential":
        values = -torch.log1p(-values)
    ordered = values.sort().values
    exact = ordered[round(percent * 10_000) - 1]
    found = observed(values).percentile(percent)
    width = float(values.max()) / BINS
    assert found.shape == (1,)
    assert float(exact) <= float(found) * (1 + 1e-12)
    assert float(found) <= float(exact) + width * (1 + 1e-9)


def test_the_percentile_of_a_million_uniform_values_is_the_percentage() -> None:
    assert float(observed(uniform(1_000_000)).percentile(99.99)) == pytest.approx(0.9999, abs=1 / BINS)


@pytest.mark.parametrize("axis", [1, -1])
def test_channels_have_their_own_scales_and_a_layer_has_one(axis: int) -> None:
    factors = torch.tensor([0.01, 1.0, 30.0])
    values = torch.movedim(uniform(50, 20, 3).float() * factors, -1, axis)
    by_channel, by_layer = observed(values, axis), observed(values)
    for percent in (99.0, 100.0):
        for channel, scale in enumerate(by_channel.percentile(percent)):
            one = observed(values.select(axis, channel))
            assert float(scale) == float(one.percentile(percent))
    assert torch.equal(by_layer.percentile(100.0), by_channel.percentile(100.0).amax(0, keepdim=True))


def test_negative_values_count_with_their_magnitude() -> None:
    values = uniform(1000) - 0.75
    assert float(observed(values).percentile(100.0)) == float(values.abs().max())


def test_a_silent_channel_takes_the_largest_scale_and_is_named() -> None:
    values = uniform(100, 4) + 0.1
    values[:, 1] = 0.0
    values[:, 3] *= 5.0
    for percentile in (99.0, 100.0, "mse"):
        found = observed(values, 1)
        scale, silent = scale_of(found, Scaling(percentile=percentile), Rate(16))  # type: ignore[arg-type]
        assert silent == (1,)
        assert scale[1] == scale[3] == scale.max()
        assert bool((scale > 0).all())


def test_a_layer_that_is_silent_throughout_has_scale_one() -> None:
    scale, silent = scale_of(observed(torch.zeros(10, 3), 1), Scaling(), Rate(16))
    assert scale.tolist() == [1.0, 1.0, 1.0]
    assert silent == (0, 1, 2)


def test_a_channel_that_is_nearly_always_silent_takes_its_maximum() -> None:
    values = torch.zeros(100_000)
    values[17] = 3.0
    assert float(observed(values).percentile(99.9)) == 3.0


@pytest.mark.parametrize("normalization", ["channel", "layer"])
def test_a_scale_never_exceeds_the_bound_of_its_activation(normalization: Literal["channel", "layer"]) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU6(), nn.Linear(6, 2))
    nn.init.constant_(model[0].weight, 20.0)  # type: ignore[arg-type]
    snn = snnconv.convert(model, torch.rand(20, 4) + 0.1, coding=Rate(4), normalization=normalization)
    (population,) = snn.populations.values()
    assert population.activation.bound == 6.0
    assert population.scale.tolist() == [6.0] * (6 if normalization == "channel" else 1)


def test_a_bound_that_is_never_reached_does_not_widen_the_scale() -> None:
    found = observed(uniform(1000), activation=PiecewiseLinear(maximum=6.0))
    scale, _ = scale_of(found, Scaling(percentile=100.0), Rate(16))
    assert float(scale) == float(found.maximum)


def rounding_error(values: Tensor, scale: Tensor, steps: int) -> float:
    """Squared error of values rounded to ``steps`` levels of ``scale`` and clipped."""
    decoded = Rate(steps).decode(Rate(steps).encode(values / scale)) * scale
    return float(((decoded - values) ** 2).sum())


@pytest.mark.parametrize("steps", [4, 8, 16, 32])
@pytest.mark.parametrize("power", [3, 5])
def test_least_squares_beats_the_maximum_on_a_heavy_tail(power: int, steps: int) -> None:
    normal = torch.randn(20_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    values = normal.abs() ** power
    found = observed(values[None])  # one sample, so that nothing is said of others
    fitted, _ = scale_of(found, Scaling(percentile="mse"), Rate(steps))
    assert rounding_error(values, fitted, steps) < 0.95 * rounding_error(values, found.maximum, steps)


@pytest.mark.parametrize("code", [Rate(8), Phase(6), FewSpike(6, 1.5, 2), FewSpike(20, 1.1, 8)], ids=str)
def test_least_squares_scales_have_the_least_error_of_all_candidates_channel_by_channel(code: Code) -> None:
    normal = torch.randn(1, 5, 3000, generator=torch.Generator().manual_seed(0), dtype=torch.float64).abs()
    found = observed(normal ** torch.tensor([0.5, 1.0, 2.0, 3.0, 5.0]).view(1, 5, 1), axis=1)
    largest = found.least_squares(code)
    tried = [*(8.0 ** (step / 24) for step in range(24, 0, -1)), *(1.0 - step / 80 for step in range(77))]
    candidates = torch.tensor(tried).double().tolist()
    for channel in range(5):
        values = found.centres().double() * found.maximum[channel]
        weights = found.histogram[channel].double()
        weights[0] = 0.0

        def error(top: Tensor | float, values: Tensor = values, weights: Tensor = weights) -> float:
            scale = top / code.maximum
            return float(weights @ (code.quantize(values / scale).values * scale - values) ** 2)

        least = min(error(candidate * found.maximum[channel]) for candidate in candidates)
        assert error(largest[channel]) == pytest.approx(least, rel=1e-6)


@pytest.mark.parametrize("code", [Phase(12), FewSpike(16, 1.4)], ids=str)
def test_scales_leave_room_for_samples_that_exceed_the_maximum(code: Code) -> None:
    sizes = torch.rand(400, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64).log().neg()
    values = sizes * torch.rand(400, 500, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    seen, unseen = values[:40], values[40:]
    found = observed(seen)
    scale, _ = scale_of(found, Scaling(percentile="mse"), code)
    largest = scale * code.maximum
    assert float(found.maximum) < float(largest) <= 8.0 * float(found.maximum)

    def error(scale: Tensor) -> float:
        return float((code.quantize(unseen / scale).values * scale - unseen).square().sum())

    assert error(scale) < error(found.maximum / code.maximum)


def test_least_squares_keeps_the_maximum_where_nothing_is_gained_by_clipping() -> None:
    values = torch.arange(1, 17, dtype=torch.float64).repeat(50) / 16
    scale, _ = scale_of(observed(values), Scaling(percentile="mse"), Rate(16))
    assert float(scale) == pytest.approx(1.0, abs=1e-6)


class ZeroSamples(Dataset[torch.Tensor]):
    def __len__(self) -> int:
        return 8

    def __getitem__(self, index: int) -> torch.Tensor:
        return torch.zeros(4)


MODEL = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2))
BAD_DATA: dict[str, tuple[Any, str]] = {
    "NaN": (torch.full((8, 4), float("nan")), "NaN or infinite"),
    "infinity in a later batch": ([torch.zeros(8, 4), torch.full((8, 4), float("inf"))], "NaN or infinite"),
    "no samples": (torch.zeros(0, 4), "at least one sample"),
    "no batches": ([], "not one batch"),
    "a number": (3.0, "iterable of batches"),
    "nothing": (None, "iterable of batches"),
    "an array": (np.zeros((8, 4), np.float32), r"got ndarray: torch\.from_numpy"),
    "arrays in a DataLoader's place": ([np.zeros((8, 4), np.float32)], r"got ndarray: torch\.from_numpy"),
    "a data set": (ZeroSamples(), r"got ZeroSamples; DataLoader\(data, batch_size=256\)"),
    "numbers in a list": ([1.0, 2.0], "must be a tensor, got float"),
    "integers": (torch.ones(8, 4, dtype=torch.int64), r"torch.int64: whole numbers may go through an embedding"),
    "bytes": (torch.ones(8, 4, dtype=torch.uint8), r"torch.uint8: whole numbers may go through an embedding"),
    "batches that differ in shape": ([torch.zeros(8, 4), torch.zeros(8, 5)], r"batches differ.*\[5\].*\[4\]"),
    "batches that differ in precision": ([torch.zeros(8, 4), torch.zeros(8, 4).double()], "batches differ"),
    "batches that differ in number": ([torch.zeros(8, 4), ((torch.zeros(8, 4),) * 2, 0)], "batches differ"),
    "three items in a batch": ((torch.zeros(8, 4),) * 3, "got 3 items"),
    "another precision than the model's": (torch.zeros(8, 4).double(), "convert one of them"),
}


@pytest.mark.parametrize("name", BAD_DATA)
def test_data_that_cannot_be_used_is_refused_with_a_reason(name: str) -> None:
    data, message = BAD_DATA[name]
    with pytest.raises(InputError, match=message):
        snnconv.convert(MODEL, data, coding=Rate(2))


def test_inputs_of_different_lengths_are_refused() -> None:
    class Two(nn.Module):
        def forward(self, first: Tensor, second: Tensor) -> Tensor:
            return torch.relu(first - second)

    with pytest.raises(InputError, match="differ in length"):
        snnconv.convert(Two(), [((torch.zeros(8, 4), torch.zeros(7, 4)), torch.zeros(8))], coding=Rate(2))


def test_targets_in_the_batches_are_left_aside() -> None:
    x = uniform(20, 4).float()
    plain, labelled = (
        snnconv.convert(MODEL, data, coding=Rate(2)) for data in (x, [(x[:8], torch.zeros(8)), (x[8:], [0] * 12)])
    )
    for node, population in plain.populations.items():
        assert torch.equal(population.scale, labelled.populations[node].scale)


@pytest.mark.parametrize("count", [1, 2, 4, 5])
def test_few_samples_are_enough(count: int) -> None:
    snn = snnconv.convert(MODEL, uniform(count, 4).float(), coding=Rate(2))
    assert sum(len(chunk[0]) for chunk in snn.held_out) == count // 5


def test_an_activation_that_overflows_is_refused_by_name() -> None:
    graph = Graph(
        {"x": ("batch", 2)},
        {},
        {
            "square": Node("square", "mul", {"self": Ref("x"), "other": Ref("x")}),
            "relu": Node("relu", "relu", {"self": Ref("square")}),
        },
        Ref("relu"),
    )
    with pytest.raises(InputError, match="activation relu is NaN or infinite"):
        observe(graph, {"relu": ActivationStatistics(None)}, [(torch.full((1, 2), 1e30),)])


@pytest.mark.parametrize("percentile", [0.0, -1.0, 100.1, float("nan"), True, "max", None])
def test_an_impossible_percentile_is_refused(percentile: Any) -> None:
    with pytest.raises(ConfigurationError, match="percentile must be"):
        Scaling(percentile=percentile)


@pytest.mark.parametrize("normalization", ["", "neuron", None])
def test_an_unknown_normalization_is_refused(normalization: Any) -> None:
    with pytest.raises(ConfigurationError, match="normalization must be"):
        snnconv.convert(nn.Sequential(nn.Linear(2, 2), nn.ReLU()), torch.rand(5, 2), normalization=normalization)


def test_a_maximum_over_the_input_itself_has_no_population_in_front() -> None:
    class Largest(torch.nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.relu(x.amax(1) - 0.5)

    x = uniform(20, 4)
    network = snnconv.convert(Largest(), x)
    torch.testing.assert_close(network(x), Largest()(x), rtol=0, atol=0.1)
