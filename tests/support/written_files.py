"""Every kind of file that the project writes: by the module that writes it, a call that writes a small one."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.nn import Linear, ReLU, Sequential
from torch.optim import Adam

import snnconv
from coding import Concurrent, Rate
from hw_export import c, netx, nir
from hw_export.integers.quantization import quantize
from hw_export.lava.bundle import write_bundle
from snnconv.cli.options import write_json
from snnconv.detection.darknet import load_darknet, save_weights
from snnconv.detection.shapes import SHAPES_CONFIG
from snnconv.plots.saving import save_figure
from snnconv.sweeps.file import SweepFile
from snnconv.training.checkpoint import Checkpoint


@functools.cache
def model() -> Sequential:
    torch.manual_seed(0)
    return Sequential(Linear(6, 8), ReLU(), Linear(8, 3)).eval()


@functools.cache
def network() -> snnconv.SpikingNetwork:
    calibration = torch.rand(40, 6, generator=torch.Generator().manual_seed(0))
    return snnconv.convert(model(), calibration, coding=Rate(4), schedule=Concurrent(4))


@functools.cache
def integers() -> Any:
    return quantize(network(), input_bits=8)


@functools.cache
def detector() -> Any:
    return load_darknet(SHAPES_CONFIG)


def checkpoint(path: Path) -> None:
    Checkpoint(path, {"of": "test"}).write(model(), {}, Adam(model().parameters()), [])


def picture(path: Path) -> None:
    from PIL import Image

    from snnconv.cli.commands import detect

    detect._save(Image.new("RGB", (8, 8)), path)


def figure(path: Path) -> None:
    from matplotlib.figure import Figure

    save_figure(Figure(figsize=(1.0, 1.0)), str(path))


WRITERS: dict[str, Callable[[Path], object]] = {
    "hw_export/lava/bundle.py": lambda path: write_bundle(integers(), path),
    "hw_export/netx/exporting.py": lambda path: netx.export(network(), path, reset="zero", allow_loss=100.0),
    "hw_export/nir/writing.py": lambda path: nir.export(network(), path),
    "snnconv/cli/commands/detect.py": picture,
    "snnconv/cli/options.py": lambda path: write_json(path, {"accuracy": 99.0}),
    "snnconv/detection/darknet/weights.py": lambda path: save_weights(detector(), path),
    "snnconv/storage/saving.py": lambda path: network().save(path),
    "snnconv/sweeps/file.py": lambda path: SweepFile(path, {"model": "a"}).add("rate", {"figures": {"steps": 4}}),
    "snnconv/plots/saving.py": figure,
    "snnconv/reporting/making.py": lambda path: snnconv.report(network()).save(path),
    "snnconv/training/checkpoint.py": checkpoint,
}

#: Every kind of folder that is written at once, as above.
FOLDER_WRITERS: dict[str, Callable[[Path], object]] = {
    "hw_export/c/exporting.py": lambda path: c.export(network(), path),
}
