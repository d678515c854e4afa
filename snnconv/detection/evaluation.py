"""Mean average precision of a spiking detector beside the original, and what it costs."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, Literal

from torch import Tensor

from snnconv.detection.data.ground_truth import BoxDataset
from snnconv.detection.detector import Detector
from snnconv.detection.evaluation_task import DetectionTally, PictureTask, of_pictures
from snnconv.detection.precision import Precision, mean_average_precision
from snnconv.errors import ConfigurationError, InputError
from snnconv.metrics.costs import Costs, measures
from snnconv.network import SpikingNetwork
from snnconv.progress import PartsDone, ProgressCallback
from snnconv.scaling.shared import SharedValue
from snnconv.scaling.spreading import Executor, Spreading, spread_over
from snnconv.simulators import simulator_for
from snnconv.surroundings import own_surroundings
from snnconv.tables import Cell, Column, ResultTable

#: Pictures that are simulated together.
PIECE = 16


@dataclass(frozen=True)
class DetectionEvaluation(Costs):
    """Mean average precision of a spiking detector and of the original on the same pictures, and what it costs.

    ``precision_by_step`` holds the precision after so many steps of a stream; ``None`` for a pipeline, which has no
    output before its last step. There is no ``merge``: average precision is no sum over pictures.
    """

    precision: Precision
    reference_precision: Precision
    precision_by_step: dict[int, Precision] | None

    @property
    def kept(self) -> float:
        """Share of the original's mAP@0.5 that the spiking detector keeps, in percent; NaN where that is 0."""
        return _kept(self.precision, self.reference_precision)

    def latency(self, kept: float = 97.8) -> int | None:
        """Time steps from which on at least ``kept`` percent of mAP@0.5 are kept, of those measured.

        ``None`` if they never are.
        """
        if self.precision_by_step is None:
            return self.steps if self.kept >= kept else None
        reached = None
        for step in sorted(self.precision_by_step, reverse=True):
            if _kept(self.precision_by_step[step], self.reference_precision) < kept:
                break
            reached = step
        return reached

    def to_dict(self) -> dict[str, Any]:
        """All figures as plain data, ready for JSON; ``kept`` is ``None`` where the original finds nothing."""
        by_step = self.precision_by_step
        return {
            **super().to_dict(),
            "precision": vars(self.precision),
            "reference_precision": vars(self.reference_precision),
            "precision_by_step": None if by_step is None else {str(step): vars(by_step[step]) for step in by_step},
            "kept": None if math.isnan(self.kept) else self.kept,
        }

    def to_json(self) -> str:
        """All figures as JSON text."""
        return json.dumps(self.to_dict(), indent=2, allow_nan=False)

    def to_table(self) -> ResultTable:
        """The original's precision, then that after every number of steps measured, with the spikes until then."""
        by_step = self.precision_by_step or {self.steps: self.precision}
        rows: list[tuple[Cell, ...]] = [("original", *_cells(self.reference_precision), None, None)]
        for step, precision in by_step.items():
            spikes = self.spikes_per_neuron
            if self.spikes_by_step is not None:
                spikes = self.spikes_by_step[step - 1] / self.neurons
            rows.append((step, *_cells(precision), _kept(precision, self.reference_precision), spikes))
        columns = (
            Column("steps"),
            Column("mAP@0.5", "%", ".2f"),
            Column("mAP@0.5:0.95", "%", ".2f"),
            Column("kept", "%", ".1f"),
            Column("spikes per neuron", form=".3f"),
        )
        return ResultTable(columns, tuple(rows))

    def __str__(self) -> str:
        pictures = f"{self.samples} pictures, {self.activity.reference_macs:.4g} MACs in the original network"
        return "\n".join([str(self.to_table()), pictures, *self.cost_text()])


