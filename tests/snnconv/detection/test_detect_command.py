"""snnconv detect: pictures and figures for good files, one line for each bad one."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

import snnconv
from snnconv.cli import main
from snnconv.cli.app import app
from snnconv.cli.detectors import pictures_in
from snnconv.detection import draw_shapes


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with pictures of several kinds and a file that is none."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    (tmp_path / "other").mkdir()
    for number, pixels in enumerate(draw_shapes(6, seed=5)[0]):
        image = Image.fromarray((pixels.permute(1, 2, 0) * 255).round().byte().numpy())
        image.resize((96 + 8 * number, 128)).save(tmp_path / f"{number}.png")
    Image.open("0.png").convert("L").save("grey.png")
    Image.open("1.png").save("other/0.png")
    Image.open("0.png").convert("CMYK").save("print.jpg")
    Image.new("RGB", (1, 1)).save("dot.png")
    (tmp_path / "notes.png").write_text("no picture")
    return tmp_path


def test_pictures_and_figures_are_written_for_both_networks(folder: Path) -> None:
    result = CliRunner().invoke(app, ["detect", "0.png", "1.png", "other/0.png", "-o", "found"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    figures = json.loads((folder / "found" / "detections.json").read_text())
    assert figures["failed"] == {}
    assert [each["picture"] for each in figures["pictures"]] == ["0.png", "1.png", "other/0.png"]
    for each in figures["pictures"]:
        assert len(each["original"]) >= 1 and abs(len(each["spiking"]) - len(each["original"])) <= 1
        assert {"class", "score", "box"} == set(each["original"][0])
        width, height = each["size"]
        with Image.open(each["drawn"]) as drawn:
            assert drawn.width > 2 * width and drawn.height > height
    assert len({each["drawn"] for each in figures["pictures"]}) == 3  # two pictures have the same name


def test_a_folder_stands_for_the_pictures_in_it(folder: Path) -> None:
    (folder / "other" / "about.txt").write_text("one picture")
    options = ["--coding", "one-spike", "--rounding", "floor", "--normalization", "layer", "--save", "shapes.snn"]
    result = CliRunner().invoke(app, ["detect", "other", "1.png", *options], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    figures = json.loads((folder / "detections" / "detections.json").read_text())
    assert [each["picture"] for each in figures["pictures"]] == ["other/0.png", "1.png"]
    (population, *_) = snnconv.load("shapes.snn").populations.values()
    assert population.code.rounding == "floor" and population.scale.numel() == 1  # type: ignore[attr-defined]
    (folder / "empty").mkdir()
    with pytest.raises(snnconv.SnnconvError, match="empty holds no picture; pictures end with"):
        CliRunner().invoke(app, ["detect", "empty"], catch_exceptions=False)


def test_a_pattern_stands_for_the_pictures_that_it_matches(folder: Path) -> None:
    (folder / "other" / "deep").mkdir()
    (folder / "2.png").rename(folder / "other" / "deep" / "2.PNG")
    (folder / "other" / "0.txt").write_text("no picture")
    found = pictures_in([Path("other/**/*"), Path("[01].png"), Path("missing.png")])
    assert [path.as_posix() for path in found] == ["other/0.png", "other/deep/2.PNG", "0.png", "1.png", "missing.png"]
    (folder / "0.png").rename(folder / "[0].png")
    once = pictures_in([folder / "1.png", Path("*.png"), Path(".")])
    assert once[0] == folder / "1.png" and len({path.absolute() for path in once}) == len(once) > 2
    assert pictures_in([Path("[0].png")]) == [Path("[0].png")], "what exists is meant"
    with pytest.raises(snnconv.InputError, match=r"\*.gif holds no picture; pictures end with"):
        pictures_in([Path("*.gif")])


def test_tables_name_files_and_paths_only_where_two_have_one_name(folder: Path) -> None:
    long = folder / ("folder" * 20)
    long.mkdir()
    for name in ("0.png", "4.png"):
        shutil.copy(name, long / name)
    arguments = ["detect", "0.png", str(long), "--limit", "2", "--json", "figures.json", "--coding", "one-spike"]
    result = CliRunner().invoke(app, arguments, catch_exceptions=False, env={"COLUMNS": "90"})
    assert result.exit_code == 0 and "…" not in result.output
    figures = json.loads(Path("figures.json").read_text())
    assert figures == json.loads(Path("detections/detections.json").read_text())
    assert [each["picture"] for each in figures["pictures"]] == ["0.png", str(long / "0.png")]
    result = CliRunner().invoke(app, ["detect", str(long / "4.png"), "--coding", "one-spike"], catch_exceptions=False)
    assert "│ 4.png" in result.output and str(long) not in result.output


def test_the_network_is_written_with_the_spikes_asked_for(folder: Path) -> None:
    arguments = ["detect", "0.png", "1.png", "--steps", "4", "--save", "shapes.snn", "--negative"]
    kinds = []
    for negative in ("graded", "imbalanced"):
        result = CliRunner().invoke(app, [*arguments, negative], catch_exceptions=False)
        assert result.exit_code == 0 and "written: shapes.snn" in result.output
        (population, *_) = snnconv.load("shapes.snn").populations.values()
        assert population.code.steps == 4
        kinds.append(population.neuron)
    assert kinds[0] != kinds[1]


def test_one_bad_file_does_not_lose_the_others(folder: Path) -> None:
    names = ["grey.png", "notes.png", "print.jpg", "missing.png", "dot.png"]
    result = CliRunner().invoke(app, ["detect", *names, "--calibration", ".", "--quiet"], catch_exceptions=False)
    assert result.exit_code == 1 and result.stdout == ""
    assert (
        "notes.png cannot be read as a picture" in result.stderr
        and "left out: missing.png cannot be read as a picture: No such file" in result.stderr
    )
    assert "left out of calibration: notes.png cannot be read as a picture" in result.stderr
    figures = json.loads((folder / "detections" / "detections.json").read_text())
    assert [each["picture"] for each in figures["pictures"]] == ["grey.png", "print.jpg", "dot.png"]
    assert set(figures["failed"]) == {"notes.png", "missing.png"}


def test_names_of_files_are_printed_as_they_are(folder: Path) -> None:
    (folder / "other" / "0.png").rename(folder / "other" / "[bold]0[x].png")
    result = CliRunner().invoke(app, ["detect", "other/[bold]0[x].png"], catch_exceptions=False)
    assert result.exit_code == 0 and "│ [bold]0[x].png" in result.output
    assert (folder / "detections" / "[bold]0[x].png").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["notes.png"], "no picture can be read: notes.png cannot be read as a picture"),
        (["0.png", "--model", "net.cfg"], "--model takes two files"),
        (["0.png", "--model", "net.cfg,net.weights"], "net.cfg"),
        (["0.png", "--names", "names.txt"], "give --model too"),
        (["0.png", "--letterbox"], "give --model too"),
        (["0.png", "--calibration", ".", "--samples", "0"], "--samples must be at least 1, got 0"),
        (["0.png", "--score", "1.5"], "--score must lie in"),
        (["0.png", "--coding", "few"], "unknown code 'few'"),
        (["0.png", "--percentile", "0"], "percentile must be 'mse' or lie in (0, 100], got 0.0"),
        (["0.png", "--negative", "both"], "negative must be one of graded, imbalanced, got 'both'"),
        (["0.png", "--save", "missing/shapes.snn"], "missing/shapes.snn cannot be written"),
        (["0.png", "--coding", "auto", "--steps", "4"], "--coding auto chooses steps itself: leave it out"),
        (["0.png", "--max-loss", "1"], "--max-loss 1.0 is for --coding auto: leave it out"),
        (["0.png", "--calibration", "missing"], "missing is no folder of pictures"),
        (["0.png", "--calibration", "empty"], "empty: no picture can be read"),
        (["0.png", "-o", "0.png"], "cannot be made a folder"),
    ],
)
def test_a_mistake_is_one_line(
    folder: Path,
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (folder / "empty").mkdir()
    monkeypatch.setattr(sys, "argv", ["snnconv", "detect", *arguments])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert message in error and "Traceback" not in error
