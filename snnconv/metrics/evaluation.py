"""evaluate(): accuracy, latency, spikes, synaptic operations and energy of a spiking network beside the original."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from snnconv.capture.binding import bound, check_call
from snnconv.capture.tracing import evaluation_mode
from snnconv.data.batches import Inputs, batches, number_of_batches
from snnconv.metrics.costs import Costs, measures
from snnconv.metrics.decision_counts import DecisionCounter, DecisionCounts
from snnconv.metrics.totals import Totals, check_alike, totals_of
from snnconv.network import SpikingNetwork
from snnconv.progress import ProgressCallback, told
from snnconv.simulators import Stop, simulator_for
from snnconv.simulators.recorders import SpikeCounter
from snnconv.spiking.decisions import UNDECIDED, decisions
from snnconv.text import table

_logger = logging.getLogger(__name__)
#: Samples that are measured together.
PIECE = 256


@dataclass(frozen=True)
class Evaluation(Costs):
    """Decisions of a spiking network on a data set, beside the original network, and what they cost.

    Figures are means for one sample, but accuracies and agreement, which are percentages. What goes by step is
    ``None`` for a pipeline, which has no output before its last step.

    Attributes:
        samples: Number of samples.
        steps: The latency of a pipeline, else the time steps simulated.
        mean_steps: Time steps of a sample, which may stop earlier.
        neurons: Number of neurons.
        spikes_per_neuron: Spikes of a neuron.
        spikes_by_step: Spikes up to step t, at position t.
        spikes: Spikes by population.
        input_spikes: Spikes of the input.
        synops: Synaptic operations.
        synops_by_source: Synaptic operations by the population, gate or input whose spikes cause them.
        synops_by_layer: Synaptic operations, every weighted operator between two populations counted by itself.
        synops_are_bound: Whether the synaptic operations are an upper bound.
        activity: What the energy models take in.
        energy: Energy by every model.
        totals: The sums behind all costs.
        judged: Number of decisions that have a target.
        accuracy: Share of the decisions that are right; ``None`` without targets.
        reference_accuracy: That of the original network; ``None`` where there is none, too.
        agreement: Share of samples for which both networks decide the same; ``None`` without an original network.
        accuracy_by_step: Accuracy after t + 1 time steps, at position t.
        agreement_by_step: Agreement after t + 1 time steps, at position t.
        counts: The counts behind the percentages.
    """

    judged: int
    accuracy: float | None
    reference_accuracy: float | None
    agreement: float | None
    accuracy_by_step: list[float] | None
    agreement_by_step: list[float] | None
    counts: DecisionCounts = field(repr=False)

    def merge(self, other: Evaluation) -> Evaluation:
        """The evaluation on the data of both, exact to the last count.

        Both must be of one network under one setting, on different parts of a data set. Raises ``InputError`` where
        they cannot be.
        """
        check_alike(self, other, ())
        return _evaluation(self.totals.merge(other.totals), self.counts.merge(other.counts))

    @property
    def loss(self) -> float | None:
        """Percentage points of accuracy lost against the original network."""
        if self.accuracy is None or self.reference_accuracy is None:
            return None
        return self.reference_accuracy - self.accuracy

    @property
    def standard_error(self) -> float | None:
        """Standard error of the accuracy, in percentage points."""
        if self.accuracy is None:
            return None
        share = self.accuracy / 100.0
        return 100.0 * math.sqrt(share * (1.0 - share) / self.judged)

    def latency(self, loss: float = 0.5) -> int | None:
        """Time steps from which on the loss stays within ``loss`` percentage points; ``None`` if it never does.

        Without targets the share of samples decided otherwise than by the original counts as the loss. ``None`` also
        where there is no original network to lose against.
        """
        if self.agreement is None:
            return None
        if self.agreement_by_step is None:
            lost = 100.0 - self.agreement if self.loss is None else self.loss
            return self.steps if lost <= loss + 1e-9 else None
        if self.accuracy_by_step is None or self.reference_accuracy is None:
            losses = [100.0 - agreement for agreement in self.agreement_by_step]
        else:
            losses = [self.reference_accuracy - accuracy for accuracy in self.accuracy_by_step]
        reached = None
        for step in range(len(losses), 0, -1):
            if losses[step - 1] > loss + 1e-9:
                break
            reached = step
        return reached

    def to_dict(self) -> dict[str, Any]:
        """All figures as plain data, ready for JSON."""
        return {
            **super().to_dict(),
            "loss": self.loss,
            "standard_error": self.standard_error,
            "latency": {str(loss): self.latency(loss) for loss in (0.3, 0.5, 1.0, 2.5)},
        }

    def to_json(self) -> str:
        """The same as JSON text."""
        return json.dumps(self.to_dict(), indent=2)

    def _rows(self) -> list[list[str]]:
        """Steps, accuracy, agreement, spikes per neuron: for doubling numbers of steps, or at the end of a pipeline."""
        last = [str(self.steps), _text(self.accuracy), _text(self.agreement), f"{self.spikes_per_neuron:.3f}"]
        if self.spikes_by_step is None:
            return [last]
        silent = [None] * self.steps
        accuracies, agreements = self.accuracy_by_step or silent, self.agreement_by_step or silent
        rows = []
        for step in (2**power for power in range(20) if 2**power < self.steps):
            spikes = self.spikes_by_step[step - 1] / self.neurons
            rows.append([str(step), _text(accuracies[step - 1]), _text(agreements[step - 1]), f"{spikes:.3f}"])
        return [*rows, last]

    def __repr__(self) -> str:
        shares = {"accuracy": self.accuracy, "agreement": self.agreement}
        known = [f"{name} {share:.2f} %" for name, share in shares.items() if share is not None]
        what = [
            f"{self.samples} samples",
            f"{self.steps} steps",
            *known,
            f"{self.spikes_per_neuron:.3f} spikes per neuron",
        ]
        return f"Evaluation({', '.join(what)})"

    def __str__(self) -> str:
        rows = table(["steps", "accuracy %", "agreement %", "spikes per neuron"], self._rows())
        if self.agreement is None:
            origin = f"no original network; {self.activity.reference_macs:.4g} MACs without spikes"
            return "\n".join([rows, f"{origin}; {self.samples} samples", *self.cost_text("without spikes")])
        reference = _text(self.reference_accuracy)
        lines = [
            rows,
            f"original network: {reference} %, {self.activity.reference_macs:.4g} MACs; {self.samples} samples",
            "latency in steps: "
            + ", ".join(f"loss <= {loss}: {self.latency(loss) or 'not reached'}" for loss in (0.3, 0.5, 1.0, 2.5)),
            *self.cost_text(),
        ]
        return "\n".join(lines)


def _text(percentage: float | None) -> str:
    return "-" if percentage is None else f"{percentage:.2f}"


def evaluate(
    network: SpikingNetwork,
    data: Any,
    *,
    reference: nn.Module | None = None,
    simulator: str = "auto",
    steps: int | None = None,
    stop: Stop | None = None,
    seed: int = 0,
    rate_reference: Costs | None = None,
    progress: ProgressCallback | None = None,
    constants: Mapping[str, Tensor] | None = None,
) -> Evaluation:
    """Measure ``network`` on ``data``, batch by batch; nothing is stored whole.

    Args:
        network: The network to measure. One that learned through its own spikes has no original, and is wrong where no
            output neuron fires.
        data: (inputs, targets), a tensor of inputs, or an iterable of batches; it is cut into pieces of ``PIECE``
            samples. A target of -100 leaves its sample out of the accuracies. Class scores lie along axis 1 of the
            first output.
        reference: The original model; without it the captured graph stands in.
        simulator: As for ``SpikingNetwork.run``.
        steps: As for ``SpikingNetwork.run``.
        stop: As for ``SpikingNetwork.run``.
        seed: Seed of a stochastic input.
        rate_reference: Figures of a rate-coded run, for energy E1.
        progress: Called as the work comes on; what it raises ends the work (see ``Progress``).
        constants: Arguments of the reference's forward that ``convert`` was given.

    Returns:
        Accuracy, latency, spikes, synaptic operations and energy beside those of the original.

    Raises:
        InputError: The data do not fit the network.
        ConfigurationError: An option is out of range, or the constants do not fit the reference.
    """
    reference = None if reference is None else bound(reference, constants)
    counter = SpikeCounter(network, by_step=network.timing is None)
    tally = DecisionCounter(network.decide)
    lengths = 0
    for batch in told(progress, "evaluating", *_parts(network, data)):
        for inputs, targets in _pieces(network, *batch):
            inputs = network.check(inputs, "data")
            tally.batch(_reference_decisions(network, reference, inputs), targets)
            chosen = simulator_for(network, simulator, steps=steps, stop=stop, seed=seed)
            _, taken = chosen.run(inputs, [counter, tally])
            seed += 1
            lengths += int(taken.sum())
    compared = reference is not None or not network.learned
    if network.tuned and reference is None:
        _logger.warning(
            "the network was tuned, so it is compared with its own tuned weights; pass the model as reference to "
            "compare it with the original"
        )
    rate_run = None if rate_reference is None else (rate_reference.activity.spikes, rate_reference.activity.latency)
    totals = totals_of(network, counter, chosen.steps, lengths, rate_run)
    return _evaluation(totals, tally.counted(chosen.steps, compared))


def _parts(network: SpikingNetwork, data: Any) -> tuple[Iterable[tuple[Inputs, Tensor | None]], int | None]:
    """What is measured between two calls of ``progress``, and the number of such parts where it is known."""
    found = batches(data, "data")
    if isinstance(data, (Tensor, tuple)):
        pieces = [piece for batch in found for piece in _pieces(network, *batch)]
        return pieces, len(pieces)
    return found, number_of_batches(data)


def _pieces(network: SpikingNetwork, inputs: Inputs, targets: Tensor | None) -> Iterator[tuple[Inputs, Tensor | None]]:
    """A batch in pieces, so that a whole data set may come as one."""
    if network.batch_axis is None:
        yield inputs, targets
        return
    for start in range(0, inputs[0].shape[0], PIECE):
        cut = slice(start, start + PIECE)
        yield tuple(tensor[cut] for tensor in inputs), None if targets is None else targets[cut]


def _reference_decisions(network: SpikingNetwork, reference: nn.Module | None, inputs: Inputs) -> Tensor:
    if reference is None:
        if network.learned:
            return torch.full(inputs[0].shape[:1], UNDECIDED, device=inputs[0].device)
        return decisions(network.reference(*inputs))
    check_call(reference, inputs, "reference")
    with torch.no_grad(), evaluation_mode(reference):
        return decisions(reference(*inputs))


def _evaluation(totals: Totals, counts: DecisionCounts) -> Evaluation:
    streams = totals.spikes_by_step is not None
    judged = counts.has_targets and counts.judged > 0
    accuracies = [100.0 * correct / counts.judged for correct in counts.correct] if judged else None
    agreements = [100.0 * agreeing / counts.decided for agreeing in counts.agreeing] if counts.compared else None
    return Evaluation(
        **measures(totals),
        judged=counts.judged,
        accuracy=None if accuracies is None else accuracies[-1],
        reference_accuracy=100.0 * counts.reference_correct / counts.judged if judged and counts.compared else None,
        agreement=None if agreements is None else agreements[-1],
        accuracy_by_step=accuracies if streams else None,
        agreement_by_step=agreements if streams else None,
        counts=counts,
    )
