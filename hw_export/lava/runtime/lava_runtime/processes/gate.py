"""Gates of max pooling as processes. They stand behind neurons and add no time step."""

from __future__ import annotations

from typing import Any

from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess

from lava_runtime.layout import Shape


class MaximumGate(AbstractProcess):
    """Lets through what moves the maximum of every window."""

    def __init__(self, *, source_shape: Shape, shape: Shape, **parameters: Any) -> None:
        super().__init__(source_shape=source_shape, shape=shape, **parameters)
        self.a_in = InPort(shape=source_shape)
        self.s_out = OutPort(shape=shape)
