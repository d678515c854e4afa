"""The search for what kills break: it finds nothing in a sound save, and it finds a save that is not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

from snnconv.storage.atomic import write_whole
from tests.fuzz.kills import OPERATIONS, KillTally, Operation, chain, undisturbed

#: What is written, in three parts for those who do not write it whole.
PARTS = (b"new " * 9, b"and " * 9, b"newer " * 9)


def in_place(folder: Path) -> None:
    """A save into the file itself."""
    with (folder / "file").open("wb", buffering=0) as file:
        for part in PARTS:
            file.write(part)
            write_whole(folder.parent / "elsewhere", part)


def beside(folder: Path) -> None:
    """A save by way of a file that nobody clears away."""
    path = folder / f"part {len(list(folder.iterdir()))}"
    path.write_bytes(b"".join(PARTS))
    write_whole(folder.parent / "elsewhere", b"")
    path.replace(folder / "file")


def whole(folder: Path) -> None:
    write_whole(folder / "file", b"".join(PARTS))


def before(folder: Path) -> None:
    (folder / "file").write_bytes(b"old")


def tried(operation: Operation, folder: Path, chains: int) -> KillTally:
    tally, known = KillTally(), replace(undisturbed(operation, folder / "undisturbed"), seconds=0.0)
    for number in range(chains):
        chain(operation, known, folder / str(number), Random(number), tally)
    return tally


def test_a_sound_save_withstands_kills_and_others_are_found_out(tmp_path: Path) -> None:
    found: dict[str, Any] = {}
    for name, write in (("whole", whole), ("in place", in_place), ("beside", beside)):
        folder = tmp_path / name
        folder.mkdir()
        found[name] = tried(Operation(write, before), folder, 6)
        assert found[name].by_time and found[name].by_call
    assert found["whole"].faults == [] and found["whole"].equal == 6 and found["whole"].with_remains > 0
    assert any("neither as before nor as afterwards" in fault for fault in found["in place"].faults)
    assert any("is not as it was to be" in fault for fault in found["beside"].faults)


def test_what_writes_a_run_that_goes_on_is_among_the_operations() -> None:
    assert set(OPERATIONS) == {"save", "sweep", "learning", "tuning", "detector training", "Lava export"}
