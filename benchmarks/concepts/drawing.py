"""What the pictures of concepts share: the network that they show, and how a file is written."""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from coding import WindowCode
from snnconv.data import Digits, DigitsCNN, load_digits, train_digits_cnn
from snnconv.plots import COLOURS, QUIET, plain
from snnconv.storage.atomic import write_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FOLDER = Path(__file__).parents[2] / "docs" / "concepts"
#: Dots of an inch, points of titles and of other text, and colours that a file has.
_DOTS, TITLE, TEXT, _COLOURS = 130, 9.0, 8.0, 64
CALIBRATION = 400


@cache
def digits() -> Digits:
    """The small pictures that ship with a dependency."""
    return load_digits()


@cache
def trained() -> DigitsCNN:
    """A small network that knows them."""
    return train_digits_cnn(digits())


def calibration() -> Tensor:
    """Samples for its scales."""
    return digits().train[0][:CALIBRATION]


def panels(columns: int, size: tuple[float, float], rows: int = 1) -> tuple[Figure, list[Axes]]:
    """Axes of a new figure of so many inches, row by row."""
    from matplotlib import pyplot

    figure, found = pyplot.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained")
    for axes in found.flat:
        axes.tick_params(labelsize=TEXT)
        plain(axes)
    return figure, list(found.flat)


def titled(axes: Axes, title: str, across: str = "", up: str = "") -> None:
    """Say what ``axes`` show."""
    axes.set_title(title, size=TITLE)
    axes.set_xlabel(across, size=TEXT)
    axes.set_ylabel(up, size=TEXT)


def filled(axes: Axes, corner: tuple[float, float], size: tuple[float, float], colour: str, edge: str) -> None:
    """A rectangle from its lower left ``corner``."""
    from matplotlib.patches import Rectangle

    axes.add_patch(Rectangle(corner, *size, facecolor=colour, edgecolor=edge, linewidth=0.8))


def membrane(axes: Axes, code: WindowCode, value: float) -> list[float]:
    """The potential, the threshold and the spikes of a neuron in its window; returns what its spikes carry."""
    table, limit = code.table(), code.limit
    potential, path = value, list[tuple[float, float]]()
    thresholds, payloads = list[float](), list[float]()
    for t in range(code.steps):
        path += [(t - 0.5, potential), (t + 0.5, potential)]
        fired = len([payload for payload in payloads if payload])
        if limit is None or fired < limit:
            thresholds.append(table.thresholds[min(fired, len(table.thresholds) - 1)][t])
            payloads.append(table.payloads[t] if potential >= thresholds[-1] else 0.0)
        else:
            payloads.append(0.0)
        potential -= payloads[-1]
    axes.plot(*zip(*path, strict=True), color=COLOURS[0], linewidth=1.4, label="potential")
    axes.step(range(len(thresholds)), thresholds, where="mid", color=QUIET, linewidth=0.9, label="threshold")
    steps = [t for t, payload in enumerate(payloads) if payload]
    top = 1.18 * max(value, *thresholds)
    axes.plot(steps, [top] * len(steps), "|", color="black", markersize=9, markeredgewidth=1.8, label="spikes")
    axes.set_ylim(-0.04 * top, 1.1 * top)
    return payloads


def write(figure: Figure, name: str) -> Path:
    """Write ``figure`` as ``docs/concepts/name.png``, with few colours, which makes it small."""
    from matplotlib import pyplot
    from PIL import Image

    content, small = io.BytesIO(), io.BytesIO()
    figure.savefig(content, dpi=_DOTS, format="png")
    pyplot.close(figure)
    Image.open(content).convert("RGB").quantize(_COLOURS).save(small, "PNG", optimize=True)
    path = FOLDER / f"{name}.png"
    write_whole(path, small.getvalue())
    return path
