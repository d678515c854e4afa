"""The clock simulator: the reference, one time step at a time, as hardware would run the network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from torch import Tensor

from snnconv.data.batches import Inputs
from snnconv.simulators.observers import Observer
from snnconv.simulators.pipeline import PipelineChunk
from snnconv.simulators.simulator import Passed, Simulator
from snnconv.simulators.stream import StreamChunk


class Clock(Simulator):
    """Simulates a network step by step; memory does not grow with the number of steps."""

    name: ClassVar[str] = "clock"
    together: ClassVar[int] = 2**19  # so that potentials stay in the caches from step to step

    def run_chunk(
        self, inputs: Inputs, first: int, observers: Sequence[Observer], passed: Passed, before: int
    ) -> tuple[Any, Tensor]:
        chunk = StreamChunk if self.network.timing is None else PipelineChunk
        return chunk(self, inputs, first, observers, before).run(passed)
