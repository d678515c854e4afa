"""Candidate codes of every population, fitted, and the networks that a choice of them makes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from coding import Code, CodingPlan
from coding.window.function_table import table_for
from snnconv.calibration.assembly import Calibrated, network_of, population, scalings_of
from snnconv.calibration.current_statistics import CurrentStatistics
from snnconv.calibration.options import Options
from snnconv.calibration.silence import warn_of_silence
from snnconv.network import SpikingNetwork
from snnconv.progress import PartsDone, ProgressCallback
from snnconv.spiking.population import Population


def codes_asked(calibrated: Calibrated, node: str, candidates: Sequence[Code]) -> list[Code]:
    """What the population at ``node`` has for every candidate: itself, or the table that it asks for."""
    looked_up = isinstance(calibrated.observed[node], CurrentStatistics)
    return [table_for(code) if looked_up else code for code in candidates]


class Choices:
    """``candidates`` for all populations of a pipeline: ``populations`` holds, by node, one for each candidate.

    Functions that are looked up have one table for all candidates that ask for the same.
    """

    def __init__(
        self,
        calibrated: Calibrated,
        candidates: Sequence[Code],
        options: Options,
        plan: CodingPlan,
        progress: ProgressCallback | None = None,
    ) -> None:
        self._calibrated, self._candidates, self._options, self._plan = calibrated, candidates, options, plan
        nodes, self._scalings = calibrated.activations, scalings_of(calibrated, options, windowed=True)
        asked = {node: codes_asked(calibrated, node, candidates) for node in nodes}
        fits = PartsDone(progress, "fitting codes", sum(len(set(codes)) for codes in asked.values()))
        found: dict[str, dict[Code, Population]] = {node: {} for node in nodes}
        for number in range(len(candidates)):  # code by code, since what fits tabulate of one serves all populations
            for node, codes in asked.items():
                if (code := codes[number]) not in found[node]:
                    found[node][code] = population(calibrated, node, code, self._scalings[node], True, options)
                    fits.more()
        self.populations = {node: [found[node][code] for code in codes] for node, codes in asked.items()}
        fits.end()

    def network(
        self, chosen: Sequence[int], progress: ProgressCallback | None = None, corrected: bool = True
    ) -> SpikingNetwork:
        """The network in which every population, in order, has the candidate of this number.

        Not ``corrected``, it is for whoever asks for its structure alone.
        """
        names, populations = self._calibrated.names, {}
        for (node, choices), number in zip(self.populations.items(), chosen, strict=True):
            populations[node] = choices[number]
        overrides = {
            names[node]: self._candidates[number] for node, number in zip(self.populations, chosen, strict=True)
        }
        plan = CodingPlan(self._plan.hidden, self._plan.input, overrides, self._plan.schedule)
        options = self._options if corrected else replace(self._options, bias_correction=False)
        return network_of(self._calibrated, plan, populations, options, progress)

    def warn_of_silence(self, network: SpikingNetwork) -> None:
        """Log a warning for every population of ``network`` most of whose values its codes would not fire for."""
        for node, chosen in network.populations.items():
            observed, scaling = self._calibrated.observed[node], self._scalings[node]
            warn_of_silence(chosen.name, observed, scaling, chosen.code, chosen.scale)
