"""Firing rules as data: what a kernel computes in place of a code's ``fire``."""

from __future__ import annotations

from typing import NamedTuple


class FixedThresholds(NamedTuple):
    """A spike carries the payload of its step where the potential is at least the bound of this step.

    Both are given for as many steps as there are until they come again.
    """

    payloads: tuple[float, ...]
    bounds: tuple[float, ...]


class GrowingThreshold(NamedTuple):
    """A spike carries the neuron's own threshold where the potential is at least ``share`` of it.

    The threshold is then ``gain`` times as large, ``largest`` at most, and ``threshold`` after a silent step.
    """

    threshold: float
    gain: float
    largest: float
    share: float


FiringForm = FixedThresholds | GrowingThreshold
