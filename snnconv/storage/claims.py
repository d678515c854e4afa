"""Claims: files beside a target that say that a process writes it, and that the next one clears away after a kill.

A claim is a hidden file that its owner has open and locked (flock). The system takes the lock back when a process ends,
however it ends: whoever gets the lock of a claim knows that its owner is no more, and may remove it.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from snnconv.errors import StorageError

try:
    import fcntl
except ImportError:  # on Windows
    fcntl = None  # type: ignore[assignment]

#: What is claimed: to write the next content of a file, or the file for a whole run.
Purpose = Literal["part", "lock"]

_NAME = re.compile(r"\.snnconv-[0-9a-f]{16}(-[0-9a-f]{8})?\.(part|lock)")
_LOOK_SECONDS = 0.01
#: A new file that takes bytes as they are, on Windows too.
_NEW = os.O_CREAT | os.O_EXCL | os.O_RDWR | getattr(os, "O_BINARY", 0)
#: How a system says that a lock is held by another, and a file system that it has none.
_HELD = frozenset({errno.EAGAIN, errno.EACCES})
_NO_LOCKS = frozenset({errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK})


@dataclass
class Claim:
    """A file that is open for writing, and its name."""

    path: Path
    handle: int

    def is_there(self) -> bool:
        """Whether the file still has its name."""
        try:
            return os.path.samestat(os.fstat(self.handle), os.lstat(self.path))
        except OSError:
            return False

    def move_to(self, target: Path) -> None:
        """Put the file in the place of ``target``."""
        if fcntl is None:  # an open file cannot be moved there
            os.close(self.handle)
            self.handle = os.open(os.devnull, os.O_RDONLY)
        os.replace(self.path, target)


@contextmanager
def claimed(target: Path, purpose: Purpose, mode: int, seconds: float) -> Iterator[Claim]:
    """A claim on ``target``, a file made anew with access ``mode``, which is gone afterwards unless it was moved.

    No other process has one for the same purpose meanwhile, where the file system has locks. What killed processes left
    in the folder is removed first. Raises ``StorageError`` where a living process keeps its claim for longer than
    ``seconds``, and ``OSError`` where no file can be made.
    """
    _clear_folder(target.parent)
    claim = _claim(target, purpose, mode, seconds)
    try:
        yield claim
    finally:
        left = claim.is_there()
        if fcntl is None:  # an open file cannot be removed there; the name is this claim's own
            os.close(claim.handle)
        if left:
            os.unlink(claim.path)
        if fcntl is not None:
            os.close(claim.handle)


def _claim(target: Path, purpose: Purpose, mode: int, seconds: float) -> Claim:
    begin = f".snnconv-{hashlib.sha256(os.fsencode(target.name)).hexdigest()[:16]}"
    path, own = (target.with_name(f"{begin}{token}.{purpose}") for token in ("", f"-{secrets.token_hex(4)}"))
    deadline = time.monotonic() + seconds
    while True:
        claim = _made(path, own, mode)
        if claim is not None:
            return claim
        try:
            held = not _cleared(path)
        except PermissionError:  # of another user, and nothing tells whether its owner lives
            held = purpose == "lock"
            path = path if held else own
        if held and time.monotonic() > deadline:
            raise StorageError(
                f"{target} is being written by another process, which holds {path}: wait until it has ended, or take "
                "another path"
            )
        if held:
            time.sleep(_LOOK_SECONDS)


def _made(path: Path, own: Path, mode: int) -> Claim | None:
    """A new file ``path``, open and locked, or ``own`` where there are no locks; ``None`` if another was faster."""
    if fcntl is None:
        return Claim(own, os.open(own, _NEW, mode))
    try:
        claim = Claim(path, os.open(path, _NEW, mode))
    except FileExistsError:
        return None
    try:
        if _locked(claim.handle) and claim.is_there():
            return claim
    except OSError as error:
        if error.errno in _NO_LOCKS:
            os.rename(path, own)
            return Claim(own, claim.handle)
        os.unlink(path)
        os.close(claim.handle)
        raise
    os.close(claim.handle)
    return None


def _clear_folder(folder: Path) -> None:
    """Remove the claims in ``folder`` whose owners live no more, as far as that can be done."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if _NAME.fullmatch(entry.name):
                with contextlib.suppress(OSError):
                    _cleared(Path(entry.path))


def _cleared(path: Path) -> bool:
    """Remove the claim ``path`` if its owner lives no more; whether there is none any longer."""
    try:
        claim = Claim(path, os.open(path, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0)))
    except FileNotFoundError:
        return True
    try:
        if not _locked(claim.handle):
            return False
        if claim.is_there():
            os.unlink(path)
        return True
    finally:
        os.close(claim.handle)


def _locked(handle: int) -> bool:
    """Lock the file unless another has; raises ``OSError`` where the file system has no locks."""
    if fcntl is None:
        raise OSError(errno.ENOSYS, "no locks")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _HELD:
            return False
        raise
    return True
