"""optimize_pulses(): how many pulses every population is worth on a noisy crossbar, at a given number in all."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import torch
from torch import Tensor

from coding import CodingPlan, Draws
from neurons import IntegrateFire, SignedWindow
from snnconv.data.batches import IGNORED_TARGET, Inputs
from snnconv.errors import ConfigurationError
from snnconv.graph.interpreter import Handler, evaluate_graph
from snnconv.graph.operators import OPERATORS
from snnconv.graph.operators.activation import activation_at
from snnconv.network import SpikingNetwork
from snnconv.progress import PartsDone, ProgressCallback
from snnconv.simulators import CrossbarNoise
from snnconv.simulators.crossbar_noise import CrossbarReads
from snnconv.spiking.population import Population
from snnconv.spiking.settling import decode
from snnconv.surroundings import own_surroundings
from snnconv.training.options import check_integers
from snnconv.tuning.allocation import least_cost
from snnconv.tuning.loss import output_loss
from snnconv.tuning.samples import TuningSamples

_logger = logging.getLogger(__name__)
#: Share of the samples on which distributions are compared, and batches at most on which rounding is measured.
_MEASURED, _ROUNDED = 0.2, 4


@own_surroundings()
@torch.enable_grad()
def optimize_pulses(
    network: SpikingNetwork,
    data: Any,
    *,
    noise: CrossbarNoise,
    average: float = 8,
    candidates: Sequence[int] = range(2, 25),
    targets: Literal["decisions", "labels"] = "decisions",
    epochs: int = 2,
    batch: int = 50,
    seed: int = 0,
    progress: ProgressCallback | None = None,
) -> CodingPlan:
    """The plan that gives each population its own number of equal pulses, ``average`` of them in the mean.

    More pulses average more noise away, where it hurts; weights stay (gradient-based bit encoding optimization, Kim et
    al. 2022). With p pulses, reads of a population have the variance v = sigma^2 / p, and what it sends is rounded with
    a mean squared error e[p]. The loss is that of the network with normal errors of these variances; its derivatives,
    taken with errors of both signs, say what they cost. The paper trains softmax weights of candidates by the same
    gradient, with a price for pulses; here sum_l dL/dv_l v_l + dL/de_l e_l is minimised exactly among all distributions
    with at most so many pulses, again behind each epoch, whose derivatives are added to those of the former.

    Args:
        network: A converted network in thermometer code, or rate code in windows, of any length.
        data: Samples, as for ``snnconv.tune``; a fifth is held out. The distribution with the least loss there is
            returned; where as many pulses everywhere have less than all others, a warning says so.
        noise: The noise of the crossbars.
        average: Pulses of a population in the mean over all.
        candidates: Numbers of pulses that a population may have.
        targets: What the output is compared with: "decisions" of the original, or "labels" in ``data``.
        epochs: How often all samples are seen.
        batch: Samples of one step.
        seed: Seed of the noise, and of what is held out.
        progress: Called as the work comes on; what it raises ends the work (see ``Progress``).

    Returns:
        A plan that ``snnconv.convert(model, samples, coding=plan)`` takes.

    Raises:
        ConfigurationError: An option is out of range, or the network has another code, or no reads to be noisy.
        InputError: The data do not suit the network or the targets.

    Example:
        >>> pulses = snnconv.convert(model, images, coding="thermometer")
        >>> plan = snnconv.optimize_pulses(pulses, images, noise=snnconv.CrossbarNoise(0.15), average=8, epochs=1)
        >>> snn = snnconv.convert(model, images, coding=plan)
    """
    pulses = _checked(network, noise, average, candidates, targets)
    check_integers(1, epochs=epochs, batch=batch)
    check_integers(0, seed=seed)
    samples = TuningSamples(data, network, _MEASURED, seed, targets == "labels", IGNORED_TARGET)
    trained, measured = (torch.split(positions, batch) for positions in (samples.trained, samples.measured))
    rounded = [samples.batch(positions)[0] for positions in trained[:_ROUNDED]]
    parts = PartsDone(
        progress, "distributing pulses", epochs * len(trained) + len(rounded) + (epochs + 1) * len(measured)
    )
    errors = _rounding_errors(network, pulses, rounded, parts)
    passes = _NoisyPasses(network, noise)

    def loss_of(positions: Tensor, variances: Tensor, rounding: Tensor, number: int) -> Tensor:
        inputs, labels = samples.batch(positions)
        with torch.no_grad():
            original = network.original(inputs)
        outputs = [passes.output(inputs, variances, rounding, seed + number, sign) for sign in (1.0, -1.0)]
        parts.more()
        return sum((output_loss(each, original, labels, targets) / 2 for each in outputs), torch.zeros(()))

    def of(chosen: Sequence[int]) -> tuple[Tensor, Tensor]:
        columns = [pulses.index(number) for number in chosen]
        return 1.0 / torch.tensor(chosen).to(errors), errors[range(len(chosen)), columns]

    everywhere = [max(number for number in pulses if number <= average)] * len(network.populations)
    tried, costs = [everywhere], torch.zeros_like(errors)
    for epoch in range(epochs):
        variances, rounding = (each.clone().requires_grad_() for each in of(tried[-1]))
        for number, positions in enumerate(trained):
            loss_of(positions, variances, rounding, epoch * len(trained) + number).backward()  # type: ignore[no-untyped-call]
        slopes = [each.grad.clamp(min=0.0) for each in (variances, rounding) if each.grad is not None]
        inverse = 1.0 / torch.tensor(pulses).to(errors)
        costs = costs + slopes[0][:, None] * inverse + slopes[1][:, None] * errors
        tried.append(_distributed(costs, pulses, average))
    with torch.no_grad():
        losses = [
            sum(float(loss_of(part, *of(chosen), number)) * len(part) for number, part in enumerate(measured))
            for chosen in tried
        ]
    parts.end()
    chosen = tried[losses.index(min(losses))]
    if chosen is everywhere and any(each != everywhere for each in tried):
        _logger.warning(
            "on samples held out %d pulses everywhere have a smaller loss than what was found, so they are returned: "
            "give more samples, or noise that changes decisions",
            everywhere[0],
        )
    populations = network.populations.values()
    overrides = {each.name: replace(each.code, steps=number) for each, number in zip(populations, chosen, strict=True)}
    return replace(network.plan, overrides=overrides)


def _checked(
    network: SpikingNetwork, noise: CrossbarNoise, average: float, candidates: Sequence[int], targets: str
) -> list[int]:
    """The candidates in order."""
    if targets not in ("decisions", "labels"):
        raise ConfigurationError(f"targets must be 'decisions' or 'labels', got {targets!r}")
    if network.batch_axis is None:
        raise ConfigurationError(
            "optimize_pulses needs a network with a batch axis; this one takes one sample per call"
        )
    for population in network.populations.values():
        if len({*(population.code.payloads or ())}) != 1:
            raise ConfigurationError(
                f"{population.name} has {population.code.name} code; convert with coding=Thermometer(8) and give that "
                "network: its scales are those of all numbers of pulses"
            )
    CrossbarReads(network, noise)  # says what cannot be read
    if not isinstance(candidates, Sequence):
        raise ConfigurationError(f"candidates must be numbers of pulses, such as (4, 8, 16), got {candidates!r}")
    check_integers(1, **{f"candidates[{place}]": number for place, number in enumerate(candidates)})
    pulses = sorted({*candidates})
    number = isinstance(average, (int, float)) and not isinstance(average, bool)
    if len(pulses) < 2 or not (number and pulses[0] <= average <= pulses[-1]):
        raise ConfigurationError(
            f"candidates must be two numbers of pulses or more, and average={average!r} lie between them, got "
            f"{candidates!r}"
        )
    return pulses


def _rounding_errors(
    network: SpikingNetwork, pulses: Sequence[int], batches: Sequence[Inputs], parts: PartsDone
) -> Tensor:
    """Mean squared errors ``[populations, candidates]`` of what neurons send that are not silent."""
    sums = torch.zeros(len(network.populations), len(pulses), dtype=torch.float64, device=network.like.device)
    counts = torch.zeros_like(sums[:, :1])

    def observing(row: int, population: Population) -> Handler:
        windows, operator = [_with_pulses(population, number) for number in pulses], population.activation
        current_of = activation_at(network.graph.nodes[population.node]).current

        def observe(arguments: Mapping[str, Any]) -> Tensor:
            current = current_of(arguments)
            exact = operator(current)
            active = exact != 0
            counts[row] += active.sum()
            for column, each in enumerate(windows):
                sums[row, column] += ((decode(each, current) - exact) * active).double().square().sum()
            return exact

        return observe

    handlers = {node: observing(row, each) for row, (node, each) in enumerate(network.populations.items())}
    with torch.no_grad():
        for inputs in batches:
            evaluate_graph(network.complete_graph(), inputs, handlers=handlers)
            parts.more()
    return (sums / counts.clamp(min=1.0)).to(network.like)


class _NoisyPasses:
    """Passes of the original in which reads and rounding add normal errors to currents and to values."""

    def __init__(self, network: SpikingNetwork, noise: CrossbarNoise) -> None:
        self._network, self._reads = network, CrossbarReads(network, noise)
        self._rows = {node: row for row, node in enumerate(network.populations)}

    def output(self, inputs: Inputs, variances: Tensor, rounding: Tensor, seed: int, sign: float) -> Any:
        """The output for ``inputs``, where reads of a population have ``variances`` in units of sigma squared.

        ``rounding`` are mean squared errors of what it sends. Errors depend on ``seed``, and are turned by ``sign``.
        """
        nodes, draws = self._network.graph.nodes, Draws(seed, range(len(inputs[0])), self._network.like.device)

        def noisy(node: str, current: Tensor) -> Tensor:
            sources = [self._rows[source] for source in self._reads.feeding(node)]
            if not sources:
                return current
            return current + sign * variances[sources].sum().sqrt() * self._reads.drawn(node, current, draws)

        def sending(node: str, population: Population) -> Handler:
            def send(arguments: Mapping[str, Any]) -> Tensor:
                exact = population.activation(noisy(node, activation_at(nodes[node]).current(arguments)))
                normal = draws.normal(exact) * (exact != 0)
                result: Tensor = exact + sign * rounding[self._rows[node]].clamp(min=1e-30).sqrt() * normal
                return result

            return send

        def arriving(node: str) -> Handler:
            return lambda arguments: noisy(node, OPERATORS[nodes[node].op].evaluate(arguments))

        handlers = {node: sending(node, population) for node, population in self._network.populations.items()}
        handlers |= {node: arriving(node) for node in self._network.execution_plan.decoded_sums}
        return evaluate_graph(self._network.complete_graph(), inputs, handlers=handlers)[0]


def _with_pulses(population: Population, number: int) -> Population:
    code, neuron = replace(population.code, steps=number), population.neuron
    assert isinstance(neuron, (IntegrateFire, SignedWindow))
    return replace(population, code=code, neuron=replace(neuron, code=code))


def _distributed(costs: Tensor, pulses: Sequence[int], average: float) -> list[int]:
    """Numbers of pulses, ``average`` in the mean at most, with the least sum of ``costs [populations, candidates]``."""
    parts = [
        {number: (number, cost) for number, cost in zip(pulses, row, strict=True)} for row in costs.double().tolist()
    ]
    return least_cost(parts, int(average * len(costs) + 1e-9))
