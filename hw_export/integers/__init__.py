"""A network in integers: quantised, bounded, simulated, and compared with the original."""
