"""How samples enter a network and sums leave it."""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from lava_runtime.behaviour.base import Arriving, ClockedModel, Sending
from lava_runtime.journal import Recorder
from lava_runtime.processes.ends import Journal, SampleSink, SampleSource, Tie


class _SourceModel(ClockedModel):
    fixed: bool
    s_out: Any

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.samples = proc_params["samples"].mapped()
        self.repeat: bool = proc_params["repeat"]
        self.kind = np.int32 if self.fixed else np.float64
        self.silence = np.zeros(self.samples.shape[1:], self.kind)

    def run_spk(self) -> None:
        """Send the sample of this time step, or silence."""
        position = self.clock.position(self.time_step)
        if position is None or (position[1] > 0 and not self.repeat):
            self.s_out.send(self.silence)
        else:
            self.s_out.send(self.samples[position[0]].astype(self.kind))


class _SinkModel(ClockedModel):
    a_in: Any

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.sums = proc_params["sums"].mapped()

    def run_spk(self) -> None:
        """Add what arrives to the sum of its sample."""
        arriving = self.a_in.recv()
        position = self.clock.position(self.time_step)
        if position is None:
            return
        if arriving.any():
            self.sums[position[0]] += arriving.T
        if position[1] == self.clock.steps - 1:
            self.clock.note_arrived(position[0] + 1)


class _JournalModel(ClockedModel):
    a_in: Any

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.recorder = Recorder(proc_params["spikes"], proc_params["raster"])

    def run_spk(self) -> None:
        """Take down what arrives."""
        payload = self.a_in.recv()
        position = self.clock.position(self.time_step)
        if position is not None:
            self.recorder.note(*position, payload.T)


@implements(proc=SampleSource, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class SourceFixed(Sending.Fixed, _SourceModel):
    """Sources in fixed point."""


@implements(proc=SampleSource, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class SourceFloat(Sending.Float, _SourceModel):
    """Sources in floating point."""


@implements(proc=SampleSink, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class SinkFixed(Arriving.Fixed, _SinkModel):
    """Sinks in fixed point."""


@implements(proc=SampleSink, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class SinkFloat(Arriving.Float, _SinkModel):
    """Sinks in floating point."""


@implements(proc=Journal, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class JournalFixed(Arriving.Fixed, _JournalModel):
    """Journals in fixed point."""


@implements(proc=Journal, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class JournalFloat(Arriving.Float, _JournalModel):
    """Journals in floating point."""


@implements(proc=Tie, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt", "floating_pt")
class TieModel(PyLoihiProcessModel):
    """Takes and forgets."""

    first_in: Any = LavaPyType(PyInPort.VEC_DENSE, float)
    second_in: Any = LavaPyType(PyInPort.VEC_DENSE, float)

    def run_spk(self) -> None:
        """Empty both ports."""
        self.first_in.recv()
        self.second_in.recv()
