"""Labelled images from folders as YOLO, COCO and VOC lay them out; every box is checked before it is believed."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any
from xml.etree import ElementTree

from snnconv.detection.data.ground_truth import Box, LabelledImage
from snnconv.detection.data.ground_truth import BoxDataset as BoxDataset
from snnconv.detection.data.ground_truth import Truth as Truth
from snnconv.detection.data.images import SUFFIXES
from snnconv.errors import InputError

#: Bytes of a file with labels beyond which it is refused; the largest of COCO has 4.7e8.
_LARGEST = 2**29
#: How far a box may reach over the image's border: rounded fractions, and pixels.
_FRACTION, _PIXEL = 1e-3, 1.0

#: The classes of Pascal VOC, in their usual order.
# fmt: off
VOC_NAMES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog",
    "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)
# fmt: on


def read_names(path: str | os.PathLike[str]) -> tuple[str, ...]:
    """Names of classes, one per line. Raises ``InputError`` for a file without names, or with an empty line in it."""
    file = Path(path)
    lines = [line.strip() for line in _text(file).rstrip().splitlines()]
    if "" in lines or not lines:
        line = lines.index("") + 1 if lines else 1
        raise InputError(f"{file}, line {line}, is empty; give one class name per line, as classes count by line")
    return tuple(lines)


def read_yolo_folder(root: str | os.PathLike[str], names: Sequence[str]) -> BoxDataset:
    """The pictures below ``root/images``; those of ``images/a/b.jpg`` have their boxes in ``labels/a/b.txt``.

    A line of such a file is the class and the box's centre x, centre y, width and height in fractions of the image. A
    picture without a file has no objects; a file without a picture is not read. Pictures come in the order of their
    paths. Raises ``InputError`` with file and line for a class that ``names`` does not have, numbers that are none,
    and boxes that reach over the border by more than rounding to three digits explains.
    """
    images, labels = Path(root) / "images", Path(root) / "labels"
    for folder in (images, labels):
        if not folder.is_dir():
            raise InputError(f"{folder} is no folder; a YOLO data set has its pictures in images, its boxes in labels")
    items = []
    for path in sorted(path for path in images.rglob("*") if path.suffix.lower() in SUFFIXES):
        file = (labels / path.relative_to(images)).with_suffix(".txt")
        lines = enumerate(_text(file).splitlines(), 1) if file.exists() else ()
        boxes = tuple(_yolo_box(line.split(), names, f"{file}, line {at}") for at, line in lines if line.strip())
        items.append(LabelledImage(path, boxes, None))
    if not items:
        raise InputError(f"{images} holds no pictures ({', '.join(SUFFIXES)})")
    return BoxDataset(tuple(items), tuple(names))


def read_coco(images: str | os.PathLike[str], annotations: str | os.PathLike[str]) -> BoxDataset:
    """The pictures that a COCO file of instances lists, in its order, below the folder ``images``.

    Classes are the file's categories by rising id, counted from 0; crowds are ignored objects. Raises ``InputError``
    with the file and the annotation's id for images and categories that are unknown or missing, and for boxes that are
    missing, not finite, or reach over the border by more than a pixel.
    """
    file = Path(annotations)
    try:
        content = json.loads(_text(file))
        if not isinstance(content, dict):
            raise InputError(f"{file} holds a {type(content).__name__}, as files of results do; give one of instances")
        names = {int(category["id"]): str(category["name"]) for category in content["categories"]}
        classes = {identity: position for position, identity in enumerate(sorted(names))}
        sizes = {
            image["id"]: (_whole(image["height"], "height"), _whole(image["width"], "width"))
            for image in content["images"]
        }
        paths = {image["id"]: _below(Path(images), image["file_name"]) for image in content["images"]}
        if not paths or len(paths) < len(content["images"]) or len(names) < len(content["categories"]):
            raise ValueError("images or categories share an id, or there is no image")
        boxes: dict[object, list[Box]] = {identity: [] for identity in paths}
        for annotation in content["annotations"]:
            where = f"{file}, annotation {annotation.get('id')}"
            image, category, bbox = (_entry(annotation, key, where) for key in ("image_id", "category_id", "bbox"))
            if image not in paths or category not in classes:
                raise InputError(f"{where}, is of image {image} and category {category}; the file must list both")
            if not isinstance(bbox, list) or len(bbox) != 4:
                raise InputError(
                    f"{where}, has bbox {str(bbox)[:80]}; a box is [left, top, width, height] in pixels: give it, or "
                    "leave the annotation out"
                )
            corners = _numbers(bbox, where)
            corners = [*corners[:2], corners[0] + corners[2], corners[1] + corners[3]]
            ignored = bool(annotation.get("iscrowd", 0))
            boxes[image].append(Box(_inside(corners, sizes[image], _PIXEL, where), classes[category], ignored))
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        reason = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
        raise InputError(f"{file} cannot be read as a COCO file of instances: {reason}") from error
    items = tuple(LabelledImage(paths[image], tuple(boxes[image]), sizes[image]) for image in paths)
    return BoxDataset(items, tuple(names[identity] for identity in sorted(names)))


def read_voc(root: str | os.PathLike[str], split: str, names: Sequence[str] = VOC_NAMES) -> BoxDataset:
    """The pictures that ``root/ImageSets/Main/split.txt`` names, from ``JPEGImages`` and ``Annotations``.

    Lists of one class, such as ``cat_train``, have a second column: 1, -1 or 0 for pictures with the class, without it,
    and with difficult ones alone. All their pictures are read. VOC counts pixels from 1 and includes the last: a box
    from 1 to 5 becomes 0 to 5. Difficult objects are ignored. Raises ``InputError`` with the file, and the object's
    number in it, for classes that ``names`` does not have and for boxes that are not finite or reach over the border by
    more than a pixel; declarations of document types and entities are refused.
    """
    file = Path(root) / "ImageSets" / "Main" / f"{split}.txt"
    items = []
    for at, line in enumerate(_text(file).splitlines(), 1):
        identity = line.strip()
        if not identity:
            continue
        if PurePosixPath(identity).name != identity or "\\" in identity:
            raise InputError(f"{file}, line {at}, is {identity[:80]!r}; give the name of a picture, without folders")
        annotation = Path(root) / "Annotations" / f"{identity}.xml"
        name, *marks = identity.split()
        if marks and not os.path.exists(annotation):  # Path.exists raises for names that cannot be
            if marks not in (["1"], ["-1"], ["0"]):
                raise InputError(
                    f"{file}, line {at}, is {identity[:80]!r}: no picture has this name, and behind a name there can "
                    "only be a second column of 1, -1 or 0, which says whether the class of the list is on the picture"
                )
            identity, annotation = name, annotation.with_name(f"{name}.xml")
        size, boxes = _voc_boxes(annotation, names)
        items.append(LabelledImage(Path(root) / "JPEGImages" / f"{identity}.jpg", boxes, size))
    if not items:
        raise InputError(f"{file} names no pictures")
    return BoxDataset(tuple(items), tuple(names))


class _PlainTree(ElementTree.TreeBuilder):
    """Builds a tree from XML without a document type, the only place where entities can be declared."""

    def doctype(self, *_: object) -> None:
        raise ValueError("it declares a document type; remove the declaration")


def _voc_boxes(file: Path, names: Sequence[str]) -> tuple[tuple[int, int], tuple[Box, ...]]:
    try:
        tree = ElementTree.fromstring(_text(file), ElementTree.XMLParser(target=_PlainTree()))
        height, width = (_whole(_part(tree, f"size/{name}"), name) for name in ("height", "width"))
        boxes = []
        for number, entry in enumerate(tree.findall("object"), 1):
            where = f"{file}, object {number}"
            name = _part(entry, "name")
            if name not in names:
                raise InputError(f"{where}, is of class {name!r}; pass all class names to read_voc")
            corners = _numbers([_part(entry, f"bndbox/{side}") for side in ("xmin", "ymin", "xmax", "ymax")], where)
            corners = [corners[0] - 1, corners[1] - 1, *corners[2:]]
            difficult = (entry.findtext("difficult") or "0").strip() == "1"
            boxes.append(Box(_inside(corners, (height, width), _PIXEL, where), names.index(name), difficult))
    except (ElementTree.ParseError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{file} cannot be read as a VOC annotation: {error}") from error
    return (height, width), tuple(boxes)


def _entry(annotation: Mapping[str, Any], key: str, where: str) -> Any:
    if key not in annotation:
        raise InputError(f"{where}, has no {key}; annotations of instances have image_id, category_id and bbox")
    return annotation[key]


def _part(entry: ElementTree.Element, path: str) -> str:
    text = entry.findtext(path)
    if text is None:
        raise ValueError(f"{entry.tag} lacks {path}")
    return text.strip()


def _yolo_box(fields: list[str], names: Sequence[str], where: str) -> Box:
    if len(fields) != 5:
        reason = ""
        if len(fields) == 6:
            reason = "the sixth is a confidence, so these are boxes that a detector found; give the true ones: "
        elif len(fields) > 6 and len(fields) % 2:
            reason = "these are the corners of an outline; give the box around it: "
        raise InputError(f"{where}, has {len(fields)} fields; {reason}a box is: class centre-x centre-y width height")
    label, x, y, width, height = _numbers(fields, where)
    if label != int(label) or not 0 <= label < len(names):
        raise InputError(f"{where}, is of class {fields[0]}; there are names for the classes 0 to {len(names) - 1}")
    corners = [x - width / 2, y - height / 2, x + width / 2, y + height / 2]
    return Box(_inside(corners, (1, 1), _FRACTION, where), int(label))


def _inside(
    corners: Sequence[float], size: tuple[int, int], tolerance: float, where: str
) -> tuple[float, float, float, float]:
    """The corners, if they are those of a box on an image of ``size`` (height, width)."""
    x1, y1, x2, y2 = corners
    if not (-tolerance <= x1 <= x2 <= size[1] + tolerance and -tolerance <= y1 <= y2 <= size[0] + tolerance):
        raise InputError(
            f"{where}, spans x {x1:g} to {x2:g} and y {y1:g} to {y2:g}; it must rise and stay within x 0 to {size[1]} "
            f"and y 0 to {size[0]}"
        )
    return x1, y1, x2, y2


def _numbers(values: Sequence[Any], where: str) -> list[float]:
    try:
        numbers = [float(value) for value in values]
    except (ValueError, TypeError, OverflowError) as error:
        raise InputError(f"{where}, does not hold numbers: {error}") from error
    if not all(math.isfinite(number) for number in numbers):
        raise InputError(f"{where}, holds numbers that are not finite")
    return numbers


def _whole(value: Any, name: str) -> int:
    if int(value) < 1:
        raise ValueError(f"an image has {name} {value}")
    return int(value)


def _below(folder: Path, name: str) -> Path:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise ValueError(f"file_name {name!r} leads out of the folder of images")
    return folder / path


def _text(file: Path) -> str:
    try:
        if file.stat().st_size > _LARGEST:
            raise InputError(f"{file} has more than {_LARGEST} bytes; it holds no labels")
        return file.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{file} cannot be read: {error}") from error
