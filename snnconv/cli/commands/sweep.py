"""The command that measures one network under many codes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

import snnconv
from coding.registry import named_codes
from snnconv.calibration.samples import collect
from snnconv.capture.capturing import captured
from snnconv.capture.tracing import runnable
from snnconv.cli.console import console, is_first
from snnconv.cli.conversion_options import CodeOptions, ConversionOptions, takes
from snnconv.cli.interruption import kept
from snnconv.cli.models import load_model
from snnconv.cli.options import IgnoreIndex, JudgeName, Model, Trust, Weights, WorkerCount, folder, judge_of, workers_of
from snnconv.cli.progress import progress_bars
from snnconv.cli.samples import check_size, in_batches, in_precision
from snnconv.cli.sharing import shared
from snnconv.data.batches import IGNORED_TARGET
from snnconv.data.files import load_samples
from snnconv.errors import ConfigurationError, StorageError
from snnconv.metrics.judge_choice import check_targets


@takes(parameters=CodeOptions, options=ConversionOptions)
def sweep(
    model: Model,
    calibration: Annotated[Path, typer.Option(help="Samples: .npz or .safetensors with 'inputs', or .npy.")],
    data: Annotated[Path, typer.Option(help="Samples: .npz or .safetensors with 'inputs' and 'targets'.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for sweep.json and pareto.png.")],
    codes: Annotated[
        str, typer.Option(help="Neural codes, of " + ", ".join(named_codes()))
    ] = "few-spike,one-spike,rate",
    steps: Annotated[str, typer.Option(help="Time steps of every code.")] = "4,8,16",
    weights: Weights = None,
    trust: Trust = False,
    judge: JudgeName = "auto",
    ignore_index: IgnoreIndex = IGNORED_TARGET,
    batch: Annotated[int, typer.Option(help="Samples per batch.")] = 100,
    workers: WorkerCount = None,
    estimate: Annotated[bool, typer.Option("--estimate", help="Say what it will cost; nothing is measured.")] = False,
    *,
    parameters: CodeOptions,
    options: ConversionOptions,
) -> None:
    """Measure a network under every code with every number of steps: a table, sweep.json and pareto.png.

    A parameter of a code goes to every code that has it. What is in sweep.json already is not measured again, so an
    interrupted sweep goes on where it stopped. With --estimate every network is made, and a few samples run.
    """
    check_size(batch)
    processes = workers_of(workers)
    codings = parameters.codes([name.strip() for name in codes.split(",")], _numbers(steps))
    chosen = options.arguments()
    inputs, _ = load_samples(calibration)
    images, targets = load_samples(data)
    original = load_model(model, weights, trust=trust)
    inputs, images = in_precision(inputs, original, "calibration"), in_precision(images, original, "data")
    whole = captured(original, collect(inputs)[0][0], "calibration", analog=chosen["analog"])
    graph = whole.graph
    items = in_batches(images, targets, batch, next(iter(graph.inputs.values())), graph.batch_axis, judge)
    check_targets(runnable(original), whole, items, judge_of(judge), ignore_index)
    file = output / "sweep.json"
    judging: dict[str, Any] = {"judge": judge_of(judge), "ignore_index": ignore_index}
    if estimate:
        with progress_bars() as progress:
            expected = snnconv.estimate_sweep(
                original, inputs, items, codings, path=file, progress=progress, **judging, **chosen
            )
        console.print(str(expected), markup=False)
        return
    folder(output)
    with shared() as ranks, kept(lambda: _kept(file)), progress_bars() as progress:
        common: dict[str, Any] = {"path": file, "ranks": ranks, "progress": progress, "workers": processes, **judging}
        found = snnconv.sweep(original, inputs, items, codings, **common, **chosen)
    with kept(lambda: _kept(file)):
        if found.results and is_first():
            found.plot(output / "pareto.png")
    with kept(lambda: f"{output} holds all results"):
        console.print(str(found), markup=False)
        if not found.results:
            raise typer.Exit(1)
        console.print(f"written: {file}, {output / 'pareto.png'}", markup=False)


def _kept(file: Path) -> str:
    """What an interrupted sweep has come to."""
    try:
        measured = len(snnconv.Sweep.load(file).results) if file.exists() else 0
    except StorageError:  # of another program, which the sweep would have refused
        return f"{file} is as it was"
    return f"{measured} results are in {file}; the same command measures the others"


def _numbers(text: str) -> list[int]:
    try:
        return [int(number) for number in text.split(",")]
    except ValueError:
        raise ConfigurationError(f"--steps must be integers such as 4,8,16, got {text!r}") from None
