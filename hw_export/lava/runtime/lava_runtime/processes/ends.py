"""Where a network begins and ends as processes: sources of samples, sinks of sums, and ties between parts."""

from __future__ import annotations

from typing import Any

from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess

from lava_runtime.layout import Shape


class SampleSource(AbstractProcess):
    """Sends every sample of an input in its time."""

    def __init__(self, *, shape: Shape, **parameters: Any) -> None:
        super().__init__(shape=shape, **parameters)
        self.s_out = OutPort(shape=shape)


class SampleSink(AbstractProcess):
    """Sums what arrives over every sample."""

    def __init__(self, *, shape: Shape, **parameters: Any) -> None:
        super().__init__(shape=shape, **parameters)
        self.a_in = InPort(shape=shape)


class Journal(AbstractProcess):
    """Takes down what neurons of Lava's own send."""

    def __init__(self, *, shape: Shape, **parameters: Any) -> None:
        super().__init__(shape=shape, **parameters)
        self.a_in = InPort(shape=shape)


class Tie(AbstractProcess):
    """Takes from two parts of a network that nothing else connects, because Lava runs only what is connected."""

    def __init__(self, *, first_shape: Shape, second_shape: Shape) -> None:
        super().__init__()
        self.first_in = InPort(shape=first_shape)
        self.second_in = InPort(shape=second_shape)
