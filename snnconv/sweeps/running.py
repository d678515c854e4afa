"""sweep(): one network under many codings, measured into one table and one picture, resumable."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any

from torch import Tensor, nn
from torch.export import ExportedProgram

from coding import Code, CodingPlan, InputCode, Schedule
from coding.plan import as_plan
from coding.registry import as_input
from snnconv.calibration.assembly import Calibrator, assemble
from snnconv.calibration.options import Options
from snnconv.calibration.samples import Calibration
from snnconv.capture.binding import bound
from snnconv.capture.tracing import runnable
from snnconv.data.batches import IGNORED_TARGET
from snnconv.errors import ConfigurationError, ModelError
from snnconv.graph.graph import Graph
from snnconv.metrics.evaluation import evaluate
from snnconv.metrics.evaluation_result import Evaluation
from snnconv.metrics.judge import TargetJudge
from snnconv.metrics.judge_choice import check_targets
from snnconv.metrics.remembered_outputs import RememberedOutputs
from snnconv.progress import Inner, ProgressCallback, tell
from snnconv.storage.digests import data_digest, graph_digest, option_text, weights_digest
from snnconv.surroundings import own_surroundings
from snnconv.sweeps.file import SweepFile
from snnconv.sweeps.results import Measured
from snnconv.sweeps.table import Failed, Sweep, measured_of
from snnconv.version import __version__

_logger = logging.getLogger(__name__)


@own_surroundings()
def sweep(
    model: nn.Module | ExportedProgram,
    calibration: Any,
    data: Any,
    codings: Mapping[str, Any],
    *,
    input: str | Code | InputCode | None = None,
    schedule: Schedule | None = None,
    constants: Mapping[str, Tensor] | None = None,
    analog: Sequence[str] = (),
    path: str | os.PathLike[str] | None = None,
    reference: nn.Module | None = None,
    judge: TargetJudge | None = None,
    ignore_index: int = IGNORED_TARGET,
    progress: ProgressCallback | None = None,
    **convert_options: Any,
) -> Sweep:
    """Convert ``model`` with every one of ``codings`` and evaluate it on ``data``, all else being equal.

    Every number of steps is a run of its own: spikes could be read off a longer run, synaptic operations could not. A
    coding that the network does not support (``ConfigurationError`` or ``ModelError``) is recorded with its reason, and
    the sweep goes on.

    Args:
        model: The network, or an exported program, as for ``convert``.
        calibration: What ``convert`` takes.
        data: What ``evaluate`` takes.
        codings: What ``convert`` takes as ``coding``, a search ("auto") excepted, by a label of your own.
        input: What ``convert`` takes, for all codings, as the next two.
        schedule: What ``convert`` takes.
        constants: What ``convert`` takes.
        analog: What ``convert`` takes.
        path: File that is written after each configuration, whole or not at all. A later sweep with the same path reads
            finished configurations back and measures the others, those whose coding changed and those that failed.
            Calibration samples may come in another order or in other batches, the data set may not.
        reference: The original network if it is not ``model`` itself.
        judge: What ``evaluate`` takes, as the next.
        ignore_index: What ``evaluate`` takes.
        progress: Called as the work comes on; what it raises ends the work (see ``Progress``).
        **convert_options: Further options of ``convert``, for all codings: how scales, neurons and biases are chosen.

    Returns:
        The measured configurations, and those that failed.

    Raises:
        StorageError: The file is from another version of snnconv, or for another model, calibration, data set,
            reference or set of options, so that rows could not be compared.
        ConfigurationError: There are no codings, or labels or options cannot be used.
        SnnconvError: Whatever else ``convert`` and ``evaluate`` raise.
    """
    if not isinstance(codings, Mapping) or not codings:
        raise ConfigurationError('codings must map labels to codings, such as {"rate 16": Rate(16)}')
    if len({str(label) for label in codings}) < len(codings):
        raise ConfigurationError(f"labels must differ as text, got {', '.join(map(repr, codings))}")
    if reference is not None and not isinstance(reference, nn.Module):
        raise ConfigurationError(f"reference must be a torch.nn.Module, got {type(reference).__name__}")
    calibration, data = (list(each) if isinstance(each, Iterator) else each for each in (calibration, data))
    options = _options(convert_options)
    if input is not None:
        as_input(input)
    reference = None if reference is model else reference
    original = RememberedOutputs(bound(runnable(model) if reference is None else reference, constants))
    calibrator = Calibrator(model, calibration, constants, progress, analog)
    graph = calibrator.captured.graph
    check_targets(original, calibrator.captured, data, judge, ignore_index)
    judging = {"judge": judge, "ignore_index": ignore_index} if judge or ignore_index != IGNORED_TARGET else {}
    common = {} if path is None else _common(graph, calibrator.samples, data, reference, convert_options | judging)
    file = SweepFile(path, common)
    plans = {str(label): _planned(coding, input, schedule, path is not None) for label, coding in codings.items()}
    entries = {}
    for label, (_, fingerprint) in plans.items():
        stored = file.entries.get(label, {})
        if fingerprint and stored.get("fingerprint") == fingerprint and measured_of(label, stored):
            entries[label] = stored
    pending = [label for label in plans if label not in entries]
    _logger.info("%d configurations to measure, %d read back from %s", len(pending), len(entries), path)
    tell(progress, "sweeping", len(entries), len(plans))
    for label in pending:
        plan, fingerprint = plans[label]
        inner = None if progress is None else Inner(progress, label)
        try:
            if isinstance(plan, Exception):
                raise plan
            network = assemble(calibrator.calibrated(plan, options, inner), plan, options, inner)
            found = evaluate(network, data, reference=original, judge=judge, ignore_index=ignore_index, progress=inner)
            outcome: dict[str, Any] = {"figures": _figures(found, plan)}
        except (ConfigurationError, ModelError) as error:  # a model that no code suits was refused above
            if inner is not None and inner.cancelled:
                raise
            outcome = {"failure": str(error)}
        entries[label] = {"fingerprint": fingerprint, **outcome}
        file.add(label, entries[label])
        tell(progress, "sweeping", len(entries), len(plans))
    results = [measured_of(label, entries[label]) for label in plans]
    failures = tuple(Failed(label, entries[label]["failure"]) for label in plans if "failure" in entries[label])
    return Sweep(tuple(result for result in results if result is not None), failures)


def _options(given: Mapping[str, Any]) -> Options:
    known = [field.name for field in fields(Options)]
    for key in given:
        if key not in known:
            raise ConfigurationError(f"sweep has no option {key!r}; further options of convert: {', '.join(known)}")
    options = Options(**given)
    options.check()
    return options


def _common(
    graph: Graph, samples: Calibration, data: Any, reference: nn.Module | None, options: Mapping[str, Any]
) -> dict[str, str]:
    """What all configurations of a file have in common, mostly as digests, by what an error calls it."""
    arranged = [(inputs, None) for inputs in (*samples.fitted, *samples.held_out)]  # in whatever order they came
    return {
        "version of snnconv": __version__,  # another one may choose other scales for the same codes
        "model": graph_digest(graph),
        "calibration": data_digest(arranged, "calibration"),
        "data set": data_digest(data, "data"),
        "reference": "" if reference is None else weights_digest(reference),
        "set of options": "".join(f"{key}={option_text(key, value)}; " for key, value in sorted(options.items())),
    }


def _planned(
    coding: Any, input: str | Code | InputCode | None, schedule: Schedule | None, resumable: bool
) -> tuple[CodingPlan | Exception, str]:
    """The plan that ``coding`` means, or why it means none, and its fingerprint."""
    if isinstance(coding, str) and coding == "auto":
        return ConfigurationError('a sweep measures given codes; search for them by convert(..., coding="auto")'), ""
    try:
        plan = as_plan(coding, input, schedule)
    except ConfigurationError as error:
        return error, ""
    return plan, option_text("coding", plan) if resumable else ""


def _figures(found: Evaluation, plan: CodingPlan) -> dict[str, Any]:
    energies = {name: getattr(found.energy, name) for name in ("e2", "e2_reference", "e3", "e3_reference")}
    errors: dict[str, float | None] = {}
    for prefix, each in (("", found.errors), ("reference_", found.reference_errors)):
        kinds = {"relative_error": each.relative, "mse": each.mse, "r2": each.r2} if each is not None else {}
        errors |= {f"{prefix}{name}": figure for name, figure in kinds.items()}
    own = {each.name: getattr(found, each.name) for each in fields(Measured) if hasattr(found, each.name)}
    macs = {name: getattr(found.totals, name) for name in ("analog_macs", "reference_macs")}
    return {**own, **errors, **macs, "code": plan.hidden.name, "latency": found.mean_steps, **energies}
