"""Lava: a converted network as a graph of Lava processes, run by an interpreter of its own."""
