"""sweep(): one network under many codings, measured into one table and one picture, resumable."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

from torch import nn
from torch.export import ExportedProgram

from coding import CodingPlan
from coding.plan import as_plan
from snnconv.calibration.assembly import Calibrator, Options, assemble
from snnconv.capture.binding import bound
from snnconv.capture.tracing import runnable
from snnconv.errors import ConfigurationError, ModelError
from snnconv.graph.graph import Graph
from snnconv.metrics.evaluation import Evaluation, evaluate
from snnconv.metrics.remembered_outputs import RememberedOutputs
from snnconv.progress import Inner, ProgressCallback, tell
from snnconv.storage.digests import data_digest, graph_digest, option_text, weights_digest
from snnconv.sweeps.file import SweepFile
from snnconv.sweeps.results import Measured
from snnconv.sweeps.table import Failed, Sweep, measured_of
from snnconv.version import __version__

#: Options of ``convert`` that belong to the coding plan or the model, not to the assembly.
_OF_PLAN_OR_MODEL = ("input", "schedule", "constants")

_logger = logging.getLogger(__name__)


def sweep(
    model: nn.Module | ExportedProgram,
    calibration: Any,
    data: Any,
    codings: Mapping[str, Any],
    *,
    path: str | os.PathLike[str] | None = None,
    reference: nn.Module | None = None,
    progress: ProgressCallback | None = None,
    **convert_options: Any,
) -> Sweep:
    """Convert ``model`` with every one of ``codings`` and evaluate it on ``data``, all else being equal.

    Every number of steps is a run of its own: spikes could be read off a longer run, synaptic operations could not. A
    coding that has no meaning for the network (``ConfigurationError`` or ``ModelError``) is recorded with its reason,
    and the sweep goes on.

    Args:
        model: The network, or an exported program, as for ``convert``.
        calibration: What ``convert`` takes.
        data: What ``evaluate`` takes.
        codings: What ``convert`` takes as ``coding``, a search ("auto") excepted, by a label of your own.
        path: File that is written after each configuration, whole or not at all. A later sweep with the same path reads
            finished configurations back and measures the others, those whose coding changed and those that failed.
        reference: The original network if it is not ``model`` itself.
        progress: Called as the work comes on; what it raises ends the work (see ``Progress``).
        **convert_options: Further options of ``convert``.

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
    constants = convert_options.get("constants")
    options = _options(convert_options)
    reference = None if reference is model else reference
    original = RememberedOutputs(bound(runnable(model) if reference is None else reference, constants))
    calibrator = Calibrator(model, calibration, constants, progress)
    graph = calibrator.captured.graph
    common = {} if path is None else _common(graph, calibration, data, reference, convert_options)
    file = SweepFile(path, common)
    plans = {str(label): _planned(coding, convert_options, path is not None) for label, coding in codings.items()}
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
            found = evaluate(network, data, reference=original, progress=inner)
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
    own = {key: value for key, value in given.items() if key not in _OF_PLAN_OR_MODEL}
    known = [field.name for field in fields(Options)]
    for key in own:
        if key not in known:
            raise ConfigurationError(f"sweep has no option {key!r}; options: {', '.join([*_OF_PLAN_OR_MODEL, *known])}")
    return Options(**own)


def _common(
    graph: Graph, calibration: Any, data: Any, reference: nn.Module | None, options: Mapping[str, Any]
) -> dict[str, str]:
    """What all configurations of a file have in common, mostly as digests, by what an error calls it."""
    own = {key: value for key, value in sorted(_without_plan(options).items()) if key != "constants"}
    return {
        "version of snnconv": __version__,  # another one may choose other scales for the same codes
        "model": graph_digest(graph),
        "calibration": data_digest(calibration, "calibration"),
        "data set": data_digest(data, "data"),
        "reference": "" if reference is None else weights_digest(reference),
        "set of options": "".join(f"{key}={option_text(key, value)}; " for key, value in own.items()),
    }


def _without_plan(options: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in options.items() if key not in ("input", "schedule")}


def _planned(coding: Any, options: Mapping[str, Any], resumable: bool) -> tuple[CodingPlan | Exception, str]:
    """The plan that ``coding`` means, or why it means none, and its fingerprint."""
    if isinstance(coding, str) and coding == "auto":
        return ConfigurationError('a sweep measures given codes; search for them by convert(..., coding="auto")'), ""
    try:
        plan = as_plan(coding, options.get("input"), options.get("schedule"))
    except ConfigurationError as error:
        return error, ""
    return plan, option_text("coding", plan) if resumable else ""


def _figures(found: Evaluation, plan: CodingPlan) -> dict[str, Any]:
    energies = {name: getattr(found.energy, name) for name in ("e2", "e2_reference", "e3", "e3_reference")}
    names = {field.name for field in fields(Measured)} - {"label", "code", "latency", *energies}
    own = {name: getattr(found, name) for name in names}
    return {"code": plan.hidden.name, "latency": found.mean_steps, **own, **energies}
