"""The picture of README: what a small detector finds, its spikes, and what these find.

Pictures and detector are the project's own (``snnconv.detection.shapes``), so that it needs no data and nobody's leave.
"""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import snnconv
from benchmarks.results import note
from coding import OneSpike
from snnconv.detection import Detections, Detector, evaluate
from snnconv.detection.boxes import match
from snnconv.detection.drawing import draw
from snnconv.detection.shapes import draw_shapes, load_shapes_detector
from snnconv.plots import QUIET, plain, raster
from snnconv.storage.atomic import write_whole

FILE = Path(__file__).parents[1] / "docs" / "picture.png"
#: Pictures that calibrate and that are measured, and the one that is drawn, by the seeds that draw them.
CALIBRATION, MEASURED = (200, 1), (300, 2)
SHOWN = (60, 3, 43)
CODE = OneSpike(16)
#: Score from which on a box is drawn, and overlap from which on two are the same.
SCORE, SAME = 0.4, 0.5
#: Dots of an inch.
_DOTS = 144
#: Steps of a colour, of 256.
_COARSE = 8
#: Pixels of the drawn picture for one of the detector's.
_ZOOM = 8
_TITLE, _TEXT = 10.0, 8.5


def run() -> None:
    """Write the picture, and say what it shows."""
    original = load_shapes_detector()
    network = snnconv.convert(original.network, draw_shapes(*CALIBRATION)[0], coding=CODE)
    spiking = original.with_network(network)
    result = evaluate(spiking, draw_shapes(*MEASURED), reference=original)
    count, seed, shown = SHOWN
    inputs = draw_shapes(count, seed)[0][shown : shown + 1]
    ran = network.run(inputs, record=["rasters"])
    with torch.no_grad():
        exact = original.outputs(inputs)
    size = (inputs.shape[2], inputs.shape[3])
    before, after = original.decode(exact, [size], SCORE)[0], spiking.decode(ran.output, [size], SCORE)[0]
    if not len(before) == len(after) == len(match(before, after, SAME)):
        raise RuntimeError("the picture says that both find the same shapes, and they do not: show another")
    _save(
        _picture(inputs, original, exact),
        _picture(inputs, spiking, ran.output),
        ran,
        network,
        f"mAP@0.5 {result.reference_precision.ap50:.1f} %",
        f"mAP@0.5 {result.precision.ap50:.1f} %",
        f"{result.spikes_per_neuron:.2f} spikes per neuron",
    )
    note(f"{FILE}: {result}")


def _picture(inputs: Tensor, detector: Detector, outputs: Any) -> Any:
    """The picture with what the detector finds in it, as pixels."""
    from PIL import Image

    pixels = (inputs[0].permute(1, 2, 0) * 255.0).round().byte().numpy()
    height, width = pixels.shape[:2]
    found = detector.decode(outputs, [(height, width)], SCORE)[0]
    large = Image.fromarray(pixels).resize((_ZOOM * width, _ZOOM * height), Image.Resampling.BICUBIC)
    return draw(large, _enlarged(found), detector.names)


def _enlarged(found: Detections) -> Detections:
    return replace(found, boxes=found.boxes * _ZOOM)


def _save(
    exact: Any, found: Any, ran: snnconv.Run, network: snnconv.SpikingNetwork, before: str, after: str, spikes: str
) -> None:
    from matplotlib import pyplot
    from matplotlib.collections import LineCollection

    figure, panels = pyplot.subplots(1, 3, figsize=(10.0, 3.55), width_ratios=(1.0, 1.5, 1.0), layout="constrained")
    figure.get_layout_engine().set(wspace=0.06)  # type: ignore[union-attr, call-arg]
    left, middle, right = panels
    for panel, image, title, figures in (
        (left, exact, "a trained network", f"finds shapes, {before}"),
        (right, found, "read off the spikes", f"the same shapes, {after}"),
    ):
        panel.imshow(image)
        panel.set(xticks=[], yticks=[])
        panel.spines[:].set_visible(False)
        panel.set_title(title, size=_TITLE)
        panel.set_xlabel(figures, size=_TEXT)
    raster(ran, network=network, neurons=18, axes=middle)
    for drawn in middle.collections:
        drawn.set_linewidth(2.0 if isinstance(drawn, LineCollection) else 0.0)
    middle.set_title("", loc="right")
    middle.set_title("the same network in spikes, by snnconv", size=_TITLE)
    middle.set_yticks([])
    middle.set_ylabel("some neurons of each layer", size=_TEXT)
    middle.set_xlabel("time step", size=_TEXT)
    middle.tick_params(labelsize=_TEXT - 1.0, colors=QUIET)
    said = f"layers speak one after the other,\neach mark is a spike:\n{spikes}"
    middle.text(0.03, 0.96, said, transform=middle.transAxes, va="top", size=_TEXT, linespacing=1.5)
    for panel, other in ((left, middle), (middle, right)):
        arrow = {"arrowstyle": "-|>", "color": "black", "linewidth": 1.2, "shrinkA": 2.0, "shrinkB": 2.0}
        panel.annotate(
            "", (-0.075 if other is middle else -0.01, 0.5), (1.0, 0.5), other.transAxes, panel.transAxes, arrow
        )
    plain(middle)
    _write(figure)


def _write(figure: Any) -> None:
    """In steps of colour that nobody sees, which halve the file."""
    from matplotlib import pyplot
    from PIL import Image

    content, small = io.BytesIO(), io.BytesIO()
    figure.savefig(content, dpi=_DOTS, format="png")
    pyplot.close(figure)
    rounded = [min(_COARSE * round(value / _COARSE), 255) for value in range(256)]
    Image.open(content).convert("RGB").point(3 * rounded).save(small, "PNG", optimize=True)
    write_whole(FILE, small.getvalue())
