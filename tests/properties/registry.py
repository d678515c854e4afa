"""The registry of what every converted network keeps; tests and ``python -m tests.fuzz networks`` check the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils._pytree import tree_leaves

from tests.support.random_networks.specimen import Specimen


@dataclass(frozen=True)
class Property:
    """``check`` raises where a network breaks it; it is asked of those that it ``applies`` to."""

    check: Callable[[Specimen], None]
    applies: Callable[[Specimen], bool]


#: Properties by what a failure is called; one file a family.
PROPERTIES: dict[str, Property] = {}


def holds(
    name: str, applies: Callable[[Specimen], bool] = lambda specimen: True
) -> Callable[[Callable[[Specimen], None]], Callable[[Specimen], None]]:
    """Decorator that registers a check as the property ``name``."""

    def register(check: Callable[[Specimen], None]) -> Callable[[Specimen], None]:
        assert name not in PROPERTIES, f"two properties are called {name!r}"
        PROPERTIES[name] = Property(check, applies)
        return check

    return register


def windowed(specimen: Specimen) -> bool:
    """Whether the window simulator runs the network."""
    return specimen.network.has_closed_form


def assert_close(found: Any, expected: Any, what: str) -> None:
    """Fail with ``what`` unless all tensors in both are the same but for rounding."""
    leaves, wanted = tree_leaves(found), tree_leaves(expected)
    assert len(leaves) == len(wanted), what
    for one, other in zip(leaves, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9, msg=lambda text: f"{what}: {text}")


def assert_equal(found: Any, expected: Any, what: str) -> None:
    """Fail with ``what`` unless all tensors in both are equal, bit for bit."""
    leaves, wanted = tree_leaves(found), tree_leaves(expected)
    assert len(leaves) == len(wanted), what
    assert all(torch.equal(one, other) for one, other in zip(leaves, wanted, strict=True)), what
