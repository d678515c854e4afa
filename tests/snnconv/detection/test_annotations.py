"""Annotations of COCO and of Pascal VOC, and what is refused in them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from snnconv import InputError
from snnconv.detection.data.datasets import (
    VOC_NAMES,
    read_coco,
    read_voc,
)
from tests.support.pictures import NAMES, picture, told, voc, written

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


def without(key: str) -> str:
    (first, second) = coco()["annotations"]
    return json.dumps(coco(annotations=[first, {name: value for name, value in second.items() if name != key}]))


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
        (annotated(bbox=[0, 0, 1]), r"annotation 2, has bbox \[0, 0, 1\]; a box is \[left, top, width, height\]"),
        (annotated(bbox=[]), r"annotation 2, has bbox \[\]; a box is"),
        (annotated(bbox=None), "annotation 2, has bbox None; a box is"),
        (without("bbox"), "annotation 2, has no bbox; annotations of instances have"),
        (without("category_id"), "annotation 2, has no category_id"),
        (without("image_id"), "annotation 2, has no image_id"),
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
        ("[]", "holds a list, as files of results do; give one of instances"),
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
