"""A converted network as a machine's program: integers, Lava, NIR."""
