"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

from snnconv.errors import StorageError


def write_whole(path: str | os.PathLike[str], content: bytes) -> None:
    """Make ``content`` what the file ``path`` holds; after an interruption it holds what it held before.

    Raises ``StorageError`` where the file cannot be written.
    """
    target = Path(path)
    try:
        if target.exists() and not target.is_file():
            raise StorageError(f"{target} cannot be written: it is no regular file")
        temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
        handle = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except (OSError, ValueError) as error:  # the second for a name with a null byte
        raise StorageError(f"{target} cannot be written: {getattr(error, 'strerror', None) or error}") from error
