"""Options that several commands take: codes by name with their parameters, networks and figures as files."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, get_args

import typer

import neurons
from coding import Code
from coding.registry import named_codes
from neurons.registry import named_neurons
from snnconv.errors import ConfigurationError, StorageError
from snnconv.metrics.class_judge import ClassJudge
from snnconv.metrics.judge import TargetJudge
from snnconv.metrics.label_judge import LabelJudge
from snnconv.metrics.value_judge import ValueJudge

Model = Annotated[
    str,
    typer.Argument(help="A .pt2 exported program, or package.module:name of a module or of a function that builds it."),
]
Weights = Annotated[
    Path | None,
    typer.Option(help="Weights: a state dict in .safetensors or a file of torch.save, alone or in a checkpoint."),
]
Steps = Annotated[int | None, typer.Option(help="Time steps of a population, instead of the code's own.")]
Base = Annotated[str | None, typer.Option(help="Base of the payloads: a number above 1, or fit.")]
Spikes = Annotated[int | None, typer.Option(help="Most spikes of a neuron in a window.")]
Neuron = Annotated[str, typer.Option(help="Neuron: " + ", ".join(named_neurons()))]
Negative = Annotated[
    str | None,
    typer.Option(
        help=f"Spikes below zero: {' or '.join(get_args(neurons.Negative))}; the default depends on the code."
    ),
]
Percentile = Annotated[str | None, typer.Option(help="Scales: a percentile of the activations (100: maximum), or mse.")]
Analog = Annotated[
    list[str] | None,
    typer.Option(
        help="Module or operation behind the last population whose weights may stay real-valued; may be repeated."
    ),
]
Json = Annotated[Path | None, typer.Option("--json", help="Write all figures to this JSON file.")]
JUDGES: dict[str, TargetJudge | None] = {
    "auto": None,
    "class": ClassJudge(),
    "label": LabelJudge(),
    "value": ValueJudge(),
}
JudgeName = Annotated[
    str,
    typer.Option(
        "--judge",
        help="What targets are: class (indices), label (0 or 1, of logits), value; auto tells by targets and output.",
    ),
]
IgnoreIndex = Annotated[int, typer.Option(help="Integer target that leaves its sample or position out.")]


def judge_of(name: str) -> TargetJudge | None:
    """The judge called ``name``; ``None`` for the one that fits."""
    if name not in JUDGES:
        raise ConfigurationError(f"--judge: unknown judge {name!r}; known: {', '.join(JUDGES)}")
    return JUDGES[name]


def code_of(name: str, *, steps: int | None, base: str | None, spikes: int | None) -> Code:
    """The code called ``name`` with the parameters that were given; those that it does not have are refused."""
    if name not in named_codes():
        raise ConfigurationError(f"unknown code {name!r}; known codes: {', '.join(named_codes())}")
    number = None if base is None else number_or("--base", base, "fit")
    given = {"steps": steps, "base": number, "spikes": spikes}
    parameters = [field.name for field in fields(named_codes()[name])]
    for option, value in given.items():
        if value is not None and option not in parameters:
            raise ConfigurationError(f"--{option}: {name} code has no such parameter; it has {', '.join(parameters)}")
    chosen: dict[str, Any] = {option: value for option, value in given.items() if value is not None}
    return named_codes()[name](**chosen)


def percentile_of(text: str | None) -> Any:
    """What convert() takes for the option ``--percentile``; ``None`` is the schedule's own default."""
    return None if text is None else number_or("--percentile", text, "mse")


def number_or(option: str, text: str, word: str) -> float | str:
    """The number that ``text`` is, or ``word`` itself."""
    try:
        return text if text == word else float(text)
    except ValueError:
        raise ConfigurationError(f"{option} must be a number or {word}, got {text!r}") from None


def write_json(path: Path | None, figures: Any) -> None:
    """Write ``figures`` to ``path`` if there is one."""
    if path is None:
        return
    try:
        path.write_text(json.dumps(figures, indent=2) + "\n")
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror or error}") from error


def folder(path: Path) -> Path:
    """``path`` as a folder, made if it is not there."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"{path} cannot be made a folder: {error.strerror or error}") from error
    return path
