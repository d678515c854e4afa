"""Methods that say one thing twice: which classes changed only one of them."""

from __future__ import annotations


def agree(kind: type, method: str, description: str) -> bool:
    """Whether ``description`` of a class describes its ``method``: not where a class below changed the method alone."""
    for owner in kind.__mro__:
        if description in vars(owner):
            return True
        if method in vars(owner):
            return False
    return False
