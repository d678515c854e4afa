"""What tuning minimises: how far a spiking network is from the original, at its output and at every population."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils._pytree import tree_leaves

from snnconv.data.batches import IGNORED_TARGET, Inputs
from snnconv.graph.interpreter import evaluate_graph
from snnconv.network import SpikingNetwork
from snnconv.spiking.decisions import class_scores

#: What the output of a tuned network is compared with.
Targets = Literal["decisions", "outputs", "labels", "populations"]
TARGETS: tuple[Targets, ...] = ("decisions", "outputs", "labels", "populations")
#: What class scores are divided by before their probabilities are compared (Hinton et al. 2015): on samples that the
#: original was trained on it is too sure for its other scores to count otherwise.
_TEMPERATURE = 4.0


class Response(NamedTuple):
    """The output of a network, and what its populations said on the way, by node, in the network's own units."""

    output: Any
    populations: Mapping[str, Tensor]


def original_of(network: SpikingNetwork, inputs: Inputs) -> Response:
    """The response with activations instead of neurons."""
    nodes = list(network.populations)
    output, environment = evaluate_graph(network.complete_graph(), inputs, keep=nodes)
    return Response(output, {node: environment[node] for node in nodes})


def response_sizes(network: SpikingNetwork, batches: Iterable[Inputs]) -> dict[str, float]:
    """Mean squares of the original's populations, by node, over ``batches``.

    A population that is all but silent there counts as if a hundredth of its scale were its root mean square.
    """
    totals, count = dict.fromkeys(network.populations, 0.0), 0
    for inputs in batches:
        count += len(inputs[0])
        for node, exact in original_of(network, inputs).populations.items():
            totals[node] += float(exact.square().mean()) * len(inputs[0])
    least = {node: float((0.01 * population.scale).square().mean()) for node, population in network.populations.items()}
    return {node: max(total / count, least[node]) for node, total in totals.items()}


def tuning_loss(
    found: Response,
    original: Response,
    labels: Tensor | None,
    targets: Targets,
    population_weight: float,
    sizes: Mapping[str, float],
) -> Tensor:
    """The loss of a batch: that of the output, and mean squared errors relative to ``sizes`` summed over populations.

    "decisions": divergence of the class probabilities at a temperature of 4, times its square. "outputs" and
    "populations": squared error relative to the output's mean square. "labels": cross entropy.
    """
    apart = torch.stack(
        [
            (found.populations[node] - exact).square().mean() / sizes[node]
            for node, exact in original.populations.items()
        ]
    )
    if targets == "populations":
        return apart.sum() + _output_error(found.output, original.output)
    return output_loss(found.output, original.output, labels, targets) + population_weight * apart.sum()


def output_loss(found: Any, exact: Any, labels: Tensor | None, targets: Targets) -> Tensor:
    """The part of ``tuning_loss`` that compares outputs."""
    if targets == "outputs":
        return _output_error(found, exact)
    if targets == "labels":
        return functional.cross_entropy(class_scores(found), _known(labels), ignore_index=IGNORED_TARGET)
    soft, hard = (
        functional.log_softmax(class_scores(each) / _TEMPERATURE, 1).movedim(1, -1).flatten(0, -2)
        for each in (found, exact)
    )
    return functional.kl_div(soft, hard, log_target=True, reduction="batchmean") * _TEMPERATURE**2


def _output_error(found: Any, exact: Any) -> Tensor:
    pairs = zip(tree_leaves(found), tree_leaves(exact), strict=True)
    errors = [
        (one - other).square().mean() / other.square().mean().clamp(min=1e-12)
        for one, other in pairs
        if isinstance(one, Tensor)
    ]
    return torch.stack(errors).sum()


def _known(labels: Tensor | None) -> Tensor:
    assert labels is not None
    return labels
