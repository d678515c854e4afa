"""A network for samples of another size: the same codes and scales, the model's function at that size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._pytree import tree_leaves

import snnconv
from coding import Code, FewSpike, OneSpike, Rate
from tests.support.language_models import POSITIONS, language_model, spiking_language_model, text
from tests.support.pipelines import assert_simulators_agree


class FullyConvolutional(nn.Module):
    """Whose sizes stand in its forward: a pooling over all, a resizing to half, joined."""

    def __init__(self, channels: int = 6) -> None:
        super().__init__()
        self.first, self.norm = nn.Conv2d(3, channels, 3, padding=1), nn.BatchNorm2d(channels)
        self.second, self.last = nn.Conv2d(channels, 8, 3, stride=2, padding=1), nn.Conv2d(8 + 3, 5, 1)

    def forward(self, x: Tensor) -> Tensor:
        small = F.interpolate(x, size=(x.shape[2] // 2, x.shape[3] // 2), mode="bilinear", align_corners=False)
        hidden = torch.relu(self.second(F.max_pool2d(torch.relu(self.norm(self.first(x))), 3, 1, 1)))
        scores: Tensor = self.last(torch.cat([hidden, small], 1))
        return F.avg_pool2d(scores, scores.shape[2:]).flatten(1)


class Filters(nn.Module):
    """Filters along a signal."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv1d(2, 8, 5, padding=2), nn.ReLU(), nn.Conv1d(8, 3, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.layers(x)
        return found


def made(model: Callable[[], nn.Module]) -> nn.Module:
    torch.manual_seed(0)
    return model().eval()


CASES: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], tuple[int, ...]]] = {
    "pictures": (FullyConvolutional, (3, 8, 8), (3, 12, 16)),
    "signals": (Filters, (2, 20), (2, 33)),
}


@pytest.mark.parametrize("code", [FewSpike(12, spikes=4), OneSpike(24)], ids=str)
@pytest.mark.parametrize("case", CASES)
def test_a_network_of_another_size_computes_what_the_model_computes_there(case: str, code: Code) -> None:
    build, old, new = CASES[case]
    model = made(build)
    network = snnconv.convert(model, torch.rand(40, *old), coding=code)
    x = torch.rand(16, *new)
    other = snnconv.resized(network, model, x)
    with torch.no_grad():
        wanted = model(x)
    assert other(x).shape == wanted.shape
    assert float((other(x) - wanted).norm() / wanted.norm()) < 0.05
    assert_simulators_agree(other.double(), x[:4].double())
    for before, after in zip(network.populations.values(), other.populations.values(), strict=True):
        assert (after.code, after.name) == (before.code, before.name) and after.neurons > before.neurons
        assert torch.equal(after.scale.float(), before.scale) and torch.equal(after.shift.float(), before.shift)
    assert network(torch.rand(2, *old)).shape[0] == 2  # and the one it was made from stays


@pytest.mark.parametrize("options", [{"coding": Rate(32)}, {"coding": Rate(32), "decoding": "spike-count"}])
def test_back_to_its_own_size_it_is_the_network_it_was(options: dict[str, Any]) -> None:
    model = made(Filters)
    network, x = snnconv.convert(model, torch.rand(40, 2, 20), **options), torch.rand(5, 2, 20)
    there = snnconv.resized(network, model, torch.rand(4, 2, 31))
    assert torch.equal(snnconv.resized(there, model, x)(x), network(x))


def test_tuned_weights_come_along(tmp_path: Any) -> None:
    model, samples = made(Filters), torch.rand(24, 2, 20)
    network = snnconv.convert(model, samples, coding=FewSpike(6, spikes=3))
    tuned = network.with_(constants={name: 0.9 * weight for name, weight in network.constants.items()}, tuned=True)
    other = snnconv.resized(tuned, model, torch.rand(3, 2, 40))
    assert other.tuned
    for name, weight in tuned.constants.items():
        assert torch.equal(other.constants[name], weight)
    other.save(tmp_path / "other.snn")
    x = torch.rand(3, 2, 40)
    assert torch.equal(snnconv.load(tmp_path / "other.snn")(x), other(x))


@pytest.mark.parametrize("name", ["GPT", "Llama"])
def test_a_causal_model_of_another_length_fires_the_same_spikes_at_the_positions_that_both_have(name: str) -> None:
    model, network, longer = language_model(name), spiking_language_model(name, 5), text(4, 8)
    other = snnconv.resized(network, model, longer)
    wanted, found = (tree_leaves(each(longer))[0] for each in (model, other))
    assert float((found - wanted).norm() / wanted.norm()) < 0.03
    whole, first = other.run(longer, record=["rasters"]), network.run(longer[:, :5], record=["rasters"])
    for population, raster in first.rasters.items():
        there = whole.rasters[population][tuple(slice(size) for size in raster.shape)]
        assert torch.equal(raster, there), population


