"""Pictures of spikes over time and of the values that codes can carry (the extra ``plots``)."""

from snnconv.plots.axes import COLOURS, QUIET, new_axes, plain
from snnconv.plots.spikes import levels, quantizer, raster, staircase

__all__ = ["COLOURS", "QUIET", "levels", "new_axes", "plain", "quantizer", "raster", "staircase"]
