"""The evaluation of a detector on some pictures, in any process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor, nn

from snnconv.detection.boxes import Detections
from snnconv.detection.data.ground_truth import BoxDataset
from snnconv.detection.detector import Detector
from snnconv.detection.precision import SCORE_THRESHOLD
from snnconv.metrics.calibrated_range import CalibratedRange, LeftRanges
from snnconv.metrics.totals import Totals, totals_of
from snnconv.network import SpikingNetwork
from snnconv.simulators import simulator_for
from snnconv.simulators.observers import Observer, Samples
from snnconv.simulators.recorders import SpikeCounter
from snnconv.storage.carried import Carried
from snnconv.surroundings import own_surroundings


@dataclass(frozen=True)
class DetectionTally:
    """What was counted on some pictures, and found: ``by_step`` by the spiking detector, ``exact`` by the original.

    ``truths`` are what is there.
    """

    totals: Totals
    by_step: dict[int, list[Detections]]
    exact: list[Detections]
    truths: list[Any]
    left: LeftRanges

    def merge(self, other: DetectionTally) -> DetectionTally:
        """Both together, in their order."""
        return DetectionTally(
            self.totals.merge(other.totals),
            {step: [*found, *other.by_step[step]] for step, found in self.by_step.items()},
            [*self.exact, *other.exact],
            [*self.truths, *other.truths],
            self.left.merge(other.left),
        )


@dataclass(frozen=True)
class PictureTask:
    """What ``snnconv.detection.evaluate`` does with some pictures of ``data``, after the steps that ``marks`` names."""

    detector: Detector
    network: SpikingNetwork
    data: BoxDataset | tuple[Tensor, Sequence[Any]]
    reference: Detector | None
    simulator: str
    steps: int | None
    seed: int
    marks: Sequence[int]

    def __call__(self, piece: range, finished: Callable[[int], object] | None = None) -> DetectionTally:
        """What is counted and found on the pictures of these positions; ``finished`` is told of some as they end."""
        network, detector = self.network, self.detector
        inputs, sizes, truths = self._read(piece)
        calibrated, counter = CalibratedRange(network), SpikeCounter(network, by_step=network.timing is None)
        calibrated.see((inputs,))
        outputs = network.reference(inputs) if self.reference is None else self.reference.outputs(inputs)
        recorder = _Recorder(detector, self.marks, sizes)
        chosen = simulator_for(network, self.simulator, steps=self.steps, seed=self.seed)
        chosen.run(network.check(inputs), [counter, recorder, calibrated], finished, piece.start)
        return DetectionTally(
            totals_of(network, counter, chosen.steps, chosen.steps * counter.samples),
            recorder.found,
            detector.decode(outputs, sizes, SCORE_THRESHOLD),
            truths,
            calibrated.left,
        )

    def __getstate__(self) -> dict[str, Any]:
        carried = {"detector": self.detector.with_network(nn.Identity()), "network": Carried(self.network)}
        return {**vars(self), **carried}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        vars(self).update(detector=replace(self.detector, network=self.network))

    def _read(self, piece: range) -> tuple[Tensor, list[tuple[int, int]], list[Any]]:
        """Inputs, sizes and truths of the pictures in ``piece``."""
        if isinstance(self.data, tuple):
            inputs, truths = self.data
            part = inputs[piece.start : piece.stop]
            return part, [(part.shape[2], part.shape[3])] * len(part), list(truths[piece.start : piece.stop])
        items = [self.data[position] for position in piece]
        images = [item.image() for item in items]
        sizes = [(image.height, image.width) for image in images]
        return self.detector.inputs(images), sizes, [item.truth() for item in items]


@own_surroundings()
def of_pictures(task: PictureTask, piece: range) -> DetectionTally:
    """What ``task`` finds on the pictures of ``piece``, wherever this is called."""
    return task(piece)


class _Recorder(Observer):
    """Detections in pictures of these ``sizes`` after the steps that are marked."""

    def __init__(self, detector: Detector, marks: Sequence[int], sizes: Sequence[tuple[int, int]]) -> None:
        self.detector, self._sizes = detector, sizes
        self.found: dict[int, list[Detections]] = {mark: [] for mark in marks}
        self.wants_output = True

    def output(self, t: int, output: Any, samples: Samples) -> None:
        if t + 1 in self.found:
            places = range(len(self._sizes)) if isinstance(samples, slice) else samples.tolist()
            sizes = [self._sizes[place] for place in places]
            self.found[t + 1] += self.detector.decode(output, sizes, SCORE_THRESHOLD)
