"""Options that are integers."""

from __future__ import annotations

from snnconv.errors import ConfigurationError


def check_integers(least: int, **numbers: object) -> None:
    """Raise ``ConfigurationError`` unless each of ``numbers``, by name, is an integer of at least ``least``."""
    for name, value in numbers.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ConfigurationError(f"{name} must be an integer of at least {least}, got {value!r}")
