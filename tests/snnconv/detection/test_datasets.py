"""Labelled images in three layouts: what is read, and that no broken file is taken for one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from snnconv import InputError
from snnconv.detection.data import datasets
from snnconv.detection.data.datasets import (
    VOC_NAMES,
    BoxDataset,
    Truth,
    read_coco,
    read_names,
    read_voc,
    read_yolo_folder,
)
from snnconv.detection.data.images import SUFFIXES

NAMES = ("cat", "dog", "cow")


def picture(path: Path, width: int = 40, height: int = 20) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (width, height)).save(path)


def written(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def told(dataset: BoxDataset, position: int) -> list[tuple[list[float], int, bool]]:
    truth = dataset[position].truth()
    assert truth.boxes.dtype == torch.float32 and truth.boxes.shape == (len(truth.classes), 4)
    return list(zip(truth.boxes.tolist(), truth.classes.tolist(), truth.ignored.tolist(), strict=True))


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
    assert [item.image().size for item in read_yolo_folder(tmp_path, NAMES)] == [(10, 10), (40, 20), (40, 20)]


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
        ("0 .5 .5 .1 .1 .9", "has 6 fields"),
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


# COCO


def coco(**changes: Any) -> dict[str, Any]:
    content: dict[str, Any] = {
        "images": [
            {"id": 7, "file_name": "x.png", "width": 40, "height": 20},
            {"id": 3, "file_name": "sub/y.png", "width": 10, "height": 10},
        ],
        "categories": [{"id": 18, "name": "dog"}, {"id": 17, "name": "cat"}],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 18, "bbox": [1, 2, 3.5, 4], "iscrowd": 0, "area": 9},
            {"id": 2, "image_id": 7, "category_id": 17, "bbox": [0, 0, 40, 20], "iscrowd": 1},
        ],
    }
    return content | changes


def test_a_coco_file_becomes_boxes_of_contiguous_classes(tmp_path: Path) -> None:
    dataset = read_coco(tmp_path / "pictures", written(tmp_path / "a.json", json.dumps(coco())))
    assert dataset.names == ("cat", "dog")
    assert [item.path for item in dataset] == [tmp_path / "pictures" / name for name in ("x.png", "sub/y.png")]
    assert told(dataset, 0) == [([1, 2, 4.5, 6], 1, False), ([0, 0, 40, 20], 0, True)] and told(dataset, 1) == []


def test_a_picture_of_another_size_than_its_boxes_need_is_refused(tmp_path: Path) -> None:
    dataset = read_coco(tmp_path, written(tmp_path / "a.json", json.dumps(coco())))
    picture(tmp_path / "x.png", 20, 40)
    with pytest.raises(InputError, match=r"x\.png has height and width \(40, 20\).*made for \(20, 40\)"):
        dataset[0].image()
    picture(tmp_path / "x.png")
    assert dataset[0].image().size == (40, 20)
    with pytest.raises(InputError, match=r"y\.png cannot be read as a picture"):
        dataset[1].image()


def annotated(**changes: Any) -> str:
    (first, second) = coco()["annotations"]
    return json.dumps(coco(annotations=[first, second | changes]))


def listed(**changes: Any) -> str:
    return json.dumps(coco(images=[coco()["images"][0] | changes]))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (annotated(image_id=8), "annotation 2, is of image 8"),
        (annotated(category_id=1), "annotation 2, .* category 1"),
        (annotated(bbox=[0, 0, 41.5, 5]), "annotation 2, spans x 0 to 41.5"),
        (annotated(bbox=[5, 5, -1, 5]), "annotation 2, .*must rise"),
        (annotated(bbox=[0, float("nan"), 1, 1]), "annotation 2, holds numbers that are not finite"),
        (annotated(bbox=[0, "a", 1, 1]), "annotation 2, does not hold numbers"),
        (annotated(bbox=[0, [], 1, 1]), "annotation 2, does not hold numbers"),
        (annotated(bbox=[0, 10**400, 1, 1]), "annotation 2, does not hold numbers"),
        (annotated(bbox=[0, 0, 1]), "unpack"),
        (annotated(bbox=None), "cannot be read as a COCO file"),
        (annotated(image_id=[]), "unhashable"),
        (listed(width=0), "an image has width 0"),
        (listed(width=float("inf")), "cannot convert float infinity"),
        (listed(height="a"), "cannot be read as a COCO file"),
        (listed(file_name="../x.png"), "leads out of the folder"),
        (listed(file_name="/x.png"), "leads out of the folder"),
        (json.dumps(coco(images=[])), "there is no image"),
        (json.dumps(coco(images=coco()["images"] * 2)), "share an id"),
        (json.dumps(coco(categories=coco()["categories"] * 2)), "share an id"),
        (json.dumps({"images": []}), "lacks 'categories'"),
        ("[]", "cannot be read as a COCO file"),
        ("{", "cannot be read as a COCO file"),
        ("[" * 100_000, "cannot be read as a COCO file"),
        ('{"categories": [1]}', "cannot be read as a COCO file"),
    ],
)
def test_a_file_that_is_no_coco_file_is_refused(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=rf"a\.json.*{message}"):
        read_coco(tmp_path, written(tmp_path / "a.json", text))


# VOC

OBJECT = """<object><name>dog</name><difficult>{difficult}</difficult>
<part><name>head</name><bndbox><xmin>7</xmin><ymin>7</ymin><xmax>8</xmax><ymax>8</ymax></bndbox></part>
<bndbox><xmax>{xmax}</xmax><xmin>{xmin}</xmin><ymin>2</ymin><ymax>20</ymax></bndbox></object>"""


def voc(root: Path, *objects: str, head: str = "", size: str = "<width>40</width><height>20</height>") -> Path:
    written(root / "ImageSets" / "Main" / "val.txt", "2007_000001 \n\n")
    text = f"{head}<annotation><size>{size}<depth>3</depth></size>{''.join(objects)}</annotation>"
    written(root / "Annotations" / "2007_000001.xml", text)
    return root


def test_a_voc_folder_becomes_boxes_that_count_from_zero(tmp_path: Path) -> None:
    first = OBJECT.format(difficult=0, xmin=1, xmax=40)
    dataset = read_voc(voc(tmp_path, first, OBJECT.format(difficult=1, xmin="3.5", xmax=4)), "val")
    assert dataset.names == VOC_NAMES and len(VOC_NAMES) == 20
    dog = VOC_NAMES.index("dog")
    assert told(dataset, 0) == [([0, 1, 40, 20], dog, False), ([2.5, 1, 4, 20], dog, True)]
    picture(tmp_path / "JPEGImages" / "2007_000001.jpg")
    assert dataset[0].image().size == (40, 20)
    assert read_voc(tmp_path, "val", NAMES)[0].truth().classes.tolist() == [1, 1]


BILLION = '<!DOCTYPE a [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>'
OUTSIDE = '<!DOCTYPE a SYSTEM "file:///etc/hostname">'
GOOD = OBJECT.format(difficult=0, xmin=1, xmax=40)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"objects": (GOOD, OBJECT.format(difficult=0, xmin=1, xmax=42))}, "object 2, spans"),
        ({"objects": (OBJECT.format(difficult=0, xmin=9, xmax=5),)}, "object 1, .*must rise"),
        ({"objects": (OBJECT.format(difficult=0, xmin="NaN", xmax=5),)}, "object 1, holds numbers"),
        ({"objects": (OBJECT.format(difficult=0, xmin="", xmax=5),)}, "object 1, does not hold numbers"),
        ({"objects": (GOOD.replace("dog", "unicorn"),)}, "object 1, is of class 'unicorn'; pass all class names"),
        ({"objects": ("<object><name>dog</name></object>",)}, "object lacks bndbox/xmin"),
        ({"objects": ("<object/>",)}, "object lacks name"),
        ({"objects": (), "size": "<width>40</width>"}, "annotation lacks size/height"),
        ({"objects": (), "size": "<width>40</width><height>0</height>"}, "an image has height 0"),
        ({"objects": (GOOD,), "head": BILLION}, "declares a document type"),
        ({"objects": (GOOD,), "head": OUTSIDE}, "declares a document type"),
        ({"objects": ("<object>",)}, "cannot be read as a VOC annotation: mismatched tag"),
        ({"objects": ("&b;",)}, "undefined entity"),
    ],
)
def test_an_annotation_that_is_none_is_refused(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    voc(tmp_path, *change.pop("objects"), **change)
    with pytest.raises(InputError, match=rf"2007_000001\.xml.*{message}"):
        read_voc(tmp_path, "val")


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
