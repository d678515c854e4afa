"""Products of sets against single spikes and against dense matrices of plain modules."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import snnconv.graph.reach
from snnconv.capture.normal_form import normal_form
from snnconv.capture.translation import capture
from snnconv.graph.affine_regions import Regions
from snnconv.graph.reach import NotAProductError, Reach
from snnconv.spiking.synapses import count_products, count_synapses, may_join, probe


class MapNet(nn.Module):
    """A linear map without an activation: ``wiring`` applied to the modules, found by number, and the input."""

    def __init__(self, wiring: Callable[[nn.ModuleList, Tensor], Tensor], *modules: nn.Module) -> None:
        super().__init__()
        self.wiring, self.parts = wiring, nn.ModuleList(modules)

    def forward(self, x: Tensor) -> Tensor:
        return self.wiring(self.parts, x)


class ReachBranches(nn.Module):
    """Maps side by side on one input: many for the price of one capture."""

    def __init__(self, maps: list[nn.Module]) -> None:
        super().__init__()
        self.maps = nn.ModuleList(maps)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return tuple(each(x) for each in self.maps)


def regions_of(maps: list[nn.Module], shape: tuple[int, ...]) -> list[Regions]:
    """The region from the input to the output of each map."""
    x = torch.rand(2, *shape, generator=torch.Generator().manual_seed(0))
    graph = capture(ReachBranches(maps), (x,))
    alone = [normal_form(replace(graph, output=output).without_dead_nodes(), (x,)) for output in graph.output]
    return [Regions(each, set(), dict.fromkeys(each.inputs, (1, *shape))) for each in alone]


def dense(function: nn.Module, shape: tuple[int, ...]) -> Tensor:
    """Outputs that each input element reaches, from the dense matrix of the map with positive weights."""
    with torch.no_grad():
        for name, parameter in function.named_parameters():
            parameter.zero_() if name.endswith("bias") else parameter.uniform_(0.5, 1.5)
        rows = function(torch.eye(math.prod(shape)).view(-1, *shape))
    return rows.ne(0).flatten(1).sum(1).double().view(shape)


def conv(inputs: int, outputs: int, kernel: Any = 1, **options: Any) -> nn.Module:
    return nn.Conv2d(inputs, outputs, kernel, **options)


def shuffled(parts: nn.ModuleList, x: Tensor) -> Tensor:
    kept, passed = x.chunk(2, 1)
    return F.channel_shuffle(torch.cat([kept, parts[0](passed)], 1), 2)


def shortcut_a(parts: nn.ModuleList, x: Tensor) -> Tensor:
    return parts[1](parts[0](x)) + F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 2, 2))


def pyramid(parts: nn.ModuleList, x: Tensor) -> Tensor:
    coarse = parts[0](x)
    return parts[2](torch.cat([F.interpolate(parts[1](coarse), scale_factor=2), x], 1))


def patches(parts: nn.ModuleList, x: Tensor) -> Tensor:
    tokens = parts[0](x).flatten(2).transpose(1, 2)
    return parts[2](parts[1](tokens) + tokens)


def stacked(parts: nn.ModuleList, x: Tensor) -> Tensor:
    return parts[0](torch.stack([x[:, 0], x[:, 3], x[:, 0] + x[:, 1]], 1))


IMAGE = (4, 6, 6)
MAPS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "linear bottleneck": (lambda: MapNet(lambda p, x: p[1](p[0](x) + x), conv(4, 4), conv(4, 7)), IMAGE),
    "depthwise separable": (
        lambda: nn.Sequential(conv(4, 6), conv(6, 6, 3, padding=1, groups=6), conv(6, 3)),
        IMAGE,
    ),
    "depthwise in a row": (
        lambda: nn.Sequential(conv(4, 8, 3, padding=1, groups=4), conv(8, 8, 3, stride=2, groups=8)),
        IMAGE,
    ),
    "grouped, strided, dilated": (
        lambda: nn.Sequential(
            conv(4, 6, 3, groups=2, padding=2, dilation=2), conv(6, 4, (2, 3), stride=(2, 1), groups=2)
        ),
        IMAGE,
    ),
    "groups of another size": (lambda: nn.Sequential(conv(4, 8, groups=4), conv(8, 6, groups=2)), IMAGE),
    "groups, shuffled": (
        lambda: nn.Sequential(conv(4, 8, groups=2), nn.ChannelShuffle(4), conv(8, 8, groups=4)),
        IMAGE,
    ),
    "split and shuffled": (lambda: MapNet(shuffled, conv(2, 2, 3, padding=1)), IMAGE),
    "shortcut by slicing and padding": (
        lambda: MapNet(shortcut_a, conv(4, 8, 3, stride=2, padding=1), conv(8, 8, 3, padding=1)),
        IMAGE,
    ),
    "strided shortcut": (
        lambda: MapNet(lambda p, x: p[0](x) + p[1](x), conv(4, 8, 3, stride=2, padding=1), conv(4, 8, stride=2)),
        IMAGE,
    ),
    "dense connections": (
        lambda: MapNet(
            lambda p, x: p[1](torch.cat([x, p[0](x)], 1)), conv(4, 2, 3, padding=1), conv(6, 3, 3, padding=1, groups=3)
        ),
        IMAGE,
    ),
    "feature pyramid": (
        lambda: MapNet(pyramid, conv(4, 4, 3, stride=2, padding=1), conv(4, 2), conv(6, 5, 3, padding=1)),
        IMAGE,
    ),
    "a cross, no product": (
        lambda: MapNet(
            lambda p, x: p[0](x) + p[1](x), conv(4, 2, (3, 1), padding=(1, 0)), conv(4, 2, (1, 3), padding=(0, 1))
        ),
        IMAGE,
    ),
    "three boxes that overlap": (
        lambda: MapNet(
            lambda p, x: p[0](x) + p[1](x) + p[0](x).roll((2, 1), (2, 3)).flip(2),
            conv(4, 2, (5, 1), padding=(2, 0)),
            conv(4, 2, (1, 3), padding=(0, 1)),
        ),
        IMAGE,
    ),
    "context added to every position": (
        lambda: MapNet(lambda p, x: p[1](x + p[0](x.mean((2, 3), keepdim=True))), conv(4, 4), conv(4, 4, 3, groups=4)),
        IMAGE,
    ),
    "pools in a row": (
        lambda: nn.Sequential(nn.AvgPool2d(3, 2, padding=1, ceil_mode=True), nn.AdaptiveAvgPool2d((2, 3)), conv(4, 3)),
        IMAGE,
    ),
    "reflected border": (lambda: nn.Sequential(nn.ReflectionPad2d(2), conv(4, 2, 3), conv(2, 2, 3)), IMAGE),
    "circular convolution": (
        lambda: nn.Sequential(conv(4, 3, 5, padding=4, padding_mode="circular"), conv(3, 2, 3, stride=2)),
        IMAGE,
    ),
    "pixels moved to channels": (
        lambda: nn.Sequential(nn.PixelUnshuffle(2), conv(16, 8), nn.PixelShuffle(2)),
        IMAGE,
    ),
    "pixel shuffle, then convolution": (lambda: nn.Sequential(conv(4, 8), nn.PixelShuffle(2), conv(2, 3, 3)), IMAGE),
    "flatten, then linear twice": (lambda: nn.Sequential(nn.Flatten(), nn.Linear(144, 5), nn.Linear(5, 3)), IMAGE),
    "pool, then linear": (lambda: nn.Sequential(nn.AvgPool2d(2, 1), nn.Flatten(), nn.Linear(100, 5)), IMAGE),
    "patches": (lambda: MapNet(patches, conv(4, 6, 2, stride=2), nn.Linear(6, 6), nn.Linear(6, 3)), IMAGE),
    "slices side by side": (
        lambda: MapNet(lambda p, x: p[0](torch.cat([x[..., ::2], x[..., 1::2]], 1)), conv(8, 3, 3, groups=1)),
        IMAGE,
    ),
    "selected and stacked": (lambda: MapNet(stacked, conv(3, 2, 3)), IMAGE),
    "pieces in another order": (
        lambda: MapNet(lambda p, x: p[0](torch.cat(x.unbind(2)[::-1], 1).unflatten(1, (6, 4))), conv(6, 2, 2)),
        IMAGE,
    ),
    "one dimension": (
        lambda: nn.Sequential(nn.Conv1d(3, 4, 3, padding="same"), nn.AvgPool1d(2), nn.Conv1d(4, 2, 3, padding=1)),
        (3, 12),
    ),
    "three dimensions": (
        lambda: nn.Sequential(nn.Conv3d(2, 4, 2, groups=2), nn.Upsample(scale_factor=2), nn.Conv3d(4, 2, 3, stride=2)),
        (2, 3, 4, 3),
    ),
    "linear layers": (lambda: MapNet(lambda p, x: p[1](p[0](x) + x), nn.Linear(6, 6), nn.Linear(6, 4)), (6,)),
    "linear layers on two axes": (lambda: nn.Sequential(nn.Linear(6, 5), nn.Linear(5, 4)), (3, 6)),
}


@cache
def built_on(shape: tuple[int, ...]) -> dict[str, tuple[nn.Module, Regions]]:
    functions = {name: make() for name, (make, wanted) in MAPS.items() if wanted == shape}
    regions = regions_of(list(functions.values()), shape)
    return dict(zip(functions, zip(functions.values(), regions, strict=True), strict=True))


@pytest.mark.parametrize("name", MAPS)
def test_products_of_sets_are_single_spikes_and_the_dense_matrix(name: str) -> None:
    shape = MAPS[name][1]
    function, regions = built_on(shape)[name]
    (source,) = regions.sources
    with torch.no_grad():
        found = count_products(regions, source)
        assert torch.equal(found, probe(regions, source))
    assert torch.equal(found, dense(function, shape))


class Wired(nn.Module):
    """Layers wired at random: every one takes the sum or the concatenation of earlier results."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        choose = random.Random(seed)
        self.steps: list[tuple[int, ...]] = []
        self.joins: list[str] = []
        layers: list[nn.Module] = []
        for step in range(choose.randint(2, 4)):
            self.steps.append(tuple(choose.randrange(step + 1) for _ in range(choose.randint(1, 2))))
            self.joins.append(choose.choice(["add", "cat"]))
            inputs = 4 * len(self.steps[-1]) if self.joins[-1] == "cat" else 4
            kernel, groups = choose.choice([(1, 1), (3, 3), (3, 1), (1, 3)]), choose.choice([1, 2, 4])
            dilation = choose.choice([1, 2])
            layers.append(conv(inputs, 4, kernel, padding="same", groups=groups, dilation=dilation))
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Tensor) -> Tensor:
        results = [x]
        for layer, taken, join in zip(self.layers, self.steps, self.joins, strict=True):
            parts = [results[place] for place in taken]
            joined = torch.cat(parts, 1) if join == "cat" else sum(parts[1:], parts[0])
            results.append(layer(joined))
        return results[-1] + results[-2]


