"""Populations of neurons as processes. Simulation only: Intel publishes no microcode for these rules."""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.process.variable import Var

from lava_runtime.layout import Shape


class Neurons(AbstractProcess):
    """Neurons that integrate what arrives and send payloads, in a life of their own for every sample."""

    def __init__(
        self, *, shape: Shape, threshold: np.ndarray, initial: np.ndarray, bias: np.ndarray, **parameters: Any
    ) -> None:
        super().__init__(shape=shape, **parameters)
        self.a_in = InPort(shape=shape)
        self.s_out = OutPort(shape=shape)
        self.potential = Var(shape=shape, init=0)
        self.threshold = Var(shape=threshold.shape, init=threshold)
        self.initial = Var(shape=initial.shape, init=initial)
        self.bias = Var(shape=bias.shape, init=bias)


class StreamNeurons(Neurons):
    """Neurons that may fire at every step, for what is above zero."""


class SignedStreamNeurons(Neurons):
    """Neurons that may fire at every step, and take back what they have sent."""


class TableNeurons(Neurons):
    """Neurons that fire in a window, by a table."""


class LookupNeurons(Neurons):
    """Neurons that fire once or twice in a window, by tables of what their potential means."""
