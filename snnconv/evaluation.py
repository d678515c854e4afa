"""evaluate(): accuracy, latency, spikes, synaptic operations and energy of a spiking network beside the original."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate, zip_longest
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from snnconv.binding import bound, check_call
from snnconv.data.batches import IGNORED_TARGET, Inputs, batches
from snnconv.energy import Activity, Energy, energy
from snnconv.errors import InputError
from snnconv.network import SpikingNetwork
from snnconv.report import table
from snnconv.simulators.clock import Clock, Stop
from snnconv.simulators.observers import Observer, Samples, SpikeCounter
from snnconv.tracing import evaluation_mode

#: Samples that are measured together.
PIECE = 256


@dataclass(frozen=True)
class Evaluation:
    """Measures of a spiking network on a data set, beside the original network.

    Accuracies and agreement (share of samples for which both decide alike) are percentages; they are ``None`` without
    targets. ``accuracy_by_step[t]`` and ``agreement_by_step[t]`` hold after ``t + 1`` time steps, ``spikes_by_step[t]``
    are the mean spikes of a sample up to there. Spikes, synaptic operations and energy are means for one sample.
    ``judged`` counts the decisions that have a target.
    """

    samples: int
    judged: int
    steps: int
    accuracy: float | None
    reference_accuracy: float | None
    agreement: float
    accuracy_by_step: list[float] | None
    agreement_by_step: list[float]
    mean_steps: float
    neurons: int
    spikes_per_neuron: float
    spikes_by_step: list[float]
    spikes: dict[str, float]
    input_spikes: float
    synops: float
    synops_by_source: dict[str, float]
    synops_by_layer: float
    synops_are_bound: bool
    activity: Activity
    energy: Energy

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

        Without targets the share of samples decided otherwise than by the original counts as the loss.
        """
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
        plain = {key: value for key, value in vars(self).items() if key not in ("activity", "energy")}
        return {
            **plain,
            "loss": self.loss,
            "standard_error": self.standard_error,
            "latency": {str(loss): self.latency(loss) for loss in (0.3, 0.5, 1.0, 2.5)},
            "activity": vars(self.activity),
            "energy": self.energy.to_dict(),
        }

    def to_json(self) -> str:
        """The same as JSON text."""
        return json.dumps(self.to_dict(), indent=2)

    def __str__(self) -> str:
        rows = []
        marks = [step for step in (2**power for power in range(20)) if step < self.steps] + [self.steps]
        for step in marks:
            accuracy = "-" if self.accuracy_by_step is None else f"{self.accuracy_by_step[step - 1]:.2f}"
            spikes = self.spikes_by_step[step - 1] / self.neurons
            rows.append([str(step), accuracy, f"{self.agreement_by_step[step - 1]:.2f}", f"{spikes:.3f}"])
        reference = "-" if self.reference_accuracy is None else f"{self.reference_accuracy:.2f}"
        bound = " (upper bound)" if self.synops_are_bound else ""
        e = self.energy
        lines = [
            table(["steps", "accuracy %", "agreement %", "spikes per neuron"], rows),
            f"original network: {reference} %, {self.activity.reference_macs:.4g} MACs; {self.samples} samples",
            f"synaptic operations per sample: {self.synops:.4g}{bound}, "
            f"counted layer by layer {self.synops_by_layer:.4g}; "
            f"MACs of the analog input {self.activity.input_macs:.4g}",
            "latency in steps: "
            + ", ".join(f"loss <= {loss}: {self.latency(loss) or 'not reached'}" for loss in (0.3, 0.5, 1.0, 2.5)),
            f"energy E2 (MAC 4.6 pJ, AC 0.9 pJ): {e.e2:.3g} J, original {e.e2_reference:.3g} J",
            f"energy E3 (memory 5.0, add 0.9, multiply 3.7 pJ): {e.e3:.3g} J, original {e.e3_reference:.3g} J",
        ]
        if e.e1 is not None:
            chips = ", ".join(f"{chip} {value:.3f}" for chip, value in e.e1.items())
            lines.append(f"energy E1 (rate coding is 1): {chips}")
        return "\n".join(lines)


