"""Every file is written whole or not at all, in the place and of the kind that it had; kills leave nothing behind."""

from __future__ import annotations

import ast
import contextlib
import errno
import os
import re
import signal
import stat
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from snnconv.errors import StorageError
from snnconv.storage import atomic, claims
from snnconv.storage.atomic import check_new_folder, check_writable, exclusive, write_new_folder, write_whole
from tests.support.children import ended, killed_at, on_small_disk, read_only, started
from tests.support.written_files import FOLDER_WRITERS, WRITERS

if sys.platform == "linux":
    import resource
else:
    pytest.skip("kills, limits and small disks as Linux has them", allow_module_level=True)

ROOT = Path(__file__).parents[3]
Write = Callable[[Path], object]
#: Calls in the order of a save: of the new file, its content, its access, and of its way into place.
STAGES = ("open", "write", "fsync", "replace")


@pytest.fixture(params=WRITERS)
def write(request: pytest.FixtureRequest) -> Write:
    return WRITERS[request.param]


@pytest.fixture
def umask() -> Iterator[None]:
    before = os.umask(0o027)
    yield
    os.umask(before)


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func).rpartition(".")[2], node


def writes(name: str, call: ast.Call) -> bool:
    """Whether a call writes a file of its own."""
    texts = [part.value for part in ast.walk(call) if isinstance(part, ast.Constant) and isinstance(part.value, str)]
    opens = name in ("open", "fdopen") and any(text in ("w", "wb", "a", "ab", "x", "xb") for text in texts)
    return opens or name in ("write_text", "write_bytes", "save_file")


def test_every_kind_of_file_is_among_those_tested_and_written_in_one_place() -> None:
    """Of the rest, one writes to devices alone, and four into folders of their own, which are removed."""
    found, folders, others = set(), set(), set()
    for package in ("coding", "neurons", "snnconv", "hw_export"):
        for file in (ROOT / package).rglob("*.py"):
            text, name = file.read_text(encoding="utf-8"), file.relative_to(ROOT).as_posix()
            if not re.search(r"_whole\(|open\(|write_|save_file", text):
                continue
            named = list(calls(ast.parse(text)))
            if dict(named).keys() & {"write_whole", "replace_whole"} and name != "snnconv/storage/atomic.py":
                found.add(name)
            if "write_new_folder" in dict(named):
                folders.add(name)
            if any(writes(*each) for each in named):
                others.add(name)
    assert found == WRITERS.keys() and folders == FOLDER_WRITERS.keys()
    lava = {"hw_export/lava/launch.py", "hw_export/lava/child.py"}
    own = {"snnconv/cli/options.py", "snnconv/storage/atomic.py", *lava}
    assert {name for name in others if not name.startswith("hw_export/lava/runtime/")} == own


def test_what_is_written_keeps_its_access_its_links_and_any_name(write: Write, tmp_path: Path, umask: None) -> None:
    names = ("new.png", "private.png", "n" * 236 + ".png", "ü" * 118 + ".png", "脉冲.png")  # at most 240 bytes
    for name in names:
        write(tmp_path / name)
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o640
    private = tmp_path / "private.png"
    private.chmod(0o600)
    write(private)
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    folder = tmp_path / "folder"
    folder.mkdir()
    link, second, dangling = (tmp_path / f"{name}.png" for name in ("link", "second", "dangling"))
    link.symlink_to("new.png")
    second.symlink_to(link)
    dangling.symlink_to(folder / "made.png")
    os.utime(tmp_path / "new.png", (0.0, 0.0))
    for path in (second, dangling):
        write(path)
    assert second.is_symlink() and link.is_symlink() and dangling.is_symlink()
    assert (tmp_path / "new.png").stat().st_mtime > 0.0 and (folder / "made.png").is_file()
    assert {path.name for path in tmp_path.iterdir()} == {*names, "folder", "link.png", "second.png", "dangling.png"}


