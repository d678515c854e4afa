"""What ``snnconv.evaluate`` measured of a spiking network, beside the original."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from snnconv.metrics.binomial import binomial_interval
from snnconv.metrics.costs import Costs, measures
from snnconv.metrics.decision_counts import DecisionCounts
from snnconv.metrics.judge import Judgement
from snnconv.metrics.totals import Totals, check_alike
from snnconv.metrics.value_errors import ValueErrors
from snnconv.tables import Cell, Column, ResultTable


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
        synops_are_bound: Whether the synaptic operations, and with them energies, are upper bounds.
        activity: What the energy models take in.
        energy: Energy by every model.
        totals: The sums behind all costs.
        judged: Number of decisions, labels or values that have a target.
        accuracy: Share of the decisions, or labels, that are right; ``None`` without targets, and for values.
        reference_accuracy: That of the original network; ``None`` where there is none, too.
        agreement: Share of decisions in which both networks are alike; ``None`` without an original network, and for
            values.
        accuracy_by_step: Accuracy after t + 1 time steps, at position t.
        agreement_by_step: Agreement after t + 1 time steps, at position t.
        errors: Errors of values against targets; ``None`` without targets, and for decisions.
        reference_errors: Those of the original network; ``None`` where there is none, too.
        deviation: 2-norm of what values differ by from the original's, in that of these; ``None`` for decisions.
        error_by_step: Relative error against targets after t + 1 time steps, at position t.
        deviation_by_step: Deviation after t + 1 time steps, at position t.
        counts: The counts and sums behind what is judged.
    """

    judged: int
    accuracy: float | None = None
    reference_accuracy: float | None = None
    agreement: float | None = None
    accuracy_by_step: list[float] | None = None
    agreement_by_step: list[float] | None = None
    errors: ValueErrors | None = None
    reference_errors: ValueErrors | None = None
    deviation: float | None = None
    error_by_step: list[float | None] | None = None
    deviation_by_step: list[float] | None = None
    counts: Judgement = field(repr=False, kw_only=True)

    @staticmethod
    def of(totals: Totals, counts: Judgement) -> Evaluation:
        """The evaluation that follows from what was counted."""
        return Evaluation(**measures(totals), **counts.figures(totals.spikes_by_step is not None), counts=counts)

    def merge(self, other: Evaluation) -> Evaluation:
        """The evaluation on the data of both, exact to the last count; sums of squared errors to rounding.

        Both must be of one network under one setting, on different parts of a data set. Raises ``InputError`` where
        they cannot be.
        """
        check_alike(self, other, ())
        return Evaluation.of(self.totals.merge(other.totals), self.counts.merge(other.counts))

    @property
    def decided(self) -> int | None:
        """Number of decisions, or labels, with targets or without, that agreement counts; ``None`` for values."""
        return self.counts.decided if isinstance(self.counts, DecisionCounts) else None

    @property
    def compared(self) -> bool:
        """Whether there is an original network that was judged as well."""
        return self.agreement is not None or self.deviation is not None

    @property
    def courses(self) -> dict[str, Sequence[float | None]]:
        """What is judged after every time step, by its name, what tells most first; of a pipeline at its end alone.

        Accuracy and agreement are percentages, deviation and error relative; what is known at no step is not there.
        """
        known: dict[str, tuple[Sequence[float | None] | None, float | None]] = {
            "deviation from the original": (self.deviation_by_step, self.deviation),
            "error against targets": (self.error_by_step, _relative(self.errors)),
            "accuracy": (self.accuracy_by_step, self.accuracy),
            "agreement": (self.agreement_by_step, self.agreement),
        }
        found = {name: [end] if course is None else course for name, (course, end) in known.items()}
        return {name: course for name, course in found.items() if any(value is not None for value in course)}

    @property
    def intervals(self) -> dict[str, list[tuple[float, float]]]:
        """The 95 % intervals of those ``courses`` that are shares of decisions, by the same names and steps."""
        counts = {"accuracy": self.judged, "agreement": self.decided}
        return {
            name: [binomial_interval(value, count) for value in self.courses[name] if value is not None]
            for name, count in counts.items()
            if name in self.courses and count
        }

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

        Without targets the share of samples decided otherwise than by the original counts as the loss, for values the
        deviation in percent. ``None`` also where there is no original network to lose against.
        """
        _, losses = self._losses()
        reached = None
        for step in range(len(losses), 0, -1):
            if losses[step - 1] > loss + 1e-9:
                break
            reached = step
        return self.steps if reached is not None and len(losses) == 1 else reached

    def _losses(self) -> tuple[str, list[float]]:
        """What counts as the loss, and it in percent after every step, or at the end of a pipeline.

        There is none without an original network.
        """
        if self.deviation is not None:
            return "deviation in %", [100.0 * each for each in self.deviation_by_step or [self.deviation]]
        if self.agreement is None:
            return "loss", []
        if self.accuracy is not None and self.reference_accuracy is not None:
            return "loss", [self.reference_accuracy - accuracy for accuracy in self.accuracy_by_step or [self.accuracy]]
        return "disagreement in %", [100.0 - agreement for agreement in self.agreement_by_step or [self.agreement]]

    def to_dict(self) -> dict[str, Any]:
        """All figures as plain data, ready for JSON."""
        return {
            **super().to_dict(),
            "errors": None if self.errors is None else vars(self.errors),
            "reference_errors": None if self.reference_errors is None else vars(self.reference_errors),
            "loss": self.loss,
            "standard_error": self.standard_error,
            "latency": {str(loss): self.latency(loss) for loss in (0.3, 0.5, 1.0, 2.5)},
        }

    def to_json(self) -> str:
        """The same as JSON text."""
        return json.dumps(self.to_dict(), indent=2)

    @property
    def _judged_as_values(self) -> bool:
        return self.errors is not None or self.deviation is not None

    def to_table(self) -> ResultTable:
        """The original, then what is judged and spikes after doubling numbers of steps, or at a pipeline's end."""
        courses: tuple[Sequence[float | None] | None, ...]
        if self._judged_as_values:
            judged = (Column("relative error", form=".4f"), Column("deviation", form=".4f"))
            relative, original = (_relative(each) for each in (self.errors, self.reference_errors))
            ends, courses = (relative, self.deviation), (self.error_by_step, self.deviation_by_step)
        else:
            judged = (Column("accuracy", "%", ".2f"), Column("agreement", "%", ".2f"))
            original = self.reference_accuracy
            ends, courses = (self.accuracy, self.agreement), (self.accuracy_by_step, self.agreement_by_step)
        rows: list[tuple[Cell, ...]] = [] if original is None else [("original", original, None, None)]
        if self.spikes_by_step is not None:
            for step in (2**power for power in range(20) if 2**power < self.steps):
                cells = (None if course is None else course[step - 1] for course in courses)
                rows.append((step, *cells, self.spikes_by_step[step - 1] / self.neurons))
        rows.append((self.steps, *ends, self.spikes_per_neuron))
        return ResultTable((Column("steps"), *judged, Column("spikes per neuron", form=".3f")), tuple(rows))

    def __repr__(self) -> str:
        shares = {"accuracy": self.accuracy, "agreement": self.agreement}
        known = [f"{name} {share:.2f} %" for name, share in shares.items() if share is not None]
        if self.errors is not None:
            known.append(_errors_text(self.errors))
        if self.deviation is not None:
            known.append(f"deviation {self.deviation:.4f}")
        what = [
            f"{self.samples} samples",
            f"{self.steps} steps",
            *known,
            f"{self.spikes_per_neuron:.3f} spikes per neuron",
        ]
        return f"Evaluation({', '.join(what)})"

    def __str__(self) -> str:
        lines = [str(self.to_table())]
        macs = f"{self.activity.reference_macs:.4g} MACs"
        if self.errors is not None:
            lines.append(f"against targets: {_errors_text(self.errors)}")
        if not self.compared:
            lines.append(f"no original network; {macs} without spikes; {self.samples} samples")
            return "\n".join([*lines, *self.cost_text("without spikes")])
        if self._judged_as_values:
            reference = "no targets" if self.reference_errors is None else _errors_text(self.reference_errors)
        else:
            reference = "no targets" if self.reference_accuracy is None else f"{self.reference_accuracy:.2f} %"
        loss_name, _ = self._losses()
        return "\n".join(
            [
                *lines,
                f"original network: {reference}, {macs}; {self.samples} samples",
                "latency in steps: "
                + ", ".join(
                    f"{loss_name} <= {loss}: {self.latency(loss) or 'not reached'}" for loss in (0.3, 0.5, 1.0, 2.5)
                ),
                *self.cost_text(),
            ]
        )


def _relative(errors: ValueErrors | None) -> float | None:
    return None if errors is None else errors.relative


def _errors_text(errors: ValueErrors) -> str:
    relative, r2 = ("-" if each is None else f"{each:.4f}" for each in (errors.relative, errors.r2))
    return f"relative error {relative}, MSE {errors.mse:.4g}, R2 {r2}"
