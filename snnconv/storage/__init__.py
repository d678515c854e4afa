"""Files: written whole, checked when read."""
