"""Data: what a batch is, and the small data sets that ship with a dependency."""
