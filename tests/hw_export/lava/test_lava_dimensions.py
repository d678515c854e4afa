"""Lines, boxes and transposed convolutions on Lava: lines are maps of height 1, boxes are unrolled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import snnconv
from coding import Concurrent, FewSpike, Rate
from hw_export import lava
from hw_export.explicit.maps import ConvolutionMap
from hw_export.integers import quantize
from hw_export.lava.bundle import read_network

FEW_SPIKE: dict[str, Any] = {"coding": FewSpike(4)}
RATE: dict[str, Any] = {"coding": Rate(8), "schedule": Concurrent(8)}


def samples(*shape: int) -> Tensor:
    return torch.randn(40, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def finished(*layers: nn.Module, x: Tensor) -> nn.Module:
    """``layers`` with a last linear layer for three classes, in double precision."""
    torch.manual_seed(0)
    model = nn.Sequential(*layers, nn.Flatten(), nn.LazyLinear(3)).double()
    model(x)
    return model.eval()


def line_and_map(middle: str, line: bool) -> snnconv.SpikingNetwork:
    """The same weights for samples [3, 17] and, unless ``line``, [3, 1, 17]."""
    conv, largest, mean = (nn.Conv1d, nn.MaxPool1d, nn.AvgPool1d) if line else (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d)

    def size(length: int, height: int = 1) -> Any:
        return length if line else (height, length)

    torch.manual_seed(0)
    layers = {
        "groups": lambda: [conv(6, 6, size(3), padding=size(2, 0), dilation=size(2), groups=2)],
        "maximum": lambda: [largest(size(3), size(2), size(1, 0)), conv(6, 5, size(3))],
        "mean": lambda: [mean(size(2)), conv(6, 5, size(3))],
    }[middle]()
    first = conv(3, 6, size(5), size(2), size(2, 0))
    x = samples(3, 17) if line else samples(3, 17).unsqueeze(2)
    options = RATE if middle == "mean" else FEW_SPIKE
    return snnconv.convert(finished(first, nn.ReLU(), *layers, nn.ReLU(), x=x), x, **options)


@pytest.mark.usefixtures("loaded_lava")
@pytest.mark.parametrize("middle", ["groups", "maximum", "mean"])
def test_lines_run_as_maps_of_height_one(middle: str, tmp_path: Path) -> None:
    x, runs = samples(3, 17)[:3], []
    for line in (True, False):
        path = tmp_path / f"{line}.npz"
        lava.export(line_and_map(middle, line), path, input_bits=8, allow_loss=100.0)
        runs.append(lava.run(path, x if line else x.unsqueeze(2), record=["rasters"]))
    one, two = runs
    assert torch.equal(one.output, two.output) and one.spikes == two.spikes and sum(one.spikes.values()) > 50
    assert [*one.synops.values()] == [*two.synops.values()]
    for raster, other in zip(one.rasters.values(), two.rasters.values(), strict=True):
        assert torch.equal(raster, other.reshape(raster.shape))


def test_convolutions_of_lines_are_kernels() -> None:
    integers = quantize(line_and_map("groups", line=True), input_bits=8)
    first, second, _ = (connection.map for connection in integers.connections)
    assert isinstance(first, ConvolutionMap) and isinstance(second, ConvolutionMap)
    assert (first.source_shape, first.target_shape, first.weight.shape) == ((3, 17), (6, 9), (6, 3, 1, 5))
    assert (second.groups, second.dilation, second.padding) == (2, (1, 2), (0, 2))


OTHERS: dict[str, Any] = {
    "boxes": (lambda: [nn.Conv3d(2, 3, 3, padding=1), nn.ReLU(), nn.AvgPool3d(2)], (2, 4, 4, 4)),
    "transposed maps": (
        lambda: [nn.Conv2d(2, 3, 3, stride=2), nn.ReLU(), nn.ConvTranspose2d(3, 2, 3, 2, output_padding=1), nn.ReLU()],
        (2, 7, 7),
    ),
    "transposed lines": (
        lambda: [nn.Conv1d(2, 3, 3, stride=2), nn.ReLU(), nn.ConvTranspose1d(3, 2, 4, stride=2, padding=1), nn.ReLU()],
        (2, 13),
    ),
    "tokens": (lambda: [nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 5), nn.ReLU()], (3, 4)),
}


@pytest.mark.usefixtures("loaded_lava")
@pytest.mark.parametrize("options", [RATE, FEW_SPIKE], ids=["rate", "few-spike"])
@pytest.mark.parametrize("name", OTHERS)
def test_other_dimensions_fire_spike_for_spike_as_the_clock(name: str, options: Any, tmp_path: Path) -> None:
    layers, shape = OTHERS[name]
    x = samples(*shape)
    torch.manual_seed(1)
    network = snnconv.convert(finished(*layers(), x=x), x, **options)
    lava.export(network, tmp_path / "n.npz", input_bits=8, allow_loss=100.0)
    simulation, _, _ = read_network(tmp_path / "n.npz")
    run = lava.run(tmp_path / "n.npz", x[:3], record=["rasters"])
    expected = simulation.run(x[:3], simulator="clock", record=["rasters"])
    assert run.spikes == expected.spikes and sum(run.spikes.values()) > 30
    assert all(torch.equal(run.rasters[label], raster) for label, raster in expected.rasters.items())
    torch.testing.assert_close(run.output, expected.output, rtol=0, atol=1e-9)
