"""Runs of bundles on Lava as the project's own ``Run``: decoded output, spikes and synaptic operations."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from hw_export.explicit.maps import Array, integer_units
from hw_export.lava.bundle import read_network
from hw_export.lava.launch import LavaResult, launch
from snnconv.data.batches import Inputs, as_inputs
from snnconv.errors import ConfigurationError
from snnconv.network import SpikingNetwork
from snnconv.simulators import Run
from snnconv.spiking.input_range import InputRange

_logger = logging.getLogger(__name__)


def run_bundle(
    path: str | os.PathLike[str],
    inputs: Tensor | Sequence[Tensor],
    *,
    record: Sequence[str] = (),
    arithmetic: Literal["fixed", "float"] = "fixed",
    hardware: bool = False,
    interpreter: str | None = None,
    timeout: float = 3600.0,
) -> tuple[Run, LavaResult]:
    """What a run of the bundle yields, as ``snn.run`` would say it, and as Lava said it; see ``hw_export.lava.run``."""
    if isinstance(record, str):
        raise ConfigurationError(f"record must be a sequence of names, for instance record=[{record!r}]")
    if arithmetic not in ("fixed", "float"):
        raise ConfigurationError(f"arithmetic must be 'fixed' or 'float', got {arithmetic!r}")
    if not 0.0 < timeout < math.inf:
        raise ConfigurationError(f"timeout must be a positive number of seconds, got {timeout!r}")
    network, manifest, arrays = read_network(path)
    # Inputs are rounded to few bits, so their precision does not matter.
    tensors = network.check(tuple(tensor.detach().cpu().to(network.like) for tensor in as_inputs(inputs, "input")))
    nodes = list(network.populations) if "rasters" in record else [network.node_of(name) for name in record]
    result = launch(
        path,
        _whole(tensors, manifest),
        record=nodes,
        arithmetic=arithmetic,
        hardware=hardware,
        interpreter=interpreter,
        timeout=timeout,
    )
    return _as_run(network, manifest, arrays, tensors, result), result


def _whole(tensors: Inputs, manifest: Mapping[str, Any]) -> dict[str, Array]:
    """The inputs as integers, as the machine takes them."""
    largest, found = manifest["largest_input"], {}
    for tensor, described in zip(tensors, manifest["inputs"], strict=True):
        values = tensor.double().numpy()
        limit = torch.tensor([(largest + 0.5) * described["step"]], dtype=torch.float64)
        leaving = InputRange(-limit, limit).leaving(tensor.double())
        if leaving.share:
            _logger.warning("%s; it is clipped", leaving.text(described["name"]))
        found[described["name"]] = integer_units(values, described["step"], largest)
    return found


def _as_run(
    network: SpikingNetwork,
    manifest: Mapping[str, Any],
    arrays: Mapping[str, Array],
    inputs: Inputs,
    result: LavaResult,
) -> Run:
    samples, steps = len(inputs[0]), manifest["steps"]
    environment: dict[str, Any] = {**network.constants, **dict(zip(network.graph.inputs, inputs, strict=True))}
    network.execution_plan.setup.run(environment)
    presentations = 1 if network.timing is not None else steps
    for output in manifest["outputs"]:
        offset = arrays[output["offset"]]
        sums = result.outputs[output["name"]].reshape(-1, *offset.shape) / presentations
        step = arrays[output["step"]].reshape(-1, *[1] * (offset.ndim - 1))
        environment[output["name"]] = torch.from_numpy(sums * step + offset)
    populations, fan_out = network.populations, network.synapses.fan_out
    by_layer = network.synapses.fan_out_by_layer
    counts = {node: torch.from_numpy(result.spikes[node].astype(np.float64)) for node in result.spikes}
    rasters = {}
    for node, raster in result.rasters.items():
        population = populations[node]
        start = 0 if network.timing is None else network.timing.starts[node]
        length = steps if network.timing is None else network.timing.lengths[node]
        unit = manifest["units"][node]
        rasters[population.name] = torch.from_numpy(raster[:, start : start + length]).transpose(0, 1).double() * unit
    return Run(
        output=network.execution_plan.decode(environment),
        steps=torch.full((samples,), steps),
        samples=samples,
        spikes={population.name: float(counts[node].sum()) for node, population in populations.items()},
        input_spikes=0.0,
        synops={network.name_of(node): float((counts[node] * fan_out[node]).sum()) for node in counts},
        synops_by_layer={network.name_of(node): float((counts[node] * by_layer[node]).sum()) for node in counts},
        neurons={population.name: population.neurons for population in populations.values()},
        rasters=rasters,
    )
