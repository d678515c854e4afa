"""The page around the parts of a report: one HTML file with its style and its script in it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from snnconv.reporting.boxes import boxes_part
from snnconv.reporting.contents import Contents, Part
from snnconv.reporting.course import course_part
from snnconv.reporting.energies import energy_part
from snnconv.reporting.fits import fit_part
from snnconv.reporting.fronts import fronts_part
from snnconv.reporting.heads import attention_part
from snnconv.reporting.levels import levels_part
from snnconv.reporting.markup import Markup, joined, tag
from snnconv.reporting.populations import populations_part
from snnconv.reporting.rasters import rasters_part
from snnconv.reporting.summary import described, figures, sentences
from snnconv.version import __version__

#: The parts of a report in order; each is left out where it has nothing to show.
_PARTS = (
    course_part,
    populations_part,
    rasters_part,
    attention_part,
    boxes_part,
    energy_part,
    levels_part,
    fronts_part,
    fit_part,
)
#: What a page may load: nothing but what it holds.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"


def page(contents: Contents) -> str:
    """The whole file."""
    parts = [part for make in _PARTS if (part := make(contents)) is not None]
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", f"{contents.title}: snnconv report"),
        tag("style", _own("page.css")),
    )
    body = tag(
        "body",
        tag("a", "Skip to the report", href="#report", class_="skip"),
        tag(
            "div", _header(contents, parts), tag("main", *map(_section, parts), id="report"), _footer(), class_="sheet"
        ),
        tag("script", _own("page.js")),
    )
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"


def _own(name: str) -> Markup:
    """A file that stands beside this one."""
    return Markup(Path(__file__).with_name(name).read_text(encoding="utf-8"))


def _header(contents: Contents, parts: Sequence[Part]) -> Markup:
    button = tag("button", "Dark theme", type="button", class_="theme", hidden=True)
    top = tag("div", tag("span", "snnconv report"), button, class_="bar-top")
    said = tag("div", *(tag("p", sentence) for sentence in sentences(contents)), class_="summary")
    links = [tag("li", tag("a", part.heading, href=f"#{part.anchor}")) for part in parts]
    what = tag("p", described(contents.network), class_="what")
    navigation = tag("nav", tag("ul", *links), aria_label="Parts of the report")
    return tag("header", top, tag("h1", contents.title), what, said, figures(contents), navigation)


def _section(part: Part) -> Markup:
    heading = f"{part.anchor}-heading"
    content = joined([tag("h2", part.heading, id=heading), tag("p", part.lead, class_="lead"), part.content])
    return tag("section", content, id=part.anchor, aria_labelledby=heading)


def _footer() -> Markup:
    return tag(
        "footer", tag("p", f"Made by snnconv {__version__}. This file holds all that it shows and loads nothing.")
    )
