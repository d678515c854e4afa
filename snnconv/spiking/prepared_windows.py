"""The windows of a network's populations, prepared once for all its calls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from snnconv.kernels.settled_windows import Windows
from snnconv.spiking.population import Population
from snnconv.spiking.settling import windows_of


class PreparedWindows:
    """Windows by node, prepared anew as soon as a population, or a number in one of its tensors, is another one.

    Numbers are compared, whoever changed them and how: they are few, and windows of yesterday's would be wrong. Copies
    of a network prepare their own.
    """

    def __init__(self) -> None:
        self._kept: _Kept | None = None

    def of(self, populations: Mapping[str, Population]) -> Mapping[str, Windows]:
        """The windows of ``populations`` by node."""
        kept = self._kept
        if kept is None or not kept.holds(populations):
            kept = self._kept = _Kept(populations)
        return kept.windows

    def __reduce__(self) -> tuple[Any, ...]:  # addresses in memory mean nothing elsewhere
        return type(self), ()


class _Kept:
    def __init__(self, populations: Mapping[str, Population]) -> None:
        self._populations = dict(populations)
        self._numbers, self._tables = _numbers(populations).clone(), _tables(populations)
        self._tables = {node: tables.clone() for node, tables in self._tables.items()}
        self.windows = {node: windows_of(population) for node, population in populations.items()}

    def holds(self, populations: Mapping[str, Population]) -> bool:
        for node, population in populations.items():
            kept = self._populations.get(node)
            if kept is None or kept.code is not population.code or kept.neuron is not population.neuron:
                return False
        tables = _tables(populations)
        return (
            len(self._populations) == len(populations)
            and _same(self._numbers, _numbers(populations))
            and tables.keys() == self._tables.keys()
            and all(_same(self._tables[node], table) for node, table in tables.items())
        )


def _numbers(populations: Mapping[str, Population]) -> Tensor:
    """Scales and shifts of all ``populations`` in a row."""
    return torch.cat([each for population in populations.values() for each in (population.scale, population.shift)])


def _tables(populations: Mapping[str, Population]) -> dict[str, Tensor]:
    return {node: each.tables for node, each in populations.items() if each.tables is not None}


def _same(kept: Tensor, given: Tensor) -> bool:
    return kept.dtype == given.dtype and kept.device == given.device and torch.equal(kept, given)
