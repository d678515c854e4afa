"""One arithmetic of all windows: the same bits whether spikes are counted, kept or neither, in every layout."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import snnconv
from coding import FewSpike, Pipeline, Rate
from neurons import IntegrateFire, Negative
from snnconv.simulators import simulator_for
from snnconv.simulators.observers import Observer
from snnconv.simulators.recorders import SpikeCounter
from snnconv.simulators.window_trains import PopulationWindow
from snnconv.spiking.settling import decode, normalise, settle, windows_of
from tests.support.networks import GraphConvolution, draw, prepared
from tests.support.pipelines import SHAPES
from tests.support.windows import CODES, LAYOUTS, NEURONS, currents, population, same_bits


@pytest.mark.parametrize("shifted", [False, True])
@pytest.mark.parametrize("axis", [1, None])
@pytest.mark.parametrize("neuron", NEURONS)
@pytest.mark.parametrize("code", CODES)
def test_blocks_without_counts_are_the_counted_windows_to_the_bit(
    code: str, neuron: str, axis: int | None, shifted: bool
) -> None:
    found = population(CODES[code], NEURONS[neuron](CODES[code]), shifted, axis)
    current = currents(CODES[code], found)
    for name, laid_out in LAYOUTS.items():
        counted = settle(found, laid_out(current), counted=True)
        uncounted = settle(found, laid_out(current), counted=False)
        decoded = decode(found, laid_out(current))
        assert counted.found.spikes is not None
        assert same_bits(decoded, counted.decoded) and same_bits(uncounted.decoded, counted.decoded), name
        assert decoded.stride() == counted.decoded.stride(), name  # or a convolution behind might round otherwise


@pytest.mark.parametrize("shifted", [False, True])
@pytest.mark.parametrize("neuron", NEURONS)
@pytest.mark.parametrize("code", CODES)
def test_a_window_is_settled_by_a_sum_and_then_a_product_each_rounded(code: str, neuron: str, shifted: bool) -> None:
    found = population(CODES[code], NEURONS[neuron](CODES[code]), shifted, 1)
    current = currents(CODES[code], found)
    scale, shift = (each.numpy().reshape(1, 5, 1, 1) for each in (found.scale, found.shift))
    values = torch.from_numpy((current.numpy() + shift) * (np.float32(1.0) / scale))
    windows = settle(found, current, counted=True)
    assert torch.equal(normalise(found, current), values)
    expected = found.neuron.window(values)  # type: ignore[attr-defined]
    assert torch.equal(windows.decoded, expected.values * torch.from_numpy(scale))
    assert torch.equal(windows.found.spikes, expected.spikes)  # type: ignore[arg-type]
    assert torch.equal(windows_of(found).shifted(current), current + torch.from_numpy(shift))


@pytest.mark.parametrize("steps", [1, 7, 9, 33])
def test_a_rate_train_fired_step_by_step_has_the_spikes_that_were_counted_ties_included(steps: int) -> None:
    code = Rate(steps)
    found = population(code, IntegrateFire(code), True, 1)
    current = currents(code, found)
    windows = settle(found, current, counted=True)
    train = PopulationWindow(found, normalise(found, current), windows.found).payloads()
    assert torch.equal((train != 0).float().sum(0), windows.found.spikes)  # type: ignore[arg-type]


def test_a_fused_product_and_sum_would_decode_some_currents_otherwise() -> None:
    code = CODES["few-spike"]
    found = population(code, IntegrateFire(code), True, 1)
    current = currents(code, found)
    scale, shift = found.broadcast_scale(4).double(), found.broadcast(found.shift, 4).double()
    fused = (current.double() / scale + shift / scale).float()
    assert not torch.equal(code.quantize(fused).values, code.quantize(normalise(found, current)).values)


def one_channel() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 1, 3), nn.ReLU(), nn.Conv2d(1, 4, 3), nn.LeakyReLU(0.1), nn.Flatten())


NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    **{
        name: SHAPES[name]
        for name in ("deep", "residual", "max pooling", "overlapping pool", "leaky pool", "signed pool", "sequence")
    },
    "one channel": (one_channel, (1, 6, 7)),
}


def assert_a_call_is_a_run(network: snnconv.SpikingNetwork, x: Tensor) -> None:
    output: Tensor = network(x)
    runs: dict[str, Any] = {
        "counted": network.run(x).output,
        "recorded": network.run(x, record=["rasters"]).output,
        "watched": simulator_for(network).run(network.check(x), [Observer()])[0],
        "by step": simulator_for(network).run(network.check(x), [SpikeCounter(network, by_step=True)])[0],
    }
    for name, other in runs.items():
        assert same_bits(output, other), name


@pytest.mark.parametrize(("normalization", "bias_correction"), [("channel", True), ("layer", False)])
@pytest.mark.parametrize("network", NETWORKS)
def test_a_call_gives_what_a_counted_run_gives_to_the_bit(
    network: str, normalization: Any, bias_correction: bool
) -> None:
    build, shape = NETWORKS[network]
    x = draw(20, *shape, dtype=torch.float32)
    model = prepared(build, torch.float32)
    negatives: list[Negative | None] = ["graded", "imbalanced"] if network in ("leaky pool", "one channel") else [None]
    for negative in negatives:
        converted = snnconv.convert(
            model,
            x,
            coding=FewSpike(8, 1.5, 2),
            normalization=normalization,
            bias_correction=bias_correction,
            negative=negative,
        )
        if bias_correction:  # which may find nothing to correct, and shifts are what this is about
            for population in converted.populations.values():
                population.shift.add_(torch.linspace(0.01, 0.02, population.shift.numel()))
        for samples in (x, x[:1]):
            assert_a_call_is_a_run(converted, samples)


@pytest.mark.parametrize("code", CODES)
def test_a_call_gives_what_a_counted_run_gives_with_every_code(code: str) -> None:
    build, shape = SHAPES["residual"]
    x = draw(20, *shape, dtype=torch.float32)
    network = snnconv.convert(prepared(build, torch.float32), x, coding=CODES[code], schedule=Pipeline())
    assert_a_call_is_a_run(network, x)


def test_a_network_without_a_batch_axis_gives_what_its_counted_run_gives() -> None:
    x = draw(6, 5, dtype=torch.float32)
    network = snnconv.convert(prepared(GraphConvolution, torch.float32), [x], coding=FewSpike(8, 1.5, 2))
    assert_a_call_is_a_run(network, x)
