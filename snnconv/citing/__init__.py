"""Whom to cite: the papers of the methods that a network uses, as BibTeX."""
