"""How far a task is that goes through data, batch by batch."""

from __future__ import annotations

from typing import Any

from snnconv.data.batches import number_of_batches, number_of_samples
from snnconv.progress import PartsDone, ProgressCallback


class Passage:
    """Tells how far a task has come with ``data``: by samples, or by batches where nothing says how many samples."""

    def __init__(self, progress: ProgressCallback | None, what: str, data: Any, batch_axis: int | None) -> None:
        samples = number_of_samples(data, batch_axis)
        self._by_sample = samples is not None
        self._parts = PartsDone(progress, what, samples if self._by_sample else number_of_batches(data))

    def samples(self, count: int) -> None:
        """So many more samples are done."""
        if self._by_sample:
            self._parts.more(count)

    def batch(self) -> None:
        """The batch is done that these samples were of."""
        if not self._by_sample:
            self._parts.more()

    def end(self) -> None:
        """All data are done."""
        self._parts.end()
