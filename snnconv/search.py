"""Budget search: the codes, population by population, that cost least and are expected to keep the accuracy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from coding import CodingPlan
from coding.candidates import CANDIDATES
from neurons import WindowNeuron
from snnconv.assembly import Calibrated, Options, network_of, population
from snnconv.calibration import fitted_code, warn_of_silence
from snnconv.data.batches import Inputs
from snnconv.energy import SYNOP, update_energy
from snnconv.errors import ConfigurationError
from snnconv.evaluation import evaluate
from snnconv.interpreter import Handler, evaluate_graph
from snnconv.network import SpikingNetwork
from snnconv.population import Population
from snnconv.report import code_text, table
from snnconv.tally import class_scores

Cost = Literal["energy", "spikes", "latency"]

_BISECTIONS = 12
#: By how much errors are taken to be larger than measured when decisions that may change are counted.
SAFETY = 1.25


@dataclass(frozen=True)
class Trial:
    """A network that the search measured: expected loss in percentage points, and mean cost of one sample."""

    codes: str
    loss: float
    spikes_per_neuron: float
    latency: int
    energy: float

    def cost(self, kind: Cost) -> float:
        """The cost that is to be kept low."""
        return {"energy": self.energy, "spikes": self.spikes_per_neuron, "latency": float(self.latency)}[kind]


@dataclass(frozen=True)
class SearchLog:
    """Every network that was tried, in order, and the number of the one that was chosen. Prints as a table."""

    trials: tuple[Trial, ...]
    chosen: int

    def __str__(self) -> str:
        rows = [
            [
                ("* " if number == self.chosen else "") + trial.codes,
                f"{trial.loss:.2f}",
                f"{trial.spikes_per_neuron:.3f}",
                str(trial.latency),
                f"{trial.energy * 1e6:.4g}",
            ]
            for number, trial in enumerate(self.trials)
        ]
        return table(["codes (* chosen)", "expected loss", "spikes per neuron", "latency", "E3 uJ"], rows)


def search(
    calibrated: Calibrated, options: Options, plan: CodingPlan, max_loss: float, minimize: Cost
) -> SpikingNetwork:
    """The cheapest network expected to lose at most ``max_loss`` points; its ``search_log`` says what was tried.

    What a code in one population does to the output is measured with all others exact; such errors nearly add up as
    squares. For a price of error, every population then takes the code with the least cost and priced error; bisection
    finds the price at which the assembled network, measured on samples held out, just keeps the bound. Raises
    ``ConfigurationError`` for a network without class scores, and where no candidate keeps the bound.
    """
    if minimize not in get_args(Cost):
        raise ConfigurationError(f"minimize must be one of {', '.join(get_args(Cost))}, got {minimize!r}")
    if not 0.0 < max_loss < 100.0:
        raise ConfigurationError(f"max_loss is in percentage points and must lie in (0, 100), got {max_loss!r}")
    if not calibrated.samples.held_out:
        raise ConfigurationError("the search measures on held-out samples: give at least 5 calibration samples")
    return _Search(calibrated, options, plan, max_loss, minimize).run()


class _Search:
    def __init__(
        self, calibrated: Calibrated, options: Options, plan: CodingPlan, max_loss: float, minimize: Cost
    ) -> None:
        self.calibrated, self.options, self.minimize, self.max_loss = calibrated, options, minimize, max_loss
        self.plan = plan
        self.scaling = options.scaling(windowed=True)
        self.nodes = list(calibrated.activations)
        self.trials: list[Trial] = []
        self.tried: list[list[int]] = []
        self.choices: list[list[Population]] = [self._population_choices(node) for node in self.nodes]

    def _population_choices(self, node: str) -> list[Population]:
        observed = self.calibrated.observed[node]
        codes = [fitted_code(code, observed, self.scaling) for code in CANDIDATES]
        return [population(self.calibrated, node, code, self.scaling, True, self.options.neuron) for code in codes]

    def run(self) -> SpikingNetwork:
        for number, code in enumerate(CANDIDATES):
            self._try([number] * len(self.nodes), code_text(code))
        errors, costs = (each / each.mean().clamp(min=1e-300) for each in self._sensitivities())
        low, high = 1e-6, 1e6  # prices of squared error against cost, in units that make both means 1
        for _ in range(_BISECTIONS):
            price = (low * high) ** 0.5
            chosen = (costs + price * errors).argmin(1).tolist()
            trial = self._try(chosen, f"mixed, price of error {price:.3g}")
            low, high = (low, price) if trial.loss <= self.max_loss else (price, high)
        kept = [number for number, trial in enumerate(self.trials) if trial.loss <= self.max_loss]
        if not kept:
            best = min(self.trials, key=lambda trial: trial.loss)
            raise ConfigurationError(
                f"no codes that were tried are expected to lose at most {self.max_loss:g} percentage points; the best "
                f"({best.codes}) is expected to lose {best.loss:.2f}: allow more, or give the codes yourself"
            )
        best_number = min(kept, key=lambda number: self.trials[number].cost(self.minimize))
        network = self._network(self.tried[best_number])  # assembled again: all at once would fill the memory
        network.search_log = SearchLog(tuple(self.trials), best_number)
        for node, chosen in network.populations.items():
            warn_of_silence(chosen.name, self.calibrated.observed[node], self.scaling, chosen.code)
        return network

    def _network(self, chosen: list[int]) -> SpikingNetwork:
        populations = {
            node: choices[number] for node, choices, number in zip(self.nodes, self.choices, chosen, strict=True)
        }
        names = self.calibrated.names
        plan = CodingPlan(
            self.plan.hidden,
            self.plan.input,
            {names[node]: each.code for node, each in populations.items()},
            self.plan.schedule,
        )
        return network_of(self.calibrated, plan, populations, self.options)

    def _try(self, chosen: list[int], label: str) -> Trial:
        network = self._network(chosen)
        held_out = self.calibrated.samples.held_out
        loss = expected_loss(network, held_out)
        measured = evaluate(network, [chunk if len(chunk) == 1 else (chunk,) for chunk in held_out])
        trial = Trial(label, loss, measured.spikes_per_neuron, measured.steps, measured.energy.e3)
        self.trials.append(trial)
        self.tried.append(chosen)
        return trial

    def _sensitivities(self) -> tuple[Tensor, Tensor]:
        """Squared error of the output and cost, ``[populations, candidates]``, each candidate alone in its network."""
        graph, inputs = self.calibrated.graph, self.calibrated.samples.fitted[0]
        samples = 1 if graph.batch_axis is None else inputs[0].shape[0]
        network = self._network(self.tried[0])
        with torch.no_grad():
            exact, _ = evaluate_graph(graph, inputs)
        decided = class_scores(exact).argmax(1)
        leads = _leads(class_scores(exact), decided)
        errors = torch.zeros(len(self.nodes), len(CANDIDATES), dtype=torch.float64)
        costs = torch.zeros_like(errors)
        for row, node in enumerate(self.nodes):
            targets = [target for target, sources in network.parts.sources.items() if node in sources]
            listeners = sum(network.populations[target].neurons for target in targets)
            fan_out = float(network.synapses.fan_out[node].mean())
            for column, choice in enumerate(self.choices[row]):
                spikes, updates = [0.0], [0.0]
                with torch.no_grad():
                    found, _ = evaluate_graph(graph, inputs, handlers={node: _alone(choice, spikes, updates)})
                change = _leads(class_scores(found), decided) - leads
                errors[row, column] = change.square().mean()
                heard = listeners * choice.code.steps
                energy = spikes[0] / samples * fan_out * SYNOP
                energy += (updates[0] / samples + heard) * update_energy(*choice.neuron.update_cost)
                costs[row, column] = {
                    "energy": energy,
                    "spikes": spikes[0] / samples,
                    "latency": float(choice.code.steps),
                }[self.minimize]
        return errors, costs


def _alone(choice: Population, spikes: list[float], updates: list[float]) -> Handler:
    """The closed form of one population, which adds what it spends to ``spikes`` and ``updates``."""

    def fire(arguments: Mapping[str, Any]) -> Tensor:
        current, neuron = arguments["self"], choice.neuron
        assert isinstance(neuron, WindowNeuron)
        scale = choice.broadcast_scale(current.dim())
        found = neuron.window(current / scale)
        assert found.spikes is not None and found.updates is not None
        spikes[0] += float(found.spikes.sum(dtype=torch.float64))
        updates[0] += float(found.updates.sum(dtype=torch.float64))
        return found.values * scale

    return fire


def _leads(scores: Tensor, decided: Tensor) -> Tensor:
    """By how much the class ``decided`` leads every other class, ``[decisions, classes - 1]``."""
    best = decided.unsqueeze(1)
    leads = scores.gather(1, best) - scores
    others = torch.ones_like(scores, dtype=torch.bool).scatter_(1, best, False)
    return leads.movedim(1, -1)[others.movedim(1, -1)].view(-1, scores.shape[1] - 1)


def expected_loss(network: SpikingNetwork, chunks: Sequence[Inputs]) -> float:
    """The share of decisions, in percent, that errors of the size measured on ``chunks`` are expected to change.

    Errors are taken as normally distributed, so that a hundred samples tell losses far below one percent apart, and as
    ``SAFETY`` times as large as they were: calibration data are often training data, on which a network is surer of
    itself than it will be. A changed decision need not be a lost one.
    """
    leads, errors = [], []
    for chunk in chunks:
        exact, found = class_scores(network.reference(*chunk)), class_scores(network(*chunk))
        leads.append(_leads(exact, exact.argmax(1)))
        errors.append(_leads(found, exact.argmax(1)) - leads[-1])
    spread = torch.cat(errors).double().square().mean().sqrt().clamp(min=1e-300)
    changes = torch.special.ndtr(-torch.cat(leads).double() / (SAFETY * spread))
    return 100.0 * float(changes.sum(1).clamp(max=1.0).mean())
