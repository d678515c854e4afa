"""Budget search: the codes, population by population, that cost least and are expected to keep the accuracy."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Any

import torch

from coding import CodingPlan
from coding.candidates import CANDIDATES
from snnconv.calibration.assembly import Calibrated
from snnconv.calibration.options import Options
from snnconv.data.batches import Inputs
from snnconv.errors import ConfigurationError
from snnconv.graph.interpreter import evaluate_graph
from snnconv.metrics.costs import Costs, measures
from snnconv.metrics.totals import Totals, totals_of
from snnconv.network import SpikingNetwork
from snnconv.progress import ProgressCallback, tell
from snnconv.scaling.shared import SharedValue
from snnconv.scaling.spreading import Spreading
from snnconv.search.choices import Choices
from snnconv.search.estimating import search_estimate
from snnconv.search.objective import Goal
from snnconv.search.sensitivity import Sensitivities
from snnconv.simulators import simulator_for
from snnconv.simulators.recorders import SpikeCounter
from snnconv.spiking.logs import SearchLog, Trial
from snnconv.spiking.synapses import Synapses
from snnconv.storage.carried import Carried
from snnconv.surroundings import own_surroundings
from snnconv.text import code_text, told_from

#: Decisions of the original on held-out samples below which a search is worth a warning: one of them is then more than
#: a percentage point, and of many networks that are tried some keep the bound by luck.
FEW_DECISIONS = 100

_BISECTIONS = 12
#: How much dearer than a network that keeps the bound one code throughout may seem, and how many times larger its
#: squared errors than those of a network that does not, before it is left out: costs of populations alone are those of
#: the network within a fifth, a constant factor aside, and errors within a factor of 2 or 3.
_COST_MARGIN, _ERROR_MARGIN = 1.25, 4.0

_logger = logging.getLogger(__name__)


def search(
    calibrated: Calibrated,
    options: Options,
    plan: CodingPlan,
    goal: Goal,
    progress: ProgressCallback | None = None,
    spread: Spreading | None = None,
) -> SpikingNetwork:
    """The cheapest network that keeps the bound of ``goal``; its ``search_log`` says what was tried.

    What a code in one population does to the output is measured with all others exact; such errors nearly add up as
    squares. For a price of error, every population then takes the code with the least cost and priced error; bisection
    finds the price at which the assembled network, measured on samples held out, just keeps the bound; where these are
    few a warning is logged. Networks of one code throughout are tried behind these, where their populations' costs and
    errors do not rule them out. Of fewer than five whole graphs none is held out: they are measured on themselves, node
    by node. Raises ``ConfigurationError`` for fewer samples otherwise, and where no candidate keeps the bound.
    """
    if not calibrated.samples.held_out and calibrated.graph.batch_axis is not None:
        raise ConfigurationError("the search measures on held-out samples: give at least 5 calibration samples")
    return _Search(calibrated, options, plan, goal, progress, spread).run()


@dataclass
class _Search:
    calibrated: Calibrated
    options: Options
    plan: CodingPlan
    goal: Goal
    progress: ProgressCallback | None
    spread: Spreading | None
    trials: list[Trial] = field(default_factory=list)
    tried: list[list[int]] = field(default_factory=list)
    synapses: Synapses | None = None

    def __post_init__(self) -> None:
        samples = self.calibrated.samples
        self.measured_on = samples.held_out or samples.fitted  # of few whole graphs, the nodes are what is measured on
        if _logger.isEnabledFor(logging.INFO):  # it costs about as much as two of the networks
            arguments = (self.calibrated, CANDIDATES, self.options, self.plan, self.measured_on, _BISECTIONS)
            _logger.info("%s", search_estimate(*arguments))
        self.choices = Choices(self.calibrated, CANDIDATES, self.options, self.plan, self.progress)
        with torch.no_grad():
            self.exact = [evaluate_graph(self.calibrated.graph, chunk)[0] for chunk in self.measured_on]

    def run(self) -> SpikingNetwork:
        self._warn_of_few_decisions()
        self._tell()
        found = Sensitivities(
            self.calibrated,
            self.choices.network([0] * len(self.choices.populations), corrected=False),
            self.choices.populations,
            self.goal.judge,
            self.goal.minimize,
            self.progress,
        )
        low, high = 1e-6, 1e6  # prices of squared error against cost, in units that make both means 1
        for _ in range(_BISECTIONS):
            price = (low * high) ** 0.5
            trial = self._try(found.cheapest(price), f"mixed, price of error {price:.3g}")
            low, high = (low, price) if self._keeps(trial) else (price, high)
        left_out = self._try_one_code_throughout(found)
        tell(self.progress, "trying codes", len(self.trials), len(self.trials))
        kept = [number for number, trial in enumerate(self.trials) if self._keeps(trial)]
        if not kept:
            best = min(self.trials, key=lambda trial: trial.loss)
            raise ConfigurationError(
                f"no codes that were tried are expected to lose at most {self.goal.max_loss:g} percentage points; the "
                f"best ({best.codes}) is expected to lose {told_from(best.loss, self.goal.max_loss, 2)}: allow more, "
                "or give the codes yourself"
            )
        best_number = min(kept, key=lambda number: self.trials[number].cost(self.goal.minimize))
        network = self.choices.network(self.tried[best_number])  # assembled again: all at once would fill the memory
        network.search_log = SearchLog(tuple(self.trials), best_number, left_out)
        self.choices.warn_of_silence(network)
        return network

    def _keeps(self, trial: Trial) -> bool:
        return trial.loss <= self.goal.max_loss

    def _try_one_code_throughout(self, found: Sensitivities) -> tuple[str, ...]:
        """Try every candidate in all populations, the cheapest first; those that are ruled out are returned instead.

        That is where their populations cost more together than those of a network that keeps the bound, or have far
        larger errors than those of one that does not.
        """
        left_out = []
        whole = [[number] * len(self.choices.populations) for number in range(len(CANDIDATES))]
        for chosen in sorted(whole, key=lambda chosen: found.expected(chosen)[0]):
            code, (cost, error) = code_text(CANDIDATES[chosen[0]]), found.expected(chosen)
            kept, lost = (
                [found.expected(self.tried[at]) for at, trial in enumerate(self.trials) if self._keeps(trial) is keeps]
                for keeps in (True, False)
            )
            least_cost = min((each for each, _ in kept), default=math.inf)
            least_error = min((each for _, each in lost), default=math.inf)
            if cost > _COST_MARGIN * least_cost or error > _ERROR_MARGIN * least_error:
                left_out.append(code)
            else:
                self._try(chosen, code)
        return tuple(left_out)

    def _warn_of_few_decisions(self) -> None:
        """Log a warning where the loss is measured on so few decisions that what is chosen may not hold elsewhere."""
        decisions = self.goal.judge.decisions(self.exact)
        if not 0 < decisions < FEW_DECISIONS:  # without any the judge knows no loss, and says so
            return
        free = self.calibrated.graph.batch_axis is not None
        samples = sum(chunk[0].shape[0] if free else 1 for chunk in self.measured_on)
        _logger.warning(
            "the search measures on %d %ssamples with %d decisions or objects of the original: one of them is "
            "%.3g percentage points and the bound is %g, so the codes that it finds may lose more elsewhere; give at "
            "least %d times as many calibration samples, and evaluate the network on other data",
            samples,
            "held-out " if self.calibrated.samples.held_out else "",
            decisions,
            100.0 / decisions,
            self.goal.max_loss,
            math.ceil(FEW_DECISIONS / decisions),
        )

    def _try(self, chosen: list[int], label: str) -> Trial:
        if chosen in self.tried:
            trial = replace(self.trials[self.tried.index(chosen)], codes=label)
        else:
            trial = self._measured(chosen, label)
        self.trials.append(trial)
        self.tried.append(chosen)
        self._tell()
        return trial

    def _measured(self, chosen: list[int], label: str) -> Trial:
        network = self.choices.network(chosen)
        network.synapses = self.synapses = self.synapses or network.synapses  # whatever the codes
        runs = [*self._runs(network)]
        assert network.timing is not None
        measured = Costs(**measures(reduce(Totals.merge, [totals for _, totals in runs])))
        found, latency = [output for output, _ in runs], network.timing.latency
        loss = self.goal.judge.expected_loss(self.exact, found)
        energy, bound = measured.energy.e3, measured.synops_are_bound
        return Trial(label, loss, measured.spikes_per_neuron, latency, energy, bound)

    def _runs(self, network: SpikingNetwork) -> Iterator[tuple[Any, Totals]]:
        """Output and costs of ``network`` on every chunk, in order."""
        if self.spread is None:
            for chunk in self.measured_on:
                yield run_of(network, chunk)
            return
        with SharedValue(Carried(network), "the network") as shared:
            yield from self.spread.in_order(run_of, shared, self.measured_on, "calibration")

    def _tell(self) -> None:
        tell(self.progress, "trying codes", len(self.trials), len(CANDIDATES) + _BISECTIONS)  # at most


@own_surroundings()
def run_of(network: SpikingNetwork, chunk: Inputs) -> tuple[Any, Totals]:
    """Output and costs of ``network`` on some samples, wherever this is called."""
    counter = SpikeCounter(network)
    simulator = simulator_for(network, seed=0)
    output, _ = simulator.run(chunk, [counter])
    return output, totals_of(network, counter, simulator.steps, simulator.steps * counter.samples)
