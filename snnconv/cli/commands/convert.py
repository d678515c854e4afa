"""convert: a model into one file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import snnconv
from snnconv.cli.console import console
from snnconv.cli.conversion_options import CodeOptions, CodingOptions, ConversionOptions, takes
from snnconv.cli.interruption import kept
from snnconv.cli.models import load_model
from snnconv.cli.options import Model, Trust, Weights, WorkerCount, workers_of, writable
from snnconv.cli.progress import progress_bars, search_announced
from snnconv.cli.samples import in_precision
from snnconv.data.files import load_samples


@takes(coding=CodingOptions, parameters=CodeOptions, options=ConversionOptions)
def convert(
    model: Model,
    calibration: Annotated[Path, typer.Option(help="Samples: .npz or .safetensors with 'inputs', or .npy.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", callback=writable, help="File to write, for instance network.snn.")
    ],
    weights: Weights = None,
    trust: Trust = False,
    workers: WorkerCount = None,
    *,
    coding: CodingOptions,
    parameters: CodeOptions,
    options: ConversionOptions,
) -> None:
    """Convert a model and write the spiking network to one file."""
    processes = workers_of(workers)
    chosen = {**coding.arguments(parameters), **options.arguments()}
    inputs, _ = load_samples(calibration)
    original = load_model(model, weights, trust=trust)
    inputs = in_precision(inputs, original, "calibration")
    with search_announced(), progress_bars() as progress:
        network = snnconv.convert(original, inputs, progress=progress, workers=processes, **chosen)
    network.save(output)
    with kept(lambda: f"{output} is written; the same command verifies it again"):
        if network.search_log is not None:
            console.print(str(network.search_log), markup=False)
        console.print(network.report(), markup=False)
        if network.held_out:
            with progress_bars() as progress:
                verification = snnconv.verify(network, progress=progress)
            console.print(str(verification), markup=False)
        console.print(f"written: {output}", markup=False)
