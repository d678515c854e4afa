"""Activations on sample data become scales, codes and bias corrections, and these a network."""
