"""Tensors of a network, by names of any form."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from snnconv.errors import ModelError
from snnconv.graph.interpreter import laid_out

#: Precisions in which a network runs: in others thresholds are no longer told from potentials beside them.
_PRECISIONS = (torch.float32, torch.float64)


def check_precision(dtype: torch.dtype) -> None:
    """Raise ``ModelError`` for a precision in which no network runs."""
    if dtype not in _PRECISIONS:
        raise ModelError(
            f"a spiking network in {dtype}: its spikes would not be those of the network that was measured; run it in "
            "single or double precision, network.float() or network.double()"
        )


def copied(tensor: Tensor) -> Tensor:
    """The same numbers in memory of their own, without gradients."""
    return tensor.detach().clone()


class NamedTensors(nn.Module):
    """Tensors by any name (module buffers cannot hold dots), moved with the network."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        super().__init__()
        # By rank of the name, so that a state dict means the same whatever order the tensors came in, as from a file.
        ranks = {name: str(rank) for rank, name in enumerate(sorted(tensors))}
        self._ranks = {name: ranks[name] for name in tensors}
        for name, tensor in tensors.items():
            self.register_buffer(ranks[name], laid_out(tensor))

    def by_name(self) -> dict[str, Tensor]:
        """The tensors in the order in which they came."""
        buffers = self._buffers
        return {name: buffers[rank] for name, rank in self._ranks.items()}  # type: ignore[misc]
