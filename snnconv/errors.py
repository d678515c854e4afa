"""The project's errors: each says what went wrong, where, and what to do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from coding.errors import ConfigurationError as ConfigurationError
from coding.errors import InputError as InputError
from coding.errors import SnnconvError as SnnconvError

if TYPE_CHECKING:
    from snnconv.preflight import Preflight


class UnsupportedModelError(SnnconvError):
    """The model cannot be converted; ``preflight`` holds every reason with the user's own source line."""

    def __init__(self, preflight: Preflight) -> None:
        super().__init__(f"the model cannot be converted\n{preflight}")
        self.preflight = preflight


class ModelError(SnnconvError):
    """The model's weights, device or precision cannot be used."""


class StorageError(SnnconvError):
    """A file cannot be written or read: truncated, altered, from a future version, or not one of ours."""
