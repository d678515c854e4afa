"""The documents name files that exist, link to each other, and say of every folder what it holds, and its floor."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    [
        *(ROOT / f"{name}.md" for name in ("CODE_OF_CONDUCT", "CONTRIBUTING", "README", "SECURITY")),
        *(ROOT / "docs").rglob("*.md"),
    ]
)
PACKAGES = ("coding", "neurons", "snnconv", "hw_export")
#: What stands at the root of the repository and holds files that documents name.
FOLDERS = (*PACKAGES, "tests", "benchmarks", "docs", "notebooks")
#: A program of its own, which the architecture describes as a whole.
RUNTIME = ROOT / "hw_export" / "lava" / "runtime"

#: What git ignores is there only once a command has made it.
MADE = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()

_CODE_BLOCK = re.compile(r"```.*?```", re.DOTALL)
_QUOTED = re.compile(r"`([^`\n]+)`")
_PATH = re.compile(rf"(?:{'|'.join(FOLDERS)})/[\w./-]*")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_FLOOR = re.compile(r"^\| (\d+) \| ([^|]+) \|", re.MULTILINE)


def prose(document: Path) -> str:
    return _CODE_BLOCK.sub("", document.read_text(encoding="utf-8"))


def paths_in(document: Path) -> list[str]:
    return [text for text in _QUOTED.findall(prose(document)) if _PATH.fullmatch(text)]


def exists(path: str) -> bool:
    """Whether ``path`` is a file or a folder, one that commands make, or, without a suffix, a module."""
    found = ROOT / path
    return (
        path in MADE
        or found.exists()
        or (not found.suffix and not path.endswith("/") and found.with_suffix(".py").exists())
    )


def anchors(document: Path) -> set[str]:
    """The headings of ``document`` as links name them."""
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in _HEADING.findall(prose(document)))
    return {heading.replace(" ", "-") for heading in plain}


def named(document: Path) -> str:
    return document.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_paths_that_a_document_names_exist(document: Path) -> None:
    assert [path for path in paths_in(document) if not exists(path)] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_links_of_a_document_resolve(document: Path) -> None:
    broken = []
    for link in _LINK.findall(prose(document)):
        if "://" in link or link.startswith("mailto:"):
            continue
        path, _, anchor = link.partition("#")
        target = document.parent / path if path else document
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


def test_the_architecture_has_a_sentence_on_every_folder() -> None:
    folders = {
        file.parent.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for file in (ROOT / package).rglob("*.py")
        if RUNTIME not in file.parents
    }
    described = {path.rstrip("/") for path in paths_in(ROOT / "docs" / "architecture.md")}
    assert sorted(folders - described) == []


def layers() -> list[set[str]]:
    """What import-linter holds, from the bottom up: modules of a package that layers divide, else the package."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    contracts = [contract for contract in settings["contracts"] if contract["type"] == "layers"]
    divided = {package: each["layers"] for each in contracts for package in each.get("containers", ())}
    (packages,) = (contract["layers"] for contract in contracts if "containers" not in contract)
    found = []
    for package in reversed(packages):
        inside = [{f"{package}/{name}" for name in layer.split(" | ")} for layer in reversed(divided.get(package, []))]
        found += inside or [{package}]
    return found


def test_the_floors_of_the_architecture_are_those_that_imports_are_held_to() -> None:
    wanted = layers()
    known = set().union(*wanted)
    floors: dict[int, set[str]] = {}
    for number, cell in _FLOOR.findall(prose(ROOT / "docs" / "architecture.md")):
        places = [path.removesuffix(".py").rstrip("/").split("/") for path in _QUOTED.findall(cell)]
        modules = {"/".join(place[:2]): place[0] for place in places}
        floors.setdefault(int(number), set()).update(
            own if own in known else package for own, package in modules.items()
        )
    assert floors == dict(enumerate(wanted, 1))


def test_every_test_that_the_page_of_promises_names_exists() -> None:
    """``path::name`` is a test of a file; a name alone is one of the file that was named last."""
    lacking, file = [], Path()
    for text in _QUOTED.findall(prose(ROOT / "docs" / "reliability.md")):
        path, colons, name = text.rpartition("::")
        if text.startswith("tests/") and text.endswith(".py"):
            path, colons, name = text, "::", ""
        if path:
            file = ROOT / path
        if colons or text.startswith("test_"):
            known = file.is_file() and (not name or f"def {name}(" in file.read_text(encoding="utf-8"))
            lacking += [] if known else [text]
    assert lacking == []
