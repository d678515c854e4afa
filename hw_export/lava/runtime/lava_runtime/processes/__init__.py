"""Lava processes: ports and variables. Lava executes every file of a process's folder, so nothing here has effects."""