def test_networks_wired_at_random_are_counted_as_by_single_spikes() -> None:
    maps: list[nn.Module] = [Wired(seed) for seed in range(25)]
    joined = 0
    for function, regions in zip(maps, regions_of(maps, (4, 5, 6)), strict=True):
        (source,) = regions.sources
        assert torch.equal(count_products(regions, source), dense(function, (4, 5, 6)))
        joined += may_join(regions, source)
    assert joined > 20


NO_PRODUCTS: dict[str, Callable[[], nn.Module]] = {
    "groups of pixels moved to channels": lambda: nn.Sequential(
        nn.PixelUnshuffle(2), conv(16, 8, 2, groups=4), conv(8, 2)
    ),
    "sum with its transpose": lambda: MapNet(lambda p, x: p[0](x + x.transpose(2, 3)), conv(4, 2, 3)),
    "rolled over all axes as one": lambda: MapNet(
        lambda p, x: p[0](x + x.flatten(1).roll(5, 1).view(x.shape)), conv(4, 2)
    ),
    "axes mixed, then cut elsewhere": lambda: MapNet(
        lambda p, x: p[0](x.flatten(2).unflatten(2, (9, 4)) + p[1](x).flatten(2).unflatten(2, (9, 4))),
        conv(4, 2, 3),
        conv(4, 4, 3, padding=1),
    ),
}


