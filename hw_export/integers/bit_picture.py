"""The picture of a sweep of bits: what is kept against the bits of weights, a panel for each choice of steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from snnconv.errors import ConfigurationError
from snnconv.plots.axes import COLOURS, QUIET, new_axes, plain
from snnconv.plots.saving import save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class BitPoint(Protocol):
    """A point of the picture."""

    @property
    def per(self) -> str:
        """What weights share a step by."""

    @property
    def weight_bits(self) -> int:
        """Where it is from left to right."""

    @property
    def input_bits(self) -> int:
        """Which line it is on."""

    @property
    def mixed(self) -> Mapping[str, int] | None:
        """Bits by population, where they differ: lines of their own."""

    @property
    def accuracy(self) -> float | None:
        """Percent of right decisions."""

    @property
    def quality(self) -> float | None:
        """Where it is from bottom to top, in percent."""


def draw(results: Sequence[BitPoint], original: float | None, file: str | None) -> Sequence[Axes]:
    """Draw ``results``, with the accuracy of the original as a level line; see ``BitSweep.plot``."""
    known = [each for each in results if each.quality is not None]
    if not known:
        raise ConfigurationError("no result has an accuracy or an agreement to draw")
    panels = list(dict.fromkeys(each.per for each in known))
    lines = sorted({(each.mixed is not None, each.input_bits) for each in known})
    axes = new_axes(len(panels), (5.5 * len(panels), 4.0))
    for panel, per in zip(axes, panels, strict=True):
        for number, (mixed, bits) in enumerate(lines):
            own = [each for each in known if (each.per, each.mixed is not None, each.input_bits) == (per, mixed, bits)]
            points = sorted((each.weight_bits, each.quality) for each in own)
            colour, label = COLOURS[number % len(COLOURS)], f"inputs of {bits} bits" + ", mixed" * mixed
            if points:
                panel.plot(*zip(*points, strict=True), marker="o", color=colour, label=label)
        if original is not None:
            panel.axhline(original, color=QUIET, linestyle="--", label="original")
        panel.set(title=f"a step per {per}", xlabel="bits of weights")
        panel.set_xticks(sorted({each.weight_bits for each in known}))
        plain(panel)
    axes[0].set_ylabel("decides as the original (%)" if known[0].accuracy is None else "accuracy (%)")
    axes[-1].legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))  # lines are everywhere
    low = min(panel.get_ylim()[0] for panel in axes)
    for panel in axes:
        panel.set_ylim(low, max(each.get_ylim()[1] for each in axes))
    if file is not None:
        save_figure(axes[0].figure, file)
    return axes
