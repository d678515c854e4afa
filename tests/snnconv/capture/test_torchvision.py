"""Models of torchvision, unchanged, with random weights: each converts, and its error falls as the steps grow."""

from __future__ import annotations

import importlib.util
import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import pytest

from tests.support.torchvision_worker import Images, measure

STEPS = (8, 64)
FEW, MANY = Images(64, calibrating=16, measured=1), Images(64, calibrating=16, measured=2)
LARGE = Images(96, calibrating=16, measured=2)
#: What a model is measured on. The error of some does not fall at every step on few images.
MODELS = {
    "alexnet": MANY,
    "resnet18": FEW,
    "squeezenet1_1": FEW,
    "densenet121": FEW,
    "googlenet": MANY,
    "inception_v3": LARGE,
    "shufflenet_v2_x1_0": MANY._replace(calibrating=32),
    "mobilenet_v2": MANY,
}

#: Models that plain neurons are measured on too.
SHALLOW = ("alexnet", "squeezenet1_1", "resnet18")


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
    coarse, fine = found["errors"]
    assert fine < coarse


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_a_model_converts_unchanged(name: str, process: ProcessPoolExecutor) -> None:
    check(process.submit(measure, name, MODELS[name], "corrective", STEPS, name in SHALLOW).result(timeout=600))


@pytest.mark.parametrize("name", SHALLOW)
def test_plain_neurons_do_as_well_on_shallow_models(name: str, process: ProcessPoolExecutor) -> None:
    check(process.submit(measure, name, MODELS[name], "integrate-fire", STEPS, False).result(timeout=600))
