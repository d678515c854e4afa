"""NIR, the Neuromorphic Intermediate Representation: a rate-coded network as a graph that other simulators read."""

from hw_export.nir.modules import node_map
from hw_export.nir.reading import NIRModule, NIRState, load
from hw_export.nir.writing import export

__all__ = ["NIRModule", "NIRState", "export", "load", "node_map"]