@pytest.mark.parametrize(
    ("stage", "reason"),
    [
        ("open", errno.EACCES),
        ("write", errno.ENOSPC),
        ("write", errno.EDQUOT),
        ("fsync", errno.EIO),
        ("replace", errno.EROFS),
    ],
)
def test_what_fails_names_the_file_and_leaves_it_as_it_was(
    stage: str, reason: int, write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "kept.png"
    write(path)
    before, original = content(tmp_path), getattr(os, stage)

    def fail(*arguments: Any, **options: Any) -> Any:
        if stage == "open" and not arguments[1] & os.O_CREAT:
            return original(*arguments, **options)
        raise OSError(reason, os.strerror(reason))

    monkeypatch.setattr(os, stage, fail)
    with pytest.raises(StorageError, match=rf"kept\.png cannot be written: {os.strerror(reason)}"):
        write(path)
    monkeypatch.undo()
    assert content(tmp_path) == before


def test_a_limit_on_the_size_of_files_loses_nothing(write: Write, tmp_path: Path) -> None:
    path = tmp_path / "kept.png"
    write(path)
    before, limits = content(tmp_path), resource.getrlimit(resource.RLIMIT_FSIZE)
    assert signal.getsignal(signal.SIGXFSZ) is signal.SIG_IGN, "as Python starts"
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (16, limits[1]))
        with pytest.raises(StorageError, match=r"kept\.png cannot be written: File too large"):
            write(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert content(tmp_path) == before


def test_a_full_disk_and_one_that_cannot_be_written_lose_nothing(tmp_path: Path) -> None:
    def fill() -> None:
        path = tmp_path / "kept"
        write_whole(path, b"old" * 5000)
        with (tmp_path / "ballast").open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(4096))
        for number, write in enumerate(WRITERS.values()):
            with pytest.raises(StorageError, match=rf"new {number}\.png cannot be written: No space left on device"):
                write(tmp_path / f"new {number}.png")
        with pytest.raises(StorageError, match="kept cannot be written: No space left on device"):
            write_whole(path, bytes(20_000))
        assert {each.name for each in tmp_path.iterdir()} == {"kept", "ballast"}
        (tmp_path / "ballast").unlink()
        read_only(tmp_path)
        for number, write in enumerate(WRITERS.values()):
            with pytest.raises(StorageError, match=rf"new {number}\.png cannot be written: Read-only file system"):
                write(tmp_path / f"new {number}.png")
        assert content(tmp_path) == {"kept": b"old" * 5000}

    on_small_disk(tmp_path, 64, fill)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: path.mkdir(), "it is no regular file"),
        (lambda path: os.mkfifo(path), "it is no regular file"),
        (lambda path: path.symlink_to("/dev/full"), "it is no regular file"),
        (lambda path: path.symlink_to(path), "its links lead in a circle"),
    ],
)
def test_what_is_no_file_is_refused_and_stays(make: Callable[[Path], None], reason: str, tmp_path: Path) -> None:
    path = tmp_path / "name"
    make(path)
    before = path.lstat()
    with pytest.raises(StorageError, match=f"name cannot be written: {reason}"):
        write_whole(path, b"new")
    assert path.lstat() == before and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("write", [lambda path: write_whole(path, b"new"), check_writable, check_new_folder])
def test_a_folder_that_is_missing_is_named(write: Callable[[Path], None], tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"name cannot be written: there is no folder .*such; make it first"):
        write(tmp_path / "no" / "such" / "name")
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_read_only_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "name"
    path.write_bytes(b"old")
    path.chmod(0o444)
    monkeypatch.setattr(os, "access", lambda *_: False)  # what it says to all but the superuser
    with pytest.raises(StorageError, match="name cannot be written: it is read-only"):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old"


# Folders

FILES = {"first": b"1" * 9, "second": b"2" * 9}


@pytest.fixture(params=[*FOLDER_WRITERS, None])
def write_folder(request: pytest.FixtureRequest) -> Write:
    return FOLDER_WRITERS.get(request.param, lambda path: write_new_folder(path, FILES))


