"""What a compiled kernel is told of a population's windows, prepared once for every shape and layout of a current."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from coding.window.closed_form import memory_order
from neurons.window_form import WindowForm

#: Values that a kernel settles at once.
BLOCK = 1024
#: Values of which rows of a map are made, and up to which channels with few values each go into one.
_ROW, _LONGEST_ROW, _FEW = 1024, 2**14, 128
#: Parts of a map that a thread takes one after the other, so that none waits long for another.
_PARTS = 4
#: Shapes and layouts that are kept.
_KEPT = 64

#: A job. Names of tensors are addresses, 0 where there is none.
#:
#: Threads take one of ``parts`` after the other, of ``blocks`` each, until ``taken`` says that none is left.
#: ``samples`` maps of ``size`` values lie behind each other, in rows of ``width``. ``constants`` are shifts, inverse
#: scales and scales, ``period`` of each: ``along`` a row, or one for each row, in turn. Then come the ``WindowForm``
#: and the places of results; sums are over samples, those of updates over neurons, too, one for each part.
JOB: np.dtype[Any] = np.dtype(
    [
        (name, np.int64)
        for name in (
            *("taken", "parts", "blocks"),
            *("current", "samples", "size", "width", "along", "shifted", "period", "constants"),
            *("cell_bits", "lowest_cell", "cells", "carry", "corrections", "following"),
            *("trains", "values", "spikes", "updates", "signed"),
            *("decoded", "found", "spikes_found", "updates_found", "spike_sums", "update_sums"),
        )
    ]
    + [("seen", np.float64), ("sent", np.float64)]
)
#: Where the addresses of a job are, among its numbers.
PLACES = {name: offset // 8 for name, (_, offset, *_) in JOB.fields.items()}  # type: ignore[union-attr]


class _Rows(NamedTuple):
    """Whether constants repeat along rows, the width of these, and values of a channel in turn."""

    along: bool
    width: int
    each: int


class WindowJobs:
    """Jobs of one population: its look-up, and shift (if there is one), inverse scale and scale, ``[channels]``."""

    def __init__(
        self, form: WindowForm, axis: int | None, shift: Tensor | None, inverse_scale: Tensor, scale: Tensor
    ) -> None:
        self._form, self._axis = form, axis if scale.numel() > 1 else None
        self._shifted = shift is not None
        self._constants = torch.stack([torch.zeros_like(scale) if shift is None else shift, inverse_scale, scale])
        self._arranged: dict[_Rows, Tensor] = {}
        self._jobs: dict[tuple[Any, ...], np.ndarray[Any, Any]] = {}

    def job(self, current: Tensor, samples: int, threads: int) -> np.ndarray[Any, Any]:
        """A job for a ``current`` without gaps, as ``samples`` maps one behind the other; its addresses are 0.

        It is an array of whole numbers, which is copied and filled in many times faster than one of structures.
        """
        key = (current.shape, current.stride(), samples, threads)
        found = self._jobs.get(key)
        if found is None:
            if len(self._jobs) >= _KEPT:
                self._jobs.clear()
            found = self._jobs[key] = self._made(current, samples, threads)
        return found.copy()

    def _made(self, current: Tensor, samples: int, threads: int) -> np.ndarray[Any, Any]:
        rows, size = _rows(current, self._axis), current.numel() // samples
        constants, levels, negative = self._constants_along(rows), self._form.levels, self._form.negative
        blocks = -(-size // rows.width) * -(-rows.width // BLOCK)
        parts = 1 if threads == 1 else min(blocks, threads * _PARTS)
        job = np.zeros(1, JOB)
        for name, value in {
            "parts": parts,
            "blocks": -(-blocks // parts),
            "samples": samples,
            "size": size,
            "width": rows.width,
            "along": rows.along,
            "shifted": self._shifted,
            "period": constants.shape[1],
            "constants": constants.data_ptr(),
            "cell_bits": levels.shift,
            "lowest_cell": levels.lowest_cell,
            "cells": len(levels.carry),
            "carry": levels.carry.data_ptr(),
            "corrections": levels.corrections,
            "following": levels.following.data_ptr(),
            "trains": len(levels.values),
            "values": levels.values.data_ptr(),
            "spikes": levels.spikes.data_ptr(),
            "updates": levels.updates.data_ptr(),
            "signed": negative is not None,
            "seen": 1.0 if negative is None else negative.seen,
            "sent": 1.0 if negative is None else negative.sent,
        }.items():
            job[name] = value
        return job.view(np.int64)

    def _constants_along(self, rows: _Rows) -> Tensor:
        if rows not in self._arranged:
            constants = self._constants
            if rows.along:
                repeats = rows.width // (rows.each * constants.shape[1])
                constants = constants.repeat_interleave(rows.each, 1).repeat(1, repeats)
            self._arranged[rows] = constants.contiguous()
        return self._arranged[rows]


def _rows(current: Tensor, axis: int | None) -> _Rows:
    if axis is None:
        return _Rows(True, _ROW, 1)
    order = memory_order(current)
    channels = current.shape[axis]
    each = math.prod(current.shape[other] for other in order[order.index(axis % current.dim()) + 1 :])
    if each > 1 and (each >= _FEW or each * channels > _LONGEST_ROW):
        return _Rows(False, each, each)
    return _Rows(True, each * channels * max(1, _ROW // (each * channels)), each)