def evaluate(
    network: SpikingNetwork,
    data: Any,
    *,
    reference: nn.Module | None = None,
    steps: int | None = None,
    stop: Stop | None = None,
    seed: int = 0,
    rate_reference: Evaluation | None = None,
    progress: Callable[[Iterable[Any]], Iterable[Any]] | None = None,
    constants: Mapping[str, Tensor] | None = None,
) -> Evaluation:
    """Measure ``network`` on ``data``, batch by batch; nothing is stored whole.

    ``data`` is (inputs, targets), a tensor of inputs, or an iterable of batches; it is cut into pieces of ``PIECE``
    samples. A target of -100 leaves its sample out of the accuracies. Class scores lie along axis 1 of the first
    output. ``reference`` is the original model, called with the ``constants`` that ``convert`` was given; without it
    the captured graph stands in. ``rate_reference`` is the evaluation of a rate-coded run, for energy E1. ``progress``
    wraps the iteration over batches, as ``rich.progress.track`` does. Raises ``InputError`` for data that does not fit
    and ``ConfigurationError`` for constants that do not.
    """
    reference = None if reference is None else bound(reference, constants)
    counter = SpikeCounter(network, by_step=True)
    tally = _Tally()
    lengths = 0
    for batch in batches(data, "data") if progress is None else progress(batches(data, "data")):
        for inputs, targets in _pieces(network, *batch):
            inputs = network.check(inputs, "data")
            tally.batch(_decisions(_reference_output(network, reference, inputs)), targets)
            clock = Clock(network, steps=steps, stop=stop, seed=seed)
            _, taken = clock.run(inputs, [counter, tally])
            seed += 1
            lengths += int(taken.sum())
    return _evaluation(network, counter, tally, clock.steps, lengths, rate_reference)


def _pieces(network: SpikingNetwork, inputs: Inputs, targets: Tensor | None) -> Iterator[tuple[Inputs, Tensor | None]]:
    """A batch in pieces, so that a whole data set may come as one."""
    if network.batch_axis is None:
        yield inputs, targets
        return
    for start in range(0, inputs[0].shape[0], PIECE):
        cut = slice(start, start + PIECE)
        yield tuple(tensor[cut] for tensor in inputs), None if targets is None else targets[cut]


def _reference_output(network: SpikingNetwork, reference: nn.Module | None, inputs: Inputs) -> Any:
    if reference is None:
        return network.reference(*inputs)
    check_call(reference, inputs, "reference")
    with torch.no_grad(), evaluation_mode(reference):
        return reference(*inputs)


def _decisions(output: Any) -> Tensor:
    """The class each sample (or position) is assigned to: the largest score along axis 1 of the first output."""
    scores = next(leaf for leaf in tree_leaves(output) if isinstance(leaf, Tensor))
    if scores.dim() < 2 or scores.shape[1] < 2:
        raise InputError(
            f"evaluate needs class scores along axis 1 of the output, which has shape {list(scores.shape)}; for other "
            "outputs use verify, or compare snn(inputs) with model(inputs)"
        )
    return scores.argmax(1)


class _Tally(Observer):
    """Correct and agreeing decisions after every step; a sample that stopped keeps its last decision."""

    wants_output = True

    def __init__(self) -> None:
        self.judged = self.decided = self.reference_correct = 0
        self.has_targets: bool | None = None
        # Per step: decisions of running samples, and decisions that are final from this step on.
        self._running: list[list[int]] = []
        self._final: list[list[int]] = []

    def batch(self, reference: Tensor, targets: Tensor | None) -> None:
        """Start a batch with the decisions of the reference and the targets."""
        if self.has_targets not in (None, targets is not None):
            raise InputError("data: some batches have targets and some have none")
        self.has_targets = targets is not None
        if targets is not None and (targets.is_floating_point() or targets.is_complex()):
            raise InputError(f"data: targets are {targets.dtype}; they must be class indices, whole numbers")
        if targets is not None and targets.shape != reference.shape:
            raise InputError(
                f"data: targets have shape {list(targets.shape)}, decisions have {list(reference.shape)}; "
                "targets are class indices"
            )
        self._reference = reference
        self._targets = torch.full_like(reference, IGNORED_TARGET) if targets is None else targets.to(reference)
        counted = self._targets != IGNORED_TARGET
        self.decided += reference.numel()
        self.judged += int(counted.sum())
        self.reference_correct += int((reference == self._targets)[counted].sum())

    def output(self, t: int, output: Any, samples: Samples) -> None:
        self._count(self._running, t, output, samples)

    def stopped(self, t: int, output: Any, samples: Samples) -> None:
        self._count(self._final, t + 1, output, samples)

    def _count(self, table: list[list[int]], t: int, output: Any, samples: Samples) -> None:
        while len(table) <= t:
            table.append([0, 0])
        decisions = _decisions(output)
        table[t][0] += int((decisions == self._targets[samples]).sum())
        table[t][1] += int((decisions == self._reference[samples]).sum())

    def by_step(self) -> list[tuple[int, int]]:
        """Correct and agreeing decisions after every step."""
        found, correct, agreeing = [], 0, 0
        for running, final in zip_longest(self._running, self._final, fillvalue=[0, 0]):
            correct, agreeing = correct + final[0], agreeing + final[1]
            found.append((running[0] + correct, running[1] + agreeing))
        return found[: len(self._running)]


