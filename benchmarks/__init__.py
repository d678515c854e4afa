"""Comparisons of converted networks with those of other conversion libraries."""
