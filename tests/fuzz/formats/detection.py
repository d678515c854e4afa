"""Darknet's files, pictures, and annotations."""

from __future__ import annotations

import io
import json
import struct
import zlib
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from PIL import Image

from snnconv.data.file_kinds import ANNOTATIONS, CONFIG, DARKNET_WEIGHTS, PICTURE
from snnconv.detection import load_darknet
from snnconv.detection.darknet import save_weights
from snnconv.detection.data.datasets import read_coco, read_names, read_voc, read_yolo_folder
from snnconv.detection.data.images import SUFFIXES, image_size, read_image
from tests.fuzz.formats.format import FileFormat
from tests.fuzz.mutation.octets import altered_bytes
from tests.fuzz.mutation.texts import altered_text
from tests.fuzz.mutation.trees import altered_json
from tests.support.darknet_configs import SMALL, written
from tests.support.pictures import NAMES, picture, voc
from tests.support.pictures import written as text_in

_DATASETS = ("snnconv/detection/data/datasets.py",)
_SIGNATURE = 8


def _read_weights(path: Path) -> Any:
    network = load_darknet(path.with_name("network.cfg"), path)
    return network, network.seen


def _make_weights(folder: Path) -> None:
    save_weights(load_darknet(written(folder, SMALL), seed=0), folder / "network.weights")


def _altered_numbers(content: bytes, random: Random) -> bytes:
    """Another number at the place of a weight: the size stays what the network needs."""
    at = 20 + 4 * random.randrange((len(content) - 20) // 4)
    value = random.choice((float("nan"), float("inf"), -1.0, 0.0, 3e38, 1e-45, random.gauss(0.0, 1.0)))
    return content[:at] + struct.pack("<f", value) + content[at + 4 :]


def _read_picture(path: Path) -> Any:
    image = read_image(path)
    return image_size(path), image.size, image.tobytes()


def _make_picture(folder: Path, suffix: str) -> None:
    pixels = (np.arange(20 * 13 * 3).reshape(13, 20, 3) * 37 % 256).astype(np.uint8)
    Image.fromarray(pixels).save(folder / f"picture{suffix}")


def _altered_png(content: bytes, random: Random) -> bytes:
    """Another chunk, with a checksum that fits; the pixels are altered before they are packed."""
    chunks, at = [], _SIGNATURE
    while at < len(content):
        length = int.from_bytes(content[at : at + 4], "big")
        chunks.append((content[at + 4 : at + 8], content[at + 8 : at + 8 + length]))
        at += 12 + length
    number = random.randrange(len(chunks))
    name, data = chunks[number]
    if name == b"IDAT" and random.random() < 0.7:
        data = zlib.compress(altered_bytes(zlib.decompress(data), random))
    else:
        data = altered_bytes(data, random)
    chunks[number] = (random.choice((name, name, name, b"IDAT", b"tEXt", b"eXIf", b"PLTE", b"tRNS")), data)
    stream = io.BytesIO()
    for name, data in chunks:
        part = name + data
        stream.write(len(data).to_bytes(4, "big") + part + zlib.crc32(part).to_bytes(4, "big"))
    return content[:_SIGNATURE] + stream.getvalue()


def _picture(suffix: str) -> FileFormat:
    return FileFormat(
        name=f"picture, {suffix}",
        file=f"picture{suffix}",
        make=lambda folder: _make_picture(folder, suffix),
        read=_read_picture,
        opens=("snnconv/detection/data/images.py",),
        alterations=(_altered_png,) if suffix == ".png" else (altered_bytes,),
        kind=PICTURE,
    )


def _make_coco(folder: Path) -> None:
    picture(folder / "images" / "a.png")
    picture(folder / "images" / "b.png")
    content = {
        "images": [
            {"id": 7, "file_name": "a.png", "width": 40, "height": 20},
            {"id": 8, "file_name": "b.png", "width": 40, "height": 20},
        ],
        "categories": [{"id": 3, "name": "cat"}, {"id": 5, "name": "dog"}],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 3, "bbox": [1, 2, 10.5, 4], "area": 42, "iscrowd": 0},
            {"id": 2, "image_id": 7, "category_id": 5, "bbox": [0, 0, 40, 20], "iscrowd": 1},
        ],
    }
    text_in(folder / "instances.json", json.dumps(content, indent=1))


def _read_coco(path: Path) -> Any:
    data = read_coco(path.parent / "images", path)
    return data.names, [item.boxes for item in data], data.truths()


def _make_yolo(folder: Path) -> None:
    picture(folder / "images" / "a.png")
    text_in(folder / "labels" / "a.txt", "0 0.5 0.5 0.2 0.4\n2 0.25 0.75 0.5 0.5\n")


def _read_yolo(path: Path) -> Any:
    data = read_yolo_folder(path.parents[1], NAMES)
    return [item.boxes for item in data], data.truths()


def _make_voc(folder: Path) -> None:
    box = "<bndbox>\n<xmin>1</xmin>\n<ymin>2</ymin>\n<xmax>30</xmax>\n<ymax>20</ymax>\n</bndbox>"
    voc(folder, f"\n<object>\n<name>cat</name>\n<difficult>0</difficult>\n{box}\n</object>\n")
    picture(folder / "JPEGImages" / "2007_000001.jpg")


def _read_voc(root: Path) -> Any:
    data = read_voc(root, "val")
    return [(item.path.name, item.boxes, item.size) for item in data], data.truths()


def _text(name: str, file: str, make: Any, read: Any, **options: Any) -> FileFormat:
    return FileFormat(name=name, file=file, make=make, read=read, **{"alterations": (altered_text,), **options})


FORMATS = (
    _text(
        "darknet, .cfg",
        "network.cfg",
        lambda folder: written(folder, SMALL),
        load_darknet,
        opens=("snnconv/detection/darknet/config.py",),
        kind=CONFIG,
    ),
    FileFormat(
        name="darknet, .weights",
        file="network.weights",
        make=_make_weights,
        read=_read_weights,
        opens=("snnconv/detection/darknet/weights.py",),
        alterations=(_altered_numbers,),
        kind=DARKNET_WEIGHTS,
    ),
    *(_picture(suffix) for suffix in SUFFIXES if suffix not in (".jpeg", ".tiff")),
    _text(
        "annotations of COCO",
        "instances.json",
        _make_coco,
        _read_coco,
        opens=_DATASETS,
        kind=ANNOTATIONS,
        alterations=(altered_json, altered_json, altered_text),
    ),
    _text("boxes of YOLO", "labels/a.txt", _make_yolo, _read_yolo, opens=_DATASETS),
    _text(
        "annotation of VOC",
        "Annotations/2007_000001.xml",
        _make_voc,
        lambda path: _read_voc(path.parents[1]),
        opens=_DATASETS,
    ),
    _text("list of VOC", "ImageSets/Main/val.txt", _make_voc, lambda path: _read_voc(path.parents[2]), opens=_DATASETS),
    _text(
        "names of classes",
        "some.names",
        lambda folder: text_in(folder / "some.names", "\n".join(NAMES)),
        read_names,
        opens=_DATASETS,
    ),
)
