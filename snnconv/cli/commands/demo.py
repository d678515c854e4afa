"""The demo: a network trained on digits in seconds, converted and measured beside the original."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import torch
import typer
from rich.console import Console
from rich.table import Table

import snnconv
from coding import CODES
from snnconv.cli.console import console
from snnconv.cli.options import Json, write_json
from snnconv.cli.progress import progress_bars
from snnconv.data import load_digits, train_digits_cnn
from snnconv.metrics.evaluation_result import Evaluation


def demo(steps: Annotated[int, typer.Option(help="Time steps of the rate code.")] = 64, json_file: Json = None) -> None:
    """Train a small network on digits, convert it, and show it beside the original."""
    figures = run_demo(console, steps)
    write_json(json_file, figures)


def run_demo(console: Console, steps: int) -> dict[str, Any]:
    """Train, convert, evaluate; print tables of accuracy, spikes and energy, and return all figures by code."""
    rate = CODES["rate"](steps)
    digits = load_digits()
    console.print(f"training a small CNN on {len(digits.train[1])} images of digits ...")
    with progress_bars() as progress:
        model = train_digits_cnn(digits, progress=progress)
    console.print("converting it twice, with 400 training images for calibration ...\n")
    images, labels = digits.test
    parts = list(zip(torch.split(images, 60), torch.split(labels, 60), strict=True))
    found: dict[str, Evaluation] = {}
    few = CODES["few-spike"]()  # type: ignore[call-arg] # every code has a default for its steps
    for code in (rate, few):
        with progress_bars() as progress:
            network = snnconv.convert(model, digits.train[0][:400], coding=code, progress=progress)
            found[code.name] = snnconv.evaluate(network, parts, reference=model, progress=progress)
    console.print(_accuracies(found["rate"], found["few-spike"], few.steps))
    console.print(_energies(found))
    console.print(f"multiply-accumulates of the original network: {found['rate'].activity.reference_macs}")
    return {name: result.to_dict() for name, result in found.items()}


def _accuracies(rate: Evaluation, few: Evaluation, window: int) -> Table:
    """Rate code after doubling numbers of steps, and few-spike code at the end of its pipeline."""
    table = Table(title=f"{rate.samples} test images, {rate.neurons} neurons")
    for column in ("network", "time steps", "accuracy %", "agreement %", "spikes per neuron"):
        table.add_column(column, justify="left" if column == "network" else "right")
    table.add_row("original (ANN)", "-", f"{rate.reference_accuracy:.2f}", "-", "-")
    assert rate.accuracy_by_step and rate.agreement_by_step and rate.spikes_by_step
    for step in sorted({1, 2, 4, 8, 16, 32, rate.steps} & set(range(1, rate.steps + 1))):
        table.add_row(
            "rate code",
            str(step),
            f"{rate.accuracy_by_step[step - 1]:.2f}",
            f"{rate.agreement_by_step[step - 1]:.2f}",
            f"{rate.spikes_by_step[step - 1] / rate.neurons:.2f}",
        )
    table.add_row(
        f"few-spike code, {window} steps a layer",
        str(few.steps),
        f"{few.accuracy:.2f}",
        f"{few.agreement:.2f}",
        f"{few.spikes_per_neuron:.2f}",
    )
    return table


def _energies(found: Mapping[str, Evaluation]) -> Table:
    table = Table(title="energy of one image, in microjoules (models, not measurements)")
    for column in ("network", "time steps", "synaptic operations", "E2 (arithmetic)", "E3 (and memory)"):
        table.add_column(column, justify="left" if column == "network" else "right")
    first = next(iter(found.values())).energy
    table.add_row("original (ANN)", "-", "-", f"{first.e2_reference * 1e6:.3f}", f"{first.e3_reference * 1e6:.3f}")
    for name, result in found.items():
        e2, e3 = result.energy.e2 * 1e6, result.energy.e3 * 1e6
        table.add_row(f"{name} code", str(result.steps), f"{result.synops:.0f}", f"{e2:.3f}", f"{e3:.3f}")
    return table
