"""Reports as a browser shows them: nothing goes wrong, controls do what they say, and all fits narrow screens."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.browser import browser, looked_at
from tests.support.reports import KINDS, report_of

#: A phone, a window at 200 %, and a desktop.
WIDTHS = (360, 640, 1280)
LOOK = """(page, window) => {
  const root = page.documentElement, found = {};
  const luminance = (colour) => {
    const [r, g, b] = colour.match(/[\\d.]+/g).map((part) => part / 255)
      .map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (element) => {
    const paper = luminance(window.getComputedStyle(page.body).backgroundColor);
    const ink = luminance(window.getComputedStyle(element).color);
    return (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
  };
  const text = ["h1", ".lead", "nav a", "caption", "figcaption", "footer", "tbody td", ".what"];
  const theme = page.querySelector(".theme");
  found.themes = [0, 1].map(() => {
    theme.click();
    const style = window.getComputedStyle(page.body);
    const contrasts = text.map((each) => page.querySelector(each)).filter((each) => each).map(contrast);
    return { paper: style.backgroundColor, says: theme.textContent, least: Math.min(...contrasts) };
  });
  found.overflow = root.scrollWidth - root.clientWidth;
  const shown = (element) => element.getClientRects().length > 0;
  found.choices = [...page.querySelectorAll("select[data-choose]")].map((select) => {
    const parts = [...select.closest("section").querySelectorAll(`[data-${select.dataset.choose}]`)];
    const visible = () => parts.filter((part) => !part.hidden).length;
    const before = visible();
    select.value = select.options[select.options.length - 1].value;
    select.dispatchEvent(new window.Event("change"));
    return { key: select.dataset.choose, parts: parts.length, before, after: visible(), label: select.labels.length };
  });
  found.tables = [...page.querySelectorAll("table.sortable")].map((table) => {
    const column = Math.min(3, table.rows[0].cells.length - 1), head = table.tHead.rows[0].cells[column];
    const button = head.querySelector("button");
    const values = () => [...table.tBodies[0].rows].map((row) => Number(row.cells[column].dataset.value));
    button.click();
    const down = values();
    button.click();
    return { down, up: values(), says: head.getAttribute("aria-sort") };
  });
  const empty = [...page.querySelectorAll("section")].filter((section) => !shown(section) || section.clientHeight < 60);
  found.empty = empty.map((section) => section.id);
  const drawn = [...page.querySelectorAll("svg")].filter(shown);
  const flat = drawn.filter((svg) => svg.clientWidth < 20 || svg.clientHeight < 8);
  found.flat = flat.map((svg) => svg.closest("section").id);
  const controls = [...page.querySelectorAll("a, button, select, summary")];
  found.unreachable = controls.filter((each) => each.tabIndex < 0).length;
  return found;
}"""


@pytest.fixture(scope="module")
def looks(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], list[str]]:
    browser()
    return looked_at({kind: report_of(kind).html for kind in KINDS}, WIDTHS, LOOK, tmp_path_factory.mktemp("browser"))


def test_the_console_hears_of_no_error(looks: tuple[dict[str, Any], list[str]]) -> None:
    results, told = looks
    assert told == [] and len(results) == len(KINDS) * len(WIDTHS)
    assert {name: found["error"] for name, found in results.items() if "error" in found} == {}


def test_nothing_is_wider_than_the_page_or_empty(looks: tuple[dict[str, Any], list[str]]) -> None:
    results, _ = looks
    wrong = {name: [found["overflow"], found["empty"], found["flat"]] for name, found in results.items()}
    assert {name: found for name, found in wrong.items() if found != [0, [], []]} == {}


def test_both_themes_can_be_read(looks: tuple[dict[str, Any], list[str]]) -> None:
    results, _ = looks
    for found in results.values():
        papers, least = [each["paper"] for each in found["themes"]], [each["least"] for each in found["themes"]]
        assert len({*papers}) == 2 and min(least) >= 4.5
        assert {each["says"] for each in found["themes"]} == {"Light theme", "Dark theme"}


def test_choices_show_one_of_their_parts_and_tables_are_sorted(looks: tuple[dict[str, Any], list[str]]) -> None:
    results, _ = looks
    choices = [choice for found in results.values() for choice in found["choices"]]
    assert {choice["key"] for choice in choices} == {"sample", "population", "map"}
    for choice in choices:
        assert choice["label"] == 1 and choice["after"] < choice["parts"]
        assert choice["before"] == (choice["parts"] if choice["key"] == "population" else 1)
    tables = [table for found in results.values() for table in found["tables"]]
    assert any(len({*table["down"]}) > 2 for table in tables)
    for table in (each for each in tables if any(value is not None for value in each["down"])):
        down, up = ([value for value in table[way] if value is not None] for way in ("down", "up"))
        assert down == sorted(down, reverse=True) and up == down[::-1]
        assert table["says"] == "ascending"


def test_everything_is_reached_by_keyboard(looks: tuple[dict[str, Any], list[str]]) -> None:
    results, _ = looks
    assert {found["unreachable"] for found in results.values()} == {0}
