"""Pictures of spikes over time and of the values that codes can carry (the extra ``plots``)."""

from snnconv.plots.axes import COLOURS, QUIET
from snnconv.plots.spikes import levels, quantizer, raster, staircase

__all__ = ["COLOURS", "QUIET", "levels", "quantizer", "raster", "staircase"]
