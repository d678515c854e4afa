"""A converted network as a machine's program: integers, Lava, NIR."""

import snnconv  # noqa: F401 # first: it says so where another file stands in the way of a package
