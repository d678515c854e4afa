"""Reductions over ranks by torch.distributed: largest values, and sums of integers, which know no order."""

from __future__ import annotations

import datetime
from typing import Any

import torch
from torch import Tensor, distributed
from torch.distributed.distributed_c10d import PrefixStore

from snnconv.errors import ConfigurationError
from snnconv.ranks.link import Link

#: Seconds that one reduction may take once all ranks have come to it.
_LONGEST = 60.0


def backend_for(device: torch.device, backend: str | None) -> str:
    """``backend``, or the one for ``device``: nccl for GPUs and gloo for others.

    Raises ``ConfigurationError`` where torch lacks it, and where there are fewer GPUs.
    """
    found = backend or ("nccl" if device.type == "cuda" else "gloo")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ConfigurationError(
            f"this process is to compute on {device}, and its machine has {torch.cuda.device_count()} GPUs: start at "
            "most one process for each (torchrun --nproc-per-node)"
        )
    if not distributed.is_backend_available(found):
        raise ConfigurationError(
            f"torch {torch.__version__} was built without the backend {found!r}, by which ranks on {device.type} add "
            "their gradients: install a torch that has it, or take another device"
        )
    return found


class Reductions:
    """Reductions of tensors on ``device`` by ``backend``; the first makes a process group, unless there is one."""

    def __init__(self, link: Link, device: torch.device, backend: str) -> None:
        self._link, self._device, self._backend, self._made = link, device, backend, False

    def largest(self, what: str, values: Tensor) -> None:
        """Put the largest of all ranks at every place of ``values``."""
        self._reduce(what, values, distributed.ReduceOp.MAX)

    def add(self, what: str, values: Tensor) -> None:
        """Put the sum over all ranks at every place of ``values``."""
        self._reduce(what, values, distributed.ReduceOp.SUM)

    def close(self) -> None:
        """End the process group that was made here."""
        if self._made:
            distributed.destroy_process_group()

    def _reduce(self, what: str, values: Tensor, operation: Any) -> None:
        self._link.exchange(what, b"")  # who waits here for long is watched; the reduction itself is short
        try:
            if not distributed.is_initialized():
                distributed.init_process_group(
                    self._backend,
                    store=PrefixStore("reductions", self._link.store),
                    rank=self._link.rank,
                    world_size=self._link.size,
                    timeout=datetime.timedelta(seconds=_LONGEST),
                    device_id=self._device if self._backend == "nccl" else None,
                )
                self._made = True
            distributed.all_reduce(values, operation)
        except RuntimeError as error:
            raise self._link.broken(what, error) from error
