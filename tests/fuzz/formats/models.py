"""Weights and programs of torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import nn

from snnconv.cli.models import load_model
from snnconv.cli.weights import load_weights
from snnconv.data.file_kinds import PROGRAM, WEIGHTS
from tests.fuzz.formats.format import FileFormat
from tests.fuzz.formats.samples import altered_tensors
from tests.fuzz.mutation.archives import altered_archive, bomb
from tests.fuzz.mutation.octets import altered_bytes


def _model() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 3)).eval()


def _read_weights(path: Path) -> Any:
    model = _model()
    load_weights(model, path)
    return model


def _read_program(path: Path) -> Any:
    program = load_model(str(path), None, trust=True)
    return str(program.graph), dict(program.state_dict)


def _make_program(folder: Path) -> None:
    torch.export.save(torch.export.export(_model(), (torch.rand(2, 4),)), folder / "model.pt2")


def _checkpoint() -> dict[str, Any]:
    return {"state_dict": _model().state_dict(), "epoch": 3, "loss": 0.5}


FORMATS = (
    FileFormat(
        name="weights, .pth",
        file="weights.pth",
        make=lambda folder: torch.save(_checkpoint(), folder / "weights.pth"),
        read=_read_weights,
        opens=("snnconv/cli/weights.py",),
        alterations=(altered_archive,),
        kind=WEIGHTS,
        bomb=bomb,
    ),
    FileFormat(
        name="weights, .pth of old torch",
        file="weights.pth",
        make=lambda folder: torch.save(_checkpoint(), folder / "weights.pth", _use_new_zipfile_serialization=False),
        read=_read_weights,
        opens=("snnconv/cli/weights.py",),
        alterations=(altered_bytes,),
        kind=WEIGHTS,
    ),
    FileFormat(
        name="weights, .safetensors",
        file="weights.safetensors",
        make=lambda folder: safetensors.torch.save_file(_model().state_dict(), folder / "weights.safetensors"),
        read=_read_weights,
        opens=("snnconv/cli/weights.py",),
        alterations=(altered_tensors,),
        kind=WEIGHTS,
    ),
    FileFormat(
        name="exported program, .pt2",
        file="model.pt2",
        make=_make_program,
        read=_read_program,
        opens=("snnconv/cli/models.py",),
        alterations=(altered_archive,),
        kind=PROGRAM,
        bomb=bomb,
    ),
)
