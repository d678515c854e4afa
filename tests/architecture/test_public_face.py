"""The names that users write: what the packages export, what stands in their way, and the program itself."""

from __future__ import annotations

import ast
import builtins
import dataclasses
import importlib
import importlib.metadata
import inspect
import os
import pkgutil
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import nn

import snnconv
from snnconv.errors import ConfigurationError

ROOT = Path(__file__).parents[2]
FACES = ("snnconv", "snnconv.coding", "snnconv.neurons", "coding", "neurons")


def python(*arguments: str, folder: Path | None = None, path: Path = ROOT) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200", "PYTHONPATH": str(path)}
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)


def public(module: ModuleType) -> set[str]:
    """Names without an underscore that are no modules, and the version."""
    found = {name for name, value in vars(module).items() if not isinstance(value, ModuleType)}
    return {name for name in found if not name.startswith("_")} | ({"__version__"} & found)


@pytest.mark.parametrize("name", FACES)
def test_all_names_what_a_package_holds_and_no_more(name: str) -> None:
    module = importlib.import_module(name)
    exported = module.__all__
    assert len(exported) == len(set(exported))
    assert {each for each in exported if not isinstance(getattr(module, each), ModuleType)} == public(module)


def test_every_exported_name_comes_by_a_star_import() -> None:
    found: dict[str, Any] = {}
    exec("from snnconv import *", found)
    assert {name: found[name] for name in snnconv.__all__} == {name: getattr(snnconv, name) for name in snnconv.__all__}


@pytest.mark.parametrize("name", ["coding", "neurons"])
def test_codes_and_neurons_are_the_same_objects_under_either_name(name: str) -> None:
    own, top = importlib.import_module(f"snnconv.{name}"), importlib.import_module(name)
    assert own is getattr(snnconv, name)
    assert own.__all__ == top.__all__
    assert all(getattr(own, each) is getattr(top, each) for each in top.__all__)


def modules_of(package: ModuleType) -> Iterator[tuple[str, ModuleType]]:
    """Every module below ``package``, by name, with the package that holds it."""
    for found in pkgutil.iter_modules(package.__path__):
        name = f"{package.__name__}.{found.name}"
        yield name, package
        if found.ispkg:
            yield from modules_of(importlib.import_module(name))


def test_no_module_is_named_like_a_function_of_its_package_or_a_name_that_python_has() -> None:
    taken = sys.stdlib_module_names | set(dir(builtins))
    offenders = set()
    for package in ("coding", "neurons", "snnconv", "hw_export"):
        for name, parent in modules_of(importlib.import_module(package)):
            last = name.rpartition(".")[2]
            if last in taken or not isinstance(getattr(parent, last, parent), ModuleType):
                offenders.add(name)
    assert not offenders


SHADOWS = {
    "a module beside the script": ("neurons.py", "script.py"),
    "a package beside the script": ("coding/__init__.py", "script.py"),
    "the script itself": ("coding.py", "coding.py"),
}


@pytest.mark.parametrize("package", ["snnconv", "hw_export"])
@pytest.mark.parametrize("shadow", SHADOWS)
def test_a_file_with_the_name_of_a_package_is_named_together_with_the_cure(
    shadow: str, package: str, tmp_path: Path
) -> None:
    file, script = (tmp_path / name for name in SHADOWS[shadow])
    file.parent.mkdir(exist_ok=True)
    file.write_text("")
    script.write_text(f"import {package}\n")
    done = python(str(script), folder=tmp_path)
    (error,) = [line for line in done.stderr.splitlines() if line.startswith("ImportError: ")]
    assert f"{file} is in the way" in error and "Rename that" in error and "uninstall" in error


def test_files_that_python_finds_later_or_not_at_all_are_not_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "neurons").mkdir()
    (tmp_path / "neurons" / "notes.txt").write_text("weights")
    (tmp_path / "script.py").write_text("import snnconv.neurons\nprint(snnconv.neurons.IntegrateFire.__name__)\n")
    assert python("script.py", folder=tmp_path).stdout == "IntegrateFire\n"


