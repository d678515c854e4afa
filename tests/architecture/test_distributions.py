"""What is published: a wheel of the four packages alone, an archive of the repository, and all that an index shows."""

from __future__ import annotations

import email
import re
import shutil
import subprocess
import tarfile
import tomllib
import zipfile
from email.message import Message
from pathlib import Path

import pytest
from hatchling.builders.sdist import SdistBuilder
from hatchling.builders.wheel import WheelBuilder

import snnconv

ROOT = Path(__file__).parents[2]
PACKAGES = ("coding", "hw_export", "neurons", "snnconv")
#: Ends of what packages hold: modules, types, the detector of shapes, and what the pages of reports are made with.
HELD = {".py", ".typed", ".cfg", ".weights", ".css", ".js"}
INFORMATION = f"snnconv-{snnconv.__version__}.dist-info"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    (built,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path_factory.mktemp("wheel")))
    return Path(built)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    (built,) = SdistBuilder(str(ROOT)).build(directory=str(tmp_path_factory.mktemp("archive")))
    return Path(built)


def metadata_of(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as found:
        return email.message_from_bytes(found.read(f"{INFORMATION}/METADATA"))


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> Message:
    return metadata_of(wheel)


def test_the_wheel_holds_the_packages_with_their_data_and_the_licence_and_nothing_else(wheel: Path) -> None:
    assert wheel.name == f"snnconv-{snnconv.__version__}-py3-none-any.whl"
    parts = ("METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE")
    files = [file for package in PACKAGES for file in (ROOT / package).rglob("*") if file.suffix in HELD]
    held = {file.relative_to(ROOT).as_posix() for file in files}
    with zipfile.ZipFile(wheel) as found:
        assert set(found.namelist()) == held | {f"{INFORMATION}/{part}" for part in parts}
        assert found.read(f"{INFORMATION}/licenses/LICENSE") == (ROOT / "LICENSE").read_bytes()


def untracked() -> set[str]:
    """What else lies at the top of this repository, such as notes, which no archive of a release has."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        return set()
    found = subprocess.run(["git", "-C", str(ROOT), "ls-files"], capture_output=True, text=True, check=True)
    return {path.name for path in ROOT.iterdir()} - {name.partition("/")[0] for name in found.stdout.splitlines()}


def test_the_archive_holds_what_tests_documents_and_builds_need(archive: Path) -> None:
    assert archive.name == f"snnconv-{snnconv.__version__}.tar.gz"
    with tarfile.open(archive) as found:
        names = [name.partition("/")[2] for name in found.getnames()]
    folders = {*PACKAGES, ".ci", "benchmarks", "docs", "notebooks", "tests"}
    pages = {
        "CHANGELOG.md",
        "CITATION.cff",
        "CODE_OF_CONDUCT.md",
        "CONTRIBUTING.md",
        "LICENSE",
        "README.md",
        "SECURITY.md",
    }
    files = {"Makefile", "PKG-INFO", "constraints.txt", "pyproject.toml", "hatch_build.py", ".gitignore"}
    assert {name.partition("/")[0] for name in names} - untracked() == folders | pages | files
    assert not [
        name for name in names if name.startswith(("docs/_build", "benchmarks/results/")) or "__pycache__" in name
    ]
    assert "tests/snnconv/storage/format_3.safetensors" in names


def test_the_metadata_say_all_that_an_index_shows(metadata: Message) -> None:
    assert metadata["Name"] == "snnconv" and metadata["Version"] == snnconv.__version__
    assert metadata["License-Expression"] == "Apache-2.0" and metadata["License-File"] == "LICENSE"
    assert metadata["Requires-Python"] == ">=3.11" and metadata["Author"]
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert metadata.get_payload(decode=True) == (ROOT / "README.md").read_bytes() and "Project-URL" not in metadata
    assert len(metadata["Keywords"].split(",")) > 5
    groups = {classifier.partition(" :: ")[0] for classifier in metadata.get_all("Classifier", [])}
    wanted = {
        "Development Status",
        "Environment",
        "Intended Audience",
        "Operating System",
        "Programming Language",
        "Topic",
    }
    assert groups == wanted | {"Typing"}


def test_a_release_leads_from_an_index_to_files_that_exist(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, metadata: Message
) -> None:
    address = "https://example.org/owner/name"
    files = re.compile(rf"{address}/(blob|raw)/v{re.escape(snnconv.__version__)}/([^)\s]+)")
    monkeypatch.setenv("SNNCONV_ADDRESS", f"{address}/")
    (archive,) = SdistBuilder(str(ROOT)).build(directory=str(tmp_path))
    monkeypatch.delenv("SNNCONV_ADDRESS")  # whoever has the archive builds the same wheel
    with tarfile.open(archive) as found:
        found.extractall(tmp_path, filter="data")
    root = tmp_path / f"snnconv-{snnconv.__version__}"
    (built,) = WheelBuilder(str(root)).build(directory=str(tmp_path))
    told = metadata_of(Path(built))

    named = dict(entry.split(", ") for entry in told.get_all("Project-URL", []))
    assert named.keys() == {"Source", "Documentation", "Changelog", "Issues"} and named["Source"] == address
    text = told.get_payload(decode=True).decode()
    links = re.findall(r"(!?)\[[^\]]*\]\(([^)\s]+)\)", text)
    assert len(links) == metadata.get_payload(decode=True).decode().count("](") > 20
    for picture, link in [*links, ("", named["Documentation"]), ("", named["Changelog"])]:
        kind, path = files.fullmatch(link).groups()
        assert kind == ("raw" if picture else "blob") and (ROOT / path).exists()


def test_the_metadata_are_those_of_the_project(metadata: Message) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert set(metadata.get_all("Provides-Extra", [])) == set(project["optional-dependencies"])
    needed = {requirement for requirement in metadata.get_all("Requires-Dist", []) if "extra ==" not in requirement}
    assert needed == set(project["dependencies"])


def test_the_newest_entry_of_the_changes_is_of_this_version() -> None:
    heads = [
        line for line in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").splitlines() if line.startswith("## [")
    ]
    released = [head for head in heads if head != "## [Unreleased]"]
    assert released[0].startswith(f"## [{snnconv.__version__}]")
