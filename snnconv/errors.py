"""The project's errors: each says what went wrong, where, and what to do about it."""

from __future__ import annotations

from coding.errors import ConfigurationError as ConfigurationError
from coding.errors import InputError as InputError
from coding.errors import SnnconvError as SnnconvError


class ModelError(SnnconvError):
    """The model's weights, device or precision cannot be used."""


class StorageError(SnnconvError):
    """A file cannot be written or read: truncated, altered, from a future version, or not one of ours."""


class WorkerError(SnnconvError):
    """A process that did a part of the work was killed, cannot be started, or cannot be reached."""


class RankError(SnnconvError):
    """Processes that share work cannot go on: one is gone, has failed, or has other data or another version."""
