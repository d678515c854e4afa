"""Ratios of two signals: where they can be, and what their neurons cost."""

from __future__ import annotations

from coding import Timing
from neurons import Neuron, UpdateCost
from snnconv.errors import ConfigurationError
from snnconv.graph.graph import Graph
from snnconv.spiking.execution_plan import ExecutionPlan


def check_ratios(graph: Graph, execution_plan: ExecutionPlan, timing: Timing | None) -> None:
    """Raise ``ConfigurationError`` for ratios of two signals whose divisor is not complete when their windows start.

    ``timing`` is that of a pipeline, ``None`` for a stream.
    """
    for name in execution_plan.ratios:
        node = graph.nodes[name]
        if timing is None:
            raise ConfigurationError(
                f"{name} ({node.source}) divides one signal by another, which is not known before a stream ends; use "
                "schedule=Pipeline(), with any code that has windows, such as few-spike"
            )
        if any(timing.end(source) > timing.starts[name] for source in execution_plan.sources[name]):
            raise ConfigurationError(
                f"{name} ({node.source}) divides one signal by another, and would start to fire before both are there; "
                "use schedule=Pipeline() without a stride, so that populations wait for their sources to end"
            )


def cost_of_update(neuron: Neuron, ratio: bool) -> UpdateCost:
    """What one update of ``neuron`` costs; at a ratio the divisor is fetched and the threshold multiplied by it."""
    words, additions, multiplications = neuron.update_cost
    return UpdateCost(words + ratio, additions, multiplications + ratio)
