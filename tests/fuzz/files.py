"""Mutants of files: every format that the project reads, altered and read in children; a table of what came of it."""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from snnconv.storage.atomic import write_whole
from tests.fuzz.children import LIMITS, Limits, each_apart, outcome_of, read_apart
from tests.fuzz.formats.format import FileFormat
from tests.fuzz.formats.registry import FORMATS

#: What may become of a mutant; whatever else does is a fault. Only a file whose checksum was made to fit, or that has
#: none, may be accepted with another content.
ALLOWED = ("refused", "equal", "other")
#: Every so many mutants of a format that can be one is a bomb.
_BOMBS = 100
#: Mutants of a format that are tried one after the other, in one child unless it fails.
_TOGETHER = 20
#: Seconds between two writings of the results.
_WRITE = 10.0


@dataclass
class Example:
    """The intact file of a format in a folder of its own, and what is read from it."""

    form: FileFormat
    folder: Path
    content: bytes
    fingerprint: str

    @property
    def path(self) -> Path:
        return self.folder / self.form.file


@dataclass(frozen=True)
class Outcome:
    """What became of the mutant of a number, in what words, and in how many seconds."""

    number: int
    kind: str
    detail: str
    seconds: float


@dataclass(frozen=True)
class Mutant:
    """A file's content, and whether its checksum was made to fit."""

    content: bytes
    signed: bool


@contextlib.contextmanager
def example_of(form: FileFormat) -> Iterator[Example]:
    """The example of a format, which is gone afterwards; it is read twice, with one result."""
    folder = Path(tempfile.mkdtemp(prefix="snnconv-fuzz-"))
    try:
        form.make(folder)
        path = folder / form.file
        first, second = (read_apart(form, path) for _ in range(2))
        if first.outcome != "accepted" or first.fingerprint != second.fingerprint:
            raise AssertionError(f"the example of {form.name} is not read, or never the same: {first}, {second}")
        yield Example(form, folder, path.read_bytes(), first.fingerprint)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def is_bomb(form: FileFormat, number: int) -> bool:
    """Whether a mutant claims gigabytes; making it takes seconds."""
    return form.bomb is not None and number % _BOMBS == _BOMBS - 1


def mutant_of(example: Example, seed: int, number: int) -> Mutant:
    """The mutant of a ``number``, which is the same for the same seed."""
    form, random = example.form, Random(f"{seed} {example.form.name} {number}")
    if form.bomb is not None and is_bomb(form, number):
        return Mutant(form.bomb(example.content), signed=False)
    signed = random.random() < 0.6
    alteration = random.choice(form.alterations if signed else form.unsigned)
    return Mutant(alteration(example.content, random), signed)


def outcomes_of(example: Example, seed: int, numbers: range, limits: Limits = LIMITS) -> Iterator[Outcome]:
    """What becomes of the mutants of these numbers, in their order."""
    bombs = {number: mutant_of(example, seed, number) for number in numbers if is_bomb(example.form, number)}

    def read(number: int) -> dict[str, str]:
        mutant = bombs.get(number) or mutant_of(example, seed, number)
        example.path.write_bytes(mutant.content)
        found = outcome_of(example.form, example.path)
        if found["outcome"] != "accepted":
            return found
        if found["fingerprint"] == example.fingerprint:
            return {"outcome": "equal"}
        return {"outcome": "altered and accepted" if example.form.signed and not mutant.signed else "other"}

    for number, found in zip(numbers, each_apart(read, numbers, limits), strict=True):
        yield Outcome(number, found.outcome, found.detail, found.seconds)


@dataclass
class MutantResults:
    """What became of all mutants so far, by format, in a file that a later run goes on with."""

    path: Path
    seed: int
    seconds: float = 0.0
    outcomes: dict[str, dict[str, int]] = field(default_factory=dict)
    slowest: dict[str, float] = field(default_factory=dict)
    faults: list[dict[str, Any]] = field(default_factory=list)

    @staticmethod
    def begun(path: Path, seed: int) -> MutantResults:
        """Those in the file, or none; raises ``SystemExit`` for those of another seed."""
        if not path.exists():
            return MutantResults(path, seed)
        found = MutantResults(path, **json.loads(path.read_text()))
        if found.seed != seed:
            raise SystemExit(f"{path} is of seed {found.seed}: give that, or another file")
        return found

    def tried(self, name: str) -> int:
        """How many mutants of a format there were."""
        return sum(self.outcomes.get(name, {}).values())

    def add(self, example: Example, found: Outcome) -> None:
        """Count a mutant; one that may not be is kept beside the file."""
        name = example.form.name
        counts = self.outcomes.setdefault(name, {})
        counts[found.kind] = counts.get(found.kind, 0) + 1
        self.slowest[name] = max(self.slowest.get(name, 0.0), round(found.seconds, 2))
        if found.kind not in ALLOWED:
            kept = self.path.with_name(f"{self.path.name}.mutants") / f"{len(self.faults)}-{example.path.name}"
            kept.parent.mkdir(exist_ok=True)
            kept.write_bytes(mutant_of(example, self.seed, found.number).content)
            fault = {"format": name, "number": found.number, "kind": found.kind, "detail": found.detail}
            self.faults.append(fault | {"file": str(kept)})
            print(told(self.faults[-1]), flush=True)

    def write(self) -> None:
        """Write the file, whole."""
        content = {name: value for name, value in vars(self).items() if name != "path"}
        write_whole(self.path, json.dumps(content, indent=1).encode())

    def table(self) -> str:
        """Outcomes by format, as Markdown."""
        return outcome_table(self.outcomes, self.slowest)


