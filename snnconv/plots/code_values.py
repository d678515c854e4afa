"""The values that codes can represent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from coding import Code
from snnconv.errors import ConfigurationError
from snnconv.plots.axes import COLUMN, QUIET, cycled, new_axes, plain, text_size
from snnconv.surroundings import own_surroundings
from snnconv.text import code_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Values of a code that are counted; and how often a gap between two of them is halved in search of another.
MOST_LEVELS, _HALVINGS = 16_000, 30


@own_surroundings()
def levels(codes: Mapping[str, Code] | Sequence[Code], axes: Axes | None = None) -> Axes:
    """The values that a window of each code can carry, a row for each code, in units of its largest value.

    ``codes`` may be labelled; codes need numbers where "fit" may stand. Raises ``ConfigurationError``.
    """
    labelled = _labelled(codes)
    axes = new_axes(size=(COLUMN, 0.6 + 0.3 * len(labelled)))[0] if axes is None else axes
    edge: Any = ("axes fraction", "data")
    for row, (colour, (_, code)) in enumerate(zip(cycled(len(labelled)), labelled.items(), strict=True)):
        values = code_levels(code)
        axes.vlines(values.numpy(), row - 0.32, row + 0.32, colors=colour, linewidth=1.0)
        axes.annotate(
            levels_text(values),
            (1.0, row),
            (3, 0),
            xycoords=edge,
            textcoords="offset points",
            va="center",
            color=QUIET,
            size=text_size(axes),
        )
    axes.set_yticks(range(len(labelled)), list(labelled))
    axes.set_ylim(len(labelled) - 0.5, -0.5)
    axes.set_xlim(-0.01, 1.01)
    axes.set_xticks([0.0, 0.25, 0.5, 0.75, 1.0])
    axes.set_xlabel("value, in units of the largest")
    plain(axes)
    return axes


@own_surroundings()
def staircase(codes: Mapping[str, Code] | Sequence[Code], axes: Axes | None = None) -> Axes:
    """What a window of each code makes of a value, beside the value itself; arguments as for ``levels``."""
    labelled = _labelled(codes)
    axes = new_axes(size=(COLUMN, 3.0))[0] if axes is None else axes
    axes.plot([0, 1], [0, 1], color=QUIET, linewidth=0.8)
    for colour, (label, code) in zip(cycled(len(labelled)), labelled.items(), strict=True):
        values, decoded = quantizer(code)
        axes.plot(values.numpy(), decoded.numpy(), color=colour, linewidth=1.4, label=label)
    axes.set(xlabel="value, in units of the largest", ylabel="value that the spikes carry", xlim=(0, 1), ylim=(0, 1.02))
    axes.legend(frameon=False, loc="upper left", fontsize=text_size(axes))
    plain(axes)
    return axes


@own_surroundings()
def quantizer(code: Code) -> tuple[Tensor, Tensor]:
    """A fine grid of values from 0 to 1, and what a window of ``code`` carries for them; 1 is its largest value."""
    if not code.windows:
        raise ConfigurationError(f"{code.name} code has no window form, so it has no fixed set of values")
    values = torch.linspace(0.0, 1.0, 2**14 + 1, dtype=torch.float64)
    return values, _carried(code, values)


@own_surroundings()
def code_levels(code: Code) -> Tensor:
    """The values that a window of ``code`` can carry, rising; 1 is its largest. Of more than ``MOST_LEVELS`` only some.

    Between two values that carry different ones lies another as long as halving what is between them finds one.
    """
    values, carried = quantizer(code)
    found: Tensor = torch.unique(carried)
    left, right, at_left, at_right = values[:-1], values[1:], carried[:-1], carried[1:]
    for _ in range(_HALVINGS):
        apart = at_left != at_right
        if len(found) > MOST_LEVELS or not bool(apart.any()):
            break
        left, right, at_left, at_right = left[apart], right[apart], at_left[apart], at_right[apart]
        middle = (left + right) / 2
        at_middle = _carried(code, middle)
        found = torch.unique(torch.cat([found, at_middle]))
        left, right = torch.cat([left, middle]), torch.cat([middle, right])
        at_left, at_right = torch.cat([at_left, at_middle]), torch.cat([at_middle, at_right])
    return found


def levels_text(values: Tensor) -> str:
    """How many ``values`` of a code there are."""
    return f"{len(values):,} values" if len(values) <= MOST_LEVELS else f"over {MOST_LEVELS:,} values"


def _carried(code: Code, values: Tensor) -> Tensor:
    return code.quantize(values * code.maximum, counted=False).values / code.maximum


def _labelled(codes: Mapping[str, Code] | Sequence[Code]) -> dict[str, Code]:
    """Codes by label; those that name and steps do not tell apart are labelled by all their parameters."""
    listed = list(codes.values() if isinstance(codes, Mapping) else codes) if isinstance(codes, Iterable) else [codes]
    if not listed or not isinstance(codes, Iterable) or not all(isinstance(code, Code) for code in listed):
        raise ConfigurationError(f"codes must be listed, such as [Rate(8)], or labelled, got {codes!r}")
    if isinstance(codes, Mapping):
        return dict(codes)
    labels = [f"{code.name}, {code.steps} steps" for code in listed]
    return {
        label if labels.count(label) == 1 else code_text(code): code for label, code in zip(labels, listed, strict=True)
    }
