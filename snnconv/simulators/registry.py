"""One simulation of one batch, with everything a ``Run`` holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from snnconv.errors import ConfigurationError
from snnconv.graph.output_types import typed
from snnconv.simulators.clock import Clock
from snnconv.simulators.crossbar_noise import CrossbarNoise
from snnconv.simulators.observers import Observer
from snnconv.simulators.recorders import OutputRecorder, Rasters, SpikeCounter
from snnconv.simulators.run import Run
from snnconv.simulators.simulator import Simulator, Stop
from snnconv.simulators.window import Window
from snnconv.spiking.base import NetworkBase

#: Simulators by name; they differ in how they compute, not in what.
SIMULATORS: dict[str, type[Simulator]] = {Clock.name: Clock, Window.name: Window}


def simulator_for(network: NetworkBase, name: str = "auto", **options: Any) -> Simulator:
    """The simulator ``name`` for ``network``; "auto" takes the closed form where there is one.

    Raises ``ConfigurationError`` for an unknown name, and for a simulator that cannot run the network.
    """
    if name == "auto":
        name = Window.name if network.has_closed_form else Clock.name
    if name not in SIMULATORS:
        raise ConfigurationError(f"unknown simulator {name!r}; known: auto, {', '.join(SIMULATORS)}")
    return SIMULATORS[name](network, **options)


def simulate(
    network: NetworkBase,
    inputs: Any,
    *,
    simulator: str,
    steps: int | None,
    record: Sequence[str],
    stop: Stop | None,
    seed: int | None,
    noise: CrossbarNoise | None,
) -> Run:
    """Run ``network`` on a batch; see ``SpikingNetwork.run``."""
    if isinstance(record, str):
        raise ConfigurationError(f"record must be a sequence of names, for instance record=[{record!r}]")
    counter = SpikeCounter(network)
    observers: list[Observer] = [counter]
    if "outputs" in record and network.timing is not None:
        raise ConfigurationError("a pipeline has no output before its last step: record rasters, or read run.output")
    outputs = OutputRecorder() if "outputs" in record else None
    if outputs is not None:
        observers.append(outputs)
    names = [name for name in record if name not in ("outputs", "rasters")]
    nodes = list(network.populations) if "rasters" in record else [network.node_of(name) for name in names]
    rasters = Rasters(nodes) if nodes else None
    if rasters is not None:
        observers.append(rasters)
    chosen = simulator_for(network, simulator, steps=steps, stop=stop, seed=seed, noise=noise)
    output, lengths = chosen.run(network.check(inputs), observers)
    return Run(
        output=typed(output, network.graph.output_type),
        steps=lengths,
        samples=counter.samples,
        spikes=counter.spikes(),
        input_spikes=counter.input_spikes,
        synops=counter.synops(),
        synops_by_layer=counter.synops_by_layer(),
        synops_are_bound=bool(network.synapses.bounds),
        neurons={population.name: population.neurons for population in network.populations.values()},
        outputs=None if outputs is None else typed(outputs.result(), network.graph.output_type),
        rasters={} if rasters is None else rasters.result(network),
    )
