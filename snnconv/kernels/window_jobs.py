"""What a compiled kernel is told of a population's windows, prepared once for every shape and layout of a current."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from neurons.window_form import LevelForm, TableForm, WindowForm
from snnconv.kernels.backends import native
from snnconv.kernels.layouts import ChannelConstants, parts_of
from snnconv.kernels.native import places_of, threads_for
from snnconv.kernels.window_sums import Summing, Sums

#: Shapes and layouts that are kept.
_KEPT = 64

#: A job. Names of tensors are addresses, 0 where there is none.
#:
#: Threads take one of ``parts`` after the other, of ``blocks`` each, until ``taken`` says that none is left.
#: ``samples`` maps of ``size`` values lie behind each other, in rows of ``width``. ``constants`` are shifts, inverse
#: scales and scales, for tables also slacks, places of a channel's entries and all thresholds, which rise; ``period``
#: of each: ``along`` a row, or one for each row, in turn. Then come the ``WindowForm`` (``values`` are payloads of
#: tables) and the places of results. Spikes and updates of a neuron are tallied in one number, ``most_samples`` at a
#: time; ``pairs`` are values and tallies in one number, where that holds both. ``totals`` of a part are its updates,
#: its spikes, and these by each of ``kinds`` weights, at so many addresses.
JOB: np.dtype[Any] = np.dtype(
    [
        (name, np.int64)
        for name in (
            *("taken", "parts", "blocks"),
            *("current", "samples", "size", "width", "along", "shifted", "period", "constants"),
            *("cell_bits", "lowest_cell", "cells", "carry", "corrections", "following"),
            *("trains", "values", "spikes", "updates", "tallies", "pairs", "signed"),
            *("origins", "rates", "slopes", "levels", "steps"),
            *("decoded", "found", "spikes_found", "updates_found"),
            *("totals", "kinds", "weights", "most_samples"),
        )
    ]
    + [("seen", np.float64), ("sent", np.float64)]
)
#: Bits by which updates are raised above spikes where both are tallied in one number.
TALLY_BITS = 16
#: Where the addresses of a job are, among its numbers.
_PLACES = places_of(JOB)
#: Thresholds of a table that a kernel compares one by one; beyond it torch's search takes less time.
_MOST_CELLS = 256
#: Entries of all tables of a population, whose places a kernel is told as numbers in single precision.
_MOST_ENTRIES = 2**24


class WindowJobs:
    """Jobs of one population: its form, and shift (if there is one), inverse scale and scale, ``[channels]``."""

    @classmethod
    def of(
        cls, form: WindowForm, axis: int | None, shift: Tensor | None, inverse_scale: Tensor, scale: Tensor
    ) -> WindowJobs | None:
        """Jobs of a population; ``None`` where numba's kernels cannot do them, or take longer than torch."""
        if isinstance(form, TableForm) and (
            form.thresholds.shape[1] > _MOST_CELLS or form.payloads.numel() > _MOST_ENTRIES
        ):
            return None
        return cls(form, axis, shift, inverse_scale, scale) if _most_samples(form) else None

    def __init__(
        self, form: WindowForm, axis: int | None, shift: Tensor | None, inverse_scale: Tensor, scale: Tensor
    ) -> None:
        constants = [torch.zeros_like(scale) if shift is None else shift, inverse_scale, scale]
        if isinstance(form, TableForm):
            self._kernel = "settled_tables_numba"
            told, self._tensors = _told_of_tables(form)
            channels, entries = form.payloads.shape
            places = torch.arange(0, channels * entries, entries, dtype=scale.dtype)
            constants = [each.expand(channels) for each in constants] + [form.slack, places, *form.thresholds.T]
        else:
            self._kernel = "settled_windows_numba"
            told, self._tensors = _told_of_levels(form)
        #: Samples of which a kernel can tally what neurons do.
        self.most_samples = _most_samples(form)
        self._told = told | {"shifted": shift is not None, "most_samples": self.most_samples}
        self._constants = ChannelConstants(axis, torch.stack(constants))
        self._jobs: dict[tuple[Any, ...], np.ndarray[Any, Any]] = {}

    def ready(self, current: Tensor) -> bool:
        """Whether numba is to settle a ``current`` like this."""
        return native(self._kernel, current.dtype, current.device) is not None

    def fill(self, current: Tensor, decoded: Tensor, places: Mapping[str, Tensor]) -> bool:
        """Fill ``decoded``, and ``places`` by their names; false, and nothing is, where numba cannot."""
        kernel = native(self._kernel, current.dtype, current.device)
        if kernel is None:
            return False
        threads = threads_for(current.numel())
        kernel(self._job(current, decoded, places, 1, threads), threads)
        return True

    def sum(self, current: Tensor, decoded: Tensor, places: Mapping[str, Tensor], summing: Summing) -> Sums | None:
        """The same, and the sums of what is counted; ``None`` where numba cannot."""
        kernel = native(self._kernel, current.dtype, current.device)
        if kernel is None:
            return None
        threads, columns = threads_for(current.numel()), 2 + summing.kinds
        job = self._job(current, decoded, places, summing.samples, threads)
        totals = (ctypes.c_int64 * (int(job[_PLACES["parts"]]) * columns))()
        job[_PLACES["totals"]], job[_PLACES["kinds"]] = ctypes.addressof(totals), summing.kinds
        job[_PLACES["weights"]] = summing.addresses.ctypes.data
        kernel(job, threads)
        return summing.sums([sum(totals[column::columns]) for column in range(columns)])

    def _job(
        self, current: Tensor, decoded: Tensor, places: Mapping[str, Tensor], samples: int, threads: int
    ) -> np.ndarray[Any, Any]:
        """A job for a ``current`` without gaps, as ``samples`` maps one behind the other.

        It is an array of whole numbers, which is copied and filled in many times faster than one of structures.
        """
        key = (current.shape, current.stride(), samples, threads)
        found = self._jobs.get(key)
        if found is None:
            if len(self._jobs) >= _KEPT:
                self._jobs.clear()
            found = self._jobs[key] = self._made(current, samples, threads)
        job = found.copy()
        job[_PLACES["current"]], job[_PLACES["decoded"]] = current.data_ptr(), decoded.data_ptr()
        for name, place in places.items():
            job[_PLACES[name]] = place.data_ptr()
        return job

    def _made(self, current: Tensor, samples: int, threads: int) -> np.ndarray[Any, Any]:
        size, (rows, constants) = current.numel() // samples, self._constants.along(current)
        parts, blocks = parts_of(size, rows, threads)
        job = np.zeros(1, JOB)
        told = {"parts": parts, "blocks": blocks, "samples": samples, "size": size, "width": rows.width}
        told |= {"along": rows.along, "period": constants.shape[1]} | _addresses(constants=constants)
        for name, value in (self._told | told).items():
            job[name] = value
        return job.view(np.int64)


