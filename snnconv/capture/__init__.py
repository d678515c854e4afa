"""A PyTorch model becomes a graph in normal form, checked."""
