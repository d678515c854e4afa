"""Object detectors: their data, their predictions, and how good these are."""
