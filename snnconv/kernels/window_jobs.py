"""What a compiled kernel is told of a population's windows, prepared once for every shape and layout of a current."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from neurons.window_form import WindowForm
from snnconv.kernels.layouts import ChannelConstants, parts_of

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


class WindowJobs:
    """Jobs of one population: its look-up, and shift (if there is one), inverse scale and scale, ``[channels]``."""

    def __init__(
        self, form: WindowForm, axis: int | None, shift: Tensor | None, inverse_scale: Tensor, scale: Tensor
    ) -> None:
        self._form, self._shifted = form, shift is not None
        shifts = torch.zeros_like(scale) if shift is None else shift
        self._constants = ChannelConstants(axis, torch.stack([shifts, inverse_scale, scale]))
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
        size, (rows, constants) = current.numel() // samples, self._constants.along(current)
        levels, negative = self._form.levels, self._form.negative
        parts, blocks = parts_of(size, rows, threads)
        job = np.zeros(1, JOB)
        for name, value in {
            "parts": parts,
            "blocks": blocks,
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
