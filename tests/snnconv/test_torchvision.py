"""Models of torchvision, unchanged: each converts, and (googlenet aside) its error falls as the steps grow."""

from __future__ import annotations

import importlib.util
import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor

import pytest

from tests.torchvision_worker import measure

STEPS = (16, 64, 256)
slow = pytest.mark.slow
#: Model, image size, whether batch norms take the statistics of random images (else they pass values through).
MODELS = [
    pytest.param("alexnet", 63, True),
    pytest.param("vgg11_bn", 32, True, marks=slow),
    pytest.param("resnet18", 32, True),
    pytest.param("resnext50_32x4d", 32, False, marks=slow),
    pytest.param("squeezenet1_1", 32, True),
    pytest.param("densenet121", 32, True, marks=slow),
    pytest.param("googlenet", 64, True, marks=slow),
    pytest.param("inception_v3", 96, False, marks=slow),
    pytest.param("shufflenet_v2_x1_0", 32, True),
    pytest.param("mobilenet_v2", 32, False),
]


@pytest.fixture(scope="module")
def process() -> Iterator[ProcessPoolExecutor]:
    """A process of its own: no other test sees torchvision or the operators declared for it."""
    if importlib.util.find_spec("torchvision") is None:
        pytest.skip("torchvision is not installed")
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as executor:
        yield executor


@pytest.mark.parametrize(("name", "size", "statistics"), MODELS)
def test_a_model_converts_unchanged(name: str, size: int, statistics: bool, process: ProcessPoolExecutor) -> None:
    found = process.submit(measure, name, size, statistics, STEPS).result(timeout=300)
    assert found["reference"] < 1e-4
    assert found["populations"] >= 7
    errors = found["errors"]
    # With random weights and batch statistics googlenet amplifies small errors: 256 steps do not settle it yet.
    assert errors[2] < errors[0] or name == "googlenet"
