"""Process models: what the processes do in every time step, in fixed and in floating point."""
