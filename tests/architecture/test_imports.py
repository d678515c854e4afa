"""What importing loads, and what no file imports or names; who may import whom is held by import-linter."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import coding
from coding import Code, InputCode
from tests.support.loading import loaded_by

ROOT = Path(__file__).parents[2]
PACKAGES = ("coding", "neurons", "snnconv", "hw_export")
#: What no file imports: not the library's own, or unsafe.
FORBIDDEN = {"tests", "benchmarks", "torchvision", "pickle"}
#: What takes pickles from processes of the same program alone.
SENDING = {
    ROOT / "snnconv" / name
    for name in ("ranks/parcels.py", "scaling/items.py", "scaling/shared.py", "scaling/workers.py")
}
FILES = [file for package in PACKAGES for file in sorted((ROOT / package).rglob("*.py"))]
CODE_CLASSES = {
    name
    for name, value in vars(coding).items()
    if isinstance(value, type) and issubclass(value, (Code, InputCode)) and value not in (Code, InputCode)
}


MODULES = (
    "coding",
    "neurons",
    "snnconv",
    "snnconv.coding",
    "snnconv.neurons",
    "snnconv.cli",
    "snnconv.detection.precision",
    "snnconv.detection.drawing",
    "hw_export",
)
OPTIONAL = {
    *("torchvision", "lava", "matplotlib", "numba", "sklearn", "snntorch", "norse", "nir", "PIL", "faster_coco_eval"),
}


@functools.cache
def parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def offenders(files: list[Path], wrong: Callable[[Path], set[str]]) -> dict[str, list[str]]:
    """What is ``wrong`` in each of ``files``, by the file's path; those in order are left out."""
    found = {str(file.relative_to(ROOT)): sorted(wrong(file)) for file in files}
    return {file: names for file, names in found.items() if names}


def package_of(file: Path) -> str:
    return file.relative_to(ROOT).parts[0]


def imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield node.module or ""


@pytest.mark.parametrize("module", MODULES)
def test_importing_loads_no_optional_package(module: str) -> None:
    loaded = {name.partition(".")[0] for name in loaded_by(MODULES)[module]}
    assert not loaded & OPTIONAL
    assert module == "snnconv.cli" or not loaded & {"typer", "rich"}


def test_private_names_stay_in_their_modules() -> None:
    def wrong(file: Path) -> set[str]:
        named = {
            f"{node.module}.{alias.name}"
            for node in ast.walk(parsed(file))
            if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in PACKAGES
            for alias in node.names
        }
        return {name for name in named if re.match("_(?!_)", name.rpartition(".")[2])}

    assert not offenders(FILES, wrong)


def test_no_file_imports_what_is_not_the_library_or_not_safe() -> None:
    def wrong(file: Path) -> set[str]:
        own = {name.partition(".")[0] for name in imported(parsed(file))}
        return own & FORBIDDEN - ({"pickle"} if file in SENDING else set())

    assert not offenders(FILES, wrong)


def test_no_line_outside_coding_and_neurons_names_a_code() -> None:
    assert {"Rate", "RealInput", "PoissonInput"} <= CODE_CLASSES

    def wrong(file: Path) -> set[str]:
        named = set()
        for node in ast.walk(parsed(file)):
            if isinstance(node, ast.Name):
                named.add(node.id)
            elif isinstance(node, ast.Attribute):
                named.add(node.attr)
            elif isinstance(node, (ast.Import, ast.ImportFrom)):
                named.update(alias.name for alias in node.names)
        return named & CODE_CLASSES

    assert not offenders([file for file in FILES if package_of(file) in ("snnconv", "hw_export")], wrong)


def test_no_two_classes_of_the_project_have_one_name() -> None:
    """Files call a class of the project by its name alone."""
    places: dict[str, list[str]] = {}
    for package in (*PACKAGES, "benchmarks", "tests"):
        for file in (ROOT / package).rglob("*.py"):
            for node in parsed(file).body:
                if isinstance(node, ast.ClassDef):
                    places.setdefault(node.name, []).append(str(file.relative_to(ROOT)))
    assert {name: files for name, files in places.items() if len(files) > 1} == {}


def test_no_file_evaluates_text() -> None:
    def wrong(file: Path) -> set[str]:
        calls = {
            node.func.id
            for node in ast.walk(parsed(file))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        }
        return calls & {"eval", "exec", "compile", "__import__"}

    assert not offenders(FILES, wrong)