def _evaluation(
    network: SpikingNetwork,
    counter: SpikeCounter,
    tally: _Tally,
    steps: int,
    lengths: int,
    rate_reference: Evaluation | None,
) -> Evaluation:
    samples = counter.samples
    # Where every sample stopped early, the rest of the time stays as it was.
    by_step = tally.by_step()
    by_step += by_step[-1:] * (steps - len(by_step))
    spikes_by_step = list(accumulate(counter.by_step))
    spikes_by_step += spikes_by_step[-1:] * (steps - len(spikes_by_step))
    judged = bool(tally.has_targets) and tally.judged > 0
    accuracies = [100.0 * correct / tally.judged for correct, _ in by_step] if judged else None
    agreements = [100.0 * agreeing / tally.decided for _, agreeing in by_step]
    spikes = {name: count / samples for name, count in counter.spikes().items()}
    synops = {name: count / samples for name, count in counter.synops().items()}
    activity = _activity(network, sum(spikes.values()), sum(synops.values()), lengths / samples)
    reference_run = None
    if rate_reference is not None:
        reference_run = (rate_reference.activity.spikes, rate_reference.activity.latency)
    return Evaluation(
        samples=samples,
        judged=tally.judged,
        steps=steps,
        accuracy=None if accuracies is None else accuracies[-1],
        reference_accuracy=100.0 * tally.reference_correct / tally.judged if judged else None,
        agreement=agreements[-1],
        accuracy_by_step=accuracies,
        agreement_by_step=agreements,
        mean_steps=lengths / samples,
        neurons=activity.neurons,
        spikes_per_neuron=activity.spikes / activity.neurons,
        spikes_by_step=[count / samples for count in spikes_by_step],
        spikes=spikes,
        input_spikes=counter.input_spikes / samples,
        synops=activity.synops,
        synops_by_source=synops,
        synops_by_layer=sum(counter.synops_by_layer().values()) / samples,
        synops_are_bound=bool(network.synapses.bounds),
        activity=activity,
        energy=energy(activity, reference_run),
    )


def _activity(network: SpikingNetwork, spikes: float, synops: float, latency: float) -> Activity:
    synapses, populations = network.synapses, network.populations
    input_macs = 0 if network.plan.input.spiking else synapses.input_macs
    active = sum(float(synapses.fan_out_by_layer[name].sum()) * share for name, share in network.densities.items())
    neurons = sum(population.neurons for population in populations.values())
    words, additions, multiplications = (
        sum(p.neurons * p.neuron.update_cost[part] for p in populations.values()) for part in range(3)
    )
    return Activity(
        spikes=spikes,
        latency=latency,
        synops=synops,
        input_macs=input_macs * latency,
        updates=neurons * latency,
        update_words=words * latency,
        update_additions=additions * latency,
        update_multiplications=multiplications * latency,
        neurons=neurons,
        reference_macs=synapses.macs,
        # Paths that meet between two weighted operators are one multiplication, so the sum over paths may exceed it.
        reference_active_macs=min(active, float(synapses.macs)),
    )
