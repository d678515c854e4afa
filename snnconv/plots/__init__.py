"""Pictures for papers: of networks, spikes, codes and what was measured (the extra ``plots``).

Every function takes the axes to draw on, or makes a figure as wide as a column of a paper, 3.3 inches, and returns the
axes. Colours are told apart by colour-blind readers, and no setting of matplotlib is changed.
"""

from snnconv.plots.attention_maps import attention, attention_weights
from snnconv.plots.axes import COLOURS, COLUMN, QUIET, new_axes, plain
from snnconv.plots.code_values import levels, quantizer, staircase
from snnconv.plots.courses import accuracy_over_steps
from snnconv.plots.energies import energy
from snnconv.plots.fronts import pareto
from snnconv.plots.interval_shares import intervals
from snnconv.plots.population_errors import verification
from snnconv.plots.saving import save_figure
from snnconv.plots.spikes import raster
from snnconv.plots.traces import membranes

__all__ = [
    "COLOURS",
    "COLUMN",
    "QUIET",
    "accuracy_over_steps",
    "attention",
    "attention_weights",
    "energy",
    "intervals",
    "levels",
    "membranes",
    "new_axes",
    "pareto",
    "plain",
    "quantizer",
    "raster",
    "save_figure",
    "staircase",
    "verification",
]
