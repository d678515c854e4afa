"""The settings of papers: the calls that are printed and documented are what they say, and take effect."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim import Adam
from torch.optim.lr_scheduler import StepLR

import coding
from benchmarks.paper_settings import ANTLR, SETTINGS, PaperSetting
from coding import Concurrent, Pipeline, SpikeInput
from neurons import DoubleExponential
from snnconv.learning import LatencyEncoder, LatencyLoss
from tests.support.conversion import converted
from tests.support.networks import draw, prepared

PAGE = (Path(__file__).parents[2] / "docs" / "papers.md").read_text()
OF_SETTINGS = pytest.mark.parametrize("setting", SETTINGS, ids=lambda each: f"{each.paper}, {each.variant}")


def network() -> nn.Module:
    """Leaky where Spiking-YOLO is, with channels of very different ranges."""
    model = nn.Sequential(
        nn.Conv2d(2, 4, 3), nn.LeakyReLU(0.1), nn.Conv2d(4, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 3)
    )
    with torch.no_grad():
        model[0].weight.mul_(torch.tensor([1.0, 2.0, 5.0, 0.3]).view(4, 1, 1, 1))
    return model


def test_every_call_is_on_the_page() -> None:
    assert [each.call for each in (*SETTINGS, ANTLR) if f"`{each.call}`" not in PAGE] == []


@OF_SETTINGS
def test_the_call_is_that_of_the_options(setting: PaperSetting) -> None:
    found: dict[str, Any] = {}

    def convert(model: str, calibration: str, **options: Any) -> None:
        found.update(options)

    eval(setting.call, vars(coding) | {"convert": convert, "model": "", "calibration": ""})
    assert found == dict(setting.options)


def test_the_calls_of_learning_are_those_of_the_options() -> None:
    found: dict[str, Any] = {}
    names = {
        "LayeredNetwork": lambda sizes, neuron, weight_offset: (tuple(sizes), neuron, weight_offset),
        "EncodedSamples": lambda images, labels, encoder: encoder,
        "train": lambda network, samples, **options: found.update(options, network=network, encoder=samples),
    }
    parts = {
        each.__name__: each
        for each in (DoubleExponential, LatencyEncoder, LatencyLoss, Adam, StepLR, functools.partial)
    }
    eval(ANTLR.call, names | parts | {"images": 0, "labels": 0})
    assert found.pop("network") == (ANTLR.sizes, ANTLR.neuron, 3.0) and found.pop("encoder") == ANTLR.encoder
    assert {key: repr(value) for key, value in found.items()} == {k: repr(v) for k, v in ANTLR.options.items()}


@OF_SETTINGS
def test_the_options_take_effect(setting: PaperSetting) -> None:
    model, x = prepared(network), draw(40, 2, 6, 6)
    options = setting.options
    found = converted("papers", lambda: (model, x), **options)
    asked = options["coding"]
    assert found.plan.hidden == asked
    assert found.plan.schedule == options.get("schedule", Pipeline())
    wanted = options.get("input", "real")
    if isinstance(wanted, coding.Code):
        assert isinstance(found.plan.input, SpikeInput) and found.plan.input.spikes == wanted
    else:
        assert found.plan.input.name == getattr(wanted, "name", wanted)
    first, second, *output = found.populations.values()
    assert bool(output) is (options.get("decoding") == "spike-count")
    by_channel = options.get("normalization", "channel") == "channel"
    assert [len(each.scale) for each in (first, second)] == ([4, 3] if by_channel else [1, 1])
    largest = model[:4](x)
    scale = second.scale * second.code.full_scale
    peak = largest.amax((0, 2, 3)) if by_channel else largest.max()
    assert bool((scale <= peak * (1.0 + 1e-6)).all()) and bool((scale > 0.5 * peak).all())
    if isinstance(found.plan.schedule, Concurrent):
        assert {each.neuron.initial_potential for each in (first, second)} == {options["initial_potential"]}  # type: ignore[attr-defined]
    else:
        assert not bool(first.shift.any() or second.shift.any())
    if "negative" in options:
        assert first.neuron.negative == options["negative"]  # type: ignore[attr-defined]
    for name in ("rounding", "threshold", "gain", "steps"):
        if hasattr(asked, name):
            assert getattr(second.code, name) == getattr(asked, name)
    if asked.free_parameter is not None:
        assert second.code.free_parameter is None
