"""What Triton's kernels are told of a population's windows, as tensors on the device."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from neurons.window_form import TableForm, WindowForm
from snnconv.kernels.backends import launch
from snnconv.kernels.channel_tensors import ChannelTensors
from snnconv.kernels.launches import programs_for
from snnconv.kernels.window_sums import Summing, Sums


class WindowResults(NamedTuple):
    """Where results go, one value for each of the current's, and ``totals``, a row for each program.

    A row is updates, spikes, and these by each kind of ``weights``, ``[kinds, neurons]``.
    """

    decoded: Tensor
    found: Tensor | None = None
    spikes_found: Tensor | None = None
    updates_found: Tensor | None = None
    totals: Tensor | None = None
    weights: Tensor | None = None

    @property
    def places(self) -> tuple[Tensor | None, ...]:
        """All that is written."""
        return self[:5]

    @property
    def neurons_and_kinds(self) -> tuple[int, int]:
        """For how many neurons there are weights, and of how many kinds."""
        return (1, 0) if self.weights is None else (self.weights.shape[1], self.weights.shape[0])


class WindowTensors:
    """The windows of one population: its form, and shift (if there is one), inverse scale and scale, ``[channels]``."""

    def __init__(
        self, form: WindowForm, axis: int | None, shift: Tensor | None, inverse_scale: Tensor, scale: Tensor
    ) -> None:
        #: What the kernel is told first: tables, or levels and the factors of what is below zero.
        self._told: tuple[Any, ...]
        if isinstance(form, TableForm):
            self._kernel, channels = "settled_tables_triton", len(form.slack)
            names = ("thresholds", "payloads", "origins", "rates", "slopes", "slack")
            self._told = (form._replace(**{name: getattr(form, name).contiguous() for name in names}),)
        else:
            self._kernel, channels = "settled_windows_triton", len(scale)
            self._told = form.levels, None if form.negative is None else scale.new_tensor(form.negative)
        self._channels = ChannelTensors(axis, shift, inverse_scale, scale, channels)

    def ready(self, current: Tensor) -> bool:
        """Whether Triton is to settle a ``current`` like this."""
        return launch(self._kernel, current) is not None

    def fill(self, current: Tensor, decoded: Tensor, places: Mapping[str, Tensor]) -> bool:
        """Fill ``decoded``, and ``places`` by their names; false, and nothing is, where Triton cannot."""
        return self._launched(current, WindowResults(decoded, **places))

    def sum(self, current: Tensor, decoded: Tensor, places: Mapping[str, Tensor], summing: Summing) -> Sums | None:
        """The same, and the sums of what is counted; ``None`` where Triton cannot."""
        rows = programs_for(current.numel())
        totals = torch.empty(rows, 2 + summing.kinds, dtype=torch.int64, device=current.device)
        weights = summing.rows if summing.kinds else None
        done = self._launched(current, WindowResults(decoded, **places, totals=totals, weights=weights))
        return summing.sums(totals.sum(0).tolist()) if done else None

    def _launched(self, current: Tensor, results: WindowResults) -> bool:
        kernel = launch(self._kernel, current)
        return kernel is not None and kernel(current.device, *self._told, self._channels, current, results)
