"""The tables of speed, from times that are given."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import time_to_loss
from benchmarks.speed import costs, own_ratios, rows
from benchmarks.speed_page import BEGIN, END, PAGE, write_page
from benchmarks.speed_plot import draw
from benchmarks.stored_ratios import SpeedFell, check_stored, stored
from benchmarks.time_to_loss import first_within, ratios_by_step, rows_to_loss, steps_to_loss
from benchmarks.timing import Turns

#: Seconds of a call or a step, in two rounds, the second of which was twice as slow.
TURNS = Turns(
    {
        "original, raw": [2.0, 4.0],
        "original, folded": [1.0, 2.0],
        "snnconv, window": [3.0, 6.0],
        "snnconv, rate window": [3.0, 6.0],
        "snnconv, integrate-fire step": [2.0, 4.0],
        "snnconv, corrective step": [4.0, 8.0],
        "SpikingJelly, 1 step a call": [6.0, 12.0],
        "SpikingJelly, 4 steps a call": [5.0, 10.0],
    },
    [1.0],
    1,
)
STEPS = {"windows": 16, "integrate-fire": None, "corrective": 20, "SpikingJelly": 48}


def test_costs_are_in_passes_of_the_network_as_given_and_of_its_fastest_form() -> None:
    found = {row[0]: (row[3], row[5]) for row in rows(TURNS)}
    assert found["original, raw"] == (1.0, 2.0) and found["original, folded"] == (0.5, 1.0)
    assert found["snnconv, window"] == (1.5, 3.0) and found["SpikingJelly, 4 steps a call"] == (2.5, 5.0)


def test_time_to_a_loss_is_steps_times_their_time_beside_the_peers_fastest_mode() -> None:
    """20 steps of 4 s and 48 of 5 s; windows of all lengths are one call; what never comes to the loss has no time."""
    found = {row[0]: row for row in rows_to_loss(TURNS, STEPS, images=1000)}
    assert found["snnconv, corrective step"][5] == pytest.approx(20 * 4 / (48 * 5))
    assert found["snnconv, rate window"][2:6] == [16, 1, 45.0, pytest.approx(3 / (48 * 5))]
    assert "SpikingJelly, 4 steps a call" in found
    assert found["snnconv, integrate-fire step"][2:6] == [None, 1, None, None]
    assert own_ratios(TURNS, STEPS).keys() == {
        "snnconv, window",
        "snnconv, rate window",
        "snnconv, rate window to the loss",
        "snnconv, integrate-fire step",
        "snnconv, corrective step",
        "snnconv, corrective step to the loss",
    }


def test_without_the_peer_there_is_nothing_to_compare_with() -> None:
    ours = Turns({name: each for name, each in TURNS.seconds.items() if "Jelly" not in name}, [1.0], 1)
    assert own_ratios(ours, {"corrective": 20}).keys() == {name for name in ours.seconds if name.startswith("snnconv")}
    assert rows_to_loss(ours, {"corrective": 20}, images=10)[0][5] is None


@pytest.mark.parametrize(
    ("losses", "first"), [([3.0, 0.4, 0.6, 0.5, 0.1], 4), ([0.1, 0.2], 1), ([0.1, 0.6], None), ([0.5 + 1e-12], 1)]
)
def test_a_loss_is_reached_when_it_stays_there(losses: list[float], first: int | None) -> None:
    assert first_within(losses, 0.5) == first


def test_ratios_are_stored_once_and_a_slower_machine_ends_the_program(tmp_path: Path) -> None:
    file = tmp_path / "ratios.json"
    check_stored("a", {1: own_ratios(TURNS, STEPS)}, file)
    assert stored("a", 1, file)["snnconv, window"] == 3.0
    check_stored("a", {1: own_ratios(TURNS, STEPS)}, file)
    slow = Turns({**TURNS.seconds, "snnconv, window": [4.0, 8.0]}, [1.0], 1)
    with pytest.raises(SpeedFell, match=r"a, 1 thread: snnconv, window: 4 .* 25 % slower"):
        check_stored("a", {1: own_ratios(slow, STEPS)}, file)
    assert stored("a", 1, file)["snnconv, window"] == 3.0


def test_the_picture_is_drawn(tmp_path: Path) -> None:
    draw(tmp_path / "speed.png", {1: costs(TURNS), 2: costs(TURNS)})
    assert (tmp_path / "speed.png").read_bytes().startswith(b"\x89PNG")


def test_the_page_has_the_last_tables_and_the_picture_and_keeps_what_else_it_says(tmp_path: Path) -> None:
    draw(tmp_path / "drawn.png", {1: costs(TURNS)})
    page = tmp_path / "docs" / "page.md"
    page.parent.mkdir()
    page.write_text(f"# Page\n\n{BEGIN}\n{END}\n\nBehind.\n")
    for cell in (9.5, 1.25):
        write_page(tmp_path / "drawn.png", {"First": (("work", "ms"), [["ours", cell], ["theirs", None]])}, page)
    text = page.read_text()
    assert text.startswith(f"# Page\n\n{BEGIN}\n\n") and text.endswith(f"\n\n{END}\n\nBehind.\n")
    assert "First:\n\n| work | ms |\n| --- | ---: |\n| ours | 1.25 |\n| theirs | - |\n" in text and "9.5" not in text
    assert (page.parent / "speed.png").read_bytes() == (tmp_path / "drawn.png").read_bytes()
    assert BEGIN in PAGE.read_text() and END in PAGE.read_text()


def test_ratios_by_step_are_those_that_a_time_to_a_loss_is_made_of() -> None:
    assert {name: each.median for name, each in ratios_by_step(TURNS).items()} == {
        "windows": 3 / 5,
        "integrate-fire": 2 / 5,
        "corrective": 4 / 5,
    }


def test_steps_to_a_loss_are_measured_once_for_the_same_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measured: list[int] = []

    def measure(images: int | None) -> dict[str, int | None]:
        measured.append(images or 0)
        return {"windows": 8, "corrective": None}

    monkeypatch.setattr(time_to_loss, "_FILE", tmp_path / "steps.json")
    monkeypatch.setattr(time_to_loss, "FOLDER", tmp_path)
    monkeypatch.setattr(time_to_loss, "cifar10_test", lambda images: images)
    monkeypatch.setattr(time_to_loss, "_measured", measure)
    assert steps_to_loss(10) == steps_to_loss(10) == {"windows": 8, "corrective": None}
    assert steps_to_loss(20) == {"windows": 8, "corrective": None} and measured == [10, 20]
    monkeypatch.setattr(time_to_loss, "versions", lambda: "another library")
    steps_to_loss(20)
    assert measured == [10, 20, 20]
