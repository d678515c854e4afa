"""The command that measures one network under many codes."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

import snnconv
from coding.registry import named_codes
from snnconv.calibration.samples import collect
from snnconv.capture.capturing import captured
from snnconv.capture.tracing import runnable
from snnconv.cli.config_file import SEPARATED, ConfigFile
from snnconv.cli.console import is_first
from snnconv.cli.conversion_options import CodeOptions, ConversionOptions
from snnconv.cli.given import refuse_batch, refuse_ignore_index
from snnconv.cli.interruption import kept
from snnconv.cli.models import load_model, moved
from snnconv.cli.option_sets import takes
from snnconv.cli.options import (
    BatchSize,
    Calibration,
    Device,
    IgnoreIndex,
    Json,
    JudgeName,
    LabelledSamples,
    Limit,
    Model,
    Trust,
    Weights,
    WorkerCount,
    folder,
    judge_of,
    show,
    workers_of,
)
from snnconv.cli.progress import progress_bars
from snnconv.cli.samples import check_size, in_batches, in_precision, samples_of
from snnconv.cli.sharing import shared
from snnconv.data.batches import IGNORED_TARGET
from snnconv.errors import ConfigurationError, StorageError
from snnconv.metrics.judge_choice import check_targets


@takes(parameters=CodeOptions, options=ConversionOptions)
def sweep(
    context: typer.Context,
    model: Model,
    calibration: Calibration,
    data: LabelledSamples,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for sweep.json and pareto.png.")],
    codes: Annotated[
        str, typer.Option(metavar=SEPARATED, help="Neural codes, of " + ", ".join(named_codes()))
    ] = "few-spike,one-spike,rate",
    steps: Annotated[str, typer.Option(metavar=SEPARATED, help="Time steps of every code.")] = "4,8,16",
    weights: Weights = None,
    trust: Trust = False,
    judge: JudgeName = "auto",
    ignore_index: IgnoreIndex = IGNORED_TARGET,
    batch: BatchSize = 100,
    estimate: Annotated[bool, typer.Option("--estimate", help="Say what it will cost; nothing is measured.")] = False,
    config: ConfigFile = None,
    limit: Limit = None,
    device: Device = "cpu",
    workers: WorkerCount = None,
    json_file: Json = None,
    *,
    parameters: CodeOptions,
    options: ConversionOptions,
) -> None:
    """Measure a network under every code with every number of steps: a table, sweep.json and pareto.png.

    A parameter of a code goes to every code that has it. What is in sweep.json already is not measured again, so an
    interrupted sweep goes on where it stopped. With --estimate every network is made, and a few samples run. --limit is
    for --data, on which is measured.
    """
    check_size(batch)
    processes = workers_of(workers)
    codings = parameters.codes([name.strip() for name in codes.split(",")], _numbers(steps))
    chosen = options.arguments()
    judging: dict[str, Any] = {"judge": judge_of(judge), "ignore_index": ignore_index}
    file = output / "sweep.json"
    with shared(device) as ranks:
        inputs, _ = samples_of(calibration, None)
        images, targets = samples_of(data, limit)
        original = moved(load_model(model, weights, trust=trust), ranks.device)
        inputs = in_precision(inputs, original, "calibration").to(ranks.device)
        images = in_precision(images, original, "data").to(ranks.device)
        targets = None if targets is None else targets.to(ranks.device)
        whole = captured(original, collect(inputs)[0][0], "calibration", analog=chosen["analog"])
        graph = whole.graph
        refuse_batch(context, graph.batch_axis)
        items = in_batches(images, targets, batch, next(iter(graph.inputs.values())), graph.batch_axis, judge)
        refuse_ignore_index(context, data, (each for _, each in items))
        check_targets(runnable(original), whole, items, judge_of(judge), ignore_index)
        common: dict[str, Any] = {"path": file, **judging, **chosen}
        if estimate:
            with progress_bars() as progress:
                common |= {"workers": processes, "progress": progress}
                expected = snnconv.estimate_sweep(original, inputs, items, codings, **common)
            show(str(expected), json_file, asdict(expected))
            return
        folder(output)
        with kept(lambda: _kept(file)), progress_bars() as progress:
            common |= {"ranks": ranks, "progress": progress, "workers": processes}
            found = snnconv.sweep(original, inputs, items, codings, **common)
    with kept(lambda: _kept(file)):
        if found.results and is_first():
            found.plot(output / "pareto.png")
    written = f"\nwritten: {file}, {output / 'pareto.png'}" if found.results else ""
    with kept(lambda: f"{output} holds all results"):
        show(f"{found}{written}", json_file, found.to_dict())
    if not found.results:
        raise typer.Exit(1)


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
