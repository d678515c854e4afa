"""convert: a model into one file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

import snnconv
from coding import Pipeline
from coding.registry import named_codes
from snnconv.cli.console import console
from snnconv.cli.models import load_model
from snnconv.cli.options import (
    Analog,
    Base,
    Model,
    Negative,
    Neuron,
    Percentile,
    Spikes,
    Steps,
    Weights,
    code_of,
    percentile_of,
)
from snnconv.cli.progress import progress_bars
from snnconv.cli.samples import in_precision
from snnconv.data.files import load_samples


def convert(
    model: Model,
    calibration: Annotated[Path, typer.Option(help="Samples: .npz or .safetensors with 'inputs', or .npy.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write, for instance network.snn.")],
    weights: Weights = None,
    coding: Annotated[str, typer.Option(help="Neural code: " + ", ".join(named_codes()))] = "few-spike",
    steps: Steps = None,
    base: Base = None,
    spikes: Spikes = None,
    stride: Annotated[int | None, typer.Option(help="Steps after which the next populations fire: a pipeline.")] = None,
    neuron: Neuron = "integrate-fire",
    negative: Negative = None,
    input_code: Annotated[str, typer.Option("--input", help="Input: real, poisson, or the name of a code.")] = "real",
    normalization: Annotated[str, typer.Option(help="One scale per channel or per layer.")] = "channel",
    percentile: Percentile = None,
    analog: Analog = None,
) -> None:
    """Convert a model and write the spiking network to one file."""
    code = code_of(coding, steps=steps, base=base, spikes=spikes)
    options: dict[str, Any] = {
        "normalization": normalization,
        "neuron": neuron,
        "negative": negative,
        "percentile": percentile_of(percentile),
        "analog": analog or (),
    }
    if stride is not None:
        options["schedule"] = Pipeline(stride)
    inputs, _ = load_samples(calibration)
    original = load_model(model, weights)
    inputs = in_precision(inputs, original, "calibration")
    with progress_bars(console) as progress:
        network = snnconv.convert(original, inputs, coding=code, input=input_code, progress=progress, **options)
    console.print(network.report(), markup=False)
    if network.held_out:
        with progress_bars(console) as progress:
            verification = snnconv.verify(network, progress=progress)
        console.print(str(verification), markup=False)
    network.save(output)
    console.print(f"written: {output}", markup=False)
