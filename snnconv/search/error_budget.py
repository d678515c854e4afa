"""Codes that nobody asked for: finer where their errors move the output, one spike where they hardly do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from coding import CodingPlan, Pipeline
from coding.candidates import DEFAULTS
from snnconv.calibration.assembly import Calibrated, assemble
from snnconv.calibration.options import Options
from snnconv.graph.analysis import analysis_of
from snnconv.graph.interpreter import Handler, evaluate_graph
from snnconv.graph.operators.activation import activation_at
from snnconv.graph.operators.ratio import RatioPopulation
from snnconv.graph.operators.tabulated import Tabulated
from snnconv.network import SpikingNetwork
from snnconv.progress import ProgressCallback, told
from snnconv.search.choices import Choices
from snnconv.spiking.population import Population
from snnconv.spiking.settling import settle

#: Error of the output that is aimed at, relative to its 2-norm.
BOUND = 0.015
#: Random directions of the output whose gradients are taken; samples that are looked at, and activations of them.
_DIRECTIONS, _MOST_SAMPLES, _MOST_ACTIVATIONS = 8, 16, 2**23
_BISECTIONS = 60
#: What an infinite gradient counts, as that of a root at 0: far more than any that is not.
_STEEPEST = 1e6


def default_network(
    calibrated: Calibrated, options: Options, plan: CodingPlan, progress: ProgressCallback | None = None
) -> SpikingNetwork:
    """The network that nobody asked for more of: that of ``plan``, or one in which every population has its own code.

    The latter in a pipeline, where functions are looked up, or signals multiplied or divided: such networks are too
    different for one code to serve all.
    """
    found = None
    if _is_mixed(calibrated) and isinstance(plan.schedule, Pipeline):
        found = _within_budget(calibrated, options, plan, progress)
    return found or assemble(calibrated, plan, options, progress)


def _is_mixed(calibrated: Calibrated) -> bool:
    """Whether there is more to a network than piecewise linear functions, maxima and sums of their values."""
    analysis = analysis_of(calibrated.graph)
    divided = any(isinstance(operator, RatioPopulation) for operator in analysis.populations.values())
    looked_up = any(isinstance(activation, Tabulated) for activation in calibrated.activations.values())
    return looked_up or divided or bool(analysis.products)


def _within_budget(
    calibrated: Calibrated, options: Options, plan: CodingPlan, progress: ProgressCallback | None
) -> SpikingNetwork | None:
    """The network with the fewest spikes whose output is expected to be off by at most ``BOUND``.

    To first order, an error e of a population's values moves the output y by J e, and for random signs r the mean of
    (r . J e)^2 is its square norm, where J^T r is a gradient (Hutchinson 1990). Errors of different populations nearly
    add up as squares. For a price of error every population then takes the code with the fewest spikes and priced
    errors; bisection finds the least price that keeps the bound, or the finest codes where none does. ``None`` where no
    output is a real number.
    """
    response = _response(calibrated, progress)
    if response is None:
        return None
    choices = Choices(calibrated, DEFAULTS, options, plan, progress)
    errors, spikes = [], []
    for node in told(progress, "measuring sensitivities", choices.populations, len(choices.populations)):
        costs = [response.of(node, choice) for choice in choices.populations[node]]
        errors.append([error for error, _ in costs])
        spikes.append([count for _, count in costs])
    chosen = _cheapest(torch.tensor(errors, dtype=torch.float64), torch.tensor(spikes, dtype=torch.float64))
    network = choices.network(chosen, progress)
    choices.warn_of_silence(network)
    return network


class _Response(NamedTuple):
    """What the original's output, of norm 1, answers to small changes of its activations, on a few samples."""

    currents: Mapping[str, Tensor]
    exact: Mapping[str, Tensor]
    gradients: Mapping[str, list[Tensor]]

    def of(self, node: str, choice: Population) -> tuple[float, float]:
        """Expected square of the output's relative error, and spikes, of a population in this code."""
        windows = settle(choice, self.currents[node], counted=True)
        error = (windows.decoded - self.exact[node]).double()
        moved = [(gradient * error).flatten(1).sum(1).square().sum() for gradient in self.gradients[node]]
        assert windows.found.spikes is not None
        return float(torch.stack(moved).mean()), float(windows.found.spikes.sum(dtype=torch.float64))


def _response(calibrated: Calibrated, progress: ProgressCallback | None = None) -> _Response | None:
    graph = calibrated.graph
    inputs = tuple(tensor.clone() for tensor in calibrated.samples.fitted[0])
    if graph.batch_axis is not None:
        shapes = [graph.nodes[node].shape for node in calibrated.activations]
        activations = sum(torch.Size(shape[1:]).numel() for shape in shapes if shape is not None)
        samples = min(_MOST_SAMPLES, max(1, _MOST_ACTIVATIONS // max(1, activations)))
        inputs = tuple(tensor[:samples] for tensor in inputs)
    operators = {node: activation_at(graph.nodes[node]) for node in calibrated.activations}
    currents: dict[str, Tensor] = {}
    exact: dict[str, Tensor] = {}
    changes: dict[str, Tensor] = {}

    def changed(node: str) -> Handler:
        def activate(arguments: Mapping[str, Any]) -> Tensor:
            current = operators[node].current(arguments)
            value = calibrated.activations[node](current)
            currents[node], exact[node] = current.detach(), value.detach()
            changes[node] = torch.zeros_like(value, requires_grad=True)
            return value + changes[node]

        return activate

    with torch.enable_grad():
        output, _ = evaluate_graph(graph, inputs, handlers={node: changed(node) for node in operators})
        leaves = [leaf for leaf in tree_leaves(output) if isinstance(leaf, Tensor) and leaf.requires_grad]
        if not leaves:
            return None
        norms = [leaf.detach().norm().clamp(min=1e-30) * len(leaves) ** 0.5 for leaf in leaves]
        generator = torch.Generator().manual_seed(0)
        gradients: dict[str, list[Tensor]] = {node: [] for node in operators}
        for _ in told(progress, "taking gradients", range(_DIRECTIONS), _DIRECTIONS):
            signs = [torch.randint(2, leaf.shape, generator=generator).to(leaf) * 2 - 1 for leaf in leaves]
            pulled = [sign / norm for sign, norm in zip(signs, norms, strict=True)]
            found = torch.autograd.grad(leaves, [*changes.values()], pulled, retain_graph=True, allow_unused=True)
            for node, gradient in zip(changes, found, strict=True):
                at = torch.zeros_like(exact[node]) if gradient is None else gradient
                gradients[node].append(at.nan_to_num(0.0, _STEEPEST, -_STEEPEST))
    return _Response(currents, exact, gradients)


def _cheapest(errors: Tensor, spikes: Tensor) -> list[int]:
    """For every row the column with the fewest spikes such that the errors sum to the bound's square at most."""
    low, high = 1e-12, 1e12  # prices of the bound's square, in spikes of all populations
    unit = spikes.mean(1).sum() / BOUND**2

    def chosen(price: float) -> Tensor:
        return (spikes + price * unit * errors).argmin(1)

    for _ in range(_BISECTIONS):
        price = (low * high) ** 0.5
        kept = errors.gather(1, chosen(price)[:, None]).sum() <= BOUND**2
        low, high = (low, price) if kept else (price, high)
    found: list[int] = chosen(high).tolist()
    return found
