"""What a sweep knows before it measures: the model captured, the codings planned, and what its file holds already."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import chain
from typing import Any

from torch import Tensor, nn
from torch.export import ExportedProgram

from coding import Code, CodingPlan, InputCode, Schedule
from coding.plan import as_plan
from coding.registry import as_input
from snnconv.calibration.assembly import Calibrator
from snnconv.calibration.options import Options
from snnconv.calibration.samples import Calibration
from snnconv.capture.binding import bound
from snnconv.capture.tracing import runnable
from snnconv.data.batches import IGNORED_TARGET
from snnconv.errors import ConfigurationError
from snnconv.graph.graph import Graph
from snnconv.metrics.judge import TargetJudge
from snnconv.metrics.judge_choice import check_targets
from snnconv.metrics.remembered_outputs import RememberedOutputs
from snnconv.progress import ProgressCallback
from snnconv.ranks import ALONE, Ranks
from snnconv.storage.digests import data_digest, graph_digest, option_text, weights_digest
from snnconv.sweeps.file import SweepFile
from snnconv.sweeps.table import measured_of
from snnconv.version import __version__

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PreparedSweep:
    """A sweep before its first measurement.

    ``plans`` are, by label, the plan of a coding, or why there is none, and its fingerprint; ``entries`` those that the
    file holds. ``judging`` are arguments of ``evaluate`` that say how to judge, where they are not its own.
    """

    calibrator: Calibrator
    options: Options
    original: RememberedOutputs
    data: Any
    judging: Mapping[str, Any]
    plans: Mapping[str, tuple[CodingPlan | Exception, str]]
    file: SweepFile
    entries: Mapping[str, Mapping[str, Any]]

    @property
    def pending(self) -> list[str]:
        """The labels of what is to be measured."""
        return [label for label in self.plans if label not in self.entries]


def prepared(
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
    ranks: Ranks = ALONE,
    **convert_options: Any,
) -> PreparedSweep:
    """The sweep of these arguments of ``sweep``, and what it raises."""
    if not isinstance(codings, Mapping) or not codings:
        raise ConfigurationError('codings must map labels to codings, such as {"rate 16": Rate(16)}')
    if len({str(label) for label in codings}) < len(codings):
        raise ConfigurationError(f"labels must differ as text, got {', '.join(map(repr, codings))}")
    if reference is not None and not isinstance(reference, nn.Module):
        raise ConfigurationError(f"reference must be a torch.nn.Module, got {type(reference).__name__}")
    data = list(data) if isinstance(data, Iterator) else data  # which every configuration reads
    options = _options(convert_options)
    if input is not None:
        as_input(input)
    reference = None if reference is model else reference
    original = RememberedOutputs(bound(runnable(model) if reference is None else reference, constants))
    calibrator = Calibrator(model, calibration, constants, progress, analog)
    graph = calibrator.captured.graph
    check_targets(original, calibrator.captured, data, judge, ignore_index)
    judging: dict[str, Any] = {}
    if judge or ignore_index != IGNORED_TARGET:
        judging = {"judge": judge, "ignore_index": ignore_index}
    common = {}
    if path is not None or ranks.size > 1:
        common = _common(graph, calibrator.samples, data, reference, {**convert_options, **judging})
        ranks.agree("models, data or options", common | {"codings": ", ".join(map(repr, codings))})
    file = _file(path, common, ranks)
    plans = {str(label): _planned(coding, input, schedule, path is not None) for label, coding in codings.items()}
    entries = {}
    for label, (_, fingerprint) in plans.items():
        stored = file.entries.get(label, {})
        if fingerprint and stored.get("fingerprint") == fingerprint and measured_of(label, stored):
            entries[label] = stored
    _logger.info("%d configurations to measure, %d read back from %s", len(plans) - len(entries), len(entries), path)
    return PreparedSweep(calibrator, options, original, data, judging, plans, file, entries)


def _file(path: str | os.PathLike[str] | None, common: Mapping[str, str], ranks: Ranks) -> SweepFile:
    """The file of a sweep, which the first of ``ranks`` reads; the others have its entries, and write none."""
    file = SweepFile(None, common)

    def read() -> dict[str, dict[str, Any]]:
        nonlocal file
        file = SweepFile(path, common)
        return file.entries

    file.entries = ranks.first("the file of the sweep", read)
    return file


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
    arranged = ((inputs, None) for inputs in chain(samples.fitted, samples.held_out))  # in whatever order they came
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
