"""Pictures and texts in files for the tests of data sets."""

from __future__ import annotations

from pathlib import Path

import torch
from PIL import Image

from snnconv.detection.data.datasets import (
    BoxDataset,
)

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


def voc(root: Path, *objects: str, head: str = "", size: str = "<width>40</width><height>20</height>") -> Path:
    written(root / "ImageSets" / "Main" / "val.txt", "2007_000001 \n\n")
    text = f"{head}<annotation><size>{size}<depth>3</depth></size>{''.join(objects)}</annotation>"
    written(root / "Annotations" / "2007_000001.xml", text)
    return root
