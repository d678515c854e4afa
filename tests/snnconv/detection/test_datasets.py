"""Labelled pictures in folders of YOLO's layout, and lists of names and pictures."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

from snnconv import InputError
from snnconv.detection.data import datasets
from snnconv.detection.data.datasets import (
    BoxDataset,
    Truth,
    read_names,
    read_voc,
    read_yolo_folder,
)
from snnconv.detection.data.images import SUFFIXES
from tests.support.pictures import NAMES, picture, told, voc, written

# YOLO


def yolo(root: Path, label: str = "1 0.5 0.5 0.25 0.5\n") -> Path:
    picture(root / "images" / "b.jpg")
    picture(root / "images" / "a.png", 10, 10)
    written(root / "images" / "notes.md", "not a picture")
    written(root / "labels" / "b.txt", label)
    return root


def test_a_yolo_folder_becomes_boxes_in_pixels(tmp_path: Path) -> None:
    dataset = read_yolo_folder(yolo(tmp_path, "1 0.5 0.5 0.25 0.5\n\n0 0.1 0.25 0.2 0.5\n"), NAMES)
    assert [item.path.name for item in dataset] == ["a.png", "b.jpg"] and dataset.names == NAMES and len(dataset) == 2
    assert told(dataset, 0) == []
    assert told(dataset, 1) == [([15, 5, 25, 15], 1, False), ([0, 0, 8, 10], 0, False)]
    assert dataset[1].image().size == (40, 20)
    assert [len(truth.classes) for truth in dataset.truths()] == [0, 2]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_format_that_is_read_counts_as_a_picture(tmp_path: Path, suffix: str) -> None:
    picture(yolo(tmp_path) / "images" / f"z{suffix}")
    dataset = read_yolo_folder(tmp_path, NAMES)
    assert [item.image().size for item in dataset] == [(10, 10), (40, 20), (40, 20)]
    assert dataset[1:] == BoxDataset(dataset.items[1:], NAMES), "some of a data set are one, too"


def test_folders_of_images_and_labels_correspond(tmp_path: Path) -> None:
    picture(tmp_path / "images" / "train" / "x.PNG")
    written(tmp_path / "labels" / "train" / "x.txt", "2 .5 .5 1 1")
    assert told(read_yolo_folder(tmp_path, NAMES), 0) == [([0, 0, 40, 20], 2, False)]


def test_fractions_are_those_of_the_picture_as_it_is_shown(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    (tmp_path / "images").mkdir()
    Image.new("RGB", (40, 20)).save(tmp_path / "images" / "x.jpg", exif=exif)
    written(tmp_path / "labels" / "x.txt", "0 .5 .5 1 1")
    assert told(read_yolo_folder(tmp_path, NAMES), 0) == [([0, 0, 20, 40], 0, False)]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("3 .5 .5 .1 .1", "is of class 3; there are names for the classes 0 to 2"),
        ("-1 .5 .5 .1 .1", "is of class -1"),
        ("0.5 .5 .5 .1 .1", "is of class 0.5"),
        ("0 .5 .5 .1", "has 4 fields"),
        ("0 .5 .5 .1 .1 .9", "has 6 fields; the sixth is a confidence, so these are boxes that a detector found"),
        ("0 .1 .1 .9 .1 .9 .9", "has 7 fields; these are the corners of an outline; give the box around it: a box is"),
        ("0 .5 nan .1 .1", "not finite"),
        ("0 .5 inf .1 .1", "not finite"),
        ("0 .5 1e999 .1 .1", "not finite"),
        ("cat .5 .5 .1 .1", "does not hold numbers"),
        ("0 .5 .5 -.1 .1", "must rise"),
        ("0 .5 .5 1.1 .1", "stay within x 0 to 1"),
        ("0 .5 .98 .1 .1", "stay within"),
        ("0 200 100 50 50", "stay within"),
    ],
)
def test_a_line_that_is_no_box_is_refused_with_file_and_line(line: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=rf"b\.txt, line 2, .*{message}"):
        read_yolo_folder(yolo(tmp_path, f"1 0.5 0.5 0.25 0.5\n{line}\n"), NAMES)


def test_rounded_fractions_may_reach_over_the_border(tmp_path: Path) -> None:
    ((box, _, _),) = told(read_yolo_folder(yolo(tmp_path, "1 0.5 0.5 1.0005 1\n"), NAMES), 1)
    assert box == pytest.approx([-0.01, 0, 40.01, 20])


@pytest.mark.parametrize("missing", ["images", "labels"])
def test_a_yolo_folder_needs_both_folders(missing: str, tmp_path: Path) -> None:
    yolo(tmp_path)
    (tmp_path / missing).rename(tmp_path / "elsewhere")
    with pytest.raises(InputError, match=f"{missing} is no folder"):
        read_yolo_folder(tmp_path, NAMES)


def test_folders_without_pictures_and_labels_without_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "labels").mkdir()
    with pytest.raises(InputError, match=r"images holds no pictures \(\.jpg"):
        read_yolo_folder(tmp_path, NAMES)
    (yolo(tmp_path) / "labels" / "b.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"b\.txt cannot be read"):
        read_yolo_folder(tmp_path, NAMES)
    (tmp_path / "labels" / "b.txt").unlink()
    (tmp_path / "labels" / "b.txt").mkdir()
    with pytest.raises(InputError, match=r"b\.txt cannot be read"):
        read_yolo_folder(tmp_path, NAMES)


def test_a_file_too_large_for_labels_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets, "_LARGEST", 10)
    with pytest.raises(InputError, match=r"b\.txt has more than 10 bytes"):
        read_yolo_folder(yolo(tmp_path), NAMES)


def test_a_list_of_pictures_names_pictures(tmp_path: Path) -> None:
    voc(tmp_path)
    with pytest.raises(InputError, match=r"train\.txt cannot be read"):
        read_voc(tmp_path, "train")
    split = tmp_path / "ImageSets" / "Main" / "val.txt"
    for name in ("../2007_000001", "/etc/passwd", "a/b", "a\\b"):
        written(split, f"2007_000001\n{name}\n")
        with pytest.raises(InputError, match=r"val\.txt, line 2, .*without folders"):
            read_voc(tmp_path, "val")
    with pytest.raises(InputError, match=r"val\.txt names no pictures"):
        written(split, "\n")
        read_voc(tmp_path, "val")
    with pytest.raises(InputError, match=r"2008\.xml cannot be read"):
        written(split, "2008")
        read_voc(tmp_path, "val")
    with pytest.raises(InputError, match=r"xml cannot be read: .*null"):
        written(split, "20\x0008")
        read_voc(tmp_path, "val")


def test_a_list_of_one_class_is_read_by_its_names(tmp_path: Path) -> None:
    voc(tmp_path)
    split, annotations = tmp_path / "ImageSets" / "Main" / "cat_train.txt", tmp_path / "Annotations"
    text = (annotations / "2007_000001.xml").read_text()
    for name in ("2008", "2009", "my photo 1"):
        written(annotations / f"{name}.xml", text)
    written(split, "2007_000001  1\n2008 -1\n2009  0\nmy photo 1\n")
    names = [item.path.stem for item in read_voc(tmp_path, "cat_train")]
    assert names == ["2007_000001", "2008", "2009", "my photo 1"]
    for line in ("2008 2", "2008 cat", "2008 1 1", "2" * 500 + " 2"):
        written(split, f"2007_000001 1\n{line}\n")
        with pytest.raises(InputError, match=r"cat_train\.txt, line 2, .* no picture has this name, .*second column"):
            read_voc(tmp_path, "cat_train")


# What all share


def test_names_are_one_a_line(tmp_path: Path) -> None:
    assert read_names(written(tmp_path / "a.names", "cat\r\ntraffic light\n\n")) == ("cat", "traffic light")
    (tmp_path / "a.names").write_text("cat\ndog\n", encoding="utf-8-sig")
    assert read_names(tmp_path / "a.names") == ("cat", "dog")
    with pytest.raises(InputError, match=r"a\.names, line 2, is empty"):
        read_names(written(tmp_path / "a.names", "cat\n\ndog\n"))
    with pytest.raises(InputError, match=r"a\.names, line 1, is empty"):
        read_names(written(tmp_path / "a.names", ""))
    with pytest.raises(InputError, match=r"b\.names cannot be read"):
        read_names(tmp_path / "b.names")


@pytest.mark.parametrize(
    ("boxes", "classes", "ignored", "message"),
    [
        (torch.zeros(1, 4), torch.zeros(2).long(), torch.zeros(2).bool(), r"are \[1, 4\], \[2\], \[2\]"),
        (torch.zeros(1, 4), torch.zeros(1), torch.zeros(1).bool(), "give int64 and bool"),
        (torch.zeros(1, 4), torch.zeros(1).long(), torch.zeros(1), "give int64 and bool"),
        (torch.full((1, 4), torch.nan), torch.zeros(1).long(), torch.zeros(1).bool(), "not finite"),
        (torch.tensor([[1.0, 0, 0, 0]]), torch.zeros(1).long(), torch.zeros(1).bool(), "ends before it begins"),
    ],
)
def test_a_truth_that_contradicts_itself_is_refused(
    boxes: torch.Tensor, classes: torch.Tensor, ignored: torch.Tensor, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        Truth(boxes, classes, ignored)


def test_coco128_is_read_whole(data_dir: Path) -> None:
    dataset = read_yolo_folder(data_dir / "coco128", read_names(data_dir / "coco.names"))
    truths = dataset.truths()
    assert len(dataset) == len(truths) == 128 and len(dataset.names) == 80
    assert sum(len(truth.classes) for truth in truths) == 929
    assert len(torch.cat([truth.classes for truth in truths]).unique()) == 71
    empty = {item.path.stem for item in dataset if not item.boxes}
    assert empty == {"000000000250", "000000000508"}
    (grey,) = [item for item in dataset if item.path.stem == "000000000086"]
    with Image.open(grey.path) as raw:
        assert raw.mode == "L" and grey.image().mode == "RGB"
    for item, truth in zip(dataset, truths, strict=True):
        with Image.open(item.path) as raw:
            limit = torch.tensor(raw.size) + 1e-3
        assert (truth.boxes >= -1e-3).all() and (truth.boxes.view(-1, 2, 2) <= limit).all()