def outcome_table(outcomes: Mapping[str, Mapping[str, int]], slowest: Mapping[str, float]) -> str:
    """Outcomes by format, as Markdown."""
    others = sorted({kind for counts in outcomes.values() for kind in counts} - set(ALLOWED))
    accepted = ("accepted, the same", "accepted, another content")
    head = ["format", "signed", "mutants", "refused", *accepted, *others, "slowest, s"]
    rows = []
    for name, counts in outcomes.items():
        kinds = [str(counts.get(kind, 0)) for kind in (*ALLOWED, *others)]
        signed = "yes" if FORMATS[name].signed else "no"
        rows.append([name, signed, str(sum(counts.values())), *kinds, f"{slowest[name]:.2f}"])
    totals = [str(sum(counts.get(kind, 0) for counts in outcomes.values())) for kind in (*ALLOWED, *others)]
    rows.append(["all", "", str(sum(map(int, totals))), *totals, f"{max(slowest.values(), default=0.0):.2f}"])
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, ["---", *["---:"] * (len(head) - 1)], *rows))


def run(results: MutantResults, seconds: float, most: int | None, names: list[str]) -> None:
    """Try mutants of the formats called ``names``, in turn, for so long, or until there were so many in all."""
    with contextlib.ExitStack() as stack:
        examples = {name: stack.enter_context(example_of(FORMATS[name])) for name in names}
        before, started = results.seconds, time.monotonic()
        written = started
        while time.monotonic() - started < seconds and (most is None or sum(map(results.tried, names)) < most):
            name = min(names, key=results.tried)
            first = results.tried(name)
            for found in outcomes_of(examples[name], results.seed, range(first, first + _TOGETHER)):
                results.add(examples[name], found)
            results.seconds = before + time.monotonic() - started
            if time.monotonic() - written > _WRITE:
                results.write()
                written = time.monotonic()
    results.write()


def main(arguments: list[str]) -> int:
    """Try mutants, print the table, and return 1 where one came to what is not allowed."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz files", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0, help="how long to try")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--results", type=Path, default=Path("fuzz-files.json"), help="file to go on with")
    parser.add_argument("--mutants", type=int, help="stop after so many in all")
    parser.add_argument("--only", choices=sorted(FORMATS), action="append", help="formats to alter; by default all")
    parser.add_argument("--read", type=Path, help="read this file as the format of --only, and show what happens")
    chosen = parser.parse_args(arguments)
    names = chosen.only or list(FORMATS)
    if chosen.read is not None:
        return _shown(FORMATS[names[0]], chosen.read)
    results = MutantResults.begun(chosen.results, chosen.seed)
    results.path.parent.mkdir(parents=True, exist_ok=True)
    run(results, chosen.seconds, chosen.mutants, names)
    print(results.table())
    for fault in results.faults:
        print(told(fault))
    return 1 if results.faults else 0


def told(fault: Mapping[str, Any]) -> str:
    """A fault, and how it is seen again."""
    again = f"python -m tests.fuzz files --only '{fault['format']}' --read {fault['file']}"
    return f"FAULT: {fault['format']}, mutant {fault['number']}: {fault['kind']}: {fault['detail'][:300]}\n  {again}"


def _shown(form: FileFormat, file: Path) -> int:
    """Read a kept mutant in this process, beside what the example has beside it."""
    with example_of(form) as example:
        example.path.write_bytes(file.read_bytes())
        try:
            form.read(example.path)
        except form.refusals as error:
            print(f"refused: {error}")
        except Exception:
            traceback.print_exc()
            return 1
        else:
            print("accepted")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
