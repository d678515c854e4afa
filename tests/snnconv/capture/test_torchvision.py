"""Models of torchvision, unchanged, with random weights: each converts, the better the finer the code."""

from __future__ import annotations

import importlib.util
import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import pytest

from coding import FewSpike
from tests.support.torchvision_worker import Images, errors_by_steps, errors_in_windows

STEPS = (16, 64, 256)
CODES = (FewSpike(4, spikes=2), FewSpike(8, spikes=3), FewSpike(12, spikes=4))
IMAGES = Images(64, calibrating=16, measured=1)
#: What needs larger images.
LARGE = {"alexnet": Images(96, 16, 1), "inception_v3": Images(96, 16, 1)}
MODELS = (
    "alexnet",
    "vgg11_bn",
    "resnet18",
    "resnext50_32x4d",
    "squeezenet1_1",
    "densenet121",
    "googlenet",
    "inception_v3",
    "shufflenet_v2_x1_0",
    "mobilenet_v2",
)
#: Models that are measured under a stream, too.
SHALLOW = ("squeezenet1_1", "resnet18")


@pytest.fixture(scope="module")
def process() -> Iterator[ProcessPoolExecutor]:
    """A process of its own: no other test sees torchvision or the operators declared for it."""
    if importlib.util.find_spec("torchvision") is None:
        pytest.skip("torchvision is not installed")
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as executor:
        yield executor


def check(found: dict[str, Any]) -> None:
    assert found["ok"]
    assert found["reference"] < 1e-4
    assert found["populations"] >= 7
    coarse, medium, fine = found["errors"]
    assert fine < medium < coarse


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_a_model_converts_unchanged(name: str, process: ProcessPoolExecutor) -> None:
    check(process.submit(errors_in_windows, name, LARGE.get(name, IMAGES), CODES).result(timeout=600))


@pytest.mark.slow
@pytest.mark.parametrize("neuron", ["integrate-fire", "corrective"])
@pytest.mark.parametrize("name", SHALLOW)
def test_a_stream_nears_a_shallow_model(name: str, neuron: str, process: ProcessPoolExecutor) -> None:
    check(process.submit(errors_by_steps, name, IMAGES, neuron, STEPS).result(timeout=600))
