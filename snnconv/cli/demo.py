"""The demo: a network trained on digits in seconds, converted and measured beside the original."""

from __future__ import annotations

from typing import Any

import torch
from rich.console import Console
from rich.table import Table

import snnconv
from coding import CODES
from snnconv.cli.progress import batches_with_progress
from snnconv.data import load_digits, train_digits_cnn


def run_demo(console: Console, steps: int) -> dict[str, Any]:
    """Train, convert, evaluate; print a table of accuracy, spikes and energy, and return all figures."""
    code = CODES["rate"](steps)
    digits = load_digits()
    console.print(f"training a small CNN on {len(digits.train[1])} images of digits ...")
    model = train_digits_cnn(digits, progress=lambda epochs: batches_with_progress(console, list(epochs), "training"))
    console.print("converting it, with 400 training images for calibration ...\n")
    network = snnconv.convert(model, digits.train[0][:400], coding=code)
    images, labels = digits.test
    parts = list(zip(torch.split(images, 60), torch.split(labels, 60), strict=True))
    result = snnconv.evaluate(network, batches_with_progress(console, parts), reference=model)

    table = Table(title=f"{result.samples} test images, {result.neurons} neurons")
    for column in ("network", "time steps", "accuracy %", "decides alike %", "spikes per neuron"):
        table.add_column(column, justify="left" if column == "network" else "right")
    table.add_row("original (ANN)", "-", f"{result.reference_accuracy:.2f}", "-", "-")
    assert result.accuracy_by_step and result.agreement_by_step and result.spikes_by_step
    for step in sorted({1, 2, 4, 8, 16, 32, steps} & set(range(1, steps + 1))):
        table.add_row(
            "spiking (SNN)",
            str(step),
            f"{result.accuracy_by_step[step - 1]:.2f}",
            f"{result.agreement_by_step[step - 1]:.2f}",
            f"{result.spikes_by_step[step - 1] / result.neurons:.2f}",
        )
    console.print(table)
    energies = Table(title=f"energy of one image after {steps} steps, in microjoules (models, not measurements)")
    for column in ("model", "ANN", "SNN"):
        energies.add_column(column, justify="left" if column == "model" else "right")
    e = result.energy
    energies.add_row("E2: arithmetic alone (MAC 4.6 pJ, AC 0.9 pJ)", f"{e.e2_reference * 1e6:.3f}", f"{e.e2 * 1e6:.3f}")
    energies.add_row("E3: arithmetic and memory (5.0 pJ an access)", f"{e.e3_reference * 1e6:.3f}", f"{e.e3 * 1e6:.3f}")
    console.print(energies)
    console.print(
        f"synaptic operations of one image: {result.synops:.0f}; MACs of the ANN: {result.activity.reference_macs}"
    )
    return result.to_dict()
