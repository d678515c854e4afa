"""Chunks: samples on their way through a network together, and what every simulator of them needs."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from snnconv.data.batches import Inputs
from snnconv.interpreter import Handler, laid_out
from snnconv.operators.pooling import MaximumOperator
from snnconv.population import Population
from snnconv.simulators.observers import Observer, Samples

if TYPE_CHECKING:
    from snnconv.simulators.simulator import Simulator

_logger = logging.getLogger(__name__)


class Chunk(ABC):
    """The samples from position ``first`` of a batch on, and what happens at populations and gates meanwhile."""

    def __init__(self, simulator: Simulator, inputs: Inputs, first: int, observers: Sequence[Observer]) -> None:
        self.network, self.steps = simulator.network, simulator.steps
        self.parts, self.observers = simulator.network.parts, observers
        self.inputs = tuple(laid_out(tensor) for tensor in inputs)
        count = 1 if self.network.batch_axis is None else inputs[0].shape[0]
        self.samples = torch.arange(first, first + count, device=inputs[0].device)

    @abstractmethod
    def run(self) -> tuple[Any, Tensor]:
        """Decoded output of the samples and the time steps that each took."""

    @abstractmethod
    def population(self, node: str, population: Population) -> Handler:
        """What stands at the node of a population."""

    @abstractmethod
    def gate(self, node: str, operator: MaximumOperator) -> Handler:
        """What stands at a max pooling of spikes."""

    def handlers(self) -> dict[str, Handler]:
        """What stands at every population and gate."""
        found = {node: self.population(node, population) for node, population in self.network.populations.items()}
        return found | {node: self.gate(node, operator) for node, operator in self.parts.gates.items()}

    @property
    def positions(self) -> Samples:
        """Where in the batch the samples are; everything, for a network without a batch axis."""
        return slice(None) if self.network.batch_axis is None else self.samples

    def normalized_input(self, position: int) -> Tensor:
        """Input ``position`` mapped to [0, 1] by the range seen in calibration; logs where that cuts it off."""
        seen, values = self.network.input_ranges[position], self.inputs[position]
        if not seen.covers(values):
            _logger.warning(
                "input %d leaves the range seen in calibration, and spikes cannot say so: it is cut off", position
            )
        return seen.normalize(values)
