"""The rows of a sweep: each a configuration, converted and measured here or by others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, fields, replace
from typing import Any

from torch import Tensor, nn

from coding import CodingPlan
from snnconv.calibration.assembly import Calibrated, assemble
from snnconv.calibration.options import Options
from snnconv.errors import ConfigurationError, ModelError
from snnconv.metrics.evaluation import evaluate
from snnconv.metrics.evaluation_result import Evaluation
from snnconv.progress import Inner, ProgressCallback
from snnconv.ranks import ALONE, Ranks
from snnconv.scaling.shared import SharedValue
from snnconv.scaling.spreading import Spreading
from snnconv.surroundings import own_surroundings
from snnconv.sweeps.preparing import PreparedSweep
from snnconv.sweeps.results import Measured

#: What a row has come to: figures, or why it failed.
Outcome = dict[str, Any]


@dataclass(frozen=True)
class RowTask:
    """What measures a configuration: ``options`` of its conversion, the ``original``, the ``data``, how to judge."""

    options: Options
    original: nn.Module
    data: Any
    judging: Mapping[str, Any]
    ranks: Ranks = ALONE

    def __call__(self, calibrated: Calibrated, plan: CodingPlan, progress: ProgressCallback | None = None) -> Outcome:
        """The figures of ``plan``; raises what its conversion and evaluation raise."""
        network = assemble(calibrated, plan, self.options, progress)
        result = evaluate(
            network, self.data, reference=self.original, progress=progress, ranks=self.ranks, **self.judging
        )
        return {"figures": _figures(result, plan)}


def rows(
    found: PreparedSweep, spread: Spreading | None, progress: ProgressCallback | None, ranks: Ranks = ALONE
) -> Iterator[tuple[str, Outcome]]:
    """What is pending of a sweep, label by label as it is measured, by ``spread`` in any order.

    ``ranks`` share the data of every configuration. A configuration that the network does not support has failed, and
    says why.
    """
    task = RowTask(found.options, found.original, found.data, found.judging, ranks)
    if spread is None:
        for label in found.pending:
            inner = None if progress is None else Inner(progress, label)
            try:
                outcome = task(_calibrated(found, label, inner), _plan(found, label), inner)
            except (ConfigurationError, ModelError) as error:  # a model that no code suits was refused before
                if inner is not None and inner.cancelled:
                    raise
                outcome = {"failure": str(error)}
            yield label, outcome
        return
    if isinstance(found.data, (Tensor, tuple, list)):  # what has to be loaded is loaded by those who measure with it
        found.original.remember(found.data, found.calibrator.captured.graph.batch_axis, spread)
    with ExitStack() as stack:
        common = stack.enter_context(SharedValue(task, "the data set, the model or an option"))
        observed: dict[int, SharedValue] = {}
        labels, calls = [], []
        for label in found.pending:
            inner = None if progress is None else Inner(progress, label)
            try:
                calibrated = _calibrated(found, label, inner, spread)
            except (ConfigurationError, ModelError) as error:
                if inner is not None and inner.cancelled:
                    raise
                yield label, {"failure": str(error)}
                continue
            if id(calibrated) not in observed:  # the calibrator keeps it, so that no other has its identity
                content = replace(calibrated, currents={})
                observed[id(calibrated)] = stack.enter_context(SharedValue(content, "the model"))
            labels.append(label)
            calls.append((common, observed[id(calibrated)], _plan(found, label)))
        for number, outcome in spread.as_completed(_row, calls, "a coding", [common, *observed.values()]):
            yield labels[number], outcome


@own_surroundings()
def _row(task: RowTask, calibrated: Calibrated, plan: CodingPlan) -> Outcome:
    try:
        return task(calibrated, plan)
    except (ConfigurationError, ModelError) as error:
        return {"failure": str(error)}


def _plan(found: PreparedSweep, label: str) -> CodingPlan:
    plan, _ = found.plans[label]
    if isinstance(plan, Exception):
        raise plan
    return plan


def _calibrated(
    found: PreparedSweep, label: str, progress: ProgressCallback | None, spread: Spreading | None = None
) -> Calibrated:
    return found.calibrator.calibrated(_plan(found, label), found.options, progress, spread)


def _figures(found: Evaluation, plan: CodingPlan) -> dict[str, Any]:
    energies = {name: getattr(found.energy, name) for name in ("e2", "e2_reference", "e3", "e3_reference")}
    errors: dict[str, float | None] = {}
    for prefix, each in (("", found.errors), ("reference_", found.reference_errors)):
        kinds = {"relative_error": each.relative, "mse": each.mse, "r2": each.r2} if each is not None else {}
        errors |= {f"{prefix}{name}": figure for name, figure in kinds.items()}
    own = {each.name: getattr(found, each.name) for each in fields(Measured) if hasattr(found, each.name)}
    macs = {name: getattr(found.totals, name) for name in ("analog_macs", "reference_macs")}
    return {**own, **errors, **macs, "code": plan.hidden.name, "latency": found.mean_steps, **energies}
