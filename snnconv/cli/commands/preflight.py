"""preflight: what each operation of a model becomes."""

from __future__ import annotations

from typing import Annotated

import torch
import typer

import snnconv
from snnconv.cli.models import build_model
from snnconv.cli.options import (
    Analog,
    Json,
    Model,
    Trust,
    Weights,
    show,
)
from snnconv.cli.progress import progress_bars
from snnconv.cli.samples import precision_of
from snnconv.errors import ConfigurationError, InputError


def preflight(
    model: Model,
    shape: Annotated[str, typer.Option(help="Shape of one input without its batch axis, such as 3,32,32.")],
    weights: Weights = None,
    trust: Trust = False,
    analog: Analog = None,
    json_file: Json = None,
) -> None:
    """Say what each operation of a model becomes, and what stands in the way; converts nothing."""
    original = build_model(model, weights, trust=trust)
    example = torch.zeros(2, *_sizes(shape), dtype=precision_of(original) or torch.float32)
    with progress_bars() as progress:
        try:
            report = snnconv.preflight(original, example, analog=analog or (), progress=progress)
        except InputError as error:
            told = str(error).removeprefix("example: ")
            raise InputError(
                f"--shape {shape} is that of one sample without its batch axis, and two are given: {told}"
            ) from error
    show(str(report), json_file, report.to_dict())
    if not report.ok:
        raise typer.Exit(1)


def _sizes(text: str) -> list[int]:
    try:
        sizes = [int(size) for size in text.split(",")]
    except ValueError:
        sizes = []
    if not sizes or min(sizes) < 1:
        raise ConfigurationError(f"--shape must be positive numbers such as 3,32,32, got {text!r}")
    return sizes
