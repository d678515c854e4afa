"""What all process models share: types of ports in both arithmetics, the clock, and what is recorded."""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType

from lava_runtime.clock import StepClock
from lava_runtime.journal import Recorder

#: Potentials are clipped here, as in Lava's own neurons.
LARGEST_POTENTIAL = (1 << 23) - 1


class Arriving:
    """Port types of what takes currents or payloads."""

    class Fixed:
        fixed = True
        a_in: Any = LavaPyType(PyInPort.VEC_DENSE, np.int32, precision=24)

    class Float:
        fixed = False
        a_in: Any = LavaPyType(PyInPort.VEC_DENSE, float)


class Sending:
    """Port types of what sends payloads."""

    class Fixed:
        fixed = True
        s_out: Any = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=24)

    class Float:
        fixed = False
        s_out: Any = LavaPyType(PyOutPort.VEC_DENSE, float)


class ClockedModel(PyLoihiProcessModel):
    """A model that acts by the clock of its process."""

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.clock: StepClock = proc_params["clock"]


class SendingModel(ClockedModel):
    """A model that turns what arrives into payloads, counted and recorded."""

    fixed: bool
    a_in: Any
    s_out: Any

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.exact = np.int64 if self.fixed else np.float64  # for products and sums over time
        self.silence = np.zeros(proc_params["shape"], np.int32 if self.fixed else np.float64)
        self.recorder = Recorder(proc_params["spikes"], proc_params["raster"])

    def run_spk(self) -> None:
        """One time step: take, respond, send."""
        arriving = self.a_in.recv()
        position = self.clock.position(self.time_step)
        payload = None
        if position is not None:
            payload = self.respond(arriving, position[1])
        if position is None or payload is None:
            self.s_out.send(self.silence)
            return
        self.recorder.note(*position, payload.T)
        self.s_out.send(payload)

    def respond(self, arriving: np.ndarray, step: int) -> np.ndarray | None:
        """The payloads of local ``step``; None for silence."""
        raise NotImplementedError  # a hook: every model that runs has its own
