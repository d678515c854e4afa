"""Outputs of a network that is asked for the same batches again and again."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from snnconv.capture.binding import check_call
from snnconv.capture.inference_copy import inference_copy
from snnconv.data.batches import Inputs
from snnconv.data.shards import shards
from snnconv.scaling.shared import SharedValue
from snnconv.scaling.spreading import Spreading
from snnconv.storage.digests import data_digest
from snnconv.surroundings import own_surroundings

#: Elements of outputs that are kept; batches behind them are computed again.
_MOST_ELEMENTS = 2**26


class RememberedOutputs(nn.Module):
    """A copy of ``model`` with its outputs kept by the content of the batch, as far as memory should go.

    Copies of it are itself, so that whoever measures with one remembers what others asked for.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = inference_copy(model)
        self._outputs: dict[str, Any] = {}
        self._room = _MOST_ELEMENTS

    def __deepcopy__(self, memo: dict[int, Any]) -> RememberedOutputs:
        return self

    def remember(self, data: Any, batch_axis: int | None, spread: Spreading) -> None:
        """Have ``spread`` compute outputs for the pieces of ``data`` that ``evaluate`` measures, while there is room.

        Whoever is sent this module then has them. Raises what ``shards``, ``forward`` and ``Spreading`` raise.
        """
        asked: deque[Inputs] = deque()

        def pieces() -> Iterator[Inputs]:
            for shard in shards(data, batch_axis):
                if self._room <= 0:
                    return
                asked.append(shard.inputs)
                yield shard.inputs

        with SharedValue(self.model, "the model") as shared:
            for output in spread.in_order(_output, shared, pieces(), "data"):
                self._keep(_key(asked.popleft()), output)

    def forward(self, *inputs: Tensor) -> Any:
        """The output of the model for ``inputs``. Raises ``InputError`` where it takes another number of them."""
        key = _key(inputs)
        if key in self._outputs:
            return self._outputs[key]
        output = _output(self.model, inputs)
        self._keep(key, output)
        return output

    def _keep(self, key: str, output: Any) -> None:
        elements = sum(leaf.numel() for leaf in tree_leaves(output) if isinstance(leaf, Tensor))
        if elements <= self._room:
            self._room -= elements
            self._outputs[key] = output


def _key(inputs: Inputs) -> str:
    return data_digest([(inputs, None)], "reference")


@own_surroundings()
def _output(model: nn.Module, inputs: Inputs) -> Any:
    check_call(model, inputs, "reference")
    with torch.no_grad():
        return model(*inputs)
