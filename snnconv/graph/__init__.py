"""A model as data: nodes, operators, and what follows from structure alone."""
