"""Errors of the runtime: each says what is wrong, where, and what to do about it."""

from __future__ import annotations

#: What gives an interpreter lava-nc, whose metadata refuse those after 3.10.
INSTALL = (
    "pip install --no-deps --ignore-requires-python lava-nc==0.10.0",
    "pip install numpy scipy networkx asteval",
)


class BundleError(Exception):
    """A bundle or its inputs are truncated, altered, from a future version, or no such thing."""


class MissingLavaError(Exception):
    """This interpreter has no lava-nc, or lacks a package that it needs."""


class RunError(Exception):
    """A process of the network failed while it was built or while it ran."""