@own_surroundings()
def evaluate(
    detector: Detector,
    data: BoxDataset | tuple[Tensor, Sequence[Any]],
    *,
    reference: Detector | None = None,
    simulator: str = "auto",
    steps: int | None = None,
    at: Collection[int] | None = None,
    seed: int = 0,
    progress: ProgressCallback | None = None,
    workers: int | Literal["auto"] | None = None,
    executor: Executor | None = None,
) -> DetectionEvaluation:
    """Measure a spiking ``detector`` on ``data``: a labelled data set, or (inputs ``[N, 3, h, w]``, truths).

    ``reference`` is the original detector, run in eval mode; without it the captured graph stands in. For a stream
    ``at`` says after how many steps to measure precision too, every step by default. ``simulator`` and ``steps`` are
    those of ``run``. ``progress`` is called as pictures are done; what it raises ends the evaluation (see
    ``Progress``). ``workers`` and ``executor`` are those of ``snnconv.evaluate``; whoever measures reads the pictures,
    too. Raises ``InputError`` for data that does not fit, and ``ConfigurationError`` for a detector whose
    network is not a spiking one, for a reference that is no detector and for options that are not supported.

    Example:
        >>> detector = detection.load_shapes_detector()
        >>> pictures, truths = detection.draw_shapes(20, seed=1)
        >>> spiking = detector.with_network(snnconv.convert(detector.network, pictures))
        >>> print(detection.evaluate(spiking, (pictures, truths), reference=detector))
    """
    network = detector.network
    if not isinstance(network, SpikingNetwork):
        raise ConfigurationError("evaluate a spiking detector: detector.with_network(snnconv.convert(...))")
    if reference is not None and not isinstance(reference, Detector):
        raise ConfigurationError(f"reference is a {type(reference).__name__}; give the original Detector")
    _check(data, len(detector.names))
    chosen = simulator_for(network, simulator, steps=steps, seed=seed)
    if at is not None and network.timing is not None:
        raise ConfigurationError("a pipeline has no output before its last step: leave at= out")
    marks = sorted(set(range(1, chosen.steps + 1) if at is None else at) | {chosen.steps})
    if any(mark not in range(1, chosen.steps + 1) for mark in marks):
        raise ConfigurationError(f"at holds integers from 1 to the {chosen.steps} steps, got {sorted(set(at or ()))}")
    marked = marks if network.timing is None else [chosen.steps]
    task = PictureTask(detector, network, data, reference, simulator, steps, seed, marked)
    pieces = _pieces(data)
    pictures = PartsDone(progress, "evaluating", pieces[-1].stop)
    with spread_over(workers, executor) as spread:
        found = reduce(DetectionTally.merge, _tallies(task, pieces, pictures, spread))
    pictures.end()
    found.left.warn()
    classes = len(detector.names)
    by_step = {mark: mean_average_precision(each, found.truths, classes) for mark, each in found.by_step.items()}
    return DetectionEvaluation(
        **measures(found.totals),
        precision=by_step[chosen.steps],
        reference_precision=mean_average_precision(found.exact, found.truths, classes),
        precision_by_step=by_step if network.timing is None else None,
    )


def _tallies(
    task: PictureTask, pieces: Sequence[range], pictures: PartsDone, spread: Spreading | None
) -> Iterator[DetectionTally]:
    if spread is None:
        for piece in pieces:
            yield task(piece, pictures.more)
        return
    with SharedValue(task, "the detector, its reference or the data") as shared:
        for piece, tally in zip(pieces, spread.in_order(of_pictures, shared, pieces, "data"), strict=True):
            yield tally
            pictures.more(len(piece))


def _check(data: Any, classes: int) -> None:
    if isinstance(data, tuple) and len(data) == 2 and isinstance(data[0], Tensor):
        if len(data[0]) != len(data[1]):
            raise InputError(f"data: {len(data[0])} inputs and {len(data[1])} truths")
    elif not isinstance(data, BoxDataset):
        raise InputError(f"data is a {type(data).__name__}; give a labelled data set, or (inputs [N, 3, h, w], truths)")
    if not (data if isinstance(data, BoxDataset) else data[1]):
        raise InputError("data: there is no picture")
    if isinstance(data, BoxDataset) and len(data.names) != classes:
        raise InputError(f"data has {len(data.names)} classes, the detector {classes}; both need the same")


def _pieces(data: BoxDataset | tuple[Tensor, Sequence[Any]]) -> Sequence[range]:
    count = len(data[0]) if isinstance(data, tuple) else len(data)
    return [range(start, min(start + PIECE, count)) for start in range(0, count, PIECE)]


def _kept(precision: Precision, reference: Precision) -> float:
    return 100.0 * precision.ap50 / reference.ap50 if reference.ap50 > 0.0 else float("nan")


def _cells(precision: Precision) -> tuple[float, float]:
    return precision.ap50, precision.ap
