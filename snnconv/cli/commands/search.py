"""search: the cheapest codes of a model that lose little."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from snnconv.cli.conversion_options import ConversionOptions, SearchOptions
from snnconv.cli.converting import convert_to_file
from snnconv.cli.option_sets import takes
from snnconv.cli.options import Calibration, Device, Json, Limit, Model, Trust, Weights, WorkerCount, writable


@takes(search=SearchOptions, options=ConversionOptions)
def search(
    model: Model,
    calibration: Calibration,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", callback=writable, help="File to write what was found to."),
    ] = None,
    weights: Weights = None,
    trust: Trust = False,
    limit: Limit = None,
    device: Device = "cpu",
    workers: WorkerCount = None,
    json_file: Json = None,
    *,
    search: SearchOptions,
    options: ConversionOptions,
) -> None:
    """Search for the codes, population by population, that cost least and lose at most --max-loss.

    All networks that were tried are listed with what they are expected to lose, and what they cost. It does what
    convert does with --coding auto, and needs no file to write.
    """
    convert_to_file(
        model,
        weights,
        trust,
        calibration,
        output,
        limit=limit,
        device=device,
        workers=workers,
        json_file=json_file,
        arguments={**search.arguments(), **options.arguments()},
    )
