"""Faster models of Lava's own convolutions and matrices, with results that are equal bit for bit.

Products are taken in floating point, where the processor is fast: integers stay exact while every sum is below 2^24 in
single or 2^53 in double precision, and the sizes of what arrives decide which is used in every step.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from lava.proc.conv.process import Conv
from lava.proc.dense.process import Dense
from lava.proc.sparse.process import Sparse
from scipy.sparse import csr_matrix

from lava_runtime.behaviour.columns import Columns


class _FixedSynapses:
    fixed = True
    s_in: Any = LavaPyType(PyInPort.VEC_DENSE, np.int32, precision=24)
    a_out: Any = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=24)
    num_message_bits: Any = LavaPyType(np.ndarray, np.int32)


class _FloatSynapses:
    fixed = False
    s_in: Any = LavaPyType(PyInPort.VEC_DENSE, float)
    a_out: Any = LavaPyType(PyOutPort.VEC_DENSE, float)
    num_message_bits: Any = LavaPyType(np.ndarray, np.int32)


class _SynapseModel(PyLoihiProcessModel):
    """Sends what the step before yielded, as Lava's models do, then computes what the next step sends."""

    fixed: bool
    s_in: Any
    a_out: Any
    num_message_bits: Any

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.result: np.ndarray | None = None
        self.ready = False

    def run_spk(self) -> None:
        """One time step."""
        if not self.ready:
            self.silence = np.zeros(self.a_out.shape, np.int32 if self.fixed else np.float64)
            self.prepare()
            self.ready = True
        self.a_out.send(self.silence if self.result is None else self.result)
        payload = self.s_in.recv()
        if self.num_message_bits.item() == 0:
            payload = payload != 0
        self.result = self.transmit(payload) if payload.any() else None

    def prepare(self) -> None:
        """Bring the weights into the form in which they are used."""
        raise NotImplementedError  # a hook: every model that runs has its own

    def transmit(self, payload: np.ndarray) -> np.ndarray:
        """The currents that ``payload`` causes."""
        raise NotImplementedError  # a hook: every model that runs has its own


class _ConvModel(_SynapseModel):
    a_buf: Any
    weight: Any
    kernel_size: Any = LavaPyType(np.ndarray, np.int32)
    stride: Any = LavaPyType(np.ndarray, np.int32)
    padding: Any = LavaPyType(np.ndarray, np.int32)
    dilation: Any = LavaPyType(np.ndarray, np.int32)
    groups: Any = LavaPyType(np.ndarray, np.int32)
    weight_exp: Any = LavaPyType(np.ndarray, np.int32)
    num_weight_bits: Any = LavaPyType(np.ndarray, np.int32)

    def prepare(self) -> None:
        stride, padding, dilation = (
            tuple(int(item) for item in variable) for variable in (self.stride, self.padding, self.dilation)
        )
        groups = int(self.groups.item())
        self.columns = Columns(self.weight, stride, padding, dilation, groups, self.silence.shape)

    def transmit(self, payload: np.ndarray) -> np.ndarray:
        current = self.columns.convolve(payload, self.fixed)
        if not self.fixed:
            return current
        if self.columns.largest_sum < 1 << 23:
            return current.astype(np.int32)
        return (current.astype(np.int64) + (1 << 23)) % (1 << 24) - (1 << 23)  # as Lava's convolution wraps


class _DenseModel(_SynapseModel):
    a_buff: Any
    weights: Any

    def prepare(self) -> None:
        self.shift = -int(self.proc_params.get("weight_exp", 0)) if self.fixed else 0
        # a row for every source, so that few spikes read few rows
        self.rows = np.ascontiguousarray(self.weights.T, np.float32 if self.fixed else np.float64)
        self.reach = float(np.abs(self.rows).sum(0, dtype=np.float64).max()) if self.rows.size else 0.0

    def transmit(self, payload: np.ndarray) -> np.ndarray:
        active = np.flatnonzero(payload)
        rows: np.ndarray = self.rows
        if active.size * 4 < len(rows):
            rows, payload = rows[active], payload[active]
        if self.fixed and self.reach * float(np.abs(payload).max()) < 1 << 24:
            current: np.ndarray = payload.astype(np.float32) @ rows
        else:
            current = payload.astype(np.float64) @ rows
        return current.astype(np.int64) >> self.shift if self.fixed else np.asarray(current)


class _SparseModel(_SynapseModel):
    a_buff: Any
    weights: Any

    def prepare(self) -> None:
        self.shift = -int(self.proc_params.get("weight_exp", 0)) if self.fixed else 0
        self.exact = np.int64 if self.fixed else np.float64
        self.matrix = self.weights.astype(self.exact)

    def transmit(self, payload: np.ndarray) -> np.ndarray:
        current = np.asarray(self.matrix @ payload.astype(self.exact))
        return current >> self.shift if self.fixed else current


@implements(proc=Conv, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class ConvFixed(_FixedSynapses, _ConvModel):
    """Convolutions in fixed point."""

    a_buf: Any = LavaPyType(np.ndarray, np.int32, precision=24)
    weight: Any = LavaPyType(np.ndarray, np.int32, precision=8)


@implements(proc=Conv, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class ConvFloat(_FloatSynapses, _ConvModel):
    """Convolutions in floating point."""

    a_buf: Any = LavaPyType(np.ndarray, float)
    weight: Any = LavaPyType(np.ndarray, float)


@implements(proc=Dense, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class DenseFixed(_FixedSynapses, _DenseModel):
    """Matrices in fixed point; their weights are exact with an exponent of -1 and in mixed sign mode."""

    a_buff: Any = LavaPyType(np.ndarray, np.int32)
    weights: Any = LavaPyType(np.ndarray, np.int32, precision=8)


@implements(proc=Dense, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class DenseFloat(_FloatSynapses, _DenseModel):
    """Matrices in floating point."""

    a_buff: Any = LavaPyType(np.ndarray, float)
    weights: Any = LavaPyType(np.ndarray, float)


@implements(proc=Sparse, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class SparseFixed(_FixedSynapses, _SparseModel):
    """Sparse matrices in fixed point."""

    a_buff: Any = LavaPyType(np.ndarray, np.int32)
    weights: Any = LavaPyType(csr_matrix, np.int32, precision=8)


@implements(proc=Sparse, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class SparseFloat(_FloatSynapses, _SparseModel):
    """Sparse matrices in floating point."""

    a_buff: Any = LavaPyType(np.ndarray, float)
    weights: Any = LavaPyType(csr_matrix, float)
