"""What passes a gate of max pooling: the growth of a maximum, or the train of the window's largest value."""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from lava_runtime.behaviour.base import Arriving, Sending, SendingModel
from lava_runtime.network import BundleGate
from lava_runtime.processes.gate import MaximumGate

#: Below every sum and every rank; three times it still fits.
_LOWEST = -(1 << 60)
#: Ranks start below 2^27 and grow threefold a step.
_RENUMBER = 16


class _GateModel(SendingModel):
    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.gate: BundleGate = proc_params["gate"]

    def respond(self, arriving: np.ndarray, step: int) -> np.ndarray | None:
        arriving = arriving.astype(np.int64)  # in floating point too these are integers
        if step == 0:
            self.total = np.zeros_like(arriving)
            self.maximum = np.zeros(self.silence.shape, np.int64)
            self.digits = 0
        if not arriving.any():
            return None  # neither a sum nor an order changes
        return self._growth(arriving) if self.gate.mode == "accumulated" else self._leader(arriving)

    def _growth(self, arriving: np.ndarray) -> np.ndarray:
        before = self.maximum
        self.total += arriving
        self.maximum = pooled(self.total, self.gate)
        return np.asarray(self.maximum - before)

    def _leader(self, arriving: np.ndarray) -> np.ndarray:
        """A train is a number, one digit a step: ``total`` orders the trains so far, ``maximum`` has the largest."""
        if self.digits == _RENUMBER:
            self.total = np.unique(self.total, return_inverse=True)[1].reshape(self.total.shape).astype(np.int64)
            self.maximum = pooled(self.total, self.gate)
            self.digits = 0
        self.digits += 1
        before = self.maximum * 3
        self.total = self.total * 3 + np.sign(arriving)
        self.maximum = pooled(self.total, self.gate)
        digit = self.maximum - before
        largest, smallest = pooled(arriving, self.gate), -pooled(-arriving, self.gate)
        return np.where(digit > 0, largest, np.where(digit < 0, smallest, 0))


def pooled(values: np.ndarray, gate: BundleGate) -> np.ndarray:
    """The maximum of every window of ``values``, which has the order of Lava; padding never wins."""
    (top, bottom), (left, right) = gate.padding
    padded = np.pad(values, ((left, right), (top, bottom), (0, 0)), constant_values=_LOWEST)
    _, height, width = gate.shape
    result = None
    for row in range(gate.kernel[0]):
        for column in range(gate.kernel[1]):
            x, y = column * gate.dilation[1], row * gate.dilation[0]
            part = padded[
                x : x + (width - 1) * gate.stride[1] + 1 : gate.stride[1],
                y : y + (height - 1) * gate.stride[0] + 1 : gate.stride[0],
            ]
            result = part.copy() if result is None else np.maximum(result, part, out=result)
    assert result is not None
    return result


@implements(proc=MaximumGate, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class MaximumGateFixed(Arriving.Fixed, Sending.Fixed, _GateModel):
    """Gates in fixed point."""


@implements(proc=MaximumGate, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class MaximumGateFloat(Arriving.Float, Sending.Float, _GateModel):
    """Gates in floating point."""
