"""Arithmetic that a device does in one pass: a function a file, in a file for each backend, all equal to the bit."""