@pytest.mark.parametrize(("package", "adapter"), [("snntorch", "SnntorchNeuron"), ("norse", "NorseNeuron")])
def test_an_adapter_without_its_package_names_the_extra(
    package: str, adapter: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ConfigurationError, match=rf"{package} cannot be imported .*'snnconv\[{package}\]'"):
        getattr(snnconv.neurons, adapter)(nn.Identity())


def network() -> snnconv.SpikingNetwork:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 2))
    return snnconv.convert(model, torch.rand(20, 3), coding="rate")


def test_a_network_prints_as_its_report_and_shows_itself_in_one_line() -> None:
    spiking = network()
    assert str(spiking) == spiking.report()
    assert repr(spiking) == "SpikingNetwork(2 populations, 9 neurons, Concurrent(steps=64), input real)"
    assert str(spiking).startswith("2 populations, 9 neurons, Concurrent(steps=64), input real, 43 MACs")


def test_results_show_themselves_in_one_line_and_print_as_tables() -> None:
    spiking = network()
    x = torch.rand(3, 3, generator=torch.Generator().manual_seed(0))
    run, verification = spiking.run(x), snnconv.verify(spiking)
    spikes = run.spikes_per_neuron * 27
    found = snnconv.evaluate(spiking, (x, torch.zeros(3, dtype=torch.int64)))
    assert repr(run) == f"Run(3 samples, 64 steps, {spikes:.0f} spikes of 9 neurons)"
    decisions = f"accuracy {found.accuracy:.2f} %, agreement {found.agreement:.2f} %"
    assert repr(found) == f"Evaluation(3 samples, 64 steps, {decisions}, {run.spikes_per_neuron:.3f} spikes per neuron)"
    assert repr(verification) == (
        f"Verification(4 samples, 64 steps, 2 populations, relative error of the output {verification.output:.4f})"
    )
    sweep = snnconv.sweep(nn.Sequential(nn.Linear(3, 5), nn.ReLU()), x, x, {"rate": "rate", "no code": "morse"})
    assert repr(sweep) == "Sweep(1 configurations, 1 failed)"
    for result in (found, verification, sweep):
        assert len(str(result).splitlines()) > 1


def test_the_package_is_a_program_that_knows_its_version() -> None:
    done = python("-m", "snnconv", "--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"snnconv {snnconv.__version__}\n", "")


def plugin(folder: Path, text: str) -> None:
    """A distribution in ``folder`` whose module ``more`` brings commands."""
    information = folder / "more-1.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: more\nVersion: 1\n")
    (information / "entry_points.txt").write_text("[snnconv.commands]\nmore = more:add\n")
    (folder / "more.py").write_text(text)


def test_another_package_adds_its_commands(tmp_path: Path) -> None:
    plugin(tmp_path, "def add(app):\n    @app.command()\n    def greet():\n        print('good day')\n")
    program = f"import sys\nsys.path.append({str(tmp_path)!r})\nfrom snnconv.cli import main\n"
    program += "for argument in ('greet', '--help'):\n    sys.argv[1:] = [argument]\n"
    program += "    try:\n        main()\n    except SystemExit as ended:\n        assert not ended.code\n"
    done = python("-c", program)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("good day\n") and "preflight" in done.stdout


def test_a_package_that_cannot_be_loaded_takes_away_no_other_command(tmp_path: Path) -> None:
    plugin(tmp_path, "import no_such_package\n")
    program = f"import sys; sys.path.append({str(tmp_path)!r}); from snnconv.cli import main; main()"
    done = python("-c", program, "--version")
    assert (done.returncode, done.stdout) == (0, f"snnconv {snnconv.__version__}\n")
    (line,) = [line for line in done.stderr.splitlines() if "more" in line]
    assert line == "the commands of more are missing: ModuleNotFoundError: No module named 'no_such_package'"


REGISTERED = """
from snnconv.cli.registering import MACHINES, register


def add(app):
    register(app, MACHINES, "work:greet", "greet")
    register(app, MACHINES, "no_such_module:part", "part")
"""
ASKED = """
import contextlib, io, os, sys
sys.path.append(sys.argv[1])
from snnconv.cli.app import add_commands_of_others, app, load
add_commands_of_others()
for work in (lambda: load(["greet"]), lambda: app(["greet", "--help"])):
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            work()
    except SystemExit as ended:
        print(ended.code, said.getvalue().splitlines()[-1])
os.environ.update(_SNNCONV_COMPLETE="complete_bash", COMP_WORDS="snnconv greet --", COMP_CWORD="2")
app(prog_name="snnconv")
"""


