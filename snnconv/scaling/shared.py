"""What all items of a call have in common, such as the network: sent once, and mapped into memory where it can be."""

from __future__ import annotations

import os
import shutil
import threading
import uuid
from collections import OrderedDict
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Self

import cloudpickle
import torch

from snnconv.errors import ConfigurationError

#: How many shared values a process keeps, the latest used.
_MOST_KEPT = 4


class Missing(Exception):
    """An item needs a shared value that its process neither holds nor can read: send it the content."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


class SharedValue:
    """A value that many items need; an item that is unpickled holds the value itself in its place.

    Tensors lie in a temporary file, which processes of one machine map into their memory, so that they hold them once
    together. A process that cannot read the file is sent its content with the first item that it does.

    Args:
        value: What is shared.
        what: What errors call it.

    Raises:
        ConfigurationError: The value cannot be pickled.
    """

    def __init__(self, value: Any, what: str) -> None:
        self.key = uuid.uuid4().hex
        self._folder = TemporaryDirectory(prefix="snnconv-", ignore_cleanup_errors=True)
        self._path = Path(self._folder.name, "shared")
        try:
            torch.save(value, self._path, pickle_module=cloudpickle)
        except Exception as error:  # whatever the state of a class of others raises
            self._folder.cleanup()
            if isinstance(error, OSError):
                raise
            raise ConfigurationError(unsendable(what, error)) from error

    def __reduce__(self) -> tuple[Any, ...]:
        return _found, (self.key, os.fspath(self._path))

    def content(self) -> bytes:
        """What the file holds, for processes that cannot read it."""
        return self._path.read_bytes()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._folder.cleanup()


_kept: OrderedDict[str, Any] = OrderedDict()
#: Folders of the files that kept values were read from, by key.
_folders: dict[str, Path] = {}
_lock = threading.Lock()


def hold(contents: Mapping[str, bytes]) -> None:
    """Keep the values with these contents, by key, for the items of this process."""
    for key, content in contents.items():
        with _lock:
            _keep(key, torch.load(BytesIO(content), weights_only=False))


def _found(key: str, path: str) -> Any:
    with _lock:
        if key not in _kept:
            if not os.path.exists(path):
                raise Missing(key)
            _folders[key] = Path(path).parent
            _keep(key, torch.load(path, mmap=True, weights_only=False))
        _kept.move_to_end(key)
        return _kept[key]


def remove_read() -> None:
    """Remove the files that this process has read, whose owner was killed and cannot."""
    for folder in list(_folders.values()):  # others may read another value meanwhile
        shutil.rmtree(folder, ignore_errors=True)


def _keep(key: str, value: Any) -> None:
    _kept[key] = value
    while len(_kept) > _MOST_KEPT:
        oldest, _ = _kept.popitem(last=False)
        _folders.pop(oldest, None)


def unsendable(what: str, error: Exception) -> str:
    """Why ``what`` cannot be sent to another process, and what to do about it."""
    reason = str(error) or type(error).__name__
    return (
        f"{what} cannot be sent to workers: {reason}; keep locks, open files and generators out of it, give tensors "
        "or a DataLoader, or leave workers and executor out"
    )
