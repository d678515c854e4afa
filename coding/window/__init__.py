"""Codes of windows: payloads and thresholds fixed per step, and a limit on spikes; one code a file."""
