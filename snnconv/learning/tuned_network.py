"""A converted network under tuning: which of its tensors are trained, and its forward pass with gradients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor

from snnconv.data.batches import Inputs
from snnconv.graph import Graph, Ref
from snnconv.interpreter import Handler
from snnconv.learning.window_gradient import Rule, tuned_window
from snnconv.network import SpikingNetwork
from snnconv.population import Population
from snnconv.simulators.observers import Observer
from snnconv.simulators.window import Window, WindowChunk

#: Arguments that hold the weights and biases of affine operators, by the operators that have trained ones.
_TRAINED = {"weight", "bias"}


def copy_of(network: SpikingNetwork) -> SpikingNetwork:
    """A network with the same graph, populations and plan, and tensors of its own."""
    populations = {
        node: replace(population, scale=population.scale.clone(), shift=population.shift.clone())
        for node, population in network.populations.items()
    }
    graph = replace(network.graph, constants={name: tensor.clone() for name, tensor in network.constants.items()})
    return SpikingNetwork(
        graph,
        populations,
        network.plan,
        network.input_shapes,
        network.input_ranges,
        network.densities,
        network.held_out,
    )


def weights_of(network: SpikingNetwork) -> dict[str, Tensor]:
    """The weights and biases of the network's affine operators by name; other constants stay as they are."""
    return {
        name: tensor
        for name, tensor in network.constants.items()
        if name in _trained_names(network.graph) and tensor.is_floating_point()
    }


def _trained_names(graph: Graph) -> set[str]:
    return {
        value.name
        for node in graph.nodes.values()
        for key, value in node.arguments.items()
        if key in _TRAINED and isinstance(value, Ref)
    }


def tuned_output(network: SpikingNetwork, inputs: Inputs, rule: Rule) -> Any:
    """The decoded output for ``inputs``, what ``network(*inputs)`` gives, with gradients by ``rule``."""
    output, _ = _TunedWindow(network, rule).run_chunk(inputs, 0, [])
    return output


class _TunedWindow(Window):
    """The window simulator with populations that pass gradients on."""

    def __init__(self, network: SpikingNetwork, rule: Rule) -> None:
        super().__init__(network)
        self.rule = rule

    def run_chunk(self, inputs: Inputs, first: int, observers: Sequence[Observer]) -> tuple[Any, Tensor]:
        return _TunedChunk(self, inputs, first, observers).run()


class _TunedChunk(WindowChunk):
    def __init__(self, simulator: _TunedWindow, inputs: Inputs, first: int, observers: Sequence[Observer]) -> None:
        super().__init__(simulator, inputs, first, observers)
        self.rule = simulator.rule

    def population(self, node: str, population: Population) -> Handler:
        pooled = node in self.parts.pooled
        observed = super().population(node, population)

        def settle(arguments: Mapping[str, Any]) -> Tensor:
            current: Tensor = arguments["self"]
            if pooled:  # what a max pooling behind it chooses by
                observed({**arguments, "self": current.detach()})
            return tuned_window(population, current, self.rule)

        return settle
