"""The command that shows a network on one HTML page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

import snnconv
from coding import Concurrent
from snnconv.cli import detectors
from snnconv.cli.console import console
from snnconv.cli.given import refuse, refuse_batch, refuse_ignore_index
from snnconv.cli.interruption import kept
from snnconv.cli.models import reference_model
from snnconv.cli.options import (
    BELONG_TO_REFERENCE,
    BatchSize,
    ClassNames,
    Device,
    IgnoreIndex,
    JudgeName,
    Limit,
    Network,
    Reference,
    RunSteps,
    SimulatorName,
    Trust,
    Weights,
    judge_of,
    writable,
)
from snnconv.cli.progress import progress_bars
from snnconv.cli.samples import batches_for, check_size
from snnconv.data.batches import IGNORED_TARGET
from snnconv.detection.data.datasets import read_names
from snnconv.errors import ConfigurationError, StorageError
from snnconv.reporting.export_file import read_export


def _page(path: Path) -> Path:
    """``path``, as ``writable``, whose suffix claims no other format than that of a report."""
    if path.suffix.lower() in (".pdf", ".png", ".svg", ".json", ".md", ".txt"):
        raise ConfigurationError(
            f"{path}: a report is a page of HTML; name it {path.with_suffix('.html')}, and print it from a browser"
        )
    writable(path)
    return path


def report(
    context: typer.Context,
    network: Network,
    output: Annotated[Path, typer.Option("--output", "-o", callback=_page, help="File to write, such as report.html.")],
    data: Annotated[
        Path | None, typer.Option(help="Samples: .npz or .safetensors with 'inputs', and 'targets' if known.")
    ] = None,
    reference: Reference = "",
    weights: Weights = None,
    trust: Trust = False,
    names: ClassNames = None,
    samples: Annotated[int, typer.Option(help="Samples whose spikes are shown.")] = 3,
    sweep: Annotated[Path | None, typer.Option(help="The sweep.json of other codes, to be shown beside it.")] = None,
    export: Annotated[Path | None, typer.Option(help="What export --json wrote of this network.")] = None,
    detector: Annotated[
        str, typer.Option(help="Darknet's files of the original, net.cfg,net.weights, where the network finds objects.")
    ] = "",
    picture: Annotated[
        list[Path] | None, typer.Option(help="Picture, or folder of pictures, for a detector; may be repeated.")
    ] = None,
    simulator: SimulatorName = "auto",
    steps: RunSteps = None,
    judge: JudgeName = "auto",
    ignore_index: IgnoreIndex = IGNORED_TARGET,
    batch: BatchSize = 100,
    limit: Limit = None,
    device: Device = "cpu",
) -> None:
    """Show a network on one HTML page that opens offline: accuracy, errors, spikes, energy, codes.

    Without data the page has what is known of the network alone. A detector is shown on pictures in place of data.
    """
    check_size(batch)
    if not reference:
        refuse(context, BELONG_TO_REFERENCE, "weights", "trust")
    if data is None:
        refuse(context, "used with --data alone: give --data, or leave it out", "judge", "ignore_index", "batch")
        if not picture:
            runs = ("limit", "samples", "names", "simulator", "steps")
            refuse(context, "used with --data or --picture: give one of both, or leave it out", *runs)
    if picture and not detector:
        refuse(context, "belongs to a detector of your own: give --detector too", "names")
    if steps is not None:
        Concurrent(steps)
    spiking = snnconv.load(network).to(device)
    chosen: dict[str, Any] = {}
    if data is not None:
        refuse_batch(context, spiking.batch_axis)
        chosen["data"] = batches_for(spiking, data, limit, batch, judge, device)
        refuse_ignore_index(context, data, (targets for _, targets in chosen["data"]))
    if reference:
        if data is None:
            raise ConfigurationError("--reference is compared on samples: give --data")
        chosen["reference"] = reference_model(reference, weights, device, trust=trust)
    if detector or picture:
        chosen["pictures"] = detectors.pictures_in(picture or [])[:limit]
        chosen["detector"] = detectors.detector_of(detector, names if detector else None, None, device)
    elif names is not None:
        chosen["names"] = read_names(names)
    with progress_bars() as progress:
        found = snnconv.report(
            spiking,
            title=network.stem,
            sweep=None if sweep is None else snnconv.Sweep.load(sweep),
            export=None if export is None else read_export(export),
            samples=samples,
            simulator=simulator,
            steps=steps,
            judge=judge_of(judge),
            ignore_index=ignore_index,
            progress=progress,
            **chosen,
        )
    try:
        found.save(output)
    except StorageError:  # what was measured is not lost with it
        console.print(str(found), markup=False)
        raise
    with kept(lambda: f"{output} is written"):
        console.print(f"{found}\nwritten: {output}", markup=False)
