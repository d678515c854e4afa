"""Commands of the command line; each prints what the library returns."""

from __future__ import annotations

import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.console import Console
from torch import nn

import snnconv
from coding import CODES, Concurrent, Pipeline
from snnconv.cli.commands.demo import run_demo
from snnconv.cli.commands.detect import detect
from snnconv.cli.commands.evaluate_detector import evaluate_detector
from snnconv.cli.commands.sweep import sweep
from snnconv.cli.commands.train_detector import train_detector
from snnconv.cli.models import load_model
from snnconv.cli.options import Base, Json, Negative, Percentile, Spikes, Steps, code_of, percentile_of, write_json
from snnconv.cli.progress import progress_bars
from snnconv.cli.samples import check_size, in_batches
from snnconv.data.files import load_samples
from snnconv.errors import ConfigurationError, SnnconvError
from snnconv.simulators import SIMULATORS

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Convert trained PyTorch networks into spiking neural networks, and measure what comes out.",
)
console = Console(soft_wrap=True, highlight=False)
errors = Console(stderr=True, soft_wrap=True, highlight=False)

Model = Annotated[
    str, typer.Argument(help="A .pt2 exported program, or package.module:function that builds the model.")
]
Weights = Annotated[
    Path | None, typer.Option(help="Weights: .safetensors, or a file torch.load reads as weights only.")
]


def _show_version(wanted: bool) -> None:
    if wanted:
        console.print(f"snnconv {snnconv.__version__}", markup=False)
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Options of the program itself, whatever the command."""


@app.command()
def demo(steps: Annotated[int, typer.Option(help="Time steps of the rate code.")] = 64, json_file: Json = None) -> None:
    """Train a small network on digits, convert it, and show it beside the original."""
    figures = run_demo(console, steps)
    write_json(json_file, figures)


@app.command()
def preflight(
    model: Model,
    shape: Annotated[str, typer.Option(help="Shape of one input without its batch axis, such as 3,32,32.")],
    weights: Weights = None,
    json_file: Json = None,
) -> None:
    """Say what each operation of a model becomes, and what stands in the way; converts nothing."""
    report = snnconv.preflight(load_model(model, weights), torch.zeros(2, *_sizes(shape)))
    console.print(str(report), markup=False)
    write_json(json_file, report.to_dict())
    if not report.ok:
        raise typer.Exit(1)


@app.command()
def convert(
    model: Model,
    calibration: Annotated[Path, typer.Option(help="Samples: .npz or .safetensors with 'inputs', or .npy.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write, for instance network.snn.")],
    weights: Weights = None,
    coding: Annotated[str, typer.Option(help="Neural code: " + ", ".join(CODES))] = "few-spike",
    steps: Steps = None,
    base: Base = None,
    spikes: Spikes = None,
    stride: Annotated[int | None, typer.Option(help="Steps after which the next populations fire: a pipeline.")] = None,
    neuron: Annotated[str, typer.Option(help="Neuron: integrate-fire, or corrective.")] = "integrate-fire",
    negative: Negative = None,
    input_code: Annotated[str, typer.Option("--input", help="Input: real, poisson, or the name of a code.")] = "real",
    normalization: Annotated[str, typer.Option(help="One scale per channel or per layer.")] = "channel",
    percentile: Percentile = None,
) -> None:
    """Convert a model and write the spiking network to one file."""
    code = code_of(coding, steps=steps, base=base, spikes=spikes)
    options: dict[str, Any] = {
        "normalization": normalization,
        "neuron": neuron,
        "negative": negative,
        "percentile": percentile_of(percentile),
    }
    if stride is not None:
        options["schedule"] = Pipeline(stride)
    inputs, _ = load_samples(calibration)
    original = load_model(model, weights)
    with progress_bars(console) as progress:
        network = snnconv.convert(original, inputs, coding=code, input=input_code, progress=progress, **options)
    console.print(network.report(), markup=False)
    if network.held_out:
        with progress_bars(console) as progress:
            verification = snnconv.verify(network, progress=progress)
        console.print(str(verification), markup=False)
    network.save(output)
    console.print(f"written: {output}", markup=False)


@app.command()
def evaluate(
    network: Annotated[Path, typer.Argument(help="A file that convert wrote.")],
    data: Annotated[Path, typer.Option(help="Samples: .npz or .safetensors with 'inputs' and 'targets'.")],
    reference: Annotated[str, typer.Option(help="The original model, as for convert.")] = "",
    weights: Weights = None,
    simulator: Annotated[str, typer.Option(help="Simulator: auto, " + ", ".join(SIMULATORS))] = "auto",
    steps: Annotated[int | None, typer.Option(help="Time steps, instead of the network's own.")] = None,
    batch: Annotated[int, typer.Option(help="Samples at once.")] = 100,
    json_file: Json = None,
) -> None:
    """Measure accuracy, latency, spikes, synaptic operations and energy beside the original network."""
    check_size(batch)
    if steps is not None:
        Concurrent(steps)
    spiking = snnconv.load(network)
    inputs, targets = load_samples(data)
    original = load_model(reference, weights) if reference else None
    if original is not None and not isinstance(original, nn.Module):
        original = original.module()
    items = in_batches(inputs, targets, batch, spiking.input_shapes[0], spiking.batch_axis)
    with progress_bars(console) as progress:
        result = snnconv.evaluate(
            spiking, items, reference=original, simulator=simulator, steps=steps, progress=progress
        )
    console.print(str(result), markup=False)
    write_json(json_file, result.to_dict())


app.command()(sweep)
app.command()(detect)
app.command()(evaluate_detector)
app.command()(train_detector)


def add_commands_of_others() -> None:
    """Let every package that names a function in the entry-point group "snnconv.commands" add its commands to the app.

    A package that cannot be loaded takes away no command of another: one line of standard error says what is missing.
    """
    for entry in entry_points(group="snnconv.commands"):
        try:
            entry.load()(app)
        except Exception as error:  # whatever the package raises, it is no reason to refuse other commands
            message = f"the commands of {entry.name} are missing: {type(error).__name__}: {error}"
            errors.print(message, style="yellow", markup=False)


def main() -> None:
    """Entry point: an error of the project ends with its message, not with a traceback."""
    add_commands_of_others()
    try:
        app()
    except SnnconvError as error:
        errors.print(f"error: {error}", style="red", markup=False)
        sys.exit(2)


def _sizes(text: str) -> list[int]:
    try:
        sizes = [int(size) for size in text.split(",")]
    except ValueError:
        sizes = []
    if not sizes or min(sizes) < 1:
        raise ConfigurationError(f"--shape must be positive numbers such as 3,32,32, got {text!r}")
    return sizes
