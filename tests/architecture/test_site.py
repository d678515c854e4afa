"""The site has every page and every public name."""

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
INDEX = (DOCS / "index.md").read_text(encoding="utf-8") + (DOCS / "api" / "index.md").read_text(encoding="utf-8")
API = "\n".join(page.read_text(encoding="utf-8") for page in (DOCS / "api").glob("*.md"))


def test_every_page_is_reached_from_the_index() -> None:
    entries = {line.strip() for line in INDEX.splitlines()}
    pages = [
        page.relative_to(DOCS).with_suffix("").as_posix() for page in DOCS.rglob("*.md") if "_build" not in page.parts
    ]
    missing = [
        page
        for page in pages
        if not {page, page.removeprefix("api/"), f"{page.rpartition('/')[0]}/*"} & entries and page != "index"
    ]
    assert missing == []


@pytest.mark.parametrize("name", importlib.import_module("snnconv").__all__)
def test_every_public_name_has_its_place_in_the_reference(name: str) -> None:
    if name not in ("coding", "neurons", "__version__"):
        assert re.search(rf"auto\w+:: snnconv\.{name}$", API, re.MULTILINE)


@pytest.mark.parametrize("target", re.findall(r"auto(?:function|class|module):: ([\w.]+)$", API, re.MULTILINE))
def test_what_the_reference_names_exists_and_is_documented(target: str) -> None:
    try:
        found = importlib.import_module(target)
    except ModuleNotFoundError:
        module, _, name = target.rpartition(".")
        found = getattr(importlib.import_module(module), name)
    assert found.__doc__
