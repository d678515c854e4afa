"""What documents take as given: a small trained network, what it became, data, and a folder of its own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import snnconv
from coding import CODES, FewSpike, Rate
from neurons import NEURONS
from snnconv.data import Digits, load_digits
from snnconv.graph.operators import OPERATORS

#: What a document takes as given, by name.
Given = dict[str, Any]


def perceptron(digits: Digits) -> nn.Module:
    """A network that classifies digits, after a second of training."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=40)
    images, labels = digits.train

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        value = nn.functional.cross_entropy(model(images), labels)
        value.backward()
        return value

    optimizer.step(loss)
    return model.eval()


@pytest.fixture(scope="session")
def common() -> Given:
    digits = load_digits()
    images, labels = digits.train
    test_images, test_labels = digits.test[0][:100], digits.test[1][:100]
    model, calibration = perceptron(digits), images[:200]
    return {
        "torch": torch,
        "snnconv": snnconv,
        "FewSpike": FewSpike,
        "Rate": Rate,
        "model": model,
        "calibration": calibration,
        "example": images[:2],
        "inputs": test_images[:4],
        "images": images[:300],
        "labels": labels[:300],
        "training_images": images[:200],
        "test_images": test_images,
        "test_labels": test_labels,
        "test_data": (test_images, test_labels),
        "snn": snnconv.convert(model, calibration, coding=FewSpike(6)),
        "stream": snnconv.convert(model, calibration, coding=Rate(32)),
    }


@pytest.fixture
def registries() -> Iterator[None]:
    """The registries, which members of a document's own join for its time."""
    families: tuple[dict[str, Any], ...] = (CODES, NEURONS, OPERATORS)
    before = [dict(family) for family in families]
    yield
    for family, members in zip(families, before, strict=True):
        family.clear()
        family.update(members)


@pytest.fixture
def folder(tmp_path: Path, registries: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder that the document works in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for module in ("my_project", "leaky"):
        sys.modules.pop(module, None)
    if (pyplot := sys.modules.get("matplotlib.pyplot")) is not None:
        pyplot.close("all")
