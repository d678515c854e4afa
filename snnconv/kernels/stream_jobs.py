"""What a compiled kernel is told of some steps of a population, prepared once for every shape and layout of a state."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from coding.firing_form import GrowingThreshold
from neurons.step_form import Kind, StepForm
from snnconv.kernels.backends import native
from snnconv.kernels.layouts import ChannelConstants, parts_of
from snnconv.kernels.native import places_of, threads_for

#: What a compiled kernel is told. Names of tensors are addresses, 0 where there is none.
#:
#: Threads take one of ``parts`` after the other, of ``blocks`` each, until ``taken`` says that none is left.
#: ``samples`` maps of ``size`` neurons lie behind each other, in rows of ``width``, those of the next of ``steps``
#: behind them, or the same currents for all if ``still``. ``constants`` are shifts, inverse scales and scales,
#: ``period`` of each: ``along`` a row, or one for each row, in turn. ``fixed`` are payloads and bounds of all steps.
#: Then come the state, which is changed, the numbers of the ``StepForm``, and the places of results; payloads are
#: ``scaled`` where nobody wants them as they are, and ``sums`` are spikes over samples and steps.
JOB: np.dtype[Any] = np.dtype(
    [
        (name, np.int64)
        for name in (
            *("taken", "parts", "blocks"),
            *("current", "still", "samples", "size", "steps", "width", "along", "shifted", "period", "constants"),
            *("growing", "fixed", "kind", "potential", "emitted", "memory", "negative_memory"),
            *("scaled", "payloads", "sums"),
        )
    ]
    + [(name, np.float64) for name in ("threshold", "gain", "largest", "share", "offset", "charge", "sent")]
)
_KERNEL = "stream_steps_numba"
#: Where the numbers of a job are, among all.
_PLACES = places_of(JOB)
#: Written out: compiled kernels hold places in it, and are kept until a file of this folder changes.
KINDS: tuple[Kind, ...] = ("subtract", "zero", "corrective", "graded", "imbalanced")


class Pass(NamedTuple):
    """Steps of a stream that a kernel takes at once, for ``samples`` that lie behind each other.

    ``current`` is that of all ``steps``, or the same for all if ``still``; a shift arrives if ``shifting``. ``state``,
    a named tuple, is changed, ``payloads`` are filled, ``scaled`` or as they are, ``spikes`` are those of neurons in
    all samples and steps. ``fixed`` ``[2, steps]`` are payloads and bounds, where thresholds do not grow.
    """

    current: Tensor
    still: bool
    samples: int
    steps: int
    shifting: bool
    state: Any
    fixed: Tensor | None
    payloads: Tensor
    scaled: bool
    spikes: Tensor | None


class StepJobs:
    """Jobs of one population: its form, and shift (if there is one), inverse scale and scale, ``[channels]``."""

    def __init__(
        self, form: StepForm, axis: int | None, shift: Tensor | None, inverse_scale: Tensor, scale: Tensor
    ) -> None:
        self._form, self._shifted = form, shift is not None
        shift = torch.zeros_like(scale) if shift is None else shift
        self._constants = ChannelConstants(axis, torch.stack([shift, inverse_scale, scale]))
        self._jobs: dict[tuple[Any, ...], np.ndarray[Any, Any]] = {}

    def ready(self, current: Tensor) -> bool:
        """Whether numba is to take steps of a ``current`` like this."""
        return native(_KERNEL, current.dtype, current.device) is not None

    def take(self, given: Pass) -> bool:
        """Take the steps that are ``given``; false, and none is, where numba cannot."""
        kernel = native(_KERNEL, given.current.dtype, given.current.device)
        if kernel is None:
            return False
        potential = given.state.potential
        threads = threads_for(potential.numel() * given.steps)
        job = self._job(potential, given.samples, threads)
        for name, place in {"fixed": given.fixed, **given.state._asdict()}.items():
            job[_PLACES[name]] = 0 if place is None else place.data_ptr()
        job[_PLACES["current"]], job[_PLACES["payloads"]] = given.current.data_ptr(), given.payloads.data_ptr()
        job[_PLACES["still"]], job[_PLACES["steps"]] = given.still, given.steps
        job[_PLACES["shifted"]], job[_PLACES["scaled"]] = self._shifted and given.shifting, given.scaled
        job[_PLACES["sums"]] = 0 if given.spikes is None else given.spikes.data_ptr()
        kernel(job, threads)
        return True

    def _job(self, potential: Tensor, samples: int, threads: int) -> np.ndarray[Any, Any]:
        """What a kernel is told of all steps of potentials like these, as whole numbers; addresses are 0."""
        form = self._form
        key = (potential.shape, potential.stride(), threads)
        if key not in self._jobs:
            rows, constants = self._constants.along(potential)
            parts, blocks = parts_of(potential.numel() // samples, rows, threads)
            job = np.zeros(1, JOB)
            growing = isinstance(form.firing, GrowingThreshold)
            for name, value in {
                "parts": parts,
                "blocks": blocks,
                "samples": samples,
                "size": potential.numel() // samples,
                "width": rows.width,
                "along": rows.along,
                "period": constants.shape[1],
                "constants": constants.data_ptr(),
                "growing": growing,
                "kind": KINDS.index(form.kind),
                "offset": form.offset,
                "charge": form.charge,
                "sent": form.sent,
                **(form.firing._asdict() if growing else {}),
            }.items():
                job[name] = value
            self._jobs[key] = job.view(np.int64)
        return self._jobs[key].copy()
