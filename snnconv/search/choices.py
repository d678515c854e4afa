"""Candidate codes of every population, fitted, and the networks that a choice of them makes."""

from __future__ import annotations

from collections.abc import Sequence

from coding import Code, CodingPlan
from coding.window.function_table import table_for
from snnconv.calibration.assembly import Calibrated, network_of, population, scalings_of
from snnconv.calibration.current_statistics import CurrentStatistics
from snnconv.calibration.options import Options
from snnconv.calibration.silence import warn_of_silence
from snnconv.network import SpikingNetwork
from snnconv.progress import ProgressCallback, told
from snnconv.spiking.population import Population


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
        self.populations = {node: self._of(node) for node in told(progress, "fitting codes", nodes, len(nodes))}

    def _of(self, node: str) -> list[Population]:
        found: dict[Code, Population] = {}
        asked = [
            table_for(code) if isinstance(self._calibrated.observed[node], CurrentStatistics) else code
            for code in self._candidates
        ]
        for code in asked:
            if code not in found:
                found[code] = population(self._calibrated, node, code, self._scalings[node], True, self._options)
        return [found[code] for code in asked]

    def network(self, chosen: Sequence[int]) -> SpikingNetwork:
        """The network in which every population, in order, has the candidate of this number."""
        names, populations = self._calibrated.names, {}
        for (node, choices), number in zip(self.populations.items(), chosen, strict=True):
            populations[node] = choices[number]
        overrides = {
            names[node]: self._candidates[number] for node, number in zip(self.populations, chosen, strict=True)
        }
        plan = CodingPlan(self._plan.hidden, self._plan.input, overrides, self._plan.schedule)
        return network_of(self._calibrated, plan, populations, self._options)

    def warn_of_silence(self, network: SpikingNetwork) -> None:
        """Log a warning for every population of ``network`` most of whose values its codes would not fire for."""
        for node, chosen in network.populations.items():
            warn_of_silence(chosen.name, self._calibrated.observed[node], self._scalings[node], chosen.code)
