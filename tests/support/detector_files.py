"""A small detector in darknet's files, and labelled pictures."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from snnconv.detection.darknet import load_darknet, save_weights
from tests.snnconv.detection.test_train_detector_command import CONFIG

#: The options of a command that say where they are.
LABELLED = ("--names", "classes.txt", "--data", ".")


def write_detector(files: Path) -> None:
    """Write net.cfg, net.weights, classes.txt, and ten pictures with labels into the folder ``files``."""
    (files / "net.cfg").write_text(CONFIG)
    (files / "classes.txt").write_text("light\ndark\n")
    save_weights(load_darknet(files / "net.cfg"), files / "net.weights")
    for name in ("images", "labels"):
        (files / name).mkdir()
    for number in range(10):
        image = Image.new("RGB", (40, 40), (90, 90, 90))
        image.paste((250, 250, 250), (number, 10, number + 20, 30))
        image.save(files / "images" / f"{number}.png")
        (files / "labels" / f"{number}.txt").write_text(f"0 {(number + 10) / 40} 0.5 0.5 0.5\n")
