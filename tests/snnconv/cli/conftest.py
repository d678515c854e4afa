"""Fixtures of the tests of the command line."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from tests.support.networks import Perceptron, draw, prepared

MODULE = """
from tests.support.conversion import converted
from tests.support.networks import Perceptron

def build():
    return Perceptron()

def number():
    return 3

def sized(width):
    return Perceptron()

def failing():
    raise FileNotFoundError("no trained weights")

class Sized(Perceptron):
    def __init__(self, width):
        super().__init__()

perceptron = build()
"""


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model in three forms, its weights, and samples."""
    folder = tmp_path_factory.mktemp("files")
    model = prepared(Perceptron, torch.float32)
    x = draw(40, 6, dtype=torch.float32)
    (folder / "own_model.py").write_text(MODULE)
    safetensors.torch.save_file(model.state_dict(), folder / "weights.safetensors")
    torch.save(model.state_dict(), folder / "weights.pt")
    batch = torch.export.Dim("batch")
    torch.export.save(torch.export.export(model, (x,), dynamic_shapes=({0: batch},)), folder / "model.pt2")
    with torch.no_grad():
        np.savez(folder / "samples.npz", inputs=x.numpy(), targets=model(x).argmax(1).numpy())
    np.save(folder / "samples.npy", x.numpy())
    return folder


@pytest.fixture
def folder(files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with files of its own."""
    shutil.copytree(files, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delitem(sys.modules, "own_model", raising=False)
    return tmp_path
