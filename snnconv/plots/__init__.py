"""Pictures of spikes over time and of the values that codes can carry (the extra ``plots``)."""

from snnconv.plots.spikes import levels, quantizer, raster, staircase

__all__ = ["levels", "quantizer", "raster", "staircase"]
