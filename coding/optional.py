"""Packages that only some users need."""

from __future__ import annotations

import importlib
from typing import Any

from coding.errors import ConfigurationError


def imported(package: str, install: str) -> Any:
    """The module ``package``; raises ``ConfigurationError`` saying what to ``install`` where it is missing."""
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise ConfigurationError(f"{package} cannot be imported ({error}); pip install {install!r}") from error
