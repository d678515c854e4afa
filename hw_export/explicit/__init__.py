"""A network as explicit linear maps between its populations."""
