"""A network on its way to another process: its tensors stay tensors, which a memory-mapped pickle shares."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Generic

import torch
from torch import Tensor

from snnconv.spiking.base import N, NetworkBase
from snnconv.storage.manifest import manifest_of, parsed, tensors_of


class Carried(Generic[N]):
    """Pickled in the place of ``network``, and unpickled as one with what a file holds, where it was.

    Raises ``StorageError`` when it is pickled for a neuron or code that is not registered.
    """

    def __init__(self, network: N) -> None:
        self._network = network

    def __reduce__(self) -> tuple[Any, ...]:
        tensors = {name: tensor.detach().cpu() for name, tensor in tensors_of(self._network).items()}
        counted = vars(self._network).get("synapses")  # which takes as long as a run
        counted = None if counted is None else replace(counted)  # without what was made of it
        manifest = json.dumps(manifest_of(self._network), allow_nan=False)
        return _arrived, (type(self._network), manifest, tensors, self._network.like.device, counted)


def _arrived(
    kind: type[NetworkBase], manifest: str, tensors: Mapping[str, Tensor], device: torch.device, counted: Any
) -> NetworkBase:
    network = kind(**parsed(json.loads(manifest), tensors))
    network.to(device)
    if counted is not None:
        network.synapses = counted
    return network
