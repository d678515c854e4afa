"""convert: a model into one file."""

from __future__ import annotations

from snnconv.cli.conversion_options import CodeOptions, CodingOptions, ConversionOptions, SearchOptions
from snnconv.cli.converting import convert_to_file
from snnconv.cli.option_sets import takes
from snnconv.cli.options import Calibration, Device, Json, Limit, Model, NetworkOutput, Trust, Weights, WorkerCount


@takes(coding=CodingOptions, search=SearchOptions, parameters=CodeOptions, options=ConversionOptions)
def convert(
    model: Model,
    calibration: Calibration,
    output: NetworkOutput,
    weights: Weights = None,
    trust: Trust = False,
    limit: Limit = None,
    device: Device = "cpu",
    workers: WorkerCount = None,
    json_file: Json = None,
    *,
    coding: CodingOptions,
    search: SearchOptions,
    parameters: CodeOptions,
    options: ConversionOptions,
) -> None:
    """Convert a model and write the spiking network to one file."""
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
        arguments={**coding.arguments(parameters, search), **options.arguments()},
    )
