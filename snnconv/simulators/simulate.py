"""One simulation of one batch, with everything a ``Run`` holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from snnconv.errors import ConfigurationError
from snnconv.simulators.clock import Clock, Stop
from snnconv.simulators.observers import Observer, OutputRecorder, Rasters, SpikeCounter
from snnconv.simulators.run import Run

if TYPE_CHECKING:
    from snnconv.network import SpikingNetwork


def simulate(
    network: SpikingNetwork,
    inputs: Any,
    *,
    simulator: str,
    steps: int | None,
    record: Sequence[str],
    stop: Stop | None,
    seed: int | None,
) -> Run:
    """Run ``network`` on a batch; see ``SpikingNetwork.run``."""
    if simulator not in ("auto", "clock"):
        raise ConfigurationError(f"unknown simulator {simulator!r}; known: auto, clock")
    if isinstance(record, str):
        raise ConfigurationError(f"record must be a sequence of names, for instance record=[{record!r}]")
    counter = SpikeCounter(network)
    observers: list[Observer] = [counter]
    outputs = OutputRecorder() if "outputs" in record else None
    if outputs is not None:
        observers.append(outputs)
    names = [name for name in record if name not in ("outputs", "rasters")]
    nodes = list(network.populations) if "rasters" in record else [network.node_of(name) for name in names]
    rasters = Rasters(nodes) if nodes else None
    if rasters is not None:
        observers.append(rasters)
    clock = Clock(network, steps=steps, stop=stop, seed=seed)
    output, lengths = clock.run(network.check(inputs), observers)
    return Run(
        output=output,
        steps=lengths,
        samples=counter.samples,
        spikes=counter.spikes(),
        input_spikes=counter.input_spikes,
        synops=counter.synops(),
        synops_by_layer=counter.synops_by_layer(),
        neurons={population.name: population.neurons for population in network.populations.values()},
        outputs=None if outputs is None else outputs.result(),
        rasters={} if rasters is None else rasters.result(network),
    )
