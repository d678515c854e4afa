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
    assert citation["license"] == "Apache-2.0" and {"cff-version", "message", "authors", "abstract"} <= set(citation)
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"\n## [{snnconv.__version__}] - {citation['date-released']}\n" in changes


@pytest.mark.parametrize("form", FORMS, ids=lambda path: path.stem)
def test_every_issue_form_asks_what_is_installed(form: Path) -> None:
    asked = [field["attributes"]["label"] for field in parsed(form)["body"] if field["validations"]["required"]]
    assert "What `snnconv doctor` prints" in asked and len(asked) >= 3


TARGETS = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def test_continuous_integration_runs_the_whole_check_of_the_readme() -> None:
    *_, command = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert command == "make check"
    assert re.search(r"^    make check  +# .*\.ci/run", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md", "docs/benchmarks.md", "docs/reliability.md"])
def test_documents_name_targets_of_make_that_exist(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    named = set(re.findall(r"^    make ([\w-]+)", text, re.MULTILINE)) | set(re.findall(r"`make ([\w-]+)", text))
    assert named and named <= TARGETS


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_run_commands_and_paths_that_exist(workflow: Path) -> None:
    steps = [step for job in parsed(workflow)["jobs"].values() for step in job["steps"]]
    commands = "\n".join(step["run"] for step in steps if "run" in step)
    assert set(re.findall(r"\bmake ([\w-]+)", commands)) <= TARGETS
    assert [path for path in re.findall(r"\btests/[\w/]+", commands) if not (ROOT / path).exists()] == []
    assert all("@" in step["uses"] for step in steps if "uses" in step)
