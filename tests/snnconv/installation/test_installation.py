"""What is installed: works, is missing or broken, each with the command that mends it."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from snnconv.cli.app import app
from snnconv.errors import ConfigurationError
from snnconv.installation import state
from snnconv.installation.packages import PackageState, package_state, required_packages
from snnconv.installation.state import installation_state


@pytest.fixture
def distribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Installs a package of a name, with what its module holds and what it asks for."""
    monkeypatch.syspath_prepend(tmp_path)

    def install(name: str, code: str, requires: tuple[str, ...] = ()) -> str:
        module = name.replace("-", "_")
        (tmp_path / f"{module}.py").write_text(code)
        info = tmp_path / f"{module}-1.2.dist-info"
        info.mkdir()
        needs = "".join(f"Requires-Dist: {each}\n" for each in requires)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n{needs}")
        (info / "RECORD").write_text(f"{module}.py,,\n")
        return name

    yield install  # type: ignore[misc]
    for module in ("whole_package", "broken_package", "asking_package"):
        sys.modules.pop(module, None)


def test_a_package_works_is_missing_or_is_broken(distribution: Callable[..., str]) -> None:
    whole = package_state(distribution("whole-package", "import warnings\nwarnings.warn('of its own')\n"))
    assert whole == PackageState("whole-package", "1.2") and whole.works and str(whole) == "whole-package 1.2"
    broken = package_state(distribution("broken-package", "raise OSError('libfoo.so.7: no such file')\n"))
    assert not broken.works and str(broken) == "broken-package 1.2 broken: OSError: libfoo.so.7: no such file"
    missing = package_state("package-that-nobody-wrote")
    assert not missing.works and str(missing) == "package-that-nobody-wrote missing"


def test_requirements_are_told_by_extra_and_those_of_developers_are_left_out(distribution: Callable[..., str]) -> None:
    asking = (
        "torch>=2.6",
        'whole-package ; extra == "more"',
        "missing-one (>=3) ; extra == 'more'",
        'ruff; extra == "dev"',
    )
    distribution("whole-package", "")
    found = required_packages(distribution("asking-package", "", asking))
    names = {extra: [each.name for each in group] for extra, group in found.items()}
    assert names == {None: ["torch"], "more": ["whole-package", "missing-one"]}
    assert [each.works for each in found["more"]] == [True, False]


def test_code_without_metadata_is_told_how_to_be_installed() -> None:
    with pytest.raises(ConfigurationError, match=r"nowhere is not installed.*pip install \."):
        required_packages("nowhere")


def test_every_extra_of_the_project_is_looked_at() -> None:
    found = installation_state()
    assert {None, "detection", "fast", "lava", "nir", "norse", "notebooks", "plots", "snntorch"} <= set(found.packages)
    assert found.ok and found.facts["torch"].startswith(torch.__version__)
    assert json.loads(json.dumps(found.to_dict()))["packages"]["lava"]["lava-nc"]["problem"] is None


@pytest.mark.parametrize(
    ("extra", "group", "remedy"),
    [
        (None, (PackageState("torch", None),), "for everything: pip install 'snnconv'"),
        ("plots", (PackageState("matplotlib", None),), "for pictures: pip install 'snnconv[plots]'"),
        ("odd", (PackageState("oddity", None),), "for odd: pip install 'snnconv[odd]'"),
        (
            "fast",
            (PackageState("numba", "0.1", "OSError: gone"),),
            "for compiled kernels: pip install --force-reinstall numba",
        ),
    ],
    ids=str,
)
def test_what_is_missing_comes_with_its_command(
    extra: str | None, group: tuple[PackageState, ...], remedy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    works: dict[str | None, tuple[PackageState, ...]] = {None: (PackageState("numpy", "2"),)}
    monkeypatch.setattr(state, "required_packages", lambda name: works | {extra: group})
    found = installation_state()
    assert remedy in str(found).splitlines()
    assert found.ok == (extra is not None)
    result = CliRunner().invoke(app, ["doctor"])
    assert remedy in result.stdout and result.exit_code == (0 if found.ok else 1)


def test_lava_is_asked_for_by_a_command_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "package_state", lambda name: PackageState(name, None))
    assert "lava-nc==0.10.0" in installation_state().remedies["runs on Lava"]


@pytest.mark.parametrize(
    ("message", "said"), [("numba cannot compile", "numba cannot compile"), (None, "not installed")]
)
def test_kernels_that_torch_computes_say_why(message: str | None, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def native(*arguments: Any) -> None:
        if message is not None:
            logging.getLogger("snnconv.kernels.backends").warning(message)

    monkeypatch.setattr(state, "native", native)
    assert said in installation_state().facts["compiled kernels"]


def test_doctor_writes_what_it_says_as_data(tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    assert CliRunner().invoke(app, ["doctor", "--json", str(file)]).exit_code == 0
    assert json.loads(file.read_text())["ok"] is True
