"""Max pooling in pipelines: the train of the largest value passes, or the network is refused when it is made."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import snnconv
from coding import TTFS, FewSpike, OneSpike, Phase, Pipeline, Rate
from snnconv.storage.signed import signature
from tests.support import conversion
from tests.support.networks import draw, prepared
from tests.support.pipelines import CODES, assert_simulators_agree

Forward = Callable[["Free", Tensor], Tensor]


class Free(nn.Module):
    """Two convolutions that ``forward`` uses as a test wants it."""

    def __init__(self, forward: Forward) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(4, 4, 1)
        self.fixed: Tensor
        self.register_buffer("fixed", torch.linspace(0.0, 1.0, 2 * 36).view(1, 2, 6, 6))
        self._forward = forward

    def forward(self, x: Tensor) -> Tensor:
        return self._forward(self, x).flatten(1)

    def one(self, x: Tensor) -> Tensor:
        return F.relu(self.first(x))

    def two(self, x: Tensor) -> Tensor:
        return F.relu(self.second(self.one(x)))


def converted(forward: Forward, **options: object) -> tuple[snnconv.SpikingNetwork, Tensor]:
    x = draw(12, 2, 6, 6)
    options = {"coding": FewSpike(6, 1.5, 2), "schedule": Pipeline(), "percentile": 99.0, **options}
    return conversion.converted(forward, lambda: (prepared(lambda: Free(forward)), x), **options), x


@pytest.mark.parametrize("simulator", ["clock", "window"])
@pytest.mark.parametrize("code", CODES)
def test_the_train_of_the_largest_potential_passes(code: str, simulator: str) -> None:
    model = prepared(lambda: nn.Sequential(nn.Conv2d(2, 3, 3), nn.LeakyReLU(0.2), nn.MaxPool2d(3, 2), nn.Flatten()))
    x = draw(15, 2, 9, 9)
    network = conversion.converted("one pool", lambda: (model, x), coding=CODES[code], schedule=Pipeline())
    run = network.run(x, simulator=simulator, record=["rasters"])
    ((name, raster),) = run.rasters.items()
    (population,) = network.populations.values()
    with torch.no_grad():
        potentials = model.get_submodule("0")(x)
    _, places = F.max_pool2d(potentials, 3, 2, return_indices=True)
    winners = raster.flatten(3).gather(3, places.flatten(2).expand(len(raster), -1, -1, -1))
    decoded = winners.sum(0) * population.window_scale(4).flatten(2)
    assert torch.allclose(run.output, decoded.flatten(1), rtol=1e-12, atol=1e-14)
    if "few" not in code or "one spike" in code:  # with more spikes trains are ordered as values are, decoded sums not
        wanted = F.max_pool2d(raster.sum(0) * population.window_scale(4), 3, 2)
        assert torch.allclose(run.output, wanted.flatten(1), rtol=1e-12, atol=1e-14)
    assert run.synops["max_pool2d"] == int(winners.count_nonzero())
    assert name == population.name


COMPARABLE: dict[str, tuple[Forward, list[int]]] = {
    "maxout": (lambda m, x: m.one(x).view(-1, 2, 2, 6, 6).amax(1), [1]),
    "maxout in the second layer": (lambda m, x: m.two(x).amax(1), [4, 1]),
    "shuffled channels": (lambda m, x: F.max_pool2d(F.pixel_shuffle(m.one(x), 2), 2), [1]),
    "channels pooled along": (lambda m, x: F.max_pool1d(m.one(x).flatten(2).permute(0, 2, 1), 2), [1]),
    "pool behind pool": (lambda m, x: F.max_pool2d(F.max_pool2d(m.one(x), 2), 2).amax(1), [1]),
    "branches beside each other": (lambda m, x: F.max_pool2d(torch.cat([m.one(x), m.two(x)], 1), 2), [4, 4, 4]),
    "analog input beside spikes": (lambda m, x: F.max_pool2d(torch.cat([x, m.one(x)], 1), 2), [4]),
    "constants beside spikes": (
        lambda m, x: F.max_pool2d(torch.cat([m.one(x), m.fixed.expand(x.shape[0], -1, -1, -1)], 1), 2),
        [4],
    ),
    "zeros made on the way": (
        lambda m, x: F.max_pool2d(torch.cat([m.one(x), torch.zeros(x.shape[0], 1, 6, 6, dtype=x.dtype)], 1), 2),
        [4],
    ),
    "padded with zeros": (lambda m, x: F.max_pool2d(F.pad(m.one(x), (1, 1, 1, 1)), 2), [4]),
    "signed and padded with zeros": (lambda m, x: F.max_pool2d(F.pad(F.leaky_relu(m.first(x)), (1, 1, 1, 1)), 2), [4]),
    "padded with its border": (lambda m, x: F.max_pool2d(F.pad(m.one(x), (1, 1, 1, 1), mode="replicate"), 2), [4]),
    "upsampled": (lambda m, x: F.max_pool2d(F.interpolate(m.one(x), scale_factor=2), 3, 2), [4]),
    "pooled input": (lambda m, x: m.one(F.interpolate(F.max_pool2d(x, 2), scale_factor=2)), [4]),
    "largest channel of the input": (lambda m, x: m.one(x).amax(1) + x.amax(1), [1]),
}


@pytest.mark.parametrize("given", ["real", "phase"])
@pytest.mark.parametrize("kind", COMPARABLE)
def test_what_can_be_compared_is_pooled_alike_by_both_simulators(kind: str, given: str) -> None:
    forward, scales = COMPARABLE[kind]
    for code in (FewSpike(6, 1.5, 2), TTFS(9, 3.0)):
        network, x = converted(forward, coding=code, input=given)
        assert [len(population.scale) for population in network.populations.values()] == scales
        assert_simulators_agree(network, x)


@pytest.mark.parametrize("given", ["real", "phase"])
@pytest.mark.parametrize("kind", COMPARABLE)
def test_pooled_networks_approach_the_original(kind: str, given: str) -> None:
    network, x = converted(COMPARABLE[kind][0], coding=FewSpike(24, 1.3, 10), input=Phase(24), percentile=100)
    wanted = network.reference(x)
    inside = (x >= network.input_ranges[0][0]).flatten(1).all(1) & (x <= network.input_ranges[0][1]).flatten(1).all(1)
    error = (network(x) - wanted)[inside].norm() / wanted[inside].norm()
    assert int(inside.sum()) > 4 and float(error) < 0.02


def test_a_single_scale_is_kept_to_where_channels_meet() -> None:
    network, _ = converted(COMPARABLE["maxout"][0])
    assert "max pooling over channels" in network.report()
    network, _ = converted(COMPARABLE["maxout"][0], coding=Rate(8), schedule=None)
    assert [len(population.scale) for population in network.populations.values()] == [4]  # streams compare values
    for given, channels in (("phase", 1), ("real", 2)):
        network, _ = converted(COMPARABLE["largest channel of the input"][0], input=given)
        assert network.input_ranges[0][0].numel() == channels


REFUSED: dict[str, tuple[Forward, str]] = {
    "two populations": (lambda m, x: torch.stack([m.one(x), m.two(x)], 1).amax(1), "spikes of relu and relu_2"),
    "joined populations": (lambda m, x: torch.cat([m.one(x), m.one(x.flip(3))], 1).amax(1), "of relu and relu_1"),
    "an analog input": (lambda m, x: torch.cat([x, m.one(x)], 1).amax(1), "(an analog input|input x)"),
    "a constant pad": (lambda m, x: F.max_pool2d(F.pad(m.one(x), (1, 1, 1, 1), value=0.3), 2), "with constants"),
    "constants": (
        lambda m, x: torch.cat([m.one(x), m.fixed.expand(x.shape[0], -1, -1, -1)], 1).amax(1),
        "with constants",
    ),
}


@pytest.mark.parametrize("given", ["real", "phase"])
@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_compared_is_refused_at_once(kind: str, given: str) -> None:
    forward, message = REFUSED[kind]
    for code in (FewSpike(6, 1.5, 2), OneSpike(9)):
        with pytest.raises(snnconv.ConfigurationError, match=f"max pooling .*{message}.*use schedule=Concurrent"):
            converted(forward, coding=code, input=given)
    network, x = converted(forward, coding=Rate(512), schedule=None, percentile=100)  # as the message says
    error = (network(x) - network.reference(x)).norm() / network.reference(x).norm()
    assert float(error) < 0.05


def test_a_file_cannot_bring_scales_that_differ_in_a_group(tmp_path: Path) -> None:
    network, _ = converted(COMPARABLE["maxout"][0])
    path = tmp_path / "network.snn"
    network.save(path)
    with safetensors.safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    tensors = safetensors.torch.load_file(path)
    manifest = json.loads(metadata["manifest"])
    (entry,) = manifest["populations"]
    entry["channel_axis"] = 1
    tensors["scale.relu"], tensors["shift.relu"] = torch.tensor([1.0, 1.0, 2.0, 1.0]).double(), torch.zeros(4).double()
    text = json.dumps(manifest)
    metadata |= {"manifest": text, "sha256": signature(text, tensors)}
    safetensors.torch.save_file(tensors, path, metadata)
    with pytest.raises(snnconv.StorageError, match="spikes of relu, which stand for different values"):
        snnconv.load(path)
