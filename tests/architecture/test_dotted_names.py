"""Dotted names that docstrings, comments and messages of the packages give lead somewhere."""

from __future__ import annotations

import ast
import functools
import importlib
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("coding", "neurons", "snnconv", "hw_export")
#: A program of its own, for the Python that lava-nc asks for.
RUNTIME = ROOT / "hw_export" / "lava" / "runtime"
#: Folders of the packages, by which texts name what is in them too: ``learning.train``.
SHORT = {
    folder.name: f"{folder.parent.relative_to(ROOT).as_posix().replace('/', '.')}.{folder.name}"
    for package in ("snnconv", "hw_export")
    for folder in sorted((ROOT / package).iterdir())
    if (folder / "__init__.py").exists() and folder.name != "data"  # what users call their samples
}
#: What is no module or attribute of ours: a group of entry points, and a class of lava-dl.
GROUPS = {"snnconv.commands", "netx.hdf5.Network"}
NAME = re.compile(rf"(?<![\w./\"-])(?:{'|'.join([*PACKAGES, *SHORT])})(?:\.[A-Za-z_]\w*)+(?![\w/])")
FILES = [
    file for package in PACKAGES for file in sorted((ROOT / package).rglob("*.py")) if not file.is_relative_to(RUNTIME)
]


def texts(file: Path) -> Iterator[str]:
    """Strings of ``file``, those with fields without what is inserted, and comments."""
    source = file.read_text(encoding="utf-8")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.string


def names_in(text: str) -> list[str]:
    """Dotted names, those of files left out."""
    found = [name for name in NAME.findall(text) if name not in GROUPS]
    return [name for name in found if name.rpartition(".")[2] not in ("py", "snn", "npz", "json", "md")]


@functools.cache
def resolves(name: str) -> bool:
    first, _, rest = name.partition(".")
    candidates = [name, *([f"{SHORT[first]}.{rest}"] if first in SHORT else [])]
    return any(_resolves(candidate.split(".")) for candidate in candidates)


def _resolves(path: list[str]) -> bool:
    found = None
    for end in range(len(path), 0, -1):
        try:
            found = importlib.import_module(".".join(path[:end]))
            break
        except ModuleNotFoundError:
            continue
    for each in path[end:]:
        found = getattr(found, each, None)
    return found is not None


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(ROOT).as_posix())
def test_dotted_names_lead_somewhere(file: Path) -> None:
    assert [name for text in texts(file) for name in names_in(text) if not resolves(name)] == []


def test_names_that_lead_nowhere_are_found() -> None:
    text = "see ``snnconv.learning.train``, coding.payloads, `learning.no_such`, and snnconv.convert(...), neurons.py"
    found = names_in(text)
    assert found == ["snnconv.learning.train", "coding.payloads", "learning.no_such", "snnconv.convert"]
    assert [resolves(name) for name in found] == [True, False, False, True]
