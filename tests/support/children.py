"""Children of the test's process: what happens to one that is killed, or that has a small disk, happens to it alone."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

_NEW_USER, _NEW_MOUNTS = 0x10000000, 0x00020000
_NO_MOUNT = 77


def started(work: Callable[[], object]) -> int:
    """The process number of a child that does ``work``, and ends with 1 where that raises."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of threads, which these children do not use
        child = os.fork()
    if child:
        return child
    status = 1
    try:
        signal.alarm(600)  # whatever happens, it does not outlive the test for long
        work()
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def ended(child: int) -> int:
    """How a child ended: its exit status, or minus the number of the signal that killed it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def killed_at(function: str, work: Callable[[], object], calls: int = 1) -> None:
    """Do ``work`` in a child that kills itself when it calls ``os.<function>`` for the ``calls``-th time."""

    def child() -> None:
        original, left = getattr(os, function), [calls]

        def kill(*arguments: object, **options: object) -> object:
            left[0] -= 1
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)
            return original(*arguments, **options)

        setattr(os, function, kill)
        work()

    assert ended(started(child)) == -signal.SIGKILL


def on_small_disk(folder: Path, kilobytes: int, work: Callable[[], object]) -> None:
    """Do ``work`` in a child that sees a disk of so many kilobytes at ``folder``; skips where none can be mounted."""

    def child() -> None:
        system, user = ctypes.CDLL(None, use_errno=True), (os.geteuid(), os.getegid())
        if system.unshare(_NEW_USER | _NEW_MOUNTS):
            os._exit(_NO_MOUNT)
        for name, number in zip(("uid", "gid"), user, strict=True):
            with contextlib.suppress(OSError):
                Path("/proc/self/setgroups").write_text("deny")
            Path(f"/proc/self/{name}_map").write_text(f"0 {number} 1")
        if system.mount(b"small", os.fsencode(folder), b"tmpfs", 0, f"size={kilobytes}k".encode()):
            os._exit(_NO_MOUNT)
        work()

    status = ended(started(child))
    if status == _NO_MOUNT:
        pytest.skip("no disk can be mounted here")
    assert status == 0


def read_only(folder: Path) -> None:
    """Make the disk at ``folder`` read-only, in a child of ``on_small_disk``."""
    remount, read_only = 32, 1
    assert ctypes.CDLL(None).mount(None, os.fsencode(folder), None, remount | read_only, None) == 0
