"""The demo: a network trained on digits in seconds, converted and measured beside the original."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import torch
import typer
from rich.table import Table

import snnconv
from coding import CODES
from snnconv.cli.console import console
from snnconv.cli.options import Json, write_json
from snnconv.cli.progress import progress_bars
from snnconv.data import load_digits, train_digits_cnn
from snnconv.metrics.evaluation_result import Evaluation

#: Steps of the rate code that may be shown, and how many rows are.
_STEPS, _ROWS = (1, 2, 4, 8, 16, 32), 3
_NEXT = """\
Energies are those of a model, for one image. With a network of your own:
  snnconv preflight package.module:function --shape 3,32,32
  snnconv convert package.module:function --calibration samples.npz -o my.snn
  snnconv evaluate my.snn --data test.npz
  snnconv search package.module:function --calibration samples.npz
  snnconv --help"""


def demo(steps: Annotated[int, typer.Option(help="Time steps of the rate code.")] = 64, json_file: Json = None) -> None:
    """Train a small network on digits, convert it, show it beside the original, and say how to go on."""
    rate, few = CODES["rate"](steps), CODES["few-spike"]()  # type: ignore[call-arg] # steps have a default
    digits = load_digits()
    console.print(f"A small CNN learns {len(digits.train[1])} images of digits, and is converted twice ...")
    with progress_bars() as progress:
        model = train_digits_cnn(digits, progress=progress)
    images, labels = digits.test
    parts = list(zip(torch.split(images, 60), torch.split(labels, 60), strict=True))
    found: dict[str, Evaluation] = {}
    for code in (rate, few):
        with progress_bars() as progress:
            network = snnconv.convert(model, digits.train[0][:400], coding=code, progress=progress)
            found[code.name] = snnconv.evaluate(network, parts, reference=model, progress=progress)
    write_json(json_file, {name: result.to_dict() for name, result in found.items()})
    console.print(_beside_the_original(found))
    many, fewer = (found[code].spikes_per_neuron for code in ("rate", "few-spike"))
    console.print(
        f"Few-spike code weighs a spike by its step: {fewer:.1f} a neuron, {many:.1f} in rate code.\n{_NEXT}",
        markup=False,
    )


def _beside_the_original(found: Mapping[str, Evaluation]) -> Table:
    """The original, rate code after growing numbers of steps, and few-spike code at the end of its pipeline."""
    rate, few = found["rate"], found["few-spike"]
    table = Table(title=f"{rate.samples} new images, {rate.neurons} neurons")
    for column in ("network", "time steps", "accuracy %", "agreement %", "spikes per neuron", "energy, uJ"):
        table.add_column(column, justify="left" if column == "network" else "right")
    accuracy, energy = f"{rate.reference_accuracy:.2f}", _microjoules(rate.energy.e3_reference)
    table.add_row("original (ANN)", "-", accuracy, "-", "-", energy)
    assert rate.accuracy_by_step and rate.agreement_by_step and rate.spikes_by_step
    doubling = [*(each for each in _STEPS if each < rate.steps), rate.steps]
    for step in doubling[::-2][:_ROWS][::-1]:
        table.add_row(
            "rate code",
            str(step),
            f"{rate.accuracy_by_step[step - 1]:.2f}",
            f"{rate.agreement_by_step[step - 1]:.2f}",
            f"{rate.spikes_by_step[step - 1] / rate.neurons:.2f}",
            _microjoules(rate.energy.e3) if step == rate.steps else "",
        )
    table.add_row(
        "few-spike code",
        str(few.steps),
        f"{few.accuracy:.2f}",
        f"{few.agreement:.2f}",
        f"{few.spikes_per_neuron:.2f}",
        _microjoules(few.energy.e3),
    )
    return table


def _microjoules(energy: float) -> str:
    return f"{energy * 1e6:.2f}"
