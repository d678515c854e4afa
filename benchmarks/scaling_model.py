"""A model of workers, of four costs, and the library's own spreading of work whose items only wait, to check it by."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import torch

from snnconv.scaling.items import packed, unpacked, work
from snnconv.scaling.shared import SharedValue
from snnconv.scaling.spreading import spread_over

#: Times that a cost is measured.
_REPEATS = 9


@dataclass(frozen=True)
class WorkCosts:
    """Seconds of what one process does alone (``serial``), of an ``item`` in a worker, and of its ``transfer``.

    While a process hands an item over, others wait for theirs.
    """

    serial: float
    item: float
    transfer: float

    @classmethod
    def of(cls, one: float, two: float, items: int, transfer: float) -> WorkCosts:
        """Those that make one worker and two take so many seconds for so many ``items``."""
        item = (one - two) / (items - math.ceil(items / 2))
        return cls(max(0.0, one - items * item), item, transfer)

    def predicted(self, items: int, workers: int) -> float:
        """Seconds of so many ``workers``: they work side by side until handing over takes as long as they do."""
        working = math.ceil(items / workers) * self.item + min(items, workers) * self.transfer
        handing = items * self.transfer + self.item
        return self.serial + max(working, handing)

    def simulated(self, items: int, workers: int, argument: Any) -> float:
        """Seconds of the same where workers are threads that wait instead of computing; ``argument`` is handed over."""
        start = time.perf_counter()
        time.sleep(self.serial)
        with ThreadPoolExecutor(workers) as threads, spread_over(workers, threads) as spread:
            assert spread is not None
            with SharedValue(self.item, "seconds") as shared:
                for _ in spread.in_order(_wait, shared, (argument for _ in range(items)), "data"):
                    pass
        return time.perf_counter() - start


def transfer_seconds(argument: Any) -> float:
    """Seconds in which an item with ``argument`` is handed over and its answer taken, the median of several."""

    def once() -> float:
        start = time.perf_counter()
        unpacked(work(packed("data", 1, _nothing, argument), {}))
        return time.perf_counter() - start

    return _median([once() for _ in range(_REPEATS)])


def _median(values: Sequence[float]) -> float:
    return float(torch.tensor(values, dtype=torch.float64).median())


def _nothing(argument: Any) -> None:
    """Take an argument."""


def _wait(seconds: float, argument: Any) -> None:
    time.sleep(seconds)