@pytest.mark.parametrize("name", NO_PRODUCTS)
def test_what_is_no_product_of_sets_is_probed(name: str) -> None:
    function = NO_PRODUCTS[name]()
    (regions,) = regions_of([function], IMAGE)
    (source,) = regions.sources
    with pytest.raises(NotAProductError):
        count_products(regions, source)
    found = count_synapses(regions.graph, {}, regions.sources)
    assert found.bounds == ()
    assert torch.equal(found.fan_out[source], dense(function, IMAGE))


@pytest.mark.parametrize(("limit", "value"), [("PRODUCT_LIMIT", 1), ("MATRIX_LIMIT", 30)])
def test_more_or_larger_sets_than_the_limits_are_probed(
    limit: str, value: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    function = MAPS["a cross, no product"][0]()
    (regions,) = regions_of([function], IMAGE)
    (source,) = regions.sources
    monkeypatch.setattr(snnconv.graph.reach, limit, value)
    with pytest.raises(NotAProductError):
        count_products(regions, source)
    assert torch.equal(count_synapses(regions.graph, {}, regions.sources).fan_out[source], dense(function, IMAGE))


def test_an_axis_too_long_for_a_matrix_is_left_to_another_method_before_any_is_made() -> None:
    function = MapNet(lambda p, x: p[0](x.flatten(1)[:, 1::2]), nn.Linear(45_000, 1))
    (regions,) = regions_of([function], (1, 300, 300))
    (source,) = regions.sources
    with pytest.raises(NotAProductError):  # 90,000 positions: their matrix would hold 8 * 10**9 elements
        count_products(regions, source)


def test_one_set_inside_another_and_sets_that_differ_along_one_axis_are_one_product() -> None:
    everywhere = Reach.identity((3, 4)).along(0, torch.ones(3, 3))
    assert len(everywhere.union(Reach.identity((3, 4))).products) == 1
    left, right = (Reach.identity((3, 4)).along(1, torch.eye(4).roll(shift, 1)) for shift in (1, -1))
    assert len(left.union(right).products) == 1
    both = left.union(right.along(0, torch.eye(3).flip(1)))
    assert len(both.products) == 2
    assert both.fan_out().tolist() == [[2.0] * 4] * 3


def test_two_steps_along_the_edges_of_a_sparse_graph_reach_each_neighbour_once() -> None:
    edges = (torch.rand(9, 9, generator=torch.Generator().manual_seed(0)) < 0.3).float()

    class TwoSteps(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("edges", edges.to_sparse().coalesce())
            self.weights = nn.Linear(4, 3)

        def forward(self, x: Tensor) -> Tensor:
            return torch.sparse.mm(self.edges, torch.sparse.mm(self.edges, self.weights(x)))

    x = torch.rand(9, 4)
    graph = normal_form(capture(TwoSteps(), (x,)), (x,))
    assert graph.batch_axis is None
    found = count_synapses(graph, {}, dict.fromkeys(graph.inputs, (9, 4)))
    neighbours = (edges.t() @ edges.t()).ne(0).sum(1).double()
    assert found.bounds == ()
    assert torch.equal(found.fan_out["x"], 3 * neighbours[:, None].expand(9, 4))
