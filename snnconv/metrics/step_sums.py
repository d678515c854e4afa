"""Sums after every step of a simulation whose samples may stop early."""

from __future__ import annotations

from collections.abc import Sequence


class StepSums:
    """Two sums after every step: of the samples that run, and of those that stopped with their last output."""

    def __init__(self) -> None:
        # Per step: sums over running samples, and sums that are final from this step on.
        self._running: list[list[float]] = []
        self._final: list[list[float]] = []

    def run(self, t: int, pair: Sequence[float]) -> None:
        """Add what samples that run have after step ``t``."""
        _add(self._running, t, pair)

    def stop(self, t: int, pair: Sequence[float]) -> None:
        """Add what samples keep that stopped after step ``t``."""
        _add(self._final, t + 1, pair)

    def by_step(self, steps: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Both sums after each of ``steps`` steps; where every sample stopped early, the rest stays as it was."""
        first: list[float] = []
        second: list[float] = []
        stopped = [0.0, 0.0]
        for t, running in enumerate(self._running):
            final = self._final[t] if t < len(self._final) else [0.0, 0.0]
            stopped = [stopped[0] + final[0], stopped[1] + final[1]]
            first.append(running[0] + stopped[0])
            second.append(running[1] + stopped[1])
        missing = steps - len(first)
        return (*first, *first[-1:] * missing), (*second, *second[-1:] * missing)


def _add(table: list[list[float]], t: int, pair: Sequence[float]) -> None:
    while len(table) <= t:
        table.append([0.0, 0.0])
    table[t][0] += pair[0]
    table[t][1] += pair[1]
