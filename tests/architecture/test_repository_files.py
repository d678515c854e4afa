"""The files around the code: how to cite it, issue forms, and workflows that run what the project has."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

import snnconv
from snnconv.citing.citations import Citations

ROOT = Path(__file__).parents[2]
FORMS = sorted(path for path in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml") if path.stem != "config")
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def parsed(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def test_the_citation_is_of_this_version_and_licence() -> None:
    citation = parsed(ROOT / "CITATION.cff")
    assert str(citation["version"]) == snnconv.__version__
    assert citation["title"] == re.search(r"title = \{(.*)\}", str(Citations({"snnconv": ()})))[1].replace(
        "{", ""
    ).replace("}", "")
    assert citation["license"] == "Apache-2.0" and {"cff-version", "message", "authors"} <= set(citation)


@pytest.mark.parametrize("form", FORMS, ids=lambda path: path.stem)
def test_every_issue_form_asks_what_is_installed(form: Path) -> None:
    asked = [field["attributes"]["label"] for field in parsed(form)["body"] if field["validations"]["required"]]
    assert "What `snnconv doctor` prints" in asked and len(asked) >= 3


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_run_commands_and_paths_that_exist(workflow: Path) -> None:
    steps = [step for job in parsed(workflow)["jobs"].values() for step in job["steps"]]
    commands = "\n".join(step["run"] for step in steps if "run" in step)
    targets = set(re.findall(r"\bmake (\w+)", commands))
    assert targets <= set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert [path for path in re.findall(r"\btests/[\w/]+", commands) if not (ROOT / path).exists()] == []
    assert all("@" in step["uses"] for step in steps if "uses" in step)
