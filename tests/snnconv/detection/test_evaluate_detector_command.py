"""snnconv evaluate-detector: figures of both networks on drawn shapes and on labelled pictures, and what is refused."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

import snnconv
from snnconv.cli import detectors, main
from snnconv.cli.app import app
from snnconv.detection import SHAPE_NAMES, draw_shapes
from snnconv.detection.shapes import SHAPES_CONFIG

MODEL = ["--model", f"{SHAPES_CONFIG},{SHAPES_CONFIG.with_suffix('.weights')}"]
LAYOUTS = {
    "yolo": ["--data", ".", "--names", "names.txt"],
    "coco": ["--data", "images", "--annotations", "instances.json", "--layout", "coco"],
    "voc": ["--data", ".", "--names", "names.txt", "--layout", "voc"],
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with labelled pictures of shapes in all three layouts."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(detectors, "HELD_OUT_SHAPES", (12, 2))
    (tmp_path / "names.txt").write_text("\n".join(SHAPE_NAMES))
    (tmp_path / "few.txt").write_text("\n".join((*SHAPE_NAMES, "star")))
    for name in ("images", "labels", "JPEGImages", "Annotations", "ImageSets/Main"):
        (tmp_path / name).mkdir(parents=True)
    entries, annotations = [], []
    for number, (pixels, truth) in enumerate(zip(*draw_shapes(12, seed=5), strict=True)):
        image = Image.fromarray((pixels.permute(1, 2, 0) * 255).round().byte().numpy())
        image.save(f"images/{number}.png")
        image.save(f"JPEGImages/{number}.jpg", quality=95)
        lines, objects = [], []
        for label, (x1, y1, x2, y2) in zip(truth.classes.tolist(), truth.boxes.tolist(), strict=True):
            lines.append(f"{label} {(x1 + x2) / 128} {(y1 + y2) / 128} {(x2 - x1) / 64} {(y2 - y1) / 64}")
            objects.append(
                f"<object><name>{SHAPE_NAMES[label]}</name><bndbox><xmin>{x1 + 1}</xmin><ymin>{y1 + 1}</ymin>"
                f"<xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox></object>"
            )
            box = [x1, y1, x2 - x1, y2 - y1]
            annotations.append({"id": len(annotations), "image_id": number, "category_id": label + 1, "bbox": box})
        (tmp_path / "labels" / f"{number}.txt").write_text("\n".join(lines))
        (tmp_path / "Annotations" / f"{number}.xml").write_text(
            f"<annotation><size><width>64</width><height>64</height></size>{''.join(objects)}</annotation>"
        )
        entries.append({"id": number, "file_name": f"{number}.png", "height": 64, "width": 64})
    categories = [{"id": number, "name": name} for number, name in enumerate(SHAPE_NAMES, 1)]
    content = {"images": entries, "annotations": annotations, "categories": categories}
    (tmp_path / "instances.json").write_text(json.dumps(content))
    (tmp_path / "ImageSets" / "Main" / "val.txt").write_text("\n".join(map(str, range(12))))
    return tmp_path


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["evaluate-detector", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_without_arguments_it_measures_the_detector_of_shapes(folder: Path) -> None:
    printed = run("--samples", "30", "--steps", "8", "--json", "figures.json", "--save", "shapes.snn")
    assert "mAP@0.5 (%)" in printed and "kept (%)" in printed and "energy E3" in printed
    assert "12 pictures" in printed and "written: shapes.snn" in printed
    figures = json.loads((folder / "figures.json").read_text())
    assert figures["reference_precision"]["ap50"] > 90.0 and figures["kept"] > 95.0
    network = snnconv.load("shapes.snn")
    assert network.timing is not None and network.timing.latency == figures["steps"]
    assert {population.code.steps for population in network.populations.values()} == {8}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_it_measures_on_data_of_every_layout(folder: Path, layout: str) -> None:
    (folder / "images" / "notes.png").write_text("no picture")
    options = [*LAYOUTS[layout], "--calibration", "images", "--json", "figures.json"]
    if layout == "yolo":  # lists what is in the folder, so that there a file that is no picture is a mistake
        (folder / "images" / "notes.png").rename(folder / "JPEGImages" / "notes.png")
        options[options.index("images")] = "JPEGImages"
    printed = run(*MODEL, *options)
    assert "left out of calibration: " in printed and "notes.png cannot be read as a picture" in printed
    figures = json.loads((folder / "figures.json").read_text())
    assert figures["samples"] == 12
    assert figures["reference_precision"]["ap50"] > 80.0 and figures["kept"] > 95.0


def test_a_stream_is_measured_after_doubling_steps(folder: Path) -> None:
    options = ("--samples", "20", "--coding", "rate", "--steps", "12", "--negative", "imbalanced")
    run(*options, "--json", "figures.json", "--save", "default.snn")
    figures = json.loads((folder / "figures.json").read_text())
    assert list(figures["precision_by_step"]) == ["1", "2", "4", "8", "12"]
    run(*options, "--percentile", "100", "--save", "maximum.snn")
    scales = [
        torch.cat([population.scale for population in snnconv.load(folder / name).populations.values()])
        for name in ("default.snn", "maximum.snn")
    ]
    assert bool((scales[0] <= scales[1]).all()) and bool((scales[0] < scales[1]).any())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([*MODEL], "--model, --data and --calibration go together"),
        ([*MODEL, "--data", "."], "--model, --data and --calibration go together"),
        (["--data", "."], "--model, --data and --calibration go together"),
        (["--calibration", "images"], "--model, --data and --calibration go together"),
        (["--names", "names.txt"], "give --model too"),
        ([*MODEL, "--data", ".", "--calibration", "images"], "--names is missing; the layout yolo needs"),
        ([*MODEL, "--data", ".", "--calibration", "nowhere", "--names", "names.txt"], "nowhere is no folder"),
        ([*MODEL, "--data", ".", "--calibration", "images", "--names", "few.txt"], "3 classes apart and there are 4"),
        (["--samples", "0"], "--samples must be at least 1, got 0"),
        (["--samples", "5", "--percentile", "most"], "--percentile must be a number or mse, got 'most'"),
        (["--samples", "5", "--negative", "both"], "negative must be one of graded, imbalanced, got 'both'"),
        (["--coding", "auto", "--spikes", "2"], "--coding auto chooses spikes itself: leave it out"),
        (["--samples", "5", "--save", "missing/shapes.snn"], "missing/shapes.snn cannot be written"),
    ],
)
def test_a_mistake_is_one_line(
    folder: Path,
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "argv", ["snnconv", "evaluate-detector", *arguments])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert message in error and "Traceback" not in error
