"""What becomes of a network as a whole: the pictures of capture, integers and sequences."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import snnconv
from benchmarks.concepts.drawing import TEXT, calibration, digits, filled, panels, titled, trained, write
from coding import FewSpike
from hw_export.integers import bit_sweep
from snnconv.plots import COLOURS, QUIET

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Operations of a residual block as they are written, and what they are in the spiking network, by role.
_WRITTEN = ("conv", "batch norm", "max pool", "relu", "conv", "+", "relu")
_BECOME = (
    ("conv", "synapses"),
    ("relu", "population"),
    ("max pool", "gate"),
    ("conv, +", "synapses"),
    ("relu", "population"),
)
_ROLES = {"synapses": QUIET, "population": COLOURS[0], "gate": COLOURS[2]}


def capture() -> None:
    """A block as it is written, and the stations and regions that it becomes."""
    figure, (axes,) = panels(1, (9.0, 2.7))
    axes.set(xlim=(-0.6, 13.2), ylim=(-1.2, 4.4), xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    places = [1.9 * number for number in range(len(_WRITTEN))]
    for place, text in zip(places, _WRITTEN, strict=True):
        _box(axes, place, 3.4, text, QUIET)
    _arrows(axes, places, 3.4)
    _skip(axes, -0.35, places[5], 3.4)
    axes.text(-0.6, 4.2, "as it is written", size=TEXT)
    below = [0.0, 2.9, 5.8, 8.7, 11.6]
    for place, (text, role) in zip(below, _BECOME, strict=True):
        _box(axes, place, 0.4, f"{text}\n{role}", _ROLES[role])
    _arrows(axes, below, 0.4)
    _skip(axes, -0.35, below[3], 0.4)
    axes.text(-0.6, 1.45, "in normal form: batch norm folded, the activation in front of the maximum", size=TEXT)
    write(figure, "capture")


def _box(axes: Axes, x: float, y: float, text: str, colour: str) -> None:
    style = {"boxstyle": "round,pad=0.45", "facecolor": "white", "edgecolor": colour, "linewidth": 1.4}
    axes.text(x, y, text, size=TEXT, ha="center", va="center", bbox=style, zorder=3)


def _arrows(axes: Axes, places: list[float], y: float) -> None:
    for start, end in itertools.pairwise(places):
        axes.annotate("", (end - 0.62, y), (start + 0.62, y), arrowprops={"arrowstyle": "-|>", "color": "black"})


def _skip(axes: Axes, start: float, end: float, y: float) -> None:
    """What passes by: the residual."""
    line = {"arrowstyle": "-|>", "color": "black", "connectionstyle": "arc3,rad=0.1"}
    axes.annotate("", (end, y - 0.45), (start, y - 0.45), arrowprops=line)


def integers() -> None:
    """What is left of decisions with weights and inputs of fewer bits."""
    images, labels = digits().test
    network = snnconv.convert(trained(), calibration(), coding=FewSpike(6))
    axes = bit_sweep(network, images, labels, input_bits=(6, 8), per=("channel",)).plot()
    figure = axes[0].figure.figure
    figure.set_size_inches(5.4, 3.0)
    write(figure, "integers")


def sequences() -> None:
    """Which positions run at each call of a decoder, and which are read from what is stored."""
    calls = (("the prompt, 4 tokens", 0, 4), ("1 token", 4, 5), ("1 token", 5, 6), ("1 token", 6, 7))
    figure, axes = panels(len(calls), (9.0, 2.3))
    for panel, (title, start, end) in zip(axes, calls, strict=True):
        for query in range(8):
            for key in range(8):
                runs = start <= query < end and key <= query
                stored = runs and key < start
                colour = COLOURS[4] if stored else COLOURS[0] if runs else "white"
                done = query < start and key <= query
                shade = "#E4E4E4" if done else colour
                filled(panel, (key - 0.45, query - 0.45), (0.9, 0.9), shade, "#BBBBBB")
        panel.set(xlim=(-0.6, 7.6), ylim=(7.6, -0.6), xticks=[0, 7], yticks=[0, 7], aspect="equal")
        titled(panel, title, "key", "query")
    axes[-1].text(8.0, 1.0, "runs now", color=COLOURS[0], size=TEXT)
    axes[-1].text(8.0, 2.3, "new query,\nstored key", color=COLOURS[4], size=TEXT, va="top")
    axes[-1].text(8.0, 5.0, "done before", color=QUIET, size=TEXT)
    axes[-1].text(8.0, 6.3, "masked: no\nsynapse", color="black", size=TEXT, va="top")
    write(figure, "sequences")
