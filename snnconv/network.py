"""SpikingNetwork: a network of spiking populations that can be called, run, reported and saved."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping, Sequence
from typing import Any, Self

from torch import Tensor

from snnconv.graph.output_types import typed
from snnconv.simulators import CrossbarNoise, Run, Stop, simulate, simulator_for
from snnconv.spiking.base import N, NetworkBase
from snnconv.spiking.report import network_report, population_table, summary
from snnconv.storage.atomic import temporary_file
from snnconv.storage.saving import content_of, read, save
from snnconv.surroundings import own_surroundings
from snnconv.tables import ResultTable, Tabular


class SpikingNetwork(NetworkBase, Tabular):
    """A network of spiking populations that computes what a trained network computed.

    Calling it gives the decoded output in the original's own type: a tensor, a nest of tuples, lists and dicts, a named
    tuple, a dataclass or a mapping with attributes. A file holds no classes of others, so a network that was loaded
    gives a tuple or a dict whose names are attributes in place of these: ``snn(x).logits`` works all the same.

    Weights are those of the original (batch norms folded where safe); scales belong to the populations. Nothing has to
    be reset. ``snnconv.convert`` and ``snnconv.load`` make one.

    It runs in single or double precision. ``pickle``, ``torch.save`` and spawned processes carry what ``save`` writes:
    the network arrives on the CPU, without held-out samples and logs. ``copy.deepcopy`` keeps all. A ``state_dict`` is
    taken by networks of the same structure alone (``ModelError`` says what differs), with all that was measured of it.

    Args:
        graph: The original network as a graph in normal form, with its weights.
        populations: The populations by the node of the activation that they stand for.
        plan: Codes and schedule.
        input_shapes: Shape of every input, -1 for the batch axis.
        input_ranges: Smallest and largest value of every input on calibration data.
        densities: Share of non-zero values of every source of events on calibration data.
        held_out: Calibration samples that no fitted number saw.
        tuned: Whether the weights were tuned after the conversion.

    Raises:
        ConfigurationError: Codes and neurons do not fit the schedule.

    Example:
        >>> snn = snnconv.convert(model, images)
        >>> print(snn)  # codes, scales, fan-out, latency
        >>> scores = snn(images)  # as model(images)
        >>> snn.save("network.snn")
    """

    @own_surroundings()
    def forward(self, *inputs: Tensor) -> Any:
        """The decoded output for a batch of inputs."""
        output, _ = simulator_for(self).run(self.check(inputs), [])
        return typed(output, self.graph.output_type)

    @own_surroundings()
    def run(
        self,
        inputs: Tensor | Sequence[Tensor],
        *,
        simulator: str = "auto",
        steps: int | None = None,
        record: Sequence[str] = (),
        stop: Stop | None = None,
        seed: int | None = None,
        noise: CrossbarNoise | None = None,
    ) -> Run:
        """Simulate a batch.

        Args:
            inputs: One batch of input, or several where the network takes several.
            simulator: "clock" (step by step), "window" (the closed form of a pipeline) or "auto", which takes the
                closed form where there is one.
            steps: Number of time steps, instead of the network's own, under a concurrent schedule.
            record: "outputs" for the decoded output after every step, ``[T, N, ...]``, and names of populations whose
                rasters ``[T, N, ...]`` to keep, or "rasters" for all; in a pipeline T counts the steps of the
                population's window.
            stop: Ends a sample early under a concurrent schedule (see ``snnconv.Confidence``).
            seed: Fixes the draws of a stochastic input, and of noise.
            noise: What analog reads of synapses add to currents, in a pipeline (see ``snnconv.CrossbarNoise``).

        Returns:
            The output, spikes and synaptic operations, and what was recorded.

        Raises:
            InputError: The inputs do not fit the network.
            ConfigurationError: An option is not supported for the network.

        Example:
            >>> run = snn.run(images, record=["rasters"])
            >>> run.output, run.spikes, run.rasters  # the last two by population
            >>> stream.run(images, stop=snnconv.Confidence(0.99)).steps  # that each sample took to be clear
        """
        return simulate(
            self, inputs, simulator=simulator, steps=steps, record=record, stop=stop, seed=seed, noise=noise
        )

    def report(self) -> str:
        """What became spiking, with scales and cost, as text."""
        return network_report(self)

    def to_table(self) -> ResultTable:
        """Neurons, code, scale and fan-out of every population."""
        return population_table(self)

    def __str__(self) -> str:
        return self.report()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({summary(self)})"

    @own_surroundings()
    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the network to one file; see ``snnconv.load``. Raises ``StorageError``."""
        save(self, path)

    @own_surroundings()
    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles hold the bytes of a file, so that what comes back was checked as one, and has what a file holds."""
        return _unpickled, (type(self), content_of(self))

    def __copy__(self) -> Self:
        return _with_attributes(self, vars(self))

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        copied = memo[id(self)] = _with_attributes(self, {})
        vars(copied).update(copy.deepcopy(vars(self), memo))
        return copied


@own_surroundings()
def _unpickled(kind: type[SpikingNetwork], content: bytes) -> SpikingNetwork:
    with temporary_file(content) as file:
        return read(file, kind)


def _with_attributes(network: N, attributes: Mapping[str, Any]) -> N:
    copied = object.__new__(type(network))
    vars(copied).update(attributes)
    return copied


@own_surroundings()
def load(path: str | os.PathLike[str]) -> SpikingNetwork:
    """Read a network from the file that ``SpikingNetwork.save`` wrote; neither the model's class nor pickle is needed.

    Args:
        path: The file.

    Returns:
        The network, on the CPU.

    Raises:
        StorageError: The file is missing, truncated, altered, from a future version, or not one of ours.

    Example:
        >>> snn.save("network.snn")
        >>> output = snnconv.load("network.snn")(images)
    """
    return read(path, SpikingNetwork)
