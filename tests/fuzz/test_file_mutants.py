"""Every format has mutants, a few of which are read in every run of the tests; the checks are shown to find faults."""

from __future__ import annotations

import ast
import dataclasses
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from snnconv.data import file_kinds
from snnconv.data.file_kinds import FileKind
from snnconv.detection.data.images import SUFFIXES
from snnconv.storage import signed
from tests.fuzz.children import Limits
from tests.fuzz.files import ALLOWED, example_of, outcomes_of
from tests.fuzz.formats.format import FileFormat
from tests.fuzz.formats.registry import FORMATS

ROOT = Path(__file__).parents[2]
SEED, FEW = 3, 4
#: Kinds of files that are only recognised, so that an error can say what they are.
NEVER_READ = {
    file_kinds.NETX,
    file_kinds.SCRIPT,
    file_kinds.PICKLE,
    file_kinds.PAGE,
    file_kinds.POINTER,
    file_kinds.FOLDER,
}
#: Modules that open files, but none from outside, or none for their content.
NO_FORMAT = {
    "snnconv/scaling/shared.py",  # what this very call wrote for processes of its own
    "snnconv/training/checkpoint.py",  # gives the others what its reader, that of signed files, has taken
    "snnconv/reporting/page.py",  # its own style and script
    "snnconv/kernels/native.py",  # its own sources, for a digest of them
    "snnconv/data/file_kinds.py",  # what a file is: each mutant that is refused passes it
    "hw_export/lava/launch.py",  # what its own runtime wrote into a folder of its own
    "hw_export/lava/child.py",  # what its own process said, and what the system says of it
    "hw_export/integers/declared.py",  # the sources of the Lava that is installed, never run
}
#: Functions that open files to read them, by the last part of their names.
OPENING = {"open", "read_bytes", "read_text", "safe_open", "load_file", "ZipFile", "File"}
#: As they are called.
LOADING = {"np.load", "torch.load", "torch.export.load", "torch.jit.load"}


@pytest.mark.parametrize("name", FORMATS)
def test_mutants_are_refused_or_harmless(name: str) -> None:
    with example_of(FORMATS[name]) as example:
        found = list(outcomes_of(example, SEED, range(FEW)))
    assert [each for each in found if each.kind not in ALLOWED] == []


def test_every_kind_of_file_has_mutants() -> None:
    kinds = {value for value in vars(file_kinds).values() if isinstance(value, FileKind)}
    assert kinds - NEVER_READ == {form.kind for form in FORMATS.values() if form.kind is not None}


def test_every_format_of_pictures_has_mutants() -> None:
    aliases = {".jpeg": ".jpg", ".tiff": ".tif"}
    assert {aliases.get(suffix, suffix) for suffix in SUFFIXES} == {
        Path(form.file).suffix for form in FORMATS.values() if form.kind is file_kinds.PICTURE
    }


def opens_files(module: Path) -> bool:
    """Whether a module opens files to read them."""
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        name = called.rpartition(".")[2]
        modes = [each.value for each in node.args if isinstance(each, ast.Constant)]
        if any(isinstance(mode, str) and mode.strip("bt+") in ("w", "a", "x") for mode in modes):
            continue
        if (name in OPENING and called != "os.open") or called in LOADING:
            return True
    return False


def test_every_module_that_reads_files_has_mutants() -> None:
    """A reader that comes later fails here until its format stands in ``tests/fuzz/formats``."""
    packages = ("coding", "neurons", "snnconv", "hw_export")
    modules = [module for package in packages for module in (ROOT / package).rglob("*.py")]
    reading = {module.relative_to(ROOT).as_posix() for module in modules if opens_files(module)}
    assert reading - NO_FORMAT == {module for form in FORMATS.values() for module in form.opens}


def faulty(name: str, read: Any) -> FileFormat:
    """The format, with another reader."""
    return dataclasses.replace(FORMATS[name], read=read)


def kinds_of(form: FileFormat, count: int = 12, **limits: Any) -> set[str]:
    with example_of(form) as example:
        return {found.kind for found in outcomes_of(example, SEED, range(count), Limits(**limits))}


class Anything(str):
    """A text that is no other than any."""

    def __ne__(self, other: object) -> bool:
        return False

    __hash__ = str.__hash__


def test_a_checksum_that_is_not_compared_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    with example_of(FORMATS[".snn, rate code"]) as example:
        monkeypatch.setattr(signed, "signature", lambda *_: Anything())
        assert "altered and accepted" in {found.kind for found in outcomes_of(example, SEED, range(60))}


def hang() -> None:
    time.sleep(100.0)


def grow() -> None:
    """By far more than the libraries that its parent holds in memory, of which a forked child holds none at first."""
    held = []
    for _ in range(32):
        held.append(b"x" * (1 << 26))
        time.sleep(0.01)
    time.sleep(100.0)
    assert held


def resident() -> int:
    return int(Path("/proc/self/statm").read_bytes().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def raw() -> None:
    raise ZeroDivisionError("of a reader")


def crash() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


@pytest.mark.parametrize(
    ("fault", "kind"),
    [(hang, "hang"), (grow, "out of memory"), (raw, "raw ZeroDivisionError"), (crash, "crash: SIGSEGV")],
)
def test_every_kind_of_failure_is_told(fault: Any, kind: str) -> None:
    """A reader that fails for one byte that no example has."""
    form = FORMATS["names of classes"]

    def read(path: Path) -> Any:
        if path.read_bytes() != b"cat\ndog\ncow":
            fault()
        return form.read(path)

    limits = {"seconds": 0.3} if fault is hang else {"resident": resident() + (1 << 26)}
    assert kind in kinds_of(faulty(form.name, read), 2, **limits)