def _most_samples(form: WindowForm) -> int:
    """Samples of which spikes and updates of a neuron can be tallied in one number; 0 where they are too many."""
    if isinstance(form, TableForm):
        most = form.steps
    else:
        most = max(int(counts.max()) for counts in (form.levels.updates, form.levels.spikes))
    return (1 << TALLY_BITS - 1) // (most + 1)


def _told_of_levels(form: LevelForm) -> tuple[dict[str, Any], Sequence[Tensor]]:
    """What a job says of ``form``, and the tensors that must live as long."""
    levels, negative = form
    told = {
        "cell_bits": levels.shift,
        "lowest_cell": levels.lowest_cell,
        "cells": len(levels.carry),
        "corrections": levels.corrections,
        "trains": len(levels.values),
        "signed": negative is not None,
        "seen": 1.0 if negative is None else negative.seen,
        "sent": 1.0 if negative is None else negative.sent,
    }
    tensors = {name: getattr(levels, name) for name in ("carry", "following", "values", "spikes", "updates")}
    integer = levels.carry.dtype
    tensors["tallies"] = (levels.updates.to(integer) << TALLY_BITS) + levels.spikes.to(integer)
    if integer is torch.int32:
        tensors["pairs"] = torch.stack([levels.values.view(integer), tensors["tallies"]], 1)
    return told | _addresses(**tensors), list(tensors.values())


def _told_of_tables(form: TableForm) -> tuple[dict[str, Any], Sequence[Tensor]]:
    """The same for tables."""
    tensors = {"values": form.payloads, "origins": form.origins, "rates": form.rates, "slopes": form.slopes}
    tensors = {name: table.contiguous() for name, table in tensors.items()}
    channels, entries = form.payloads.shape
    told = {"cells": entries - 1, "levels": form.levels, "steps": form.steps}
    return told | {"trains": channels * entries} | _addresses(**tensors), list(tensors.values())


def _addresses(**tensors: Tensor) -> dict[str, int]:
    return {name: tensor.data_ptr() for name, tensor in tensors.items()}
