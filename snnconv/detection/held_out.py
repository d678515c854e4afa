"""How good a detector in training is, on pictures that it has not learnt from."""

from __future__ import annotations

import torch

from snnconv.detection.boxes import Detections, suppress
from snnconv.detection.darknet import DarknetNetwork
from snnconv.detection.ground_truth import Truth
from snnconv.detection.images import Preprocessing
from snnconv.detection.precision import Precision, mean_average_precision
from snnconv.detection.samples import LabelledPictures, Objects, Samples

#: Detections below this score are not looked at, and pictures that are looked at together.
_LEAST_SCORE, _TOGETHER = 0.005, 32


def held_out_precision(network: DarknetNetwork, data: LabelledPictures, *, letterbox: bool = False) -> Precision:
    """Mean average precision of ``network``, as it is, on labelled pictures that become inputs as in training.

    Boxes are compared on the network's input, where they overlap as on the picture. Errors as for ``train_detector``
    and ``mean_average_precision``.
    """
    samples = Samples(data, network, letterbox=letterbox)
    size = samples.preprocessing.size
    on_input = Preprocessing(size)
    device = next(network.parameters()).device
    detections: list[Detections] = []
    truths: list[Truth] = []
    for start in range(0, len(samples), _TOGETHER):
        images, objects = samples.batch(range(start, min(start + _TOGETHER, len(samples))))
        with torch.no_grad():
            maps = network(images.to(device))
        parts = [head.decode(values) for head, values in zip(network.heads, maps, strict=True)]
        boxes, scores = (torch.cat(part, 1).cpu() for part in zip(*parts, strict=True))
        for position in range(len(images)):
            corners = on_input.to_original(boxes[position], size)
            detections.append(suppress(corners, scores[position], score_threshold=_LEAST_SCORE))
            truths.append(_truth(objects, position, on_input))
    return mean_average_precision(detections, truths, network.heads[0].classes)


def _truth(objects: Objects, position: int, on_input: Preprocessing) -> Truth:
    mine = objects.chosen(objects.images == position)
    return Truth(on_input.to_original(mine.boxes, on_input.size), mine.classes, mine.ignored)
