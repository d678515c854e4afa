"""Runs of bundles on Lava as the project's own ``Run``: decoded output, spikes and synaptic operations."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from hw_export.explicit.maps import Array
from hw_export.lava.bundle import lava_form, read_network
from hw_export.lava.decoding import Decoding
from hw_export.lava.launch import LavaResult, launch
from snnconv.data.batches import Inputs, as_inputs
from snnconv.errors import ConfigurationError, StorageError
from snnconv.network import SpikingNetwork
from snnconv.progress import ProgressCallback
from snnconv.simulators import Run
from snnconv.spiking.input_range import InputRange
from snnconv.surroundings import own_surroundings

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class OpenBundle:
    """A bundle's network, and how its values become integers and its sums values again."""

    network: SpikingNetwork
    decoding: Decoding

    @staticmethod
    def of(path: str | os.PathLike[str]) -> OpenBundle:
        """What the file ``path`` holds; raises ``StorageError`` where that is no bundle."""
        network, manifest, arrays = read_network(path)
        try:
            return OpenBundle(network, Decoding.of(manifest, arrays, network))
        except StorageError as error:
            raise StorageError(f"{path} holds no valid bundle: {error}") from error

    def recorded(self, record: Sequence[str]) -> list[str]:
        """Nodes whose rasters are wanted: those of the populations named, or of all for "rasters"."""
        network = self.network
        return list(network.populations) if "rasters" in record else [network.node_of(name) for name in record]

    def checked(self, inputs: Tensor | Sequence[Tensor]) -> Inputs:
        """A batch of ``inputs`` as the network takes it; raises ``InputError``."""
        # Inputs are rounded to few bits, so their precision does not matter.
        like = self.network.like
        return self.network.check(tuple(tensor.detach().cpu().to(like) for tensor in as_inputs(inputs, "input")))

    def whole(self, tensors: Inputs) -> dict[str, Array]:
        """The inputs as integers, as the machine takes them."""
        found = {}
        for tensor, (name, taken) in zip(tensors, self.decoding.inputs.items(), strict=True):
            low, high = ((end * taken.step) for end in (taken.smallest - 0.5, taken.largest + 0.5))
            ends = (torch.tensor([end], dtype=torch.float64) for end in (low, high))
            leaving = InputRange(*ends).leaving(tensor.double())
            if leaving.share:
                _logger.warning("%s; it is clipped", leaving.text(name))
            values = taken.taken(tensor.double().numpy())
            found[name] = values.reshape(len(values), *lava_form(values.shape[1:]))
        return found

    def as_run(self, inputs: Inputs, result: LavaResult) -> Run:
        """What ``result`` says, as ``snn.run`` would say it."""
        network, decoding = self.network, self.decoding
        samples, steps = len(inputs[0]), decoding.steps
        environment: dict[str, Any] = {**network.constants, **dict(zip(network.graph.inputs, inputs, strict=True))}
        network.execution_plan.setup.run(environment)
        presentations = 1 if network.timing is not None else steps
        for name, (step, offset) in decoding.outputs.items():
            sums = result.outputs[name].reshape(-1, *offset.shape) / presentations
            environment[name] = torch.from_numpy(sums * step.reshape(-1, *[1] * (offset.ndim - 1)) + offset)
        populations, fan_out = network.populations, network.synapses.fan_out
        by_layer = network.synapses.fan_out_by_layer
        spikes = {node: count.reshape(fan_out[node].shape) for node, count in result.spikes.items()}
        counts = {node: torch.from_numpy(count.astype(np.float64)) for node, count in spikes.items()}
        rasters = {}
        for node, raster in result.rasters.items():
            population = populations[node]
            start = 0 if network.timing is None else network.timing.starts[node]
            length = steps if network.timing is None else network.timing.lengths[node]
            inside = torch.from_numpy(raster[:, start : start + length]).transpose(0, 1).double()
            inside = inside.reshape(*inside.shape[:2], *fan_out[node].shape)
            rasters[population.name] = inside * decoding.units[node]
        return Run(
            output=network.execution_plan.decode(environment),
            steps=torch.full((samples,), steps),
            samples=samples,
            spikes={population.name: float(counts[node].sum()) for node, population in populations.items()},
            input_spikes=0.0,
            synops={network.name_of(node): float((counts[node] * fan_out[node]).sum()) for node in counts},
            synops_by_layer={network.name_of(node): float((counts[node] * by_layer[node]).sum()) for node in counts},
            synops_are_bound=bool(network.synapses.bounds),
            neurons={population.name: population.neurons for population in populations.values()},
            rasters=rasters,
        )


@own_surroundings()
def run_bundle(
    path: str | os.PathLike[str],
    inputs: Tensor | Sequence[Tensor],
    *,
    record: Sequence[str] = (),
    arithmetic: Literal["fixed", "float"] = "fixed",
    hardware: bool = False,
    interpreter: str | None = None,
    timeout: float = 3600.0,
    progress: ProgressCallback | None = None,
) -> tuple[Run, LavaResult]:
    """What a run of the bundle yields, as ``snn.run`` would say it, and as Lava said it; see ``hw_export.lava.run``."""
    check_options(record, arithmetic, timeout)
    bundle = OpenBundle.of(path)
    tensors = bundle.checked(inputs)
    result = launch(
        path,
        bundle.whole(tensors),
        record=bundle.recorded(record),
        arithmetic=arithmetic,
        hardware=hardware,
        interpreter=interpreter,
        timeout=timeout,
        progress=progress,
    )
    return bundle.as_run(tensors, result), result


def check_options(record: Sequence[str], arithmetic: str, timeout: float) -> None:
    """Raise ``ConfigurationError`` for options of a run that cannot work."""
    if isinstance(record, str):
        raise ConfigurationError(f"record must be a sequence of names, for instance record=[{record!r}]")
    if arithmetic not in ("fixed", "float"):
        raise ConfigurationError(f"arithmetic must be 'fixed' or 'float', got {arithmetic!r}")
    if not 0.0 < timeout < math.inf:
        raise ConfigurationError(f"timeout must be a positive number of seconds, got {timeout!r}")
