"""``run-lava``: run an exported network on Lava."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from torch import Tensor

from hw_export import lava
from snnconv.cli.options import Json, Limit, show
from snnconv.cli.progress import progress_bars
from snnconv.cli.samples import samples_of
from snnconv.text import at_most


def run_lava(
    bundle: Annotated[Path, typer.Argument(help="A file that export --target lava wrote.")],
    data: Annotated[Path, typer.Option(help="Samples: .npz or .safetensors with 'inputs', and 'targets' if known.")],
    interpreter: Annotated[str | None, typer.Option(help="A Python that has lava-nc, if this one has not.")] = None,
    timeout: Annotated[float, typer.Option(help="Seconds after which the run is ended.")] = 3600.0,
    hardware: Annotated[bool, typer.Option("--hardware", help="Compile for Loihi 2.")] = False,
    limit: Limit = None,
    json_file: Json = None,
) -> None:
    """Run an exported network on Lava, and show its accuracy, spikes and synaptic operations."""
    inputs, targets = samples_of(data, limit)
    with progress_bars() as progress:
        run = lava.run(bundle, inputs, interpreter=interpreter, timeout=timeout, hardware=hardware, progress=progress)
    figures: dict[str, float] = {
        "samples": run.samples,
        "steps": int(run.steps[0]),
        "spikes_per_neuron": run.spikes_per_neuron,
        "synops_per_sample": sum(run.synops.values()) / run.samples,
        "synops_are_bound": run.synops_are_bound,
    }
    if targets is not None and isinstance(run.output, Tensor) and run.output.dim() == 2:
        correct = run.output.argmax(1) == targets
        figures["accuracy"] = 100.0 * float(correct.double().mean())
    synops = f"{figures['synops_per_sample']:.4g}"
    lines = [
        f"{run.samples} samples of {figures['steps']} time steps on Lava",
        f"spikes per neuron: {run.spikes_per_neuron:.4g}",
        f"synaptic operations per sample: {at_most(synops, run.synops_are_bound)}",
        *([f"accuracy: {figures['accuracy']:.1f} %"] if "accuracy" in figures else []),
    ]
    show("\n".join(lines), json_file, figures)
