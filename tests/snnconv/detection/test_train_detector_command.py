"""The command that trains a detector: what it writes and prints, and what it refuses."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from snnconv.cli import detectors, main
from snnconv.cli.app import app
from snnconv.detection import load_darknet
from snnconv.detection.shapes import SHAPES_CONFIG

CONFIG = """
[net]
width=32
height=32
channels=3
[convolutional]
batch_normalize=1
filters=8
size=8
stride=8
activation=leaky
[convolutional]
filters=7
size=1
activation=linear
[yolo]
anchors=16,16
num=1
classes=2
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a small network, and ten labelled pictures in all three layouts."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.cfg").write_text(CONFIG)
    (tmp_path / "classes.txt").write_text("light\ndark\n")
    for name in ("images", "labels", "JPEGImages", "Annotations", "ImageSets/Main"):
        (tmp_path / name).mkdir(parents=True)
    entries, annotations = [], []
    for number in range(10):
        image = Image.new("RGB", (40, 40), (90, 90, 90))
        image.paste((250, 250, 250), (number, 10, number + 20, 30))
        image.save(tmp_path / "images" / f"{number}.png")
        image.save(tmp_path / "JPEGImages" / f"{number}.jpg")
        (tmp_path / "labels" / f"{number}.txt").write_text(f"0 {(number + 10) / 40} 0.5 0.5 0.5\n")
        (tmp_path / "Annotations" / f"{number}.xml").write_text(
            "<annotation><size><width>40</width><height>40</height></size><object><name>light</name><bndbox>"
            f"<xmin>{number + 1}</xmin><ymin>11</ymin><xmax>{number + 20}</xmax><ymax>30</ymax></bndbox></object>"
            "</annotation>"
        )
        entries.append({"id": number, "file_name": f"{number}.png", "height": 40, "width": 40})
        annotations.append({"id": number, "image_id": number, "category_id": 1, "bbox": [number, 10, 20, 20]})
    categories = [{"id": 1, "name": "light"}, {"id": 2, "name": "dark"}]
    content = {"images": entries, "annotations": annotations, "categories": categories}
    (tmp_path / "instances.json").write_text(json.dumps(content))
    (tmp_path / "ImageSets" / "Main" / "trainval.txt").write_text("\n".join(map(str, range(10))))
    return tmp_path


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["train-detector", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def failure(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: str) -> str:
    monkeypatch.setattr(sys, "argv", ["snnconv", "train-detector", "-o", "out.weights", *arguments])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2
    return capsys.readouterr().err


LAYOUTS = {
    "yolo": ["--data", ".", "--names", "classes.txt"],
    "coco": ["--data", "images", "--annotations", "instances.json", "--layout", "coco"],
    "voc": ["--data", ".", "--names", "classes.txt", "--layout", "voc"],
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_network_is_trained_on_data_of_every_layout(folder: Path, layout: str) -> None:
    options = [*LAYOUTS[layout], "--config", "net.cfg", "--epochs", "3", "--checkpoint", "run.checkpoint"]
    output = run(*options, "-o", "out.weights")
    assert "written: out.weights" in output and "on pictures held out: mAP@0.5 " in output
    assert load_darknet("net.cfg", "out.weights").seen == 3 * 9
    first = (folder / "out.weights").read_bytes()
    again = run(*options, "-o", "again.weights")
    assert "resumed after epoch 3 of 3" in again
    assert (folder / "again.weights").read_bytes() == first
    assert run(
        *LAYOUTS[layout], "--config", "net.cfg", "--epochs", "1", "--weights", "out.weights", "-o", "more.weights"
    )
    assert load_darknet("net.cfg", "more.weights").seen == 4 * 9


def test_without_data_it_trains_on_shapes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detectors, "SHAPES", (8, 1))
    monkeypatch.setattr(detectors, "HELD_OUT_SHAPES", (4, 2))
    assert "mAP@0.5" in run("--epochs", "1", "-o", "shapes.weights")
    assert load_darknet(SHAPES_CONFIG, "shapes.weights").seen == 8


def test_what_is_missing_is_said(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = ["--config", "net.cfg", "--data"]
    for arguments, message in (
        (["--config", "net.cfg"], "--config and --data go together"),
        (["--data", "."], "--config and --data go together"),
        ([*given, "."], "--names is missing"),
        ([*given, "images", "--layout", "coco"], "--annotations is missing"),
        ([*given, ".", "--layout", "zip"], "known layouts: yolo, coco, voc"),
        ([*given, ".", "--layout", "voc"], "is of class 'light'"),
        (["-o", "missing/out.weights"], "missing is no folder"),
        (["-o", "images"], "images cannot be written: it is a folder"),
        (["--seed", "-1"], "seed must be from 0 to"),
        (["--seed", str(2**63)], "seed must be from 0 to"),
        (["--device", "abacus"], "--device abacus cannot be used"),
        ([*given, ".", "--names", "classes.txt", "--epochs", "0"], "epochs 0"),
    ):
        assert message in failure(capsys, monkeypatch, *arguments)
    for number in (0, 9):
        (folder / "labels" / f"{number}.txt").write_text("")
    told = failure(capsys, monkeypatch, *given, ".", "--names", "classes.txt")
    assert "none of the 1 pictures held out of 10" in told
    assert not (folder / "out.weights").exists()
