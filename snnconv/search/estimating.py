"""What a search for codes will cost on this machine, before it begins."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch

from coding import Code, CodingPlan
from snnconv.calibration.assembly import Calibrated, network_of, population, scalings_of
from snnconv.calibration.options import Options
from snnconv.data.batches import Inputs
from snnconv.graph.interpreter import evaluate_graph
from snnconv.network import SpikingNetwork
from snnconv.search.choices import codes_asked
from snnconv.search.sensitivity import samples_for
from snnconv.simulators import simulator_for
from snnconv.simulators.recorders import SpikeCounter
from snnconv.spiking.population import Population
from snnconv.text import duration_text

_Result = TypeVar("_Result")

#: Shares of all codes whose error of the output is measured, and of candidates that are tried in all populations.
_MEASURED, _TRIED = 0.4, 0.2


@dataclass(frozen=True)
class SearchEstimate:
    """What a search is expected to cost: ``codes`` fitted, so many of them ``measured`` on ``fitted`` samples, and so
    many ``networks`` on ``held_out`` samples. Prints as a sentence.
    """

    codes: int
    measured: int
    networks: int
    fitted: int
    held_out: int
    seconds: float

    @property
    def passes(self) -> int:
        """Passes of a sample through a network, or through what is behind a population."""
        return self.measured * self.fitted + self.networks * self.held_out

    def __str__(self) -> str:
        return (
            f"the search fits {self.codes} codes, measures about {self.measured} of them on {self.fitted} samples, and "
            f"about {self.networks} networks on {self.held_out}: {self.passes} passes of a sample, about "
            f"{duration_text(self.seconds)}, an estimate from one network made and run on this machine"
        )


def search_estimate(
    calibrated: Calibrated,
    candidates: Sequence[Code],
    options: Options,
    plan: CodingPlan,
    measured_on: Sequence[Inputs],
    mixed: int,
) -> SearchEstimate:
    """The cost of a search among ``candidates`` that tries so many ``mixed`` networks, from one of them, timed."""
    graph, scalings = calibrated.graph, scalings_of(calibrated, options, windowed=True)
    asked = {node: codes_asked(calibrated, node, candidates) for node in calibrated.activations}

    def fits() -> dict[str, Population]:
        return {
            node: population(calibrated, node, codes[len(codes) // 2], scalings[node], True, options)
            for node, codes in asked.items()
        }

    def trial() -> SpikingNetwork:
        network = network_of(calibrated, plan, populations, options)
        for chunk in measured_on:
            simulator_for(network, seed=0).run(chunk, [SpikeCounter(network)])
        return network

    def whole() -> None:
        with torch.no_grad():
            evaluate_graph(graph, looked_at)

    populations, fitting = _timed(fits)
    network, trying = _timed(trial)
    looked_at = samples_for(calibrated, network)
    _, passing = _timed(whole)
    fit, behind = fitting / max(1, len(populations)), passing / 2  # on average half of the network is behind one
    codes = sum(len(set(each)) for each in asked.values())
    fitted, *held_out = (1 if graph.batch_axis is None else len(inputs[0]) for inputs in (looked_at, *measured_on))
    measured, networks = round(codes * _MEASURED), mixed + round(len(candidates) * _TRIED)
    seconds = codes * fit + measured * behind + networks * trying
    return SearchEstimate(codes, measured, networks, fitted, sum(held_out), seconds)


def _timed(work: Callable[[], _Result]) -> tuple[_Result, float]:
    """What ``work`` returns, and the seconds of a second call: the first prepares what later ones find."""
    work()
    start = time.perf_counter()
    return work(), time.perf_counter() - start
