"""What tuning trains: weights, scales, shifts, and the parameters of codes that conversion fitted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from coding.learned_parameters import has_parameter_gradient, payload_parameters, with_payload_parameters
from snnconv.graph.divisors import weights_of_divisors
from snnconv.graph.operators.sample_masks import fires_if_shifted
from snnconv.network import SpikingNetwork
from snnconv.spiking.population import Population

#: No scale, and no weight of a divisor, falls below this part of what it was.
_LEAST_PART = 1e-3


class TrainedTensors(nn.Module):
    """The tensors of ``network`` that tuning changes, named for a checkpoint.

    ``payloads`` are, by node, the parameters of codes that were left to be fitted; those given as numbers stay what
    they are, and so do those of codes with too many trains for a table.
    """

    def __init__(self, network: SpikingNetwork) -> None:
        super().__init__()
        self._network = [network]  # in a list, so that its tensors are not in the state twice
        self._codes = {node: population.code for node, population in network.populations.items()}
        self.payloads = {node: _parameters(code) for node, code in self._codes.items() if _is_free(network, node)}
        self._given = {node: parameters.clone() for node, parameters in self.payloads.items()}
        populations = network.populations
        unshifted = {*network.execution_plan.ratios}
        unshifted |= {node for node in populations if fires_if_shifted(network.graph, network.graph.nodes[node])}
        # Tables and coefficients are fitted to their scale: another would make another function of them.
        scaled = {node: each.scale for node, each in populations.items() if not each.computes_function}
        weights = weights_of(network)
        # Ratios need divisors above 0, which they are because their weights are none below.
        dividing = [weights[name] for name in sorted(weights_of_divisors(network.complete_graph()) & weights.keys())]
        self._kept_above = [*scaled.values(), *(each for each in dividing if bool((each >= 0).all()))]
        self._least = [each.detach() * _LEAST_PART for each in self._kept_above]
        named = {
            **{f"weight {name}": tensor for name, tensor in weights.items()},
            **{f"scale {node}": scale for node, scale in scaled.items()},
            **{f"shift {node}": each.shift for node, each in populations.items() if node not in unshifted},
            **{f"payloads {node}": parameters for node, parameters in self.payloads.items()},
        }
        for name, tensor in named.items():
            self.register_buffer(name.replace(".", "/"), tensor.requires_grad_())

    @property
    def tensors(self) -> list[Tensor]:
        """All of them, in one order."""
        return list(self.buffers())

    def settle(self) -> None:
        """Keep scales and weights of divisors above 0, and give populations the codes that their parameters make."""
        with torch.no_grad():
            for kept, least in zip(self._kept_above, self._least, strict=True):
                kept.clamp_(min=least)
        (network,) = self._network
        for node, parameters in self.payloads.items():
            code = self._codes[node]
            if not torch.equal(parameters, self._given[node]):
                code = with_payload_parameters(code, parameters.tolist())
            network.recode(node, code)

    def recall(self, values: Mapping[str, Tensor]) -> None:
        """Put everything to ``values``, as ``state_dict()`` named them."""
        self.load_state_dict(dict(values))
        self.settle()

    def release(self) -> None:
        """End training: no tensor asks for gradients any more."""
        for tensor in self.buffers():
            tensor.requires_grad_(False).grad = None


def weights_of(network: SpikingNetwork) -> dict[str, Tensor]:
    """What was a parameter of the original, by name; batch norms are part of it. Buffers and other constants stay."""
    return {name: tensor for name, tensor in network.constants.items() if name in network.graph.parameters}


def _is_free(network: SpikingNetwork, node: str) -> bool:
    population: Population = network.populations[node]
    asked = network.plan.code_for(population.name, node)
    return asked.free_parameter is not None and has_parameter_gradient(population.code, population.scale)


def _parameters(code: Any) -> Tensor:
    return torch.tensor(payload_parameters(code), dtype=torch.float64)
