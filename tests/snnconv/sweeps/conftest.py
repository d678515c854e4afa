"""Fixtures of the tests of sweeps."""

from __future__ import annotations

import sys
from typing import Any

import pytest
import torch

from snnconv import evaluate
from tests.support.networks import make
from tests.support.sweeps import Case


@pytest.fixture(scope="module")
def case() -> Case:
    model, x = make("deep", samples=60)
    with torch.no_grad():
        targets = model(x).argmax(1)
    targets[::9] = (targets[::9] + 1) % 4
    return model, x[:40], (x, targets)


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Steps of every evaluation that a sweep asks for."""
    calls: list[int] = []

    def counting(network: Any, *arguments: Any, **options: Any) -> Any:
        found = evaluate(network, *arguments, **options)
        calls.append(found.steps)
        return found

    monkeypatch.setattr(sys.modules["snnconv.sweeps.rows"], "evaluate", counting)
    return calls