def test_a_command_that_cannot_be_loaded_says_so_in_one_line(tmp_path: Path) -> None:
    """When it is called, when its help is asked for, and when a shell completes its options."""
    plugin(tmp_path, REGISTERED)
    (tmp_path / "work.py").write_text("import no_such_package\n\ndef greet():\n    pass\n")
    done = python("-c", ASKED, str(tmp_path))
    line = "error: greet cannot be loaded: ModuleNotFoundError: No module named 'no_such_package'"
    assert done.stdout.splitlines() == [f"2 {line}"] * 2, done.stderr
    missing = "the commands of more are missing: ModuleNotFoundError: No module named 'no_such_module'"
    assert done.stderr.splitlines()[-1] == line and missing in done.stderr and "Traceback" not in done.stderr


def test_the_entry_points_of_the_project_lead_somewhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    groups = {"console_scripts": project["scripts"], **project["entry-points"]}
    for group, entries in groups.items():
        for name, value in entries.items():
            assert callable(importlib.metadata.EntryPoint(name, value, group).load())


@pytest.mark.parametrize(
    "file", sorted((ROOT / "hw_export" / "lava" / "runtime").rglob("*.py")), ids=lambda file: file.name
)
def test_the_runtime_of_lava_is_written_for_the_python_that_lava_asks_for(file: Path) -> None:
    ast.parse(file.read_text(encoding="utf-8"), feature_version=(3, 10))


def sections(text: str) -> dict[str, str]:
    """The parts of a docstring under the heads that documentation generators read."""
    parts = re.split(r"^(Args|Attributes|Returns|Raises):\n", inspect.cleandoc(text), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


PUBLIC = [getattr(package, name) for package in map(importlib.import_module, FACES) for name in package.__all__]
FUNCTIONS = list(dict.fromkeys(each for each in PUBLIC if inspect.isfunction(each)))


@pytest.mark.parametrize("function", [*FUNCTIONS, snnconv.SpikingNetwork.run], ids=lambda function: function.__name__)
def test_a_public_function_describes_every_argument_its_result_and_its_errors(function: Any) -> None:
    found = sections(function.__doc__)
    signature = inspect.signature(function)
    described = re.findall(r"^    \**(\w+): ", found["Args"], flags=re.MULTILINE)
    assert described == [name for name in signature.parameters if name != "self"]
    assert ("Returns" in found) == (signature.return_annotation != "None")
    for error in re.findall(r"^    (\w+): ", found.get("Raises", ""), flags=re.MULTILINE):
        assert issubclass(getattr(snnconv, error), snnconv.SnnconvError)


CLASSES = [
    each
    for each in dict.fromkeys(each for each in PUBLIC if inspect.isclass(each))
    if not issubclass(each, Exception) and not getattr(each, "_is_protocol", False)
]


def parts_of(kind: type) -> list[str]:
    """What a class is made of: fields of a dataclass or a tuple, or arguments of its constructor."""
    if dataclasses.is_dataclass(kind):
        return [field.name for field in dataclasses.fields(kind)]
    return list(getattr(kind, "_fields", inspect.signature(kind).parameters))


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_a_public_class_describes_all_that_it_is_made_of_and_its_errors(kind: type) -> None:
    found = sections(kind.__doc__ or "")
    assert not {"Args", "Attributes"} <= found.keys()
    text = found.get("Args", found.get("Attributes", ""))
    assert re.findall(r"^    (\w+): ", text, flags=re.MULTILINE) == parts_of(kind)
    assert "Raises" in found or not hasattr(kind, "__post_init__")  # which checks what it is given
    for error in re.findall(r"^    (\w+): ", found.get("Raises", ""), flags=re.MULTILINE):
        assert issubclass(getattr(snnconv, error), snnconv.SnnconvError)