def test_a_model_has_no_more_positions_than_it_learned_nor_a_tuned_network_than_it_tuned() -> None:
    model, network = language_model("GPT"), spiking_language_model("GPT", 5)
    with pytest.raises(snnconv.InputError, match=rf"\[4, {POSITIONS + 1}\].*no more positions than it learned"):
        snnconv.resized(network, model, text(4, POSITIONS + 1))
    weights = {key: 0.9 * weight if weight.is_floating_point() else weight for key, weight in network.constants.items()}
    tuned = network.with_(constants=weights, tuned=True)
    shorter, (name,) = snnconv.resized(tuned, model, text(4, 3)), [key for key in tuned.constants if "slice" in key]
    assert torch.equal(shorter.constants[name], tuned.constants[name][:3])
    with pytest.raises(snnconv.ConfigurationError, match=r"was tuned, and its weights .* have the shape \[5, 8\]"):
        snnconv.resized(tuned, model, text(4, 8))


class LongerIsOther(nn.Module):
    """Which computes something else for long signals."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv1d(2, 3, 3, padding=1), nn.ReLU(), nn.Conv1d(3, 3, 1))

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.layers(x)
        return found if x.shape[-1] < 30 else torch.relu(found)


def test_what_is_another_network_at_that_size_is_refused() -> None:
    model, samples = made(LongerIsOther), torch.rand(24, 2, 20)
    network = snnconv.convert(model, samples)
    with pytest.raises(snnconv.ConfigurationError, match="something else at this size"):
        snnconv.resized(network, model, torch.rand(3, 2, 40))
    torch.manual_seed(1)
    with pytest.raises(snnconv.ConfigurationError, match="are not those of the network"):
        snnconv.resized(network, LongerIsOther().eval(), torch.rand(3, 2, 25))
    with pytest.raises(snnconv.InputError, match="the model itself fails"):
        snnconv.resized(network, model, torch.rand(3, 7, 25))


def test_a_layer_over_all_positions_fits_one_size() -> None:
    model = made(lambda: nn.Sequential(nn.Conv1d(2, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(54, 2)))
    network = snnconv.convert(model, torch.rand(24, 2, 20))
    with pytest.raises(snnconv.InputError, match=r"snnconv\.resized"):
        network(torch.rand(2, 2, 25))
    with pytest.raises(snnconv.InputError, match="the model itself fails"):
        snnconv.resized(network, model, torch.rand(3, 2, 25))


def test_autocast_changes_nothing() -> None:
    model, x = made(Filters), torch.rand(3, 2, 25)
    network = snnconv.convert(model, torch.rand(24, 2, 20), coding=FewSpike(6, spikes=3))
    wanted = snnconv.resized(network, model, x)(x)
    with torch.autocast("cpu"):
        assert torch.equal(snnconv.resized(network, model, x)(x), wanted)


class Gained(nn.Module):
    """Tokens, filtered, through a slope and a gain that are no weights."""

    def __init__(self, slope: float = 0.1, gain: float = 1.0, table: float = 1.0) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.words, self.first, self.last = nn.Embedding(9, 3), nn.Conv1d(3, 4, 3, padding=1), nn.Conv1d(4, 2, 1)
        self.slope = slope
        self.register_buffer("gain", torch.full((4, 1), gain))
        self.words.weight = nn.Parameter(table * self.words.weight.detach())

    def forward(self, tokens: Tensor) -> Tensor:
        hidden = F.leaky_relu(self.first(self.words(tokens).transpose(1, 2)), self.slope)
        scores: Tensor = self.last(hidden * self.gain)
        return scores


def test_what_is_no_weight_is_that_of_the_network_in_its_precision() -> None:
    tokens, longer = (torch.arange(18 * length).view(-1, length) * 5 % 9 for length in (6, 10))
    network = snnconv.convert(Gained().eval(), tokens, coding=FewSpike(8, spikes=4))
    for model, reason in (
        (Gained(slope=0.5), "another activation than the network at leaky_relu"),
        (Gained(gain=2.0), "the constants gain of the model"),
        (Gained(table=2.0), r"the weights words\.weight of the model"),
    ):
        with pytest.raises(snnconv.ConfigurationError, match=reason):
            snnconv.resized(network, model.eval(), longer)
    other = snnconv.resized(network.double(), Gained().eval(), longer)
    torch.testing.assert_close(other.reference(longer), Gained().eval().double()(longer).detach())
