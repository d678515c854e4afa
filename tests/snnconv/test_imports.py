"""What importing loads, and who may import whom."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import coding
from coding import Code, InputCode

ROOT = Path(__file__).parents[2]
#: Packages by what they may import of the project.
ALLOWED = {
    "coding": {"coding"},
    "neurons": {"coding", "neurons"},
    "snnconv": {"coding", "neurons", "snnconv"},
    "hw_export": {"coding", "neurons", "snnconv", "hw_export"},
}
FILES = [file for package in ALLOWED for file in sorted((ROOT / package).rglob("*.py"))]
CODE_CLASSES = {
    name
    for name, value in vars(coding).items()
    if isinstance(value, type) and issubclass(value, (Code, InputCode)) and value not in (Code, InputCode)
}


def parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield node.module or ""


@pytest.mark.parametrize(
    "module",
    [
        "snnconv",
        "snnconv.coding",
        "snnconv.neurons",
        "snnconv.cli",
        "snnconv.detection.precision",
        "snnconv.detection.drawing",
        "coding",
        "neurons",
        "hw_export",
    ],
)
def test_importing_loads_no_optional_package(module: str) -> None:
    program = f"import sys, {module}; print(*sys.modules)"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=True, timeout=120
    )
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert module == "snnconv.cli" or not loaded & {"typer", "rich"}
    assert not loaded & {
        "torchvision",
        "lava",
        "matplotlib",
        "sklearn",
        "snntorch",
        "norse",
        "nir",
        "PIL",
        "faster_coco_eval",
    }


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_packages_import_one_way(file: Path) -> None:
    package = file.relative_to(ROOT).parts[0]
    own = {name.partition(".")[0] for name in imported(parsed(file))}
    assert own & set(ALLOWED) <= ALLOWED[package]
    assert not own & {"tests", "benchmarks", "torchvision", "pickle"} or file.name == "models.py"


@pytest.mark.parametrize("file", [file for file in FILES if "models.py" in file.name], ids=lambda file: file.name)
def test_pickle_serves_only_to_name_its_errors(file: Path) -> None:
    uses = [
        node.attr
        for node in ast.walk(parsed(file))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "pickle"
    ]
    assert set(uses) == {"UnpicklingError"}


@pytest.mark.parametrize(
    "file",
    [file for file in FILES if file.relative_to(ROOT).parts[0] in ("snnconv", "hw_export")],
    ids=lambda file: str(file.relative_to(ROOT)),
)
def test_no_line_outside_coding_and_neurons_names_a_code(file: Path) -> None:
    assert {"Rate", "RealInput", "PoissonInput"} <= CODE_CLASSES
    named = set()
    for node in ast.walk(parsed(file)):
        if isinstance(node, ast.Name):
            named.add(node.id)
        elif isinstance(node, ast.Attribute):
            named.add(node.attr)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            named.update(alias.name for alias in node.names)
    assert not named & CODE_CLASSES


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_no_file_evaluates_text(file: Path) -> None:
    calls = {
        node.func.id
        for node in ast.walk(parsed(file))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert not calls & {"eval", "exec", "compile", "__import__"}
