"""A network in integers: quantised, bounded, simulated, and compared with the original."""

from hw_export.integers.bit_sweeping import bit_sweep
from hw_export.integers.network import IntegerNetwork
from hw_export.integers.quantization import quantize
from hw_export.integers.simulation import integer_simulation

__all__ = ["IntegerNetwork", "bit_sweep", "integer_simulation", "quantize"]
