"""A converted network under tuning: which of its tensors are trained, and its forward pass with gradients."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from torch import Tensor

from snnconv.data.batches import Inputs
from snnconv.errors import ConfigurationError, InputError
from snnconv.graph.interpreter import Handler, evaluate_graph, zero_inputs
from snnconv.graph.operators.activation import activation_at
from snnconv.network import SpikingNetwork
from snnconv.simulators import CrossbarNoise
from snnconv.simulators.window import Window, WindowChunk
from snnconv.spiking.decisions import class_scores
from snnconv.spiking.population import Population
from snnconv.tuning.loss import Response, Targets
from snnconv.tuning.surrogate_gradients import Rule, tuned_window

#: No code has parameters that want a gradient.
NO_PAYLOADS: Mapping[str, Tensor] = MappingProxyType({})


def measure_densities(network: SpikingNetwork, batches: Iterable[Inputs]) -> None:
    """Note the share of non-zero values of the network's own activations, and of its gates, over ``batches``."""
    nodes = [name for name in network.densities if name not in network.graph.inputs]
    active, total = dict.fromkeys(nodes, 0), dict.fromkeys(nodes, 0)
    for inputs in batches:
        _, values = evaluate_graph(network.complete_graph(), inputs, keep=nodes)
        for name in nodes:
            active[name] += int((values[name] != 0).sum())
            total[name] += values[name].numel()
    network.densities |= {name: active[name] / total[name] for name in nodes}


def check_tunable(network: SpikingNetwork, rule: Rule, targets: Targets) -> None:
    """Raise ``ConfigurationError`` unless ``network`` can be tuned by ``rule`` to ``targets``.

    All windows need a closed form, a call takes a batch, there are weights, time must mean something to a rule that
    goes by it, and classes to targets that are.
    """
    if not isinstance(network, SpikingNetwork):
        raise ConfigurationError(
            f"tune takes a converted network, got {type(network).__name__}: call snnconv.convert(model, samples, "
            "coding=...) first"
        )
    if not network.has_closed_form:
        raise ConfigurationError(
            "tuning needs a pipeline whose populations wait for their sources to end, and neurons with a closed form; "
            f"this network runs under {network.plan.schedule}: convert with a window code and schedule=Pipeline()"
        )
    if network.batch_axis is None:
        raise ConfigurationError(
            "tuning needs a network with a batch axis; this one takes one sample per call, and there are no others to "
            "train on"
        )
    if network.is_integer_simulation:
        raise ConfigurationError("an integer simulation cannot be tuned: tune the network first, then quantize it")
    if not network.graph.parameters:
        raise ConfigurationError(
            "tuning trains what were parameters of the original, and it had none: make its weights nn.Parameter"
        )
    if targets in ("decisions", "labels"):
        _check_classes(network, targets)
    for population in network.populations.values():
        if rule != "activation" and population.code.unit_payload:
            raise ConfigurationError(
                f"{population.name}: a spike of {population.code.name} code is worth the same whenever it is fired, so "
                "that moving it changes nothing; use rule='activation'"
            )


def _check_classes(network: SpikingNetwork, targets: Targets) -> None:
    like = network.like
    shapes = dict(zip(network.graph.inputs, network.input_shapes, strict=True))
    output = network.original(zero_inputs(network.graph, like.dtype, like.device, shapes))
    try:
        class_scores(output)
    except InputError as error:
        raise ConfigurationError(
            f"targets={targets!r} needs class scores along axis 1 of the output, which this network has not; tune with "
            "targets='outputs'"
        ) from error


def tuned_output(
    network: SpikingNetwork,
    inputs: Inputs,
    rule: Rule,
    *,
    payloads: Mapping[str, Tensor] = NO_PAYLOADS,
    apart: bool = False,
    noise: CrossbarNoise | None = None,
    seed: int = 0,
) -> Response:
    """The response to ``inputs``, its output what ``network(*inputs)`` gives, with gradients by ``rule``.

    ``payloads`` are, by node, the parameters of codes that want a gradient. ``apart`` keeps every gradient between a
    population and its sources. ``noise`` of crossbars is drawn by ``seed``.
    """
    simulator = Window(network, seed=seed, noise=noise)  # no seed is taken from torch's generator
    chunk = _TunedChunk(simulator, inputs, rule, payloads, apart)
    output, _ = chunk.run()
    return Response(output, chunk.decoded)


class _TunedChunk(WindowChunk):
    """A batch whose populations pass gradients on."""

    def __init__(
        self, simulator: Window, inputs: Inputs, rule: Rule, payloads: Mapping[str, Tensor], apart: bool
    ) -> None:
        super().__init__(simulator, inputs, 0, [])
        self.rule, self.payloads, self.apart = rule, payloads, apart
        self.decoded: dict[str, Tensor] = {}

    def population(self, node: str, population: Population) -> Handler:
        pooled, operator = node in self.execution_plan.pooled, activation_at(self.network.graph.nodes[node])

        def settle(arguments: Mapping[str, Any]) -> Tensor:
            current = self._read(node, operator.current(arguments))
            if pooled:  # a max pooling behind it chooses by potentials
                self.potentials[node] = self.windows[node].shifted(current).detach()
            self.decoded[node] = tuned_window(population, current, self.rule, self.payloads.get(node))
            return self.decoded[node].detach() if self.apart else self.decoded[node]

        return settle
