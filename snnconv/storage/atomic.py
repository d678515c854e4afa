"""What is written whole or not at all, by one process at a time: files in the place of those before, new folders."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from snnconv.errors import StorageError
from snnconv.storage.claims import claimed

#: How long to wait for another process that writes the same file, and for one that clears its folder meanwhile.
_PATIENCE_SECONDS, _CLEARING_SECONDS = 60.0, 0.2


def write_whole(path: str | os.PathLike[str], content: bytes) -> None:
    """Make ``content`` what the file ``path`` holds; after an interruption it holds what it held before.

    A link keeps leading to the file that is written, and a file that was there keeps its access mode and its owner.
    What a killed process left in the folder is removed. Raises ``StorageError`` where the file cannot be written.
    """
    replace_whole(path, lambda: content)


def replace_whole(path: str | os.PathLike[str], made: Callable[[], bytes]) -> None:
    """As ``write_whole``, with the content that ``made`` makes while no other process replaces the file."""
    with explained(path):
        target = _meant(path)
        there = os.stat(target) if target.exists() else None
        with claimed(target, "part", 0o666 if there is None else 0o600, _PATIENCE_SECONDS) as claim:
            content = memoryview(made())
            while content:
                content = content[os.write(claim.handle, content) :]
            if there is not None:
                _make_alike(claim.handle, there)
            os.fsync(claim.handle)
            claim.move_to(target)
        with contextlib.suppress(OSError):  # so that the new name outlives a loss of power, too
            _sync_folder(target.parent)


def check_writable(path: str | os.PathLike[str]) -> None:
    """Raise ``StorageError`` where ``write_whole`` would, as far as that can be told without content."""
    with explained(path), claimed(_meant(path), "part", 0o600, _PATIENCE_SECONDS):
        pass


def check_new_folder(path: str | os.PathLike[str]) -> None:
    """Raise ``StorageError`` where ``write_new_folder`` would, as far as that can be told without content."""
    with explained(path), claimed(_new_folder(path), "lock", 0o600, _CLEARING_SECONDS):
        pass


def write_new_folder(path: str | os.PathLike[str], files: Mapping[str, bytes]) -> None:
    """Make a folder ``path`` that holds ``files``, contents by name; after an interruption there is none of them.

    What a killed process left beside it is removed. Raises ``StorageError`` where there is anything but an empty folder
    already, and where it cannot be written.
    """
    with explained(path):
        target = _new_folder(path)
        own = hashlib.sha256(os.fsencode(target.name)).hexdigest()[:16]
        beside = target.with_name(f".snnconv-{own}.folder")
        with claimed(target, "lock", 0o600, _CLEARING_SECONDS):
            shutil.rmtree(beside, ignore_errors=True)
            try:
                beside.mkdir()
                if target.is_dir():
                    beside.chmod(stat.S_IMODE(target.stat().st_mode))
                for name, content in files.items():
                    write_whole(beside / name, content)
                os.rename(beside, target)
            except StorageError as error:
                raise StorageError(str(error).replace(str(beside), str(path))) from error
            finally:
                shutil.rmtree(beside, ignore_errors=True)
            with contextlib.suppress(OSError):
                _sync_folder(target.parent)


@contextmanager
def exclusive(path: str | os.PathLike[str]) -> Iterator[None]:
    """No other process, and no other call, has ``path`` to itself as long as this lasts.

    Raises ``StorageError`` where one has, or where nothing can be written beside ``path``.
    """
    with contextlib.ExitStack() as stack:
        with explained(path):
            stack.enter_context(claimed(_meant(path), "lock", 0o600, _CLEARING_SECONDS))
        yield


@contextmanager
def temporary_file(content: bytes) -> Iterator[Path]:
    """A file with ``content`` as long as this lasts; raises ``StorageError`` where it cannot be written."""
    with contextlib.ExitStack() as stack:
        with explained("a temporary file"):
            file = Path(stack.enter_context(TemporaryDirectory()), "content")
            file.write_bytes(content)
        yield file


@contextmanager
def explained(path: str | os.PathLike[str]) -> Iterator[None]:
    """Errors of the system are a ``StorageError`` that says that ``path`` cannot be written."""
    try:
        yield
    except (OSError, ValueError) as error:  # the second for a name with a null byte
        raise StorageError(f"{path} cannot be written: {getattr(error, 'strerror', None) or error}") from error


def _meant(path: str | os.PathLike[str]) -> Path:
    """The file that ``path`` leads to; raises ``StorageError`` for what is no file, or must not be changed."""
    target = Path(os.path.realpath(path))
    if target.is_symlink():
        raise StorageError(f"{path} cannot be written: its links lead in a circle")
    _check_folder_of(target, path)
    if target.exists() and not target.is_file():
        raise StorageError(f"{path} cannot be written: it is no regular file")
    if target.exists() and not os.access(target, os.W_OK):
        raise StorageError(f"{path} cannot be written: it is read-only")
    return target


def _new_folder(path: str | os.PathLike[str]) -> Path:
    """The folder that ``path`` leads to; raises ``StorageError`` unless it is new, or empty and not the current one."""
    target = Path(os.path.realpath(path))
    if target.is_dir() and any(target.iterdir()):
        raise StorageError(f"{path} cannot be written: it is a folder with files in it; name a new one")
    if target.is_dir() and target.samefile(os.curdir):
        raise StorageError(f"{path} cannot be written: it is the current folder; name a new one in it")
    if not target.is_dir() and (target.exists() or target.is_symlink()):
        raise StorageError(f"{path} cannot be written: it is no folder; name a new one")
    _check_folder_of(target, path)
    return target


def _check_folder_of(target: Path, path: str | os.PathLike[str]) -> None:
    if not target.parent.exists():
        raise StorageError(f"{path} cannot be written: there is no folder {target.parent}; make it first")


def _make_alike(handle: int, there: os.stat_result) -> None:
    """Give the new file the owner, where that is allowed, and the access mode of the one that was there."""
    new = os.fstat(handle)
    if (new.st_uid, new.st_gid) != (there.st_uid, there.st_gid):
        with contextlib.suppress(PermissionError):
            os.fchown(handle, there.st_uid, there.st_gid)
    if hasattr(os, "fchmod"):  # Windows has it from Python 3.13 on
        os.fchmod(handle, stat.S_IMODE(there.st_mode))


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
