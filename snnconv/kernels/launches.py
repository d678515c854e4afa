"""Kernels of Triton: launched on the device of their tensors, and left to torch for good once one does not compile."""

from __future__ import annotations

import importlib
import logging
from typing import Any

import torch

#: What kernels are written for.
DTYPES = (torch.float32, torch.float64)
#: Values that a program takes.
BLOCK = 1024
#: Values of a map that kernels count in 32 bits, with what their last block counts beyond it.
MOST_VALUES = 2**31 - 2**20

_logger = logging.getLogger(__name__)


class Launch:
    """A kernel of Triton, which is compiled for a device, a dtype and a kind of job as soon as it meets them.

    Args:
        module: Name of the module whose function ``launch`` launches it.
    """

    def __init__(self, module: str) -> None:
        self._module = module
        self.broken = False

    def __call__(self, device: torch.device, *arguments: Any) -> bool:
        """Launch it on ``device``; false, before anything is written, where it does not compile."""
        try:
            launch = importlib.import_module(self._module).launch
            with torch.cuda.device(device if device.type == "cuda" else -1):  # -1: none
                launch(*arguments)
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # whatever a compiler may raise: torch computes the same
            if not self.broken:
                _logger.warning(
                    "Triton cannot compile or launch %s on %s, so torch computes it, slower, with the same results: "
                    "%s: %s",
                    self._module.rpartition(".")[2],
                    device,
                    type(error).__name__,
                    error,
                )
            self.broken = True
            return False
        return True


def programs_for(values: int) -> int:
    """How many programs take so many ``values``."""
    return -(-values // BLOCK)