def test_a_folder_is_made_or_filled_at_once(write_folder: Write, tmp_path: Path, umask: None) -> None:
    write_folder(tmp_path / "new")
    (tmp_path / "empty").mkdir(0o700)
    (tmp_path / "link").symlink_to("empty")
    write_folder(tmp_path / "link")
    assert content(tmp_path / "new") == content(tmp_path / "empty") and len(content(tmp_path / "new")) > 1
    assert [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("new", "empty")] == [0o750, 0o700]
    assert {path.name for path in tmp_path.iterdir()} == {"new", "empty", "link"}


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: write_whole(path, b"old"), "it is no folder"),
        (lambda path: path.symlink_to(path), "it is no folder"),
        (lambda path: (path.mkdir(), write_whole(path / "old", b"old")), "it is a folder with files in it"),
        (lambda path: (path.mkdir(), os.chdir(path)), "it is the current folder"),
    ],
)
def test_what_is_there_already_is_refused_and_stays(
    make: Callable[[Path], None], reason: str, write_folder: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make(tmp_path / "name")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(StorageError, match=f"name cannot be written: {reason}"):
        write_folder(tmp_path / "name")
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("stage", ["mkdir", *STAGES, "rename"])
def test_a_folder_that_cannot_be_written_is_not_there(
    stage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, stage, fail)
        with pytest.raises(StorageError, match=r"name.* cannot be written: No space left on device"):
            write_new_folder(tmp_path / "name", FILES)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("stage", [*STAGES, "rename"])
def test_a_kill_leaves_no_part_of_a_folder_and_the_next_write_nothing_beside_it(stage: str, tmp_path: Path) -> None:
    for calls in (1, 2):
        if stage != "rename" or calls == 1:
            killed_at(stage, lambda: write_new_folder(tmp_path / "name", FILES), calls)
            assert not (tmp_path / "name").exists()
    write_new_folder(tmp_path / "name", FILES)
    assert [path.name for path in tmp_path.iterdir()] == ["name"] and content(tmp_path / "name") == FILES


# Kills, and others that write


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("same", [True, False])
def test_a_kill_leaves_a_whole_file_and_the_next_write_nothing_beside_it(
    stage: str, same: bool, tmp_path: Path
) -> None:
    path = tmp_path / "name"
    write_whole(path, b"old" * 9)
    for _ in range(2):
        killed_at(stage, lambda: write_whole(path, b"new" * 9))
        assert path.read_bytes() == b"old" * 9
    assert len(list(tmp_path.iterdir())) == (1 if stage == "open" else 2)
    following = path if same else tmp_path / "other"
    write_whole(following, b"next")
    assert {each.name for each in tmp_path.iterdir()} == {"name", following.name}
    assert following.read_bytes() == b"next" and (same or path.read_bytes() == b"old" * 9)


def test_a_kill_of_a_run_that_has_a_file_to_itself_lets_the_next_have_it(tmp_path: Path) -> None:
    path = tmp_path / "run.checkpoint"

    def killed() -> None:
        with exclusive(path):
            write_whole(path, b"first epoch")
            os.fsync(-1)

    killed_at("fsync", killed, calls=3)
    with exclusive(path):
        assert path.read_bytes() == b"first epoch"
    assert list(tmp_path.iterdir()) == [path]


def test_the_files_of_living_processes_are_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, other = tmp_path / "name", tmp_path / "other"
    reading, writing = os.pipe()

    def work() -> None:
        def slow() -> bytes:
            os.write(writing, b"x")
            time.sleep(60)
            return b"never"

        atomic.replace_whole(path, slow)

    child = started(work)
    try:
        os.read(reading, 1)
        write_whole(other, b"other")
        assert len(list(tmp_path.iterdir())) == 2, "the other process's file, and ours"
        monkeypatch.setattr(atomic, "_PATIENCE_SECONDS", 0.0)
        with pytest.raises(StorageError, match=r"name is being written by another process, which holds .*\.part"):
            write_whole(path, b"mine")
    finally:
        os.kill(child, signal.SIGKILL)
        ended(child)
        os.close(reading)
        os.close(writing)
    write_whole(path, b"mine")
    assert content(tmp_path) == {"name": b"mine", "other": b"other"}


def test_a_process_that_clears_the_folder_is_no_second_owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with exclusive(tmp_path / "name"):
        (claim,) = tmp_path.iterdir()
    claim.touch()  # as a kill leaves it, and another process has it for the moment that it takes to find that out
    moments, cleared = iter([False, False]), claims._cleared
    monkeypatch.setattr(claims, "_cleared", lambda path: next(moments, True) and cleared(path))
    with exclusive(tmp_path / "name"):
        assert list(tmp_path.iterdir()) == [claim]


def test_a_file_is_exclusive_to_one_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "name"
    with exclusive(path):
        with pytest.raises(StorageError, match="name is being written by another process"), exclusive(path):
            pass
        with exclusive(tmp_path / "other"):
            write_whole(path, b"mine")
    with exclusive(path):
        pass
    assert content(tmp_path) == {"name": b"mine"}


def test_many_processes_that_change_one_file_lose_no_change(tmp_path: Path) -> None:
    path = tmp_path / "count"
    write_whole(path, b"0")

    def count() -> None:
        for _ in range(20):
            atomic.replace_whole(path, lambda: str(int(path.read_bytes()) + 1).encode())

    children = [started(count) for _ in range(3)]
    assert [ended(child) for child in children] == [0, 0, 0]
    assert content(tmp_path) == {"count": b"60"}


@pytest.mark.parametrize("reason", [errno.ENOLCK, errno.ENOSYS])
def test_a_file_system_without_locks_takes_files_all_the_same(
    reason: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(reason, os.strerror(reason))

    monkeypatch.setattr("snnconv.storage.claims.fcntl.flock", no_locks)
    for text in (b"first", b"second"):
        with exclusive(tmp_path / "name"):
            write_whole(tmp_path / "name", text)
        assert content(tmp_path) == {"name": text}


def test_a_system_where_open_files_stay_where_they_are_takes_files_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Windows: no locks, and no open file is moved or removed."""
    handles: dict[str, int] = {}
    moved: list[str] = []

    def opened(path: Any, flags: int, *mode: int) -> int:
        handles[str(path)] = original["open"](path, flags, *mode)
        return handles[str(path)]

    def refusing(name: str) -> Any:
        def called(path: Any, *others: Any) -> None:
            with contextlib.suppress(KeyError, OSError):  # of a file that was never opened, or is closed
                if os.path.samestat(os.fstat(handles[str(path)]), os.stat(path)):
                    moved.append(str(path))
            original[name](path, *others)

        return called

    original = {name: getattr(os, name) for name in ("open", "unlink", "rename", "replace")}
    monkeypatch.setattr(claims, "fcntl", None)
    monkeypatch.delattr(os, "fchmod")
    monkeypatch.setattr(os, "open", opened)
    for name in ("unlink", "rename", "replace"):
        monkeypatch.setattr(os, name, refusing(name))
    for text in (b"first", b"second"):
        with exclusive(tmp_path / "name"):
            write_whole(tmp_path / "name", text)
        assert content(tmp_path) == {"name": text} and moved == []


def test_what_another_user_left_is_no_obstacle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, original = tmp_path / "name", os.open
    killed_at("replace", lambda: write_whole(path, b"of another"))
    (left,) = tmp_path.iterdir()

    def theirs(name: Any, flags: int, *mode: int) -> int:
        if Path(name) == left and not flags & os.O_CREAT:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return original(name, flags, *mode)

    monkeypatch.setattr(os, "open", theirs)
    write_whole(path, b"mine")
    assert content(tmp_path) == {"name": b"mine", left.name: b"of another"}
